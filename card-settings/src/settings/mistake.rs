//! The one sentence that a person gets for a file that cannot be used.

use std::fmt;

/// Why the file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    pub file: &'static str,
    pub line: Option<usize>,
    pub key: Option<String>,
    pub what: String,
    pub mend: String,
}

impl Mistake {
    /// A mistake of `pillarbox.toml`.
    pub(crate) fn new(key: Option<&str>, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
        Mistake {
            file: super::FILE,
            line: None,
            key: key.map(str::to_owned),
            what: what.into(),
            mend: mend.into(),
        }
    }

    pub(crate) fn of(self, file: &'static str) -> Mistake {
        Mistake { file, ..self }
    }

    /// The same under the key that another file has for it.
    pub(crate) fn at(self, file: &'static str, key: &str) -> Mistake {
        Mistake {
            file,
            key: Some(key.to_owned()),
            ..self
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}; {}", self.what, self.mend)
    }
}

/// 1-based.
pub(crate) fn line_at(bytes: &[u8], at: usize) -> usize {
    1 + bytes[..at.min(bytes.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}
