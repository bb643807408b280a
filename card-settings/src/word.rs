//! The word that lets a browser in on a box whose button nobody wired: it lies in a file on the card, so whoever can
//! take the card out of the box may use it, as whoever can press a button may.

use rand::RngExt;

/// The file's name on the card.
pub const FILE: &str = "pillarbox-word.txt";
/// The file's size, made with the image.
pub const FILE_BYTES: usize = 256;

/// Without letters and digits that look alike (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const GROUPS: usize = 3;
const GROUP_LETTERS: usize = 4;

/// The file before its first start.
pub const NONE_YET: &str = "A word is written here when the box has been switched on with this card.\n";

/// Sixty random bits.
pub fn fresh() -> String {
    let mut chance = rand::rng();
    let group = |_| -> String {
        (0..GROUP_LETTERS)
            .map(|_| char::from(LETTERS[chance.random_range(0..LETTERS.len())]))
            .collect()
    };
    (0..GROUPS).map(group).collect::<Vec<_>>().join("-")
}

/// The file's text around a word.
pub fn text(word: &str) -> String {
    format!("{word}\n\nThe page lets a browser in that gives this word, where no button is wired.\n")
}

/// The word of the file's first line.
pub fn read(content: &[u8]) -> Option<String> {
    let line = content.split(|byte| *byte == b'\n').next()?;
    let word = std::str::from_utf8(line).ok()?.trim_ascii();
    let groups: Vec<&str> = word.split('-').collect();
    let is_group = |group: &&str| group.len() == GROUP_LETTERS && group.bytes().all(|byte| LETTERS.contains(&byte));
    (groups.len() == GROUPS && groups.iter().all(is_group)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::fitted;

    #[test]
    fn a_word_is_found_again() {
        let word = fresh();
        assert_ne!(word, fresh());
        assert_eq!(read(&fitted(&text(&word), FILE_BYTES)), Some(word));
        for none in [NONE_YET, "", "abcd-abcd", "abcd-abcd-abc!", "\u{fffd}"] {
            assert_eq!(read(&fitted(none, FILE_BYTES)), None, "{none}");
        }
    }
}
