//! What can go wrong with the archive: each variant says what was tried, and on what.

use std::path::{Path, PathBuf};

use crate::envelope::MessageHash;

/// What was tried, on what, and why it did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the writer's lock.
    #[error(
        "the archive {dir} is in use by another writer{holder}: only one mailserver may write it; stop the other one or give this one a directory of its own"
    )]
    Locked {
        /// The archive's directory.
        dir: PathBuf,
        /// Its process, where that is known.
        holder: String,
    },
    /// An operation on a file or a directory failed.
    #[error("cannot {what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite failed in a segment, or in a foreign archive.
    #[error("cannot {what} in segment {path}: {source}")]
    Segment {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A cursor names an envelope that is neither kept nor remembered.
    #[error("the cursor {0} is not in the archive")]
    UnknownCursor(MessageHash),
    /// A file was not replaced.
    #[error(transparent)]
    Replace(#[from] durable_file::Error),
    /// The policy is not one that this version writes.
    #[error("the policy file {path} cannot be understood: {reason}")]
    Policy {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is a segment of a newer version, or no segment at all.
    #[error("{path} is not an archive that can be read here: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
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
}
