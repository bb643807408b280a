//! When an archive is pruned, and by which policy.
//!
//! The interval is the length of a segment, between a second and ten: with whole segments removed, pruning more often
//! gains nothing, and less often the page would show old counts. The cut-off is computed from a trusted clock only; while
//! it is not trusted, the last trusted one holds (nothing older is served) and nothing is removed. After a leap of the
//! clock it goes on by the old time until the leap has stood for a day. One run at a time; a run that fails is tried again at
//! the next interval, and shows.

use std::sync::Arc;
use std::time::Duration;

use archive::retention::Leap;
use archive::{DiskStage, Policy};

use crate::clock::{self, Now};
use crate::config::service::ArchiveRules;
use crate::detail::{ArchiveDetail, Detail};
use crate::event::{Action, ArchiveId};
use crate::retention::{Error, PruneReport, SurveyReport};
use crate::snapshot::{ArchiveStatus, DiskStatus};

const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(10);
/// A run that takes longer hangs: removing files takes milliseconds.
const OVERDUE: Duration = Duration::from_secs(120);

#[derive(Clone, Debug)]
pub struct Pruning {
    id: ArchiveId,
    pub(super) rules: Arc<ArchiveRules>,
    pub retention: Duration,
    next: Duration,
    running_since: Option<Duration>,
    /// From the last trusted time; never goes back.
    cutoff_ns: Option<i64>,
    pub status: ArchiveStatus,
    pub trouble: Option<Detail>,
    /// What was in the way lately, and when it was seen last: the policy is written over some of it at once.
    pub(super) in_the_way: Option<(String, Duration)>,
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
            rules: Arc::new(rules),
            retention,
            next: Duration::ZERO,
            running_since: None,
            cutoff_ns,
            status,
            trouble: None,
            in_the_way: None,
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
        Duration::from_secs(archive::slice_secs(self.retention).cast_unsigned()).clamp(MIN_INTERVAL, MAX_INTERVAL)
    }

    pub fn tick(
        &mut self,
        now: Now,
        leap: Option<clock::Leap>,
        disk: DiskStage,
        space: Option<DiskStatus>,
    ) -> Option<Action> {
        if let Some(since) = self.running_since {
            if now.mono.saturating_sub(since) >= OVERDUE {
                self.trouble = Some(ArchiveDetail::PruningStuck.into());
                // Looked at again after as long; a second run would only hang beside the first.
                self.running_since = Some(now.mono);
            }
            return None;
        }
        if now.mono < self.next {
            return None;
        }
        self.running_since = Some(now.mono);
        let leap = leap.filter(|_| now.trusted);
        if now.trusted {
            let time_ns = leap.map_or(now.wall_ns, |leap| leap.old_ns);
            let cutoff_ns = time_ns.saturating_sub(nanos(self.retention));
            self.cutoff_ns = Some(self.cutoff_ns.map_or(cutoff_ns, |last| last.max(cutoff_ns)));
        }
        let policy = Policy {
            retention_secs: self.retention.as_secs(),
            clock_trusted: now.trusted,
            cutoff: self.cutoff_ns,
            held: leap.is_some(),
            disk,
            quota_bytes: self.rules.quota_bytes.or(space.map(|space| space.total_bytes / 2)),
        };
        Some(Action::Prune {
            archive: self.id,
            rules: self.rules.clone(),
            policy,
            leap: leap.map(|leap| Leap {
                since: leap.since_ns,
                cutoff: now.wall_ns.saturating_sub(nanos(self.retention)),
            }),
        })
    }

    /// A person says what time it is: a cut-off from a later one was wrong.
    pub fn confirm_time(&mut self, now: Now) {
        let cutoff_ns = now.wall_ns.saturating_sub(nanos(self.retention));
        self.cutoff_ns = self.cutoff_ns.map(|last| last.min(cutoff_ns));
        self.next = Duration::ZERO;
    }

    pub fn pruned(&mut self, result: Result<PruneReport, Error>, now: Now) {
        self.running_since = None;
        self.next = now.mono.saturating_add(self.interval());
        match result {
            Ok(report) => {
                if let Some(first) = report.survey.in_the_way.first() {
                    if self.in_the_way.as_ref().is_none_or(|(before, _)| before != first) {
                        tracing::warn!(archive = %self.rules.path.display(), what = first, "in the way of the archive's files");
                    }
                    self.in_the_way = Some((first.clone(), now.mono));
                }
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
            Err(error) => self.trouble = Some(Detail::Said(error.to_string())),
        }
    }
}

impl From<&SurveyReport> for ArchiveStatus {
    fn from(survey: &SurveyReport) -> ArchiveStatus {
        const NS: i64 = 1_000_000_000;
        ArchiveStatus {
            envelopes: survey.envelopes,
            bytes: Some(survey.bytes),
            oldest: survey.oldest_ns.map(|ns| ns.div_euclid(NS)),
            newest: survey.newest_ns.map(|ns| ns.div_euclid(NS)),
            quarantined: survey.quarantined.clone(),
            newer: survey.newer.clone(),
            unreadable: survey.unreadable.clone(),
            in_the_way: survey.in_the_way.clone(),
            ..ArchiveStatus::default()
        }
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
