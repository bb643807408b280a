//! What the writer knows of its segments. Always rebuilt from the files; nothing of it is kept anywhere else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::directory::names::{Kind, SegmentName};
use crate::directory::policy::Watched;
use crate::envelope::weight;
use crate::nanos::NANOS;
use crate::segment::file::OpenFiles;
use crate::segment::live::Live;
use crate::segment::sealed::{FilterBytes, Sealed};
use crate::segment::summary::Summary;
use crate::shares::{Shares, cost};
use crate::writer::cursors::Cursors;
use crate::writer::durability::{self, Durability};
use crate::writer::stats::Counters;
use crate::writer::unreadable::Unreadable;
use crate::writer::wear::Wear;

pub(crate) struct Catalogue {
    pub(crate) live: Vec<Live>,
    pub(crate) sealed: Vec<Arc<Sealed>>,
    pub(crate) filters: Arc<FilterBytes>,
    /// Written by a newer Pillarbox: left alone.
    pub(crate) newer: Vec<SegmentName>,
    /// Not to be opened just now (`unreadable`).
    pub(crate) unreadable: Unreadable,
    /// How far the provisional segment that is being judged has been.
    pub(crate) judged: Option<(SegmentName, u32)>,
    pub(crate) next_number: u64,
    pub(crate) pending_bytes: usize,
    /// When the oldest row that is not committed arrived: by the caller's clock, and by the monotonic one.
    pub(crate) waiting_since: Option<(i64, std::time::Instant)>,
    pub(crate) durability: Durability,
    /// How long the last commit took.
    pub(crate) last_commit: Duration,
    pub(crate) policy: Watched,
    pub(crate) shares: Shares,
    /// What all segments take of the quota, by the shares' estimate.
    pub(crate) cost_bytes: u64,
    /// When the ladder last removed something.
    pub(crate) dropped_at: Option<i64>,
    pub(crate) wear: Wear,
    pub(crate) cursors: Cursors,
    pub(crate) counters: Counters,
}

impl Catalogue {
    /// The segment that takes envelopes of `timestamp`, made in memory if there is none.
    pub(crate) fn live_for(
        &mut self,
        dir: &Path,
        open: &Arc<OpenFiles>,
        kind: Kind,
        timestamp: i64,
        slice_secs: i64,
    ) -> &mut Live {
        let found = self.live.iter().position(|live| live.takes(kind, timestamp));
        let at = found.unwrap_or_else(|| {
            let name = match kind {
                Kind::Provisional => SegmentName::provisional(self.next_number),
                _ => SegmentName {
                    start_secs: timestamp.div_euclid(NANOS * slice_secs) * slice_secs,
                    length_secs: slice_secs,
                    number: self.next_number,
                    kind,
                },
            };
            self.next_number += 1;
            self.live.push(Live::new(dir, name, open));
            self.live.len() - 1
        });
        &mut self.live[at]
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = SegmentName> {
        let live = self.live.iter().map(|live| live.file.name);
        let sealed = self.sealed.iter().map(|sealed| sealed.file.name);
        live.chain(sealed)
            .chain(self.newer.iter().copied())
            .chain(self.unreadable.names().copied())
    }

    /// Whether what is in memory alone may be promised.
    pub(crate) fn is_durable(&self, wished: Duration, now: std::time::Instant) -> bool {
        let window = durability::window(wished, self.last_commit);
        // A commit may have to wait: for the sealing of a segment, or for a disk that hangs in it. A busy machine begins
        // one somewhat late by itself.
        let late = |since: std::time::Instant| now.saturating_duration_since(since) > 2 * window;
        self.durability.holds(window, now) && !self.waiting_since.is_some_and(|(_, at)| late(at))
    }

    /// Forgets a segment whose file is gone.
    pub(crate) fn forget(&mut self, name: SegmentName) -> Forgotten {
        let mut forgotten = Forgotten::default();
        self.newer.retain(|newer| *newer != name);
        self.unreadable.forget(name);
        if let Some(at) = self.sealed.iter().position(|sealed| sealed.file.name == name) {
            let sealed = self.sealed.swap_remove(at);
            self.uncount(&sealed.summary);
            forgotten.sealed = Some(sealed);
        }
        if let Some(at) = self.live.iter().position(|live| live.file.name == name) {
            let live = self.live.swap_remove(at);
            let lost: usize = live.pending.iter().map(|row| weight(&row.envelope)).sum();
            self.pending_bytes = self.pending_bytes.saturating_sub(lost);
            self.uncount(&live.summary);
            forgotten.live = Some(live);
        }
        forgotten
    }

    fn uncount(&mut self, summary: &Summary) {
        let bytes = cost(summary.payload_bytes, summary.envelopes);
        self.cost_bytes = self.cost_bytes.saturating_sub(bytes);
    }

    /// Takes a segment into the catalogue that has envelopes already.
    pub(crate) fn count(&mut self, summary: &Summary) {
        self.cost_bytes += cost(summary.payload_bytes, summary.envelopes);
    }
}

/// What left the catalogue, to be dropped when its lock is free: that may close the last hold on a removed file, which
/// has the file system free its blocks, or free the look-ups of tens of thousands of rows.
#[must_use]
#[derive(Default)]
pub(crate) struct Forgotten {
    pub(crate) live: Option<Live>,
    pub(crate) sealed: Option<Arc<Sealed>>,
}
