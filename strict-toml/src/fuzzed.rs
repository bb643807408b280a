//! What must hold for any bytes, for a fuzzer and for this crate's own tests.

use std::path::Path;

use crate::{Format, Mistake};

/// A name, and what runs on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// In the order of their names.
pub const TARGETS: [Target; 1] = [("strict_toml", strict_toml)];

const FORMAT: Format = Format {
    max_bytes: 4096,
    max_depth: 8,
    is_secret: |key| key.contains("secret"),
};

/// # Panics
/// Without such a target, and when what must hold does not.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    body(bytes);
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read is not looked at; that it is read, or refused, is")]
struct File {
    name: Option<String>,
    number: Option<u16>,
    secret: Option<String>,
    list: Option<Vec<toml::Spanned<String>>>,
    section: Option<Section>,
    anything: Option<toml::Table>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as above")]
struct Section {
    wanted: bool,
}

fn strict_toml(bytes: &[u8]) {
    let file = Path::new("file.toml");
    if let Err(mistake) = FORMAT.parse::<File>(file, bytes) {
        told(bytes, &mistake);
    }
    if let Err(mistake) = FORMAT.parse::<toml::Table>(file, bytes) {
        told(bytes, &mistake);
    }
}

/// One sentence on one line, of a bounded length, about a line that there is.
fn told(bytes: &[u8], mistake: &Mistake) {
    let sentence = mistake.to_string();
    assert!(sentence.starts_with("file.toml"), "{sentence:?}");
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
    assert!(sentence.chars().count() < 1000, "{sentence}");
    assert!(!mistake.fix().is_empty(), "{sentence}");
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(
        mistake.line.is_none_or(|line| (1..=lines).contains(&line)),
        "{sentence}"
    );
}
