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

mod archive;
mod catalogue;
mod commit;
mod durability;
mod envelope;
mod error;
pub mod export;
mod file;
mod filter;
pub mod folder;
pub mod foreign;
mod ladder;
mod layout;
mod level;
mod live;
mod lock;
mod open;
mod page;
mod policy;
mod progress;
mod provisional;
mod pruning;
mod quarantine;
mod query;
mod regulars;
pub mod retention;
mod schema;
mod seal;
mod sealed;
mod search;
mod shares;
mod stats;
mod unreadable;
mod verify;
mod wear;

pub use archive::{Archive, Inserted, Options, Outlook};
pub use envelope::{Envelope, MessageHash};
pub use error::Error;
pub use layout::{Kind, SegmentName, slice_secs};
pub use policy::{DiskStage, Policy};
pub use progress::{Progress, Told};
pub use query::{Direction, Entry, MAX_PAGE, MAX_PAGE_BYTES, Page, Query};
pub use stats::{Counters, Refusal, Stats};
pub use verify::{Verified, VerifiedSegment, verify};
