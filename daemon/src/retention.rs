//! Pruning, the work itself: tell the archive's writer the policy, remove what is older than the cut-off, count what is
//! left. When and by which policy is the supervisor's to say ([`crate::supervisor::Pruning`]).

use std::io;
use std::path::{Path, PathBuf};

use archive::retention::{Leap, Over};
use archive::{Policy, foreign, retention};
use tokio::task::JoinError;

use crate::config::service::{ArchiveRules, Schema};
use crate::reset;
use crate::snapshot::QuarantinedFile;

/// While nothing else in the policy changes, its cut-off is written again only when it has moved this far: the writer
/// computes its own from a trusted clock, and each write wears the card.
const CUTOFF_MOVED_NS: i64 = 10 * 60 * 1_000_000_000;

/// Why an archive was not pruned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make {}: {source}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error("pruning ended early: {0}")]
    EndedEarly(#[from] JoinError),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    pub removed_envelopes: u64,
    pub removed_segments: u64,
    pub removed_bytes: u64,
    pub survey: SurveyReport,
}

/// An archive after pruning; times in nanoseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurveyReport {
    /// `None` where counting would cost too much.
    pub envelopes: Option<u64>,
    pub bytes: u64,
    pub oldest_ns: Option<i64>,
    pub newest_ns: Option<i64>,
    pub quarantined: Vec<QuarantinedFile>,
    pub newer: Vec<String>,
    pub unreadable: Vec<String>,
    /// Links and pipes where files belong, each a few words.
    pub in_the_way: Vec<String>,
}

/// Blocking; works whether or not the archive's writer lives.
pub fn prune(rules: &ArchiveRules, policy: &Policy, leap: Option<Leap>) -> Result<PruneReport, Error> {
    let over = policy
        .cutoff
        .filter(|_| policy.clock_trusted)
        .map(|cutoff| Over { cutoff, leap });
    let path = &rules.path;
    match rules.schema {
        Schema::Pillarbox => {
            std::fs::create_dir_all(path).map_err(|source| Error::Make {
                path: path.clone(),
                source,
            })?;
            Ok(prune_segments(path, policy, over)?)
        }
        Schema::Nwaku => Ok(prune_nwaku(path, over)?),
    }
}

/// Nwaku reads no policy of ours, and counting its rows would read them all.
fn prune_nwaku(file: &Path, over: Option<Over>) -> Result<PruneReport, archive::Error> {
    let mut report = PruneReport::default();
    // Whatever is there: a link or a pipe is refused when it is opened.
    if file.symlink_metadata().is_err() {
        return Ok(report);
    }
    if let Some(over) = over {
        report.removed_envelopes = foreign::remove(file, &over)?;
    }
    report.survey.bytes = file.symlink_metadata().map_or(0, |metadata| metadata.len());
    Ok(report)
}

fn prune_segments(dir: &Path, policy: &Policy, over: Option<Over>) -> Result<PruneReport, archive::Error> {
    // Before the policy is written over some of it.
    let in_the_way = retention::obstacles(dir)?;
    // A policy that cannot be read is replaced.
    let before = retention::read_policy(dir).ok().flatten();
    let is_news = before.is_none_or(|before| is_news(&before, policy));
    let told = !is_news || retention::write_policy(dir, policy).is_ok();
    let removed = match over {
        Some(over) => {
            // What cannot be pruned of the past holds up nothing of the present.
            let mut outcome = Ok(());
            for old in reset::all_set_aside(dir) {
                outcome = outcome.and(retention::remove(&old, &over).map(drop));
            }
            let removed = retention::remove(dir, &over)?;
            outcome.map(|()| removed)?
        }
        None => retention::Removed::default(),
    };
    // On a full disk there is room now, if anything expired.
    if !told {
        retention::write_policy(dir, policy)?;
    }
    let survey = retention::survey(dir)?;
    Ok(PruneReport {
        removed_envelopes: removed.envelopes,
        removed_segments: removed.segments,
        removed_bytes: removed.bytes,
        survey: SurveyReport {
            envelopes: Some(survey.envelopes),
            bytes: survey.bytes,
            oldest_ns: survey.oldest.map(i64::from),
            newest_ns: survey.newest.map(i64::from),
            quarantined: survey
                .quarantined
                .into_iter()
                .map(|file| QuarantinedFile {
                    file: file.file,
                    reason: file.reason,
                })
                .collect(),
            newer: survey.newer.iter().map(ToString::to_string).collect(),
            unreadable: survey.unreadable.iter().map(ToString::to_string).collect(),
            in_the_way: in_the_way.iter().map(ToString::to_string).collect(),
        },
    })
}

fn is_news(before: &Policy, after: &Policy) -> bool {
    let moved = match (before.cutoff, after.cutoff) {
        (Some(before), Some(after)) => after.saturating_sub(before) >= CUTOFF_MOVED_NS || after < before,
        (before, after) => before != after,
    };
    moved
        || Policy {
            cutoff: None,
            ..before.clone()
        } != Policy {
            cutoff: None,
            ..after.clone()
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::DiskStage;

    #[test]
    fn a_policy_is_written_again_only_for_news() {
        let policy = Policy {
            retention_secs: 10,
            clock_trusted: true,
            cutoff: Some(1_000_000_000_000),
            held: false,
            disk: DiskStage::Fine,
            quota_bytes: None,
        };
        let with_cutoff = |cutoff| Policy {
            cutoff,
            ..policy.clone()
        };
        for (after, wanted) in [
            (policy.clone(), false),
            (with_cutoff(Some(1_000_000_000_001)), false),
            (with_cutoff(Some(1_000_000_000_000 + CUTOFF_MOVED_NS)), true),
            (with_cutoff(Some(0)), true),
            (with_cutoff(None), true),
            (
                Policy {
                    clock_trusted: false,
                    ..policy.clone()
                },
                true,
            ),
            (
                Policy {
                    disk: DiskStage::ReadOnly,
                    ..policy.clone()
                },
                true,
            ),
            (
                Policy {
                    retention_secs: 11,
                    ..policy.clone()
                },
                true,
            ),
        ] {
            assert_eq!(is_news(&policy, &after), wanted, "{after:?}");
        }
    }
}
