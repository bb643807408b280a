//! What can go wrong with the archive: each variant says what was tried, and on what.

use std::path::{Path, PathBuf};

use crate::schema;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the archive {dir} is in use by another writer{holder}: only one mailserver may write it; stop the other one or give this one a directory of its own"
    )]
    Locked { dir: PathBuf, holder: String },
    #[error("cannot {what} {path}: {source}")]
    File {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot {what} in segment {path}: {source}")]
    Segment {
        what: &'static str,
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("the cursor {0} is not in the archive")]
    UnknownCursor(crate::MessageHash),
    #[error("the policy file {path} cannot be understood: {reason}")]
    Policy { path: PathBuf, reason: String },
    #[error("{path} is not an archive that can be read here: {reason}")]
    Foreign { path: PathBuf, reason: String },
}

/// What is the matter with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing that the error tells of: no room, no permission, another process.
    None,
    /// The file itself is damaged: trying again cannot help.
    Damaged,
    /// The device could not give back what it was given: a worn card, or a bus that stumbled.
    Unread,
}

impl Error {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { what, path, source }
    }

    pub(crate) fn segment(what: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Segment { what, path, source }
    }

    /// Whether the disk (or the quota of its owner) was full.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Error::Segment { source, .. } => source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Error::File { source, .. } => {
                matches!(
                    source.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                )
            }
            _ => false,
        }
    }

    /// What the error means for the segment that it names. SQLite says that a file is corrupt, too, when the device failed
    /// to read it (`SQLITE_IOERR_CORRUPTFS` leaves a statement as `SQLITE_CORRUPT`), so such a file is read and checked
    /// first.
    pub(crate) fn harm(&self) -> Harm {
        match self {
            _ if self.is_read_failure() => Harm::Unread,
            Error::Segment {
                path,
                source: rusqlite::Error::SqliteFailure(failure, _),
                ..
            } if failure.code == rusqlite::ErrorCode::DatabaseCorrupt => {
                if schema::is_damaged(path) {
                    Harm::Damaged
                } else {
                    Harm::Unread
                }
            }
            _ if self.is_corrupt() => Harm::Damaged,
            _ => Harm::None,
        }
    }

    fn is_read_failure(&self) -> bool {
        use rusqlite::ffi::{SQLITE_IOERR_CORRUPTFS, SQLITE_IOERR_DATA, SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ};
        match self {
            Error::Segment {
                source: rusqlite::Error::SqliteFailure(failure, _),
                ..
            } => [
                SQLITE_IOERR_READ,
                SQLITE_IOERR_SHORT_READ,
                SQLITE_IOERR_CORRUPTFS,
                SQLITE_IOERR_DATA,
            ]
            .contains(&failure.extended_code),
            Error::File {
                what: "read", source, ..
            } => source.raw_os_error() == Some(nix::libc::EIO),
            _ => false,
        }
    }

    fn is_corrupt(&self) -> bool {
        match self {
            Error::Segment { source, .. } => match source {
                rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
                    rusqlite::ErrorCode::NotADatabase => true,
                    // A table or a column that ought to be there is not.
                    rusqlite::ErrorCode::Unknown => message
                        .as_deref()
                        .is_some_and(|text| text.starts_with("no such ") || text.starts_with("malformed")),
                    _ => false,
                },
                // Our own statement does not fit the file's tables: their description is damaged.
                rusqlite::Error::SqlInputError { .. } => true,
                rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..) => true,
                _ => false,
            },
            Error::Foreign { .. } => true,
            _ => false,
        }
    }
}
