//! Pruning, the work itself: tell the archive's writer the policy, remove what is older than the cut-off, count what is
//! left. When and by which policy is the supervisor's to say ([`crate::supervisor::Pruning`]).

use std::path::Path;

use archive::{Policy, retention};

use crate::event::{PruneReport, SurveyReport};
use crate::reset;
use crate::snapshot::QuarantinedFile;

/// While nothing else in the policy changes, its cut-off is written again only when it has moved this far: the writer
/// computes its own from a trusted clock, and each write wears the card.
const CUTOFF_MOVED_NS: i64 = 10 * 60 * 1_000_000_000;

/// Blocking; works whether or not the archive's writer lives.
pub fn prune(dir: &Path, policy: &Policy) -> Result<PruneReport, String> {
    std::fs::create_dir_all(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
    try_prune(dir, policy).map_err(|error| error.to_string())
}

fn try_prune(dir: &Path, policy: &Policy) -> Result<PruneReport, archive::Error> {
    // A policy that cannot be read is replaced.
    let before = retention::read_policy(dir).ok().flatten();
    if before.is_none_or(|before| is_news(&before, policy)) {
        retention::write_policy(dir, policy)?;
    }
    let removed = match policy.cutoff.filter(|_| policy.clock_trusted) {
        Some(cutoff) => {
            for old in reset::all_set_aside(dir) {
                retention::remove_expired(&old, cutoff)?;
            }
            retention::remove_expired(dir, cutoff)?
        }
        None => retention::Removed::default(),
    };
    let survey = retention::survey(dir)?;
    Ok(PruneReport {
        removed_envelopes: removed.envelopes,
        removed_segments: removed.segments,
        removed_bytes: removed.bytes,
        survey: SurveyReport {
            envelopes: survey.envelopes,
            bytes: survey.bytes,
            oldest_ns: survey.oldest,
            newest_ns: survey.newest,
            quarantined: survey
                .quarantined
                .into_iter()
                .map(|file| QuarantinedFile {
                    file: file.file,
                    reason: file.reason,
                })
                .collect(),
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
