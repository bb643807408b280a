//! What was found, and why the box is as it is, as data: the supervisor says what is the matter, and each reader has it in
//! words of its own. JSON, command line and log have the English ones.
//!
//! What comes from elsewhere, such as a program's last line or a mistake in a settings file, is [`Detail::Said`]: it stays
//! as it was said. So does a detail that was read back from JSON.

mod archive;
mod board;
mod clock;
mod network;
mod service;

use std::fmt::{self, Display};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::archive::ArchiveDetail;
pub use self::board::BoardDetail;
pub use self::clock::ClockDetail;
pub use self::network::NetworkDetail;
pub use self::service::{Cause, ServiceDetail};
use crate::wording::{ENGLISH, Wording};

#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    Said(String),
    Starting,
    Stopping,
    AllWell,
    NoMailserver,
    NoMistakes,
    /// The settings were read again, and have a mistake.
    SettingsNotTaken(String),
    /// It is only used after a restart of the daemon.
    SettingChanged {
        key: String,
    },
    Service(ServiceDetail),
    /// Of a service whose name stands beside it.
    Cause(Cause),
    Archive(ArchiveDetail),
    Board(BoardDetail),
    Clock(ClockDetail),
    Network(NetworkDetail),
}

impl Detail {
    pub fn said(words: impl Display) -> Self {
        Self::Said(words.to_string())
    }

    /// A few words, without a capital and a full stop.
    pub fn in_words(&self, wording: &Wording) -> String {
        let words = &wording.details;
        match self {
            Self::Said(said) => said.clone(),
            Self::Starting => words.starting.to_owned(),
            Self::Stopping => words.stopping.to_owned(),
            Self::AllWell => words.all_well.to_owned(),
            Self::NoMailserver => words.no_mailserver.to_owned(),
            Self::NoMistakes => words.no_mistakes.to_owned(),
            Self::SettingsNotTaken(mistake) => words.settings_not_taken.fill(&[("mistake", mistake)]),
            Self::SettingChanged { key } => words.setting_changed.fill(&[("key", key)]),
            Self::Service(detail) => detail.in_words(words),
            Self::Cause(cause) => cause.in_words(words),
            Self::Archive(detail) => detail.in_words(wording),
            Self::Board(detail) => detail.in_words(wording),
            Self::Clock(detail) => detail.in_words(words),
            Self::Network(detail) => detail.in_words(words),
        }
    }
}

impl Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(&ENGLISH))
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Detail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Said)
    }
}

impl From<String> for Detail {
    fn from(said: String) -> Self {
        Self::Said(said)
    }
}

impl From<ServiceDetail> for Detail {
    fn from(detail: ServiceDetail) -> Self {
        Self::Service(detail)
    }
}

impl From<Cause> for Detail {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
}

impl From<ArchiveDetail> for Detail {
    fn from(detail: ArchiveDetail) -> Self {
        Self::Archive(detail)
    }
}

impl From<BoardDetail> for Detail {
    fn from(detail: BoardDetail) -> Self {
        Self::Board(detail)
    }
}

impl From<ClockDetail> for Detail {
    fn from(detail: ClockDetail) -> Self {
        Self::Clock(detail)
    }
}

impl From<NetworkDetail> for Detail {
    fn from(detail: NetworkDetail) -> Self {
        Self::Network(detail)
    }
}

#[cfg(test)]
mod tests {
    use ::archive::DiskStage;

    use super::*;
    use crate::wording::{GERMAN, Language};

    fn ended(words: Option<&str>) -> Cause {
        Cause::Ended {
            exit: "exit 3".to_owned(),
            words: words.map(str::to_owned),
        }
    }

    #[test]
    fn details_in_both_languages() {
        let one = || "one".to_owned();
        let cases: [(Detail, &str, &str); 8] = [
            (
                ServiceDetail::GaveUp {
                    service: one(),
                    cause: ended(Some("no {count}")),
                    times: 5,
                }
                .into(),
                "one keeps failing and is now retried only rarely: ended with exit 3: no {count} (5 times in a row)",
                "one fällt immer wieder aus und wird nur noch selten neu gestartet: wurde beendet mit exit 3: no {count} (5-mal in Folge)",
            ),
            (
                ServiceDetail::StaysDown {
                    service: one(),
                    cause: ended(None),
                }
                .into(),
                "one has stopped and is not restarted: ended with exit 3",
                "one ist beendet und wird nicht neu gestartet: wurde beendet mit exit 3",
            ),
            (
                Cause::NotReady { within_secs: 1 }.into(),
                "was not ready within 1 second of its start",
                "war 1 Sekunde nach dem Start noch nicht bereit",
            ),
            (
                BoardDetail::Free {
                    bytes: 1_500_000,
                    stage: DiskStage::DropOldest,
                }
                .into(),
                "1.50\u{a0}MB free; the oldest messages are deleted early",
                "1,50\u{a0}MB frei; die ältesten Nachrichten werden vorzeitig gelöscht",
            ),
            (
                ArchiveDetail::SentAgo { secs: 7200 }.into(),
                "2 hours ago",
                "vor 2 Stunden",
            ),
            (
                ArchiveDetail::Unreadable {
                    files: 1,
                    example: "a.sqlite".to_owned(),
                }
                .into(),
                "1 file cannot be read right now: a.sqlite",
                "1 Datei lässt sich gerade nicht lesen: a.sqlite",
            ),
            (
                NetworkDetail::Connected {
                    links: vec!["eth0".to_owned(), "wlan0".to_owned()],
                    address: None,
                    gateway: Some("10.0.0.1".to_owned()),
                    public_peers: Some(0),
                }
                .into(),
                "eth0, wlan0, gateway 10.0.0.1, no peer on the internet seen yet",
                "eth0, wlan0, Gateway 10.0.0.1, noch kein Peer im Internet gesehen",
            ),
            (Detail::said("as it was said"), "as it was said", "as it was said"),
        ];
        for (detail, english, german) in cases {
            assert_eq!(detail.to_string(), english);
            assert_eq!(detail.in_words(&GERMAN), german);
        }
    }

    #[test]
    fn json_has_the_english_words_and_they_come_back_as_said() {
        let json = serde_json::to_string(&Detail::NoMailserver).unwrap();
        assert_eq!(json, "\"no mailserver is set up\"");
        let back: Detail = serde_json::from_str(&json).unwrap();
        assert_eq!(back, Detail::said("no mailserver is set up"));
        for language in Language::ALL {
            assert_eq!(back.in_words(language.wording()), "no mailserver is set up");
        }
    }
}
