//! What is known of the time. Times are as they are shown, in UTC.

use crate::wording::Details as Words;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockDetail {
    Known,
    /// It is known, and far ahead of what was known before, so what follows from it waits.
    Leapt {
        known: String,
        hours: u64,
    },
    NotSynchronised,
    /// It was later than that already.
    Past {
        now: String,
        known: String,
    },
    SetToAnother,
    /// So many time servers responded, if they were asked.
    Alone {
        now: String,
        known: String,
        answers: Option<usize>,
    },
}

impl ClockDetail {
    pub(super) fn in_words(&self, words: &Words) -> String {
        match self {
            Self::Known => words.time_known.to_owned(),
            Self::Leapt { known, hours } => words.time_leapt.fill(&[("known", known), ("hours", hours)]),
            Self::NotSynchronised => words.time_not_synchronised.to_owned(),
            Self::Past { now, known } => words.time_past.fill(&[("now", now), ("known", known)]),
            Self::SetToAnother => words.time_set.to_owned(),
            Self::Alone { now, known, answers } => {
                let servers = match answers {
                    None => words.time_servers_not_asked.to_owned(),
                    Some(0) => words.time_servers_silent.to_owned(),
                    Some(answers) => words.time_servers_answered.fill(&[("answers", answers)]),
                };
                words
                    .time_alone
                    .fill(&[("now", now), ("known", known), ("servers", &servers)])
            }
        }
    }
}
