//! The file that remembers what the archive lacks. What is read is written again as something that reads the same.

use pillarbox_mailserver::catch_up::gaps::{from_text, to_text};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(gaps) = from_text(text) {
        assert!(gaps.iter().all(|gap| gap.from < gap.to));
        assert_eq!(from_text(&to_text(&gaps)), Ok(gaps));
    }
}
