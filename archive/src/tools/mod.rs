//! For the command line: checking an archive, and envelopes out of one and into one. They need no writer, except where
//! envelopes are read in.

pub mod export;
pub mod foreign;
pub(crate) mod progress;
pub(crate) mod verify;
