//! What a backup holds, before it is encrypted: one JSON object, so that `age -d` alone shows everything.
//!
//! `{"format": "pillarbox-backup", "version": 1, "made_by": "0.1.0", "files": [{"name": …, "content": base64}]}`
//!
//! Strict: a name is the settings' or an identity's and can lead nowhere else, no name comes twice, and everything is
//! bounded. Whether this box has such a file is for [`super::files`] to say.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "pillarbox-backup";
const VERSION: u32 = 1;
/// Of the JSON; twice what all identities and settings of a box with every service take.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// A node key has 64 bytes, a settings file some thousand.
pub(super) const MAX_FILE_BYTES: usize = 64 * 1024;
const MAX_FILES: usize = 128;
/// Of a service's name (`config`), and of a file's.
const MAX_NAME_BYTES: usize = 64;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("this is not a Pillarbox backup; choose the file that was downloaded")]
    NoBackup,
    #[error("the backup has version {0} and this Pillarbox reads version {VERSION}; restore it on a newer Pillarbox")]
    Version(u32),
    #[error("the backup is too large: more than {MAX_BYTES} bytes, {MAX_FILES} files or {MAX_FILE_BYTES} bytes a file")]
    TooLarge,
    #[error("the backup names a file that no Pillarbox writes: {0:?}; nothing was changed")]
    Name(String),
    #[error("the backup has {0} twice; nothing was changed")]
    Twice(Name),
    #[error("the backup is damaged: {0}; use another copy of it")]
    Damaged(String),
}

/// A file in a backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Settings(Kind),
    Identity { service: String, file: String },
}

/// Which settings: what a person wrote on the card, or the daemon's own file where there is no card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Card,
    Daemon,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Settings(Kind::Card) => f.write_str("settings/pillarbox.toml"),
            Name::Settings(Kind::Daemon) => f.write_str("settings/pillarboxd.toml"),
            Name::Identity { service, file } => write!(f, "services/{service}/{file}"),
        }
    }
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let word = |word: &str| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !word.is_empty() && word.len() <= MAX_NAME_BYTES && !word.starts_with('.') && word.bytes().all(letters)
        };
        match *text.split('/').collect::<Vec<_>>() {
            ["settings", "pillarbox.toml"] => Some(Name::Settings(Kind::Card)),
            ["settings", "pillarboxd.toml"] => Some(Name::Settings(Kind::Daemon)),
            ["services", service, file] if word(service) && word(file) => Some(Name::Identity {
                service: service.to_owned(),
                file: file.to_owned(),
            }),
            _ => None,
        }
    }
}

#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Bundle {
    pub(crate) files: BTreeMap<Name, Vec<u8>>,
}

/// Names only: contents are secrets.
impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    made_by: String,
    files: Vec<File>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    content: String,
}

/// What every version begins with; another one may have more.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Bundle {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Bundle, Unusable> {
        if bytes.len() > MAX_BYTES {
            return Err(Unusable::TooLarge);
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|_| Unusable::NoBackup)?;
        if head.format != FORMAT {
            return Err(Unusable::NoBackup);
        }
        if head.version != VERSION {
            return Err(Unusable::Version(head.version));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|error| Unusable::Damaged(error.to_string()))?;
        if document.files.len() > MAX_FILES {
            return Err(Unusable::TooLarge);
        }
        let mut bundle = Bundle::default();
        for file in document.files {
            let name = Name::parse(&file.name).ok_or_else(|| Unusable::Name(file.name.chars().take(100).collect()))?;
            let content = BASE64
                .decode(file.content.as_bytes())
                .map_err(|error| Unusable::Damaged(format!("{name}: {error}")))?;
            if content.len() > MAX_FILE_BYTES {
                return Err(Unusable::TooLarge);
            }
            if bundle.files.insert(name.clone(), content).is_some() {
                return Err(Unusable::Twice(name));
            }
        }
        Ok(bundle)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Unusable> {
        let files = self.files.iter().map(|(name, content)| File {
            name: name.to_string(),
            content: BASE64.encode(content),
        });
        let document = Document {
            format: FORMAT.to_owned(),
            version: VERSION,
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            files: files.collect(),
        };
        let bytes = serde_json::to_vec_pretty(&document).map_err(|error| Unusable::Damaged(error.to_string()))?;
        let fits = bytes.len() <= MAX_BYTES
            && self.files.len() <= MAX_FILES
            && self.files.values().all(|content| content.len() <= MAX_FILE_BYTES);
        if fits { Ok(bytes) } else { Err(Unusable::TooLarge) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Bundle {
        let identity = Name::Identity {
            service: "mailserver".to_owned(),
            file: "nodekey".to_owned(),
        };
        Bundle {
            files: [
                (identity, vec![0, 1, 255]),
                (Name::Settings(Kind::Card), b"name = \"kitchen\"\n".to_vec()),
            ]
            .into(),
        }
    }

    fn document(version: u32, files: &str) -> String {
        format!(r#"{{"format": "{FORMAT}", "version": {version}, "made_by": "1", "files": {files}}}"#)
    }

    #[test]
    fn what_goes_in_comes_out() {
        assert_eq!(Bundle::parse(&sample().to_bytes().unwrap()), Ok(sample()));
        assert!(!format!("{:?}", sample()).contains("255"), "contents are not shown");
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in [
            "settings/pillarbox.toml",
            "settings/pillarboxd.toml",
            "services/mailserver/nodekey",
        ] {
            assert_eq!(Name::parse(name).map(|name| name.to_string()).as_deref(), Some(name));
        }
        for name in [
            "",
            "nodekey",
            "settings/other.toml",
            "settings/../settings/pillarbox.toml",
            "services/mailserver/../nodekey",
            "services/../nodekey",
            "services/mailserver/..",
            "services/mailserver/.ssh",
            "services/mailserver/",
            "services//nodekey",
            "services/mailserver/a/b",
            "/services/mailserver/nodekey",
            "services/mail\0server/nodekey",
            "services/mailserver/no de",
            "services\\mailserver\\nodekey",
        ] {
            assert_eq!(Name::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_words() {
        let file = |name: &str| format!(r#"{{"name": "{name}", "content": "AAA="}}"#);
        let twice = format!("[{0}, {0}]", file("services/a/b"));
        let many: Vec<String> = (0..=MAX_FILES).map(|n| file(&format!("services/a/{n}"))).collect();
        for (text, wanted) in [
            (String::new(), "not a Pillarbox backup"),
            ("{}".to_owned(), "not a Pillarbox backup"),
            (
                r#"{"format": "other", "version": 1}"#.to_owned(),
                "not a Pillarbox backup",
            ),
            (document(2, r#""of another kind""#), "version 2"),
            (document(1, r#""of another kind""#), "damaged"),
            (document(1, r#"[{"name": "services/a/b"}]"#), "damaged"),
            (document(1, r#"[{"name": "services/a/b", "content": "?"}]"#), "damaged"),
            (document(1, r#"[], "more": 1"#), "damaged"),
            (
                document(1, &format!("[{}]", file("../etc/passwd"))),
                "no Pillarbox writes",
            ),
            (document(1, &twice), "twice"),
            (document(1, &format!("[{}]", many.join(","))), "too large"),
            (" ".repeat(MAX_BYTES + 1), "too large"),
        ] {
            let error = Bundle::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error} for {text:.100}");
        }
        let mut large = sample();
        large
            .files
            .insert(Name::Settings(Kind::Daemon), vec![0; MAX_FILE_BYTES + 1]);
        assert_eq!(large.to_bytes(), Err(Unusable::TooLarge));
    }

    /// A real bundle with pieces cut out, put in and changed, and plain noise.
    fn torn() -> impl Strategy<Value = Vec<u8>> {
        let whole = sample().to_bytes().unwrap();
        let length = whole.len();
        let changed =
            (0..length, 0..length, prop::collection::vec(any::<u8>(), 0..12)).prop_map(move |(at, cut, put)| {
                let end = (at + cut).min(whole.len());
                [&whole[..at], &put, &whole[end..]].concat()
            });
        prop_oneof![changed, prop::collection::vec(any::<u8>(), 0..400)]
    }

    proptest! {
        /// The parser's fuzz test: whatever comes, it neither panics nor lets a name through that leads elsewhere.
        #[test]
        fn no_bytes_break_it(bytes in torn()) {
            if let Ok(bundle) = Bundle::parse(&bytes) {
                for name in bundle.files.keys() {
                    let text = name.to_string();
                    prop_assert!(!text.contains("..") || text.split('/').all(|part| part != ".."));
                    prop_assert!(text.starts_with("settings/") || text.starts_with("services/"));
                    prop_assert_eq!(text.split('/').count(), if text.starts_with("settings/") { 2 } else { 3 });
                }
                prop_assert_eq!(Bundle::parse(&bundle.to_bytes().unwrap()), Ok(bundle));
            }
        }

        #[test]
        fn a_name_that_is_taken_is_written_alike(name in "(services|settings)/[a-z./]{0,20}") {
            if let Some(parsed) = Name::parse(&name) {
                prop_assert_eq!(parsed.to_string(), name);
            }
        }
    }
}
