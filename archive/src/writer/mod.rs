//! The one writer of an archive: it takes envelopes in, answers queries, and does the periodic work.
//!
//! `archive` is what its users see, `core` what the parts share, `catalogue` what is known in memory. The others are the
//! parts, each a few functions on the core.

pub(crate) mod admit;
pub(crate) mod answer;
pub(crate) mod archive;
pub(crate) mod catalogue;
pub(crate) mod commit;
pub(crate) mod core;
pub(crate) mod cursors;
pub(crate) mod durability;
pub(crate) mod give_up;
pub(crate) mod insert;
pub(crate) mod open;
pub(crate) mod options;
pub(crate) mod periodic;
pub(crate) mod provisional;
pub(crate) mod prune;
pub(crate) mod seal;
pub(crate) mod shed;
pub(crate) mod stats;
pub(crate) mod unreadable;
pub(crate) mod wear;
