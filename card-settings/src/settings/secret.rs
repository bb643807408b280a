//! A value that no log, no answer and no page may show.

use std::fmt;

/// A text that is in no log and no answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Empty quotes: the card no longer shows it.
    pub fn is_taken(&self) -> bool {
        self.0.is_empty()
    }

    /// Fills an empty one in from `kept`; `false` when there is none to be had.
    pub(super) fn recall(&mut self, kept: Option<&Secret>) -> bool {
        if self.is_taken()
            && let Some(kept) = kept
        {
            *self = kept.clone();
        }
        !self.is_taken()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
