//! Reads TOML strictly. A file becomes a value, or one [`Mistake`]: a sentence that names the file, the line, the key and
//! the fix, for a person who is about to edit it.
//!
//! What a file says is never guessed. How much of it is read is bounded by the caller's [`Format`], in bytes and in depth,
//! so that any file can be given to it. A sentence stays on one line whatever the file holds, and quotes little of it;
//! the value of a secret key is not quoted at all, since the sentence is shown on a page and stands in a journal.

#![warn(missing_docs)]

pub mod fuzzed;
mod mistake;

use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

pub use mistake::{Mistake, Problem, line_at};

/// What toml itself puts up with, for callers that have no reason for less.
pub const MAX_DEPTH: usize = 80;

/// One kind of file.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// No file of this kind is longer. What is would be another file by mistake.
    pub max_bytes: usize,
    /// Tables and lists within each other, the file itself not counted.
    pub max_depth: usize,
    /// Whether the value of this dotted key is a secret, or may be one in the wrong place.
    pub is_secret: fn(&str) -> bool,
}

impl Format {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn read<T: DeserializeOwned>(&self, file: &Path) -> Result<T, Mistake> {
        self.parse(file, &self.bytes(file)?)
    }

    /// Parses what was read from `file`.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse<T: DeserializeOwned>(&self, file: &Path, content: &[u8]) -> Result<T, Mistake> {
        self.parse_text(file, self.text(file, content)?)
    }

    /// The file's text: UTF-8 of a bounded length, without the mark that Windows' editor puts in front.
    ///
    /// # Errors
    /// It is too long, or no text.
    pub fn text<'a>(&self, file: &Path, content: &'a [u8]) -> Result<&'a str, Mistake> {
        if content.len() > self.max_bytes {
            return Err(self.too_long(file, content.len() as u64));
        }
        let text = std::str::from_utf8(content).map_err(|error| Mistake {
            line: Some(line_at(content, error.valid_up_to())),
            ..Mistake::of(file, Problem::NotUtf8)
        })?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// Parses a text whose length the caller has seen to, as [`Format::text`] does.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse_text<T: DeserializeOwned>(&self, file: &Path, text: &str) -> Result<T, Mistake> {
        let explain = |key, error: &toml::de::Error| mistake::explain(self, file, text, key, error);
        let document = DeTable::parse(text).map_err(|error| explain(None, &error))?;
        if let Some(at) = deeper_than(document.get_ref(), self.max_depth) {
            let problem = Problem::TooDeep {
                max_depth: self.max_depth,
            };
            return Err(Mistake {
                line: Some(line_at(text.as_bytes(), at)),
                ..Mistake::of(file, problem)
            });
        }
        serde_path_to_error::deserialize(toml::Deserializer::from(document)).map_err(|error| {
            let key = error.path().to_string();
            // What toml calls the inside of a value whose place it remembers.
            let key = key.split(".$__").next().unwrap_or_default();
            explain((key != ".").then(|| key.to_owned()), error.inner())
        })
    }

    fn bytes(&self, file: &Path) -> Result<Vec<u8>, Mistake> {
        let unreadable = |error: io::Error| Mistake::of(file, Problem::unreadable(&error));
        // Asked before it is opened: a FIFO would keep whoever opens it waiting.
        let found = std::fs::metadata(file).map_err(unreadable)?;
        if !found.is_file() {
            return Err(Mistake::of(file, Problem::NotAFile));
        }
        if found.len() > self.max_bytes as u64 {
            return Err(self.too_long(file, found.len()));
        }
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        let mut content = Vec::new();
        let limit = self.max_bytes as u64 + 1;
        opened.take(limit).read_to_end(&mut content).map_err(unreadable)?;
        Ok(content)
    }

    fn too_long(&self, file: &Path, bytes: u64) -> Mistake {
        let max_bytes = self.max_bytes;
        Mistake::of(file, Problem::TooLong { bytes, max_bytes })
    }
}

/// Where the first value lies that is deeper than `max_depth`. A stack of its own, because this is what bounds the depth.
fn deeper_than(document: &DeTable<'_>, max_depth: usize) -> Option<usize> {
    let mut todo: Vec<_> = document.values().map(|value| (value, 0)).collect();
    while let Some((value, above)) = todo.pop() {
        let depth = above + 1;
        let inner: &mut dyn Iterator<Item = _> = match value.get_ref() {
            DeValue::Array(list) => &mut list.iter(),
            DeValue::Table(table) => &mut table.values(),
            _ => continue,
        };
        if depth > max_depth {
            return Some(value.span().start);
        }
        todo.extend(inner.map(|value| (value, depth)));
    }
    None
}
