//! The one sentence that a person gets for a file that cannot be used.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Format;

/// What a sentence quotes of a file is cut here: it is shown on a page and stands in a journal.
const MAX_QUOTED: usize = 200;

/// Why a file cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// The file, as the person knows it.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: Option<usize>,
    /// Dotted, as in `services.mailserver.ports.tcp`.
    pub key: Option<String>,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The system does not let it be read.
    Unreadable {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// What the system said.
        reason: String,
    },
    /// A folder, a pipe or a device.
    NotAFile,
    /// It has more bytes than its kind of file has.
    TooLong {
        /// How many it has.
        bytes: u64,
        /// The most that it may have.
        max_bytes: usize,
    },
    /// It is no text.
    NotUtf8,
    /// Tables and lists are too many within each other.
    TooDeep {
        /// The most levels that it may have.
        max_depth: usize,
    },
    /// It is no TOML.
    Syntax {
        /// What is wrong.
        what: String,
        /// What to write instead.
        fix: String,
    },
    /// There is no such key.
    UnknownKey {
        /// Which.
        what: String,
        /// The keys that there are.
        fix: String,
    },
    /// A key that has to be there is not.
    MissingKey {
        /// Which.
        what: String,
        /// What to add.
        fix: String,
    },
    /// A value that the key cannot have.
    BadValue {
        /// What is wrong with it.
        what: String,
        /// What to write instead.
        fix: String,
    },
}

impl Problem {
    /// From the system's error.
    #[must_use]
    pub fn unreadable(error: &io::Error) -> Problem {
        Problem::Unreadable {
            kind: error.kind(),
            reason: error.to_string(),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Problem::Unreadable { reason, .. } => format!("cannot be read: {reason}"),
            Problem::NotAFile => "is not an ordinary file".to_owned(),
            Problem::TooLong { bytes, .. } => format!("has {bytes} bytes"),
            Problem::NotUtf8 => "is not UTF-8 text".to_owned(),
            Problem::TooDeep { max_depth } => format!("has more than {max_depth} levels of tables and lists"),
            Problem::Syntax { what, .. }
            | Problem::UnknownKey { what, .. }
            | Problem::MissingKey { what, .. }
            | Problem::BadValue { what, .. } => what.clone(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Problem::Unreadable { .. } => "name a readable file".to_owned(),
            Problem::NotAFile => "name a text file".to_owned(),
            Problem::TooLong { max_bytes, .. } => format!("keep it under {max_bytes} bytes"),
            Problem::NotUtf8 => "save it as UTF-8".to_owned(),
            Problem::TooDeep { .. } => "write it with fewer levels".to_owned(),
            Problem::Syntax { fix, .. }
            | Problem::UnknownKey { fix, .. }
            | Problem::MissingKey { fix, .. }
            | Problem::BadValue { fix, .. } => fix.clone(),
        }
    }
}

impl Mistake {
    /// Somewhere in this file.
    #[must_use]
    pub fn of(file: impl AsRef<Path>, problem: Problem) -> Mistake {
        Mistake {
            file: file.as_ref().to_owned(),
            line: None,
            key: None,
            problem,
        }
    }

    /// A value of this key that reads well, and cannot be used all the same.
    pub fn in_key(file: impl AsRef<Path>, key: &str, what: impl Into<String>, fix: impl Into<String>) -> Mistake {
        Mistake {
            key: Some(key.to_owned()),
            ..Mistake::in_file(file, what, fix)
        }
    }

    /// A file that reads well, and cannot be used all the same.
    pub fn in_file(file: impl AsRef<Path>, what: impl Into<String>, fix: impl Into<String>) -> Mistake {
        let (what, fix) = (what.into(), fix.into());
        Mistake::of(file, Problem::BadValue { what, fix })
    }

    /// The same in another file, which has another key for it.
    #[must_use]
    pub fn at(self, file: impl AsRef<Path>, key: &str) -> Mistake {
        Mistake {
            file: file.as_ref().to_owned(),
            key: Some(key.to_owned()),
            ..self
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> String {
        self.problem.what()
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        self.problem.fix()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", clear(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {}", quoted(key))?;
        }
        write!(f, ": {}; {}", quoted(&self.what()), clear(&self.fix()))
    }
}

/// On one line.
fn clear(text: &str) -> String {
    let clear = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    text.chars().map(clear).collect()
}

/// On one line, and of a bounded length.
fn quoted(text: &str) -> String {
    let mut short: String = clear(text).chars().take(MAX_QUOTED).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        short.push('…');
    }
    short
}

/// The line that this byte is on, counted from 1.
#[must_use]
pub fn line_at(content: &[u8], at: usize) -> usize {
    let before = &content[..at.min(content.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Toml's message, which is all that it tells of an error's kind, taken apart.
pub(crate) fn explain(
    format: &Format,
    file: &Path,
    text: &str,
    key: Option<String>,
    error: &toml::de::Error,
) -> Mistake {
    let message = error.message().replace('\n', " ");
    let (what, expected) = match message.rsplit_once(", expected ") {
        Some((what, expected)) => (what.to_owned(), Some(expected)),
        None => (message.clone(), None),
    };
    let problem = if what.starts_with("unknown field") {
        let known = expected.map(|expected| expected.strip_prefix("one of ").unwrap_or(expected));
        Problem::UnknownKey {
            what: what.replacen("unknown field", "unknown key", 1),
            fix: known.map_or_else(
                || "remove it".to_owned(),
                |known| match known {
                    "there are no fields" => "remove it".to_owned(),
                    known => format!("remove it, or use one of {known}"),
                },
            ),
        }
    } else if what.starts_with("missing field") {
        let fix = match key {
            Some(_) => "add it, or remove the section",
            None => "add it",
        };
        let fix = fix.to_owned();
        Problem::MissingKey { what, fix }
    } else {
        let fix = fix_of(expected, key.as_deref());
        if key.as_deref().is_some_and(format.is_secret) {
            Problem::BadValue {
                what: "is not text in quotes, or is in the wrong place".to_owned(),
                fix,
            }
        } else if key.is_none() {
            Problem::Syntax { what, fix }
        } else {
            Problem::BadValue { what, fix }
        }
    };
    Mistake {
        file: file.to_owned(),
        line: error.span().map(|span| line_at(text.as_bytes(), span.start)),
        key,
        problem,
    }
}

fn fix_of(expected: Option<&str>, key: Option<&str>) -> String {
    match (expected, key) {
        (Some(expected), Some(key)) if expected.starts_with("struct ") => format!("write it as a section, [{key}]"),
        (Some(expected), _) => format!("write {expected}"),
        (None, _) => "correct it here".to_owned(),
    }
}
