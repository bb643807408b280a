//! When an archive is pruned, and by which policy.
//!
//! The interval is the length of a segment, between a second and ten: with whole segments removed, pruning more often
//! gains nothing, and less often the page would show old counts. The cut-off is computed from a trusted clock only; while it is not trusted, the last trusted
//! one holds (nothing older is served) and nothing is removed. One run at a time; a run that fails is tried again at
//! the next interval, and shows.

use std::time::Duration;

use archive::{DiskStage, Policy};

use crate::config::service::ArchiveRules;
use crate::event::{Action, ArchiveId, Now, PruneReport};
use crate::snapshot::{ArchiveStatus, DiskStatus};

const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(10);
/// The archive's segments are a 24th of the retention long.
const SEGMENTS_PER_RETENTION: u32 = 24;
/// A run that takes longer hangs: removing files takes milliseconds.
const OVERDUE: Duration = Duration::from_secs(120);

#[derive(Clone, Debug)]
pub struct Pruning {
    id: ArchiveId,
    pub rules: ArchiveRules,
    pub retention: Duration,
    next: Duration,
    running_since: Option<Duration>,
    /// From the last trusted time; never goes back.
    cutoff_ns: Option<i64>,
    pub status: ArchiveStatus,
    pub trouble: Option<String>,
}

impl Pruning {
    pub fn new(id: ArchiveId, rules: ArchiveRules, retention: Duration, past_ns: Option<i64>) -> Pruning {
        let status = ArchiveStatus {
            retention_secs: Some(retention.as_secs()),
            ..ArchiveStatus::default()
        };
        let cutoff_ns = past_ns.map(|past_ns| past_ns.saturating_sub(nanos(retention)));
        Pruning {
            id,
            rules,
            retention,
            next: Duration::ZERO,
            running_since: None,
            cutoff_ns,
            status,
            trouble: None,
        }
    }

    pub fn set_retention(&mut self, retention: Duration) {
        if retention != self.retention {
            self.retention = retention;
            self.status.retention_secs = Some(retention.as_secs());
            self.next = Duration::ZERO;
        }
    }

    pub fn deadline(&self) -> Option<Duration> {
        Some(
            self.running_since
                .map_or(self.next, |since| since.saturating_add(OVERDUE)),
        )
    }

    pub fn interval(&self) -> Duration {
        (self.retention / SEGMENTS_PER_RETENTION).clamp(MIN_INTERVAL, MAX_INTERVAL)
    }

    pub fn tick(&mut self, now: Now, disk: DiskStage, space: Option<DiskStatus>) -> Option<Action> {
        if let Some(since) = self.running_since {
            if now.mono.saturating_sub(since) >= OVERDUE {
                self.trouble = Some("pruning hangs".to_owned());
                // Looked at again after as long; a second run would only hang beside the first.
                self.running_since = Some(now.mono);
            }
            return None;
        }
        if now.mono < self.next {
            return None;
        }
        self.running_since = Some(now.mono);
        if now.trusted {
            let cutoff_ns = now.wall_ns.saturating_sub(nanos(self.retention));
            self.cutoff_ns = Some(self.cutoff_ns.map_or(cutoff_ns, |last| last.max(cutoff_ns)));
        }
        let policy = Policy {
            retention_secs: self.retention.as_secs(),
            clock_trusted: now.trusted,
            cutoff: self.cutoff_ns,
            disk,
            quota_bytes: self.rules.quota_bytes.or(space.map(|space| space.total_bytes / 2)),
        };
        Some(Action::Prune {
            archive: self.id,
            policy,
        })
    }

    pub fn pruned(&mut self, result: Result<PruneReport, String>, now: Now) {
        self.running_since = None;
        self.next = now.mono.saturating_add(self.interval());
        match result {
            Ok(report) => {
                let pruned_total = self.status.pruned_total.saturating_add(report.removed_envelopes);
                self.status = ArchiveStatus {
                    retention_secs: Some(self.retention.as_secs()),
                    pruned_total,
                    last_prune: if now.trusted {
                        Some(now.wall_ns.div_euclid(1_000_000_000))
                    } else {
                        self.status.last_prune
                    },
                    ..ArchiveStatus::from(&report.survey)
                };
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(error),
        }
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
