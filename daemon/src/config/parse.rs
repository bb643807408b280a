//! Strict TOML: a file becomes a value or one [`Mistake`] that names the file, the line, the key and the mend.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a settings file cannot be used, in one line for a person who is about to edit it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    pub file: PathBuf,
    pub line: Option<usize>,
    /// Dotted, as in `services.mailserver.ports.tcp`.
    pub key: Option<String>,
    pub what: String,
    pub mend: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}; {}", self.what, self.mend)
    }
}

impl Mistake {
    pub fn in_key(file: &Path, key: &str, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
        Mistake {
            file: file.to_owned(),
            line: None,
            key: Some(key.to_owned()),
            what: what.into(),
            mend: mend.into(),
        }
    }

    pub fn in_file(file: &Path, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
        Mistake {
            file: file.to_owned(),
            line: None,
            key: None,
            what: what.into(),
            mend: mend.into(),
        }
    }
}

/// No settings are longer; what is would be another file by mistake.
const MAX_BYTES: u64 = 256 * 1024;

pub fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Mistake> {
    parse(file, &text(file)?)
}

fn text(file: &Path) -> Result<String, Mistake> {
    let unreadable =
        |error: std::io::Error| Mistake::in_file(file, format!("cannot be read: {error}"), "name a readable file");
    // Asked before it is opened: a FIFO would keep whoever opens it waiting.
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(Mistake::in_file(file, "is no ordinary file", "name a file of text"));
    }
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let mut text = String::new();
    opened
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        let what = format!("is longer than {} KiB", MAX_BYTES / 1024);
        return Err(Mistake::in_file(file, what, "name a file of settings"));
    }
    Ok(text)
}

pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Mistake> {
    let deserializer = toml::Deserializer::parse(text).map_err(|error| mistake(file, text, None, &error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        mistake(file, text, Some(path), error.inner())
    })
}

fn mistake(file: &Path, text: &str, path: Option<String>, error: &toml::de::Error) -> Mistake {
    let message = error.message().replace('\n', " ");
    let (what, mend) = match message.split_once(", expected ") {
        Some((what, expected)) if what.starts_with("unknown field") => (
            what.replace("unknown field", "unknown key"),
            format!("remove it, or use one of {}", strip(expected)),
        ),
        Some((what, expected)) => (what.to_owned(), format!("write {expected}")),
        None if message.starts_with("missing field") => (message.clone(), "add it".to_owned()),
        None => (message.clone(), "correct the TOML here".to_owned()),
    };
    Mistake {
        file: file.to_owned(),
        line: error
            .span()
            .map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count()),
        key: path.filter(|path| path != "."),
        what,
        mend,
    }
}

fn strip(expected: &str) -> &str {
    expected.strip_prefix("one of ").unwrap_or(expected)
}
