//! Range-based set reconciliation over the ids of envelopes: which two sets lack of each other, found by comparing
//! fingerprints of ranges and splitting those that differ. Pure: no clock, no socket, no archive.
//!
//! `set` holds the ids of the recent past in order; `split` cuts a range that differs; `session` turns what the other
//! side sent into what to answer and what to hand over. A session ends because every range that is answered by
//! fingerprints holds fewer of one's own ids than the one it came from, and everything else is answered once.
//!
//! Both sides bound what they send: answers by bytes and ranges (what does not fit is put off by sending the
//! fingerprint of the range again), envelopes by number (what is left over waits for the next session).

mod session;
mod set;
mod split;

pub use session::{Answer, Limits, MIN_ANSWER_BYTES, Session};
pub use set::{IdSet, Scope};

#[cfg(test)]
mod tests;
