//! The one sentence that a person gets for a file that cannot be used.

use std::fmt;

/// What a sentence quotes of a file is cut here: it is shown on the page and stands in the journal.
const MAX_QUOTED: usize = 200;

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
            write!(f, ": {}", quoted(key))?;
        }
        write!(f, ": {}; {}", quoted(&self.what), self.mend)
    }
}

/// On one line, and of a bounded length.
fn quoted(text: &str) -> String {
    let clear = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let mut letters = text.chars().map(clear);
    let mut short: String = letters.by_ref().take(MAX_QUOTED).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

/// 1-based.
pub(crate) fn line_at(bytes: &[u8], at: usize) -> usize {
    1 + bytes[..at.min(bytes.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}
