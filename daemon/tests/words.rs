//! The words that nobody shall read in this house's texts: the list of `docs/STYLE.md`, held against everything that the
//! page, the lights, the command line, the notifications and the card say.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pillarboxd::wording::{ENGLISH, Language};

/// Files whose string literals and help texts people read. Comments in them are held to the same words.
const SOURCES: [&str; 14] = [
    "card-settings/src/answer.rs",
    "daemon/src/cli/archive.rs",
    "daemon/src/cli/backup.rs",
    "daemon/src/cli/client.rs",
    "daemon/src/cli/manual.rs",
    "daemon/src/cli/mod.rs",
    "daemon/src/cli/show.rs",
    "daemon/src/control/answer.rs",
    "daemon/src/diagnostics.rs",
    "daemon/src/fault.rs",
    "daemon/src/indicator/words.rs",
    "daemon/src/notify/message.rs",
    "image-builder/overlay/firmware/README.txt",
    "image-builder/overlay/firmware/pillarbox.toml",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first column of the style page's list.
fn banned() -> BTreeSet<String> {
    let style = std::fs::read_to_string(root().join("docs/STYLE.md")).unwrap();
    let (_, rest) = style.split_once("<!-- banned -->").unwrap();
    let (table, _) = rest.split_once("<!-- end of banned -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let never = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    never.map(|words| words.trim().to_lowercase()).collect()
}

/// The banned words in a text, as whole words, however the text is broken into lines.
fn found<'a>(text: &str, banned: &'a BTreeSet<String>) -> Vec<&'a str> {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() || matches!(letter, '_' | '\'') {
                letter
            } else {
                ' '
            }
        })
        .collect();
    let plain = format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "));
    let hits = banned.iter().filter(|words| plain.contains(&format!(" {words} ")));
    hits.map(String::as_str).collect()
}

#[test]
fn nothing_banned_is_said() {
    let banned = banned();
    assert!(
        banned.len() > 40 && banned.contains("mend") && banned.contains("whoever"),
        "{banned:?}"
    );
    for (key, text) in ENGLISH.texts() {
        assert_eq!(found(text, &banned), [""; 0], "{key}: {text}");
    }
    for name in SOURCES {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        assert_eq!(found(&text, &banned), [""; 0], "{name}");
    }
    for table in [pillarboxd::fault::markdown(), pillarboxd::indicator::words::markdown()] {
        assert_eq!(found(&table, &banned), [""; 0], "{table}");
    }
}

/// Readers are addressed as „Sie“, and quotes are German ones.
#[test]
fn german_is_written_as_germans_do() {
    let familiar = ["du", "dein", "deine", "dir", "dich", "euch", "euer"];
    let familiar: BTreeSet<String> = familiar.map(str::to_owned).into();
    for (key, text) in Language::German.wording().texts() {
        assert_eq!(found(text, &familiar), [""; 0], "{key}: {text}");
        assert!(!text.contains('"') && !text.contains('\u{201d}'), "{key}: {text}");
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let banned: BTreeSet<String> = ["mend", "let in"].map(str::to_owned).into();
    assert_eq!(found("How to Mend\n// let\n/// in it", &banned), ["let in", "mend"]);
    assert_eq!(found("amendment, lets in; omen did", &banned), [""; 0]);
}
