//! Each mistake is one sentence that names the file, the line, the key and the fix.

use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use strict_toml::{Format, Mistake, Problem};

const FORMAT: Format = Format {
    max_bytes: 1000,
    max_depth: 4,
    is_secret: |key| key.starts_with("wifi"),
};

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    name: String,
    number: u16,
    list: Vec<String>,
    wifi: Option<Wifi>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wifi {
    name: toml::Spanned<String>,
    kind: Option<Kind>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Open,
}

fn parse(text: &str) -> Result<File, Mistake> {
    FORMAT.parse(Path::new("box.toml"), text.as_bytes())
}

#[test]
fn good_files() {
    assert_eq!(parse("").unwrap(), File::default());
    let file = parse("\u{feff}name = \"a\" # from Windows\r\nnumber = 7\r\n").unwrap();
    assert_eq!((file.name.as_str(), file.number), ("a", 7));
    assert_eq!(
        parse("[wifi]\nname = \"a\"\n").unwrap().wifi.unwrap().name.span(),
        14..17
    );
}

#[test]
fn each_mistake_is_one_sentence() {
    for (text, sentence) in [
        (
            "name = ",
            "box.toml:1: string values must be quoted; write literal string",
        ),
        (
            "\ncolour = 1",
            "box.toml:2: colour: unknown key `colour`; remove it, or use one of `name`, `number`, `list`, `wifi`",
        ),
        (
            "\n\nnumber = \"x\"",
            "box.toml:3: number: invalid type: string \"x\"; write u16",
        ),
        (
            "number = 70000",
            "box.toml:1: number: invalid value: integer `70000`; write u16",
        ),
        (
            "name = \"a\"\nname = \"b\"",
            "box.toml:2: duplicate key; correct it here",
        ),
        (
            "[wifi]\n",
            "box.toml:1: wifi: missing field `name`; add it, or remove the section",
        ),
        (
            "list = [1]",
            "box.toml:1: list[0]: invalid type: integer `1`; write a string",
        ),
        (
            "wifi = \"topsecret\"",
            "box.toml:1: wifi: is not text in quotes, or is in the wrong place; write it as a section, [wifi]",
        ),
        (
            "[wifi]\nname = 12345678",
            "box.toml:2: wifi.name: is not text in quotes, or is in the wrong place; write a string",
        ),
        (
            "[wifi]\nname = \"a\"\nkind = \"topsecret\"",
            "box.toml:3: wifi.kind: is not text in quotes, or is in the wrong place; write `open`",
        ),
    ] {
        let mistake = parse(text).unwrap_err();
        assert_eq!(mistake.to_string(), sentence, "{text:?}");
    }
}

#[test]
fn what_the_problem_is_can_be_asked() {
    type Expected = fn(&Problem) -> bool;
    let cases: [(&str, Expected); 6] = [
        ("[", |problem| matches!(problem, Problem::Syntax { .. })),
        ("a = 1", |problem| matches!(problem, Problem::UnknownKey { .. })),
        ("[wifi]", |problem| matches!(problem, Problem::MissingKey { .. })),
        ("name = 1", |problem| matches!(problem, Problem::BadValue { .. })),
        ("list = [[[[[]]]]]", |problem| {
            *problem == Problem::TooDeep { max_depth: 4 }
        }),
        ("a.b.c.d.e.f = 1", |problem| {
            *problem == Problem::TooDeep { max_depth: 4 }
        }),
    ];
    for (text, expected) in cases {
        let mistake = parse(text).unwrap_err();
        assert!(expected(&mistake.problem), "{text}: {mistake:?}");
    }
}

#[test]
fn the_bounds_are_kept() {
    let long = format!("name = \"{}\"", "x".repeat(1000));
    assert_eq!(
        parse(&long).unwrap_err().problem,
        Problem::TooLong {
            bytes: 1009,
            max_bytes: 1000
        }
    );
    let exact = format!("name = \"{}\"", "x".repeat(1000 - 9));
    assert!(parse(&exact).is_ok());
    let mistake = FORMAT
        .parse::<File>(Path::new("a"), b"name = \"\n\n\xff\"")
        .unwrap_err();
    assert_eq!((mistake.problem, mistake.line), (Problem::NotUtf8, Some(3)));
    // Deeper than any stack, were it followed.
    let format = Format {
        max_bytes: usize::MAX,
        ..FORMAT
    };
    for text in [
        format!("{}x = 1", "a.".repeat(100_000)),
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}", "{a = ".repeat(100_000)),
        (0..5_000)
            .map(|depth| format!("[{}]\n", vec!["a"; depth % 79 + 1].join(".")))
            .collect(),
    ] {
        assert!(format.parse::<toml::Table>(Path::new("a"), text.as_bytes()).is_err());
    }
    // A sentence stays short.
    let mistake = parse(&format!("number = \"{}\"", "\\n".repeat(400))).unwrap_err();
    let sentence = mistake.to_string();
    assert!(sentence.chars().count() < 300 && !sentence.contains('\n'), "{sentence}");
}

#[test]
fn only_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("good"), "name = \"a\"").unwrap();
    std::fs::write(at("long"), "#".repeat(2000)).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(FORMAT.read::<File>(&at("good")).unwrap().name, "a");
    let problem = |name: &str| FORMAT.read::<File>(&at(name)).unwrap_err().problem;
    assert_eq!(
        problem("long"),
        Problem::TooLong {
            bytes: 2000,
            max_bytes: 1000
        }
    );
    assert_eq!(problem("pipe"), Problem::NotAFile);
    assert_eq!(problem(""), Problem::NotAFile);
    assert!(matches!(
        problem("absent"),
        Problem::Unreadable {
            kind: std::io::ErrorKind::NotFound,
            ..
        }
    ));
}

proptest! {
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        strict_toml::fuzzed::run("strict_toml", &bytes);
    }

    /// Made of what TOML is made of, which random bytes hardly ever are.
    #[test]
    fn any_tokens(tokens in prop::collection::vec(
        prop::sample::select(vec![
            "name", "number", "secret", "list", "section", "anything", ".", "=", "[", "]", "{", "}", "\"", "'", "\"\"\"",
            "\n", "#", " ", ",", "1", "-", "true", "1979-05-27", "\\u0007", "\u{7}", "\u{2028}", "\u{feff}", "wanted",
        ]),
        0..60,
    )) {
        strict_toml::fuzzed::run("strict_toml", tokens.concat().as_bytes());
    }
}
