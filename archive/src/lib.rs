//! Envelopes on disk: kept for the retention, found again by every query of Waku store 3.0.0, forgotten by removing
//! whole files.
//!
//! The mailserver is the only writer of rows (`Archive`). The daemon removes what expired (`retention`); the writer
//! removes what the quota or the disk asks for early, because it alone frees the space at once. Both meet in the
//! archive's directory alone: segments, and the `policy` file by which the daemon says what time it trusts, what is too
//! old, and how full the disk is.
//!
//! An envelope that arrives is in memory at once, where queries find it, and on disk with the next group commit, within
//! [`Options::durability`]. Every segment is one SQLite file for one slice of time; the file's name says when it may go.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

mod directory;
mod envelope;
mod error;
mod mutex;
mod nanos;
mod order;
mod page;
mod query;
pub mod retention;
mod segment;
mod shares;
mod tools;
mod writer;

pub use directory::folder;
pub use directory::names::{Kind, SegmentName, slice_secs};
pub use directory::policy::{DiskStage, Policy};
pub use envelope::{Envelope, MessageHash};
pub use error::Error;
pub use nanos::Nanos;
pub use query::{Direction, Entry, MAX_PAGE, MAX_PAGE_BYTES, Page, Query};
pub use tools::progress::{Progress, Told};
pub use tools::verify::{Verified, VerifiedSegment, verify};
pub use tools::{export, foreign};
pub use writer::admit::MAX_DRIFT;
pub use writer::archive::{Archive, Outlook};
pub use writer::insert::Inserted;
pub use writer::options::Options;
pub use writer::stats::{Counters, Refusal, Stats};
