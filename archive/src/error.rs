//! What can go wrong with the archive: each variant says what was tried, and on what.

use std::path::{Path, PathBuf};

use crate::envelope::MessageHash;

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
    UnknownCursor(MessageHash),
    #[error("the policy file {path} cannot be understood: {reason}")]
    Policy { path: PathBuf, reason: String },
    #[error("{path} is not an archive that can be read here: {reason}")]
    Foreign { path: PathBuf, reason: String },
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
