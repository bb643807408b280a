//! What is the matter with a service.

use std::fmt::Display;

use crate::wording::Details as Words;

#[derive(Clone, Debug, PartialEq)]
pub enum ServiceDetail {
    AllRunning,
    Starting {
        service: String,
    },
    NotResponding {
        service: String,
    },
    /// It is being tried again.
    Trouble {
        service: String,
        cause: Cause,
    },
    /// It failed so many times in a row, and gets a long pause.
    GaveUp {
        service: String,
        cause: Cause,
        times: u32,
    },
    /// Trying again would change nothing.
    StaysDown {
        service: String,
        cause: Cause,
    },
}

/// Why a service is not running: what its name is the subject of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `words` is the program's last line.
    NotStarted {
        words: Option<String>,
    },
    Ended {
        exit: String,
        words: Option<String>,
    },
    NotResponding {
        why: String,
    },
    NotReady {
        within_secs: u64,
    },
}

impl ServiceDetail {
    pub(super) fn in_words(&self, words: &Words) -> String {
        match self {
            Self::AllRunning => words.services_running.to_owned(),
            Self::Starting { service } => words.service_starting.fill(&[("service", service)]),
            Self::NotResponding { service } => words.service_not_responding.fill(&[("service", service)]),
            Self::Trouble { service, cause } => {
                let why = cause.in_words(words);
                words.service_trouble.fill(&[("service", service), ("why", &why)])
            }
            Self::GaveUp { service, cause, times } => {
                let why = cause.in_words(words);
                let values: [(&str, &dyn Display); 3] = [("service", service), ("why", &why), ("times", times)];
                words.service_gave_up.fill(&values)
            }
            Self::StaysDown { service, cause } => {
                let why = cause.in_words(words);
                words.service_stays_down.fill(&[("service", service), ("why", &why)])
            }
        }
    }
}

impl Cause {
    pub(super) fn in_words(&self, words: &Words) -> String {
        match self {
            Self::NotStarted { words: None } => words.not_started.to_owned(),
            Self::NotStarted { words: Some(last) } => words.not_started_because.fill(&[("words", last)]),
            Self::Ended { exit, words: None } => words.ended.fill(&[("exit", exit)]),
            Self::Ended {
                exit,
                words: Some(last),
            } => words.ended_with_words.fill(&[("exit", exit), ("words", last)]),
            Self::NotResponding { why } => words.not_responding.fill(&[("why", why)]),
            Self::NotReady { within_secs } => words.not_ready.fill(*within_secs, &[]),
        }
    }
}
