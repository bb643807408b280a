//! How a value of a board's file is refused: with the file, the key and how to fix it.

use std::path::Path;

use crate::Error;

/// Checks the values of one file.
pub(crate) struct Checker<'a> {
    pub(crate) path: &'a Path,
}

impl Checker<'_> {
    pub(crate) fn missing(&self, key: &str) -> Error {
        Error::Missing {
            path: self.path.to_owned(),
            key: key.to_owned(),
        }
    }

    pub(crate) fn bad(&self, key: &str, value: &str, expected: &'static str) -> Error {
        Error::BadValue {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            expected,
        }
    }

    pub(crate) fn present<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.missing(key))
    }

    /// The first of `values` that is not `good` is refused.
    pub(crate) fn all(
        &self,
        key: &str,
        values: &[String],
        good: impl Fn(&str) -> bool,
        expected: &'static str,
    ) -> Result<(), Error> {
        match values.iter().find(|value| !good(value)) {
            Some(value) => Err(self.bad(key, value, expected)),
            None => Ok(()),
        }
    }
}
