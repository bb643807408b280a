//! What is told, the same by every way.

use serde::Serialize;

use crate::detail::Detail;
use crate::fault::Fault;
use crate::snapshot::{BoxState, Snapshot};
use crate::wording::ENGLISH;

/// A webhook's JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The same at every attempt, so that a receiver can tell a repetition.
    pub id: String,
    /// Seconds since the Unix epoch, by the box's clock.
    pub at: i64,
    pub host: String,
    pub board: String,
    pub version: String,
    pub state: BoxState,
    pub code: Option<u8>,
    pub title: String,
    pub reason: Detail,
    /// What to do about it.
    pub fix: Option<&'static str>,
}

impl Message {
    pub(super) fn of(snapshot: &Snapshot, host: &str, at: i64) -> Message {
        let fault = snapshot.code.and_then(Fault::from_code);
        let words = fault.map(|fault| fault.in_words(&ENGLISH));
        let what = match (snapshot.state, words) {
            (BoxState::Ok, _) => "is working".to_owned(),
            (BoxState::Starting, _) => "is starting".to_owned(),
            (BoxState::Failed, _) => "has failed".to_owned(),
            (BoxState::Degraded, None) => "needs attention".to_owned(),
            (BoxState::Degraded, Some(words)) => {
                let code = snapshot.code.unwrap_or_default();
                format!("needs attention: {} (code {code})", words.title)
            }
        };
        Message {
            id: format!("{:016x}", rand::random::<u64>()),
            at,
            host: host.to_owned(),
            board: snapshot.board.clone(),
            version: snapshot.version.clone(),
            state: snapshot.state,
            code: snapshot.code,
            title: format!("{host} {what}"),
            reason: snapshot.reason.clone(),
            fix: words.map(|words| words.fix),
        }
    }

    /// For people: a sentence a line.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.reason);
        if let Some(fix) = self.fix {
            text.push_str(&format!("What to do: {fix}\n"));
        }
        text
    }
}

/// The box's name, of what a header may hold.
pub(super) fn host() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name: String = name
        .to_string_lossy()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_'))
        .take(64)
        .collect();
    if name.is_empty() { "pillarbox".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let mut snapshot = Snapshot::at_start("dev");
        (snapshot.state, snapshot.code, snapshot.reason) = (BoxState::Degraded, Some(12), Detail::said("0 connected"));
        let message = Message::of(&snapshot, "attic", 7);
        assert_eq!(message.title, "attic needs attention: No peers (code 12)");
        assert!(
            message.text().starts_with("0 connected\nWhat to do: Wait"),
            "{}",
            message.text()
        );
        (snapshot.state, snapshot.code) = (BoxState::Ok, None);
        let message = Message::of(&snapshot, "attic", 8);
        assert_eq!((message.title.as_str(), message.fix), ("attic is working", None));
    }
}
