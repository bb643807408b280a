//! The access code in a file on the card: it gives access to a person who can take the card out of the box, as the button
//! does to a person who can press it. Guessing is slow: one attempt per second for everybody together.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

const SHORTEST: usize = 8;
const LONGEST: u64 = 256;
const APART: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Tries {
    last: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Right,
    Wrong,
    TooSoon,
}

impl Tries {
    pub(super) fn attempt(&mut self, file: &Path, code: &str, now: Instant) -> Tried {
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < APART)
        {
            return Tried::TooSoon;
        }
        self.last = Some(now);
        match read(file) {
            Some(right) if super::sessions::same(&right, code.trim()) => Tried::Right,
            _ => Tried::Wrong,
        }
    }
}

/// Nothing if there is no such file, or no word in it that is worth the name.
fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(file)
        .ok()?
        .take(LONGEST)
        .read_to_string(&mut text)
        .ok()?;
    let word = text.trim();
    (word.len() >= SHORTEST).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_wrong_and_too_soon() {
        let folder = tempfile::tempdir().unwrap();
        let (file, now) = (folder.path().join("unlock.txt"), Instant::now());
        let fresh = |code: &str| Tries::default().attempt(&file, code, now);
        assert_eq!(fresh(""), Tried::Wrong, "no file");
        std::fs::write(&file, "short\n").unwrap();
        assert_eq!(fresh("short"), Tried::Wrong, "too short to be a word");
        std::fs::write(&file, "correct horse\r\n").unwrap();
        assert_eq!(fresh(" correct horse "), Tried::Right);
        assert_eq!(fresh("correct hors"), Tried::Wrong);
        let mut tries = Tries::default();
        assert_eq!(tries.attempt(&file, "guess", now), Tried::Wrong);
        assert_eq!(tries.attempt(&file, "correct horse", now), Tried::TooSoon);
        assert_eq!(tries.attempt(&file, "correct horse", now + APART), Tried::Right);
    }
}
