//! The archive's directory: what its names mean, what lies there, and what both its writer and the daemon do to whole
//! files. Nothing here opens a segment.

pub(crate) mod expiry;
pub(crate) mod files;
pub mod folder;
pub(crate) mod listing;
pub(crate) mod lock;
pub(crate) mod names;
pub(crate) mod policy;
pub(crate) mod quarantine;
