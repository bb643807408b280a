//! A backup's passphrase, and which ones are too easy to guess.
//!
//! A backup lies about in mailboxes and on sticks, and whoever finds it may guess for years. The rule in one sentence:
//! at least ten characters, of which eight are still left when every repetition and every run along the alphabet, the
//! digits or the keyboard counts once. No list of common words is asked; the page advises four or five words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::notify::HIDDEN;

pub const MIN_PASSPHRASE_CHARS: usize = 10;
pub const MAX_PASSPHRASE_BYTES: usize = 1024;
/// Eight characters of small letters and digits are 41 bits, and each guess takes a tenth of a second and 64 MiB
/// ([`super::seal`]): thousands of processor-years.
const MIN_SURPRISES: usize = 8;
/// Shorter pieces come twice by chance: "or" in "correct horse".
const PIECE: usize = 3;
/// What fingers run along, forwards and backwards.
const ROWS: [&str; 7] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
];

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passphrase(pub(super) String);

/// Why a text is no passphrase, or none for a new backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "the passphrase is too short; use at least {MIN_PASSPHRASE_CHARS} characters, or better four or five words"
    )]
    TooShort,
    #[error("the passphrase has a character that cannot be typed (such as NUL or tab); use letters, digits and signs")]
    Untypable,
    #[error(
        "the passphrase is too easy to guess: without repetitions and runs such as 123 or abc fewer than \
         {MIN_SURPRISES} characters are left; use four or five words"
    )]
    TooEasy,
    #[error("the passphrase is empty; type the one that the backup was made with")]
    Empty,
    #[error("the passphrase is too long; use at most {MAX_PASSPHRASE_BYTES} bytes")]
    TooLong,
}

impl Passphrase {
    /// One that a new backup may have.
    pub fn new(text: &str) -> Result<Passphrase, Unfit> {
        if text.chars().count() < MIN_PASSPHRASE_CHARS {
            return Err(Unfit::TooShort);
        }
        if text.chars().any(char::is_control) {
            return Err(Unfit::Untypable);
        }
        if text.len() <= MAX_PASSPHRASE_BYTES && surprises(text) < MIN_SURPRISES {
            return Err(Unfit::TooEasy);
        }
        Passphrase::given(text)
    }

    /// One that some backup may have been made with.
    pub fn given(text: &str) -> Result<Passphrase, Unfit> {
        if text.is_empty() {
            return Err(Unfit::Empty);
        }
        if text.len() > MAX_PASSPHRASE_BYTES {
            return Err(Unfit::TooLong);
        }
        Ok(Passphrase(text.to_owned()))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// The text's length with each piece that came before, and each piece of a row, counted as one character, and white
/// space not at all.
fn surprises(text: &str) -> usize {
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let rows: Vec<Vec<char>> = ROWS
        .iter()
        .flat_map(|row| [row.chars().collect(), row.chars().rev().collect()])
        .collect();
    let (mut at, mut count) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        // A repetition may overlap itself, as the second and later letters of "aaaa" do.
        let before = (0..at).map(|start| common(&text[start..], rest));
        let along = rows
            .iter()
            .flat_map(|row| (0..row.len()).map(move |start| common(&row[start..], rest)));
        let known = before.chain(along).max().unwrap_or_default();
        count += usize::from(!rest[0].is_whitespace());
        at += if known >= PIECE { known } else { 1 };
    }
    count
}

/// How many characters two texts begin with alike.
fn common(one: &[char], other: &[char]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrases() {
        for (text, new, given) in [
            ("", false, false),
            ("short", false, true),
            ("äöüäöüäöü", false, true),
            ("aaaaaaaaaa", false, true),
            ("AaAaAaAaAaAa", false, true),
            ("\0\0\0\0\0\0\0\0\0\0", false, true),
            ("correct\thorse", false, true),
            ("          ", false, true),
            ("a b a b a b a b a b", false, true),
            ("1234567890", false, true),
            ("0987654321", false, true),
            ("abcabcabcabcabc", false, true),
            ("qwertyuiopasdfghjkl", false, true),
            ("hello hello hello hello", false, true),
            ("correct horse", true, true),
            ("Pq7#xL9!vR", true, true),
            ("grüne Birnen essen", true, true),
            (
                "\u{732b}\u{304c}\u{5c4b}\u{6839}\u{306e}\u{4e0a}\u{3067}\u{9cf4}\u{3044}\u{305f}",
                true,
                true,
            ),
        ] {
            assert_eq!(
                (Passphrase::new(text).is_ok(), Passphrase::given(text).is_ok()),
                (new, given),
                "{text:?}"
            );
        }
        assert!(Passphrase::new(&"x".repeat(MAX_PASSPHRASE_BYTES + 1)).is_err());
        let shown = format!("{:?}", Passphrase::new("correct horse").unwrap());
        assert!(!shown.contains("horse"), "{shown}");
    }

    #[test]
    fn each_weakness_has_its_own_words() {
        for (text, words) in [
            ("short", "too short"),
            ("aaaaaaaaaa", "too easy to guess"),
            ("\0\0\0\0\0\0\0\0\0\0", "cannot be typed"),
        ] {
            let why = Passphrase::new(text).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
        let long = Passphrase::new(&"x".repeat(MAX_PASSPHRASE_BYTES + 1)).unwrap_err();
        assert!(long.to_string().contains("too long"), "{long}");
    }

    #[test]
    fn repetitions_and_runs_count_once() {
        for (text, left) in [
            ("aaaaaaaaaa", 2),
            ("abcdefgh", 1),
            ("hgfedcba", 1),
            ("ababab", 3),
            ("correct horse", 12),
            ("hello hello", 6),
        ] {
            assert_eq!(surprises(text), left, "{text}");
        }
    }
}
