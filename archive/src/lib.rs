//! Envelopes on disk: kept for the retention, found again by every query of Waku store 3.0.0, forgotten by removing
//! whole files.
//!
//! The mailserver is the only writer of rows (`Archive`), the daemon the only remover of segments (`retention`), and
//! both meet in the archive's directory alone: segments, and the `policy` file by which the daemon says what time it
//! trusts, what is too old, and how full the disk is.

mod envelope;
mod policy;
mod query;

pub use envelope::{Envelope, MessageHash};
pub use policy::{DiskStage, Policy};
pub use query::{Direction, Entry, MAX_PAGE, Page, Query};
