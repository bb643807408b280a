//! What a browser calls itself, in a few words that people know. Only words of this list are ever said: the header is
//! a stranger's, and is shown on the page, on terminals and in the log.

use std::fmt::{self, Display};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wording::{ENGLISH, Wording};

/// A program and the system that it runs on, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    Known {
        browser: Option<&'static str>,
        system: Option<&'static str>,
    },
    /// As it was read from JSON.
    Said(String),
}

const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// Later ones name themselves by earlier ones, too: Edge says Chrome and Safari, Chrome says Safari.
const BROWSERS: [(&str, &str); 12] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

impl Program {
    /// By the header that a browser sends of itself.
    pub fn of(user_agent: &str) -> Self {
        let find = |list: &[(&str, &'static str)]| {
            let known = list.iter().find(|(part, _)| user_agent.contains(part));
            known.map(|(_, name)| *name)
        };
        Self::Known {
            browser: find(&BROWSERS),
            system: find(&SYSTEMS),
        }
    }

    pub fn in_words(&self, wording: &Wording) -> String {
        let words = &wording.change;
        match self {
            Self::Said(said) => said.clone(),
            Self::Known { browser, system } => {
                let program = browser.unwrap_or(words.unknown_program);
                match system {
                    Some(system) => words.program_on.fill(&[("program", &program), ("system", system)]),
                    None => program.to_owned(),
                }
            }
        }
    }
}

impl Default for Program {
    fn default() -> Self {
        Self::of("")
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(&ENGLISH))
    }
}

impl Serialize for Program {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_by_their_header() {
        for (header, wanted) in [
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
                "Firefox on Android",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            ("curl/8.0", "curl"),
            ("<script>alert(1)</script>\u{1b}[31m", "an unknown program"),
            ("", "an unknown program"),
        ] {
            assert_eq!(Program::of(header).to_string(), wanted, "{header}");
        }
    }
}
