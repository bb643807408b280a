//! What was found in the archive.

use crate::wording::Wording;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveDetail {
    Messages(u64),
    PruningStuck,
    /// Something that is no file of the archive's, in its folder.
    InTheWay {
        what: String,
    },
    SetAside {
        file: String,
        reason: String,
        others: usize,
    },
    Unreadable {
        files: usize,
        example: String,
    },
    /// Of a newer Pillarbox.
    Newer {
        files: usize,
        example: String,
    },
    /// When the newest message was sent, in seconds before now. It may be dated some seconds ahead.
    SentAgo {
        secs: i64,
    },
    NoneSentYet,
}

impl ArchiveDetail {
    pub(super) fn in_words(&self, wording: &Wording) -> String {
        let words = &wording.details;
        match self {
            Self::Messages(count) => words.messages.fill(*count, &[]),
            Self::PruningStuck => words.pruning_stuck.to_owned(),
            Self::InTheWay { what } => words.in_the_way.fill(&[("what", what)]),
            Self::SetAside {
                file,
                reason,
                others: 0,
            } => words.file_set_aside.fill(&[("file", file), ("reason", reason)]),
            Self::SetAside { file, reason, others } => {
                words
                    .files_set_aside
                    .fill(&[("file", file), ("reason", reason), ("others", others)])
            }
            Self::Unreadable { files, example } => words.unreadable.fill(*files as u64, &[("example", example)]),
            Self::Newer { files, example } => words.newer.fill(*files as u64, &[("example", example)]),
            Self::SentAgo { secs } => match u64::try_from(*secs).unwrap_or_default() {
                0..=59 => words.under_a_minute_ago.to_owned(),
                secs @ 60..=7199 => words.minutes_ago.fill(secs / 60, &[]),
                secs => words.hours_ago.fill(secs / 3600, &[]),
            },
            Self::NoneSentYet => words.none_yet.to_owned(),
        }
    }
}
