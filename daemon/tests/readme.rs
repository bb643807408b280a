//! The tables of lights, codes and boards in the documents are what the programs go by. `UPDATE_GOLDEN=1` writes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;

/// Each table stands in one of these.
const DOCUMENTS: [&str; 2] = ["README.md", "board-configs/README.md"];
/// For the person with the card: it is read in one go.
const MAX_README_BYTES: usize = 8 * 1024;

#[test]
fn the_readme_says_what_the_box_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let before = DOCUMENTS.map(|name| std::fs::read_to_string(root.join(name)).unwrap());
    let mut after = before.clone();
    for (name, table) in [
        ("lights", pillarboxd::indicator::words::markdown()),
        ("codes", pillarboxd::fault::markdown()),
        ("boards", board_configs::markdown()),
    ] {
        let begin = format!("<!-- {name}: generated -->\n");
        let mut places = after.iter_mut().filter(|text| text.contains(&begin));
        let text = places
            .next()
            .unwrap_or_else(|| panic!("none of {DOCUMENTS:?} has {begin:?}"));
        assert!(places.next().is_none(), "{begin:?} stands in two of {DOCUMENTS:?}");
        *text = with_table(text, name, &begin, &table);
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (name, text) in DOCUMENTS.iter().zip(&after) {
            std::fs::write(root.join(name), text).unwrap();
        }
    } else {
        assert!(
            before == after,
            "{DOCUMENTS:?} are behind the programs: run with UPDATE_GOLDEN=1"
        );
    }
    assert!(
        after[0].len() <= MAX_README_BYTES,
        "README.md has {} bytes",
        after[0].len()
    );
}

/// The text with what stands between `begin` and the end mark of `name` replaced.
fn with_table(text: &str, name: &str, begin: &str, table: &str) -> String {
    let end = format!("<!-- end of {name} -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (_, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("{name} has no {end:?}"));
    format!("{head}{begin}{table}{end}{tail}")
}
