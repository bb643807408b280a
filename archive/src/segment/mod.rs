//! One segment: a SQLite file of one slice of time. All SQL about our own files but the tools' is here.

pub(crate) mod batch;
pub(crate) mod bloom;
pub(crate) mod connect;
pub(crate) mod file;
pub(crate) mod harm;
pub(crate) mod index;
pub(crate) mod live;
pub(crate) mod open;
pub(crate) mod place;
pub(crate) mod probe;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod sealed;
pub(crate) mod summary;
