//! The one writer of an archive: it takes envelopes in, answers queries, and does the periodic work.

pub(crate) mod admit;
pub(crate) mod archive;
pub(crate) mod catalogue;
pub(crate) mod commit;
pub(crate) mod cursors;
pub(crate) mod durability;
pub(crate) mod open;
pub(crate) mod provisional;
pub(crate) mod prune;
pub(crate) mod seal;
pub(crate) mod shed;
pub(crate) mod stats;
pub(crate) mod unreadable;
pub(crate) mod wear;
