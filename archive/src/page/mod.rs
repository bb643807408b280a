//! A page: its keys merged out of many segments, then its envelopes read.

pub(crate) mod fill;
pub(crate) mod merge;
