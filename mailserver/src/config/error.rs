//! What can be wrong with what was given.

use std::path::PathBuf;

/// A mistake in flags or file. The program ends with status 78 (`EX_CONFIG` of sysexits.h).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{arg:?} is not a flag; flags start with --")]
    NotAFlag { arg: String },
    #[error("{flag} is not known; {}", .nearest.as_ref().map_or("--help lists all flags".to_owned(), |near| format!("did you mean {near}?")))]
    Unknown { flag: String, nearest: Option<String> },
    #[error("{flag} needs a value; write {flag}=VALUE")]
    NoValue { flag: String },
    #[error("{} cannot be read: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{} is not TOML: {reason}", .path.display())]
    NotToml { path: PathBuf, reason: String },
    #[error("{key} is {found}, which this flag does not take; give one value")]
    WrongToml { key: String, found: &'static str },
    #[error("{flag}: {value:?} is invalid: {reason}")]
    Value {
        flag: String,
        value: String,
        reason: String,
    },
    #[error("{flag} needs --{needed}: {reason}")]
    Needs {
        flag: String,
        needed: &'static str,
        reason: &'static str,
    },
    #[error("{flag} contradicts {other}: {reason}")]
    Contradiction {
        flag: String,
        other: String,
        reason: String,
    },
}
