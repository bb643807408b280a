//! Every word that the page and the lights say to a person, a language a file: [`english`] and [`german`] are two values
//! of one closed [`Wording`]. To translate the box, add a file like them and a variant of [`Language`].
//!
//! It lies at the bottom of the daemon and knows none of it: who has something to say fetches its text here and fills in
//! its own values. The command line, the JSON and the log are English in every house.

mod english;
mod format;
mod german;
mod table;

pub use english::ENGLISH;
pub use format::UNKNOWN;
pub use german::GERMAN;
use table::Texts;
pub use table::{Answers, Change, Counted, Details, FaultWords, Template, Wording};

/// A language that the page speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    German,
}

impl Language {
    /// In the order in which a browser that likes several equally gets them.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    pub fn wording(self) -> &'static Wording {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        }
    }

    /// The primary tag (RFC 5646) that a browser asks for it by.
    pub fn tag(self) -> &'static str {
        self.wording().tag
    }
}

impl Wording {
    /// Every text by its key, for who wants to look through all of them.
    pub fn texts(&self) -> Vec<(String, &'static str)> {
        let mut texts = Vec::new();
        self.visit("", &mut |key, text| {
            texts.push((key.trim_start_matches('.').to_owned(), text))
        });
        texts
    }
}

#[cfg(test)]
mod tests;
