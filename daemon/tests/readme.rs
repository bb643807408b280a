//! The README's tables of lights, codes and boards are what the programs go by. `UPDATE_GOLDEN=1` writes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;

#[test]
fn the_readme_says_what_the_box_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let before = std::fs::read_to_string(&path).unwrap();
    let mut after = before.clone();
    for (name, table) in [
        ("lights", pillarboxd::indicator::words::markdown()),
        ("codes", pillarboxd::fault::markdown()),
        ("boards", board_configs::markdown()),
    ] {
        after = with_table(&after, name, &table);
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, after).unwrap();
    } else {
        assert!(
            before == after,
            "README.md is behind the programs: run with UPDATE_GOLDEN=1"
        );
    }
}

/// The text with what stands between the two marks of `name` replaced.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: generated -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (head, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("README.md has no {begin:?}"));
    let (_, tail) = rest
        .split_once(&end)
        .unwrap_or_else(|| panic!("README.md has no {end:?}"));
    format!("{head}{begin}{table}{end}{tail}")
}
