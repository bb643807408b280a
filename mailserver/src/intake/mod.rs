//! How envelopes come in.

pub mod gate;
