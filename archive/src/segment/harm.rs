//! What an error means for the segment that it names.

use crate::error::Error;
use crate::segment::connect::is_damaged;

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

impl Harm {
    /// What the error means for the segment that it names. SQLite says that a file is corrupt, too, when the device failed
    /// to read it (`SQLITE_IOERR_CORRUPTFS` leaves a statement as `SQLITE_CORRUPT`), so such a file is read and checked
    /// first.
    pub(crate) fn of(error: &Error) -> Harm {
        match error {
            _ if is_read_failure(error) => Harm::Unread,
            Error::Segment {
                path,
                source: rusqlite::Error::SqliteFailure(failure, _),
                ..
            } if failure.code == rusqlite::ErrorCode::DatabaseCorrupt => {
                if is_damaged(path) {
                    Harm::Damaged
                } else {
                    Harm::Unread
                }
            }
            _ if is_corrupt(error) => Harm::Damaged,
            _ => Harm::None,
        }
    }
}

fn is_read_failure(error: &Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_CORRUPTFS, SQLITE_IOERR_DATA, SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ};
    match error {
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

fn is_corrupt(error: &Error) -> bool {
    match error {
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
