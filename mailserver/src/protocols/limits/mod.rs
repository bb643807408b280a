//! How much one peer, one address and all of them together may ask for.

pub(super) mod concurrency;
pub(super) mod rate;
