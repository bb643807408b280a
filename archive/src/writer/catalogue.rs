//! What the writer knows of its segments and of the rules that it goes by, all of it in memory: nothing here asks the
//! disk, so that the catalogue's lock is never held for longer than a look-up takes. Always rebuilt from the files;
//! nothing of it is kept anywhere else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::names::{Kind, SegmentName, slice_secs};
use crate::directory::policy::{self, Policy};
use crate::envelope::{Envelope, MessageHash, weight};
use crate::mutex::may_wait;
use crate::nanos::Nanos;
use crate::segment::file::OpenFiles;
use crate::segment::live::Live;
use crate::segment::open::Opened;
use crate::segment::sealed::{FilterBytes, Sealed};
use crate::segment::summary::{Summary, earlier};
use crate::shares::{Shares, cost};
use crate::writer::cursors::Cursors;
use crate::writer::durability::{self, Durability};
use crate::writer::options::Options;
use crate::writer::stats::{Counters, Stats};
use crate::writer::unreadable::Unreadable;
use crate::writer::wear::Wear;

pub(crate) struct Catalogue {
    dir: PathBuf,
    options: Options,
    pub(crate) open_files: Arc<OpenFiles>,
    pub(crate) filters: Arc<FilterBytes>,
    pub(crate) live: Vec<Live>,
    pub(crate) sealed: Vec<Arc<Sealed>>,
    /// Written by a newer Pillarbox: left alone.
    pub(crate) newer: Vec<SegmentName>,
    /// Not to be opened just now.
    pub(crate) unreadable: Unreadable,
    /// How far the provisional segment that is being judged has been.
    pub(crate) judged: Option<(SegmentName, u32)>,
    next_number: u64,
    pub(crate) pending_bytes: usize,
    /// When the oldest row that is not committed arrived: by the caller's clock, and by the monotonic one.
    pub(crate) waiting_since: Option<(Nanos, Instant)>,
    pub(crate) durability: Durability,
    /// How long the last commit took.
    pub(crate) last_commit: Duration,
    /// As of the last tick; `None` where there is no daemon.
    pub(crate) policy: Option<Policy>,
    pub(crate) shares: Shares,
    /// What all segments take of the quota, by the shares' estimate.
    pub(crate) cost_bytes: u64,
    /// When something was last removed because the disk was full.
    pub(crate) dropped_at: Option<Nanos>,
    pub(crate) wear: Wear,
    pub(crate) cursors: Cursors,
    pub(crate) counters: Counters,
}

impl Catalogue {
    /// Without segments; `next_number` is the first that a new one gets.
    pub(crate) fn new(dir: &Path, options: Options, next_number: u64) -> Catalogue {
        Catalogue {
            dir: dir.to_path_buf(),
            options,
            open_files: Arc::default(),
            filters: Arc::default(),
            live: Vec::new(),
            sealed: Vec::new(),
            newer: Vec::new(),
            unreadable: Unreadable::default(),
            judged: None,
            next_number,
            pending_bytes: 0,
            waiting_since: None,
            durability: Durability::default(),
            last_commit: Duration::ZERO,
            policy: None,
            shares: Shares::default(),
            cost_bytes: 0,
            dropped_at: None,
            wear: Wear::default(),
            cursors: Cursors::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn clock_trusted(&self) -> bool {
        self.policy.as_ref().is_none_or(|policy| policy.clock_trusted)
    }

    pub(crate) fn retention(&self) -> Duration {
        let policy = self.policy.as_ref();
        policy.map_or(self.options.retention, |policy| {
            Duration::from_secs(policy.retention_secs)
        })
    }

    /// What is older is neither stored nor served.
    pub(crate) fn cutoff(&self, now: Nanos) -> Nanos {
        match &self.policy {
            Some(policy) => policy.cutoff_at(now),
            None => policy::cutoff(now, self.options.retention),
        }
    }

    /// Takes a new envelope in, which is committed with the next commit.
    pub(crate) fn push(&mut self, hash: MessageHash, envelope: Arc<Envelope>, kind: Kind, slice_secs: i64, now: Nanos) {
        self.pending_bytes += weight(&envelope);
        self.cost_bytes += cost(envelope.payload.len() as u64, 1);
        self.live_for(kind, envelope.time(), slice_secs)
            .push(hash, envelope, now);
    }

    /// The length of a slice that is begun now.
    pub(crate) fn slice_secs(&self) -> i64 {
        slice_secs(self.retention())
    }

    /// The segment that takes envelopes of `timestamp`, made in memory if there is none.
    fn live_for(&mut self, kind: Kind, timestamp: Nanos, slice_secs: i64) -> &mut Live {
        let found = self.live.iter().position(|live| live.takes(kind, timestamp));
        let at = found.unwrap_or_else(|| {
            let name = match kind {
                Kind::Provisional => SegmentName::provisional(self.next_number),
                Kind::Main | Kind::Overflow => SegmentName {
                    start_secs: timestamp.slice_start(slice_secs).secs(),
                    length_secs: slice_secs,
                    number: self.next_number,
                    kind,
                },
            };
            self.next_number += 1;
            self.live.push(Live::new(&self.dir, name, &self.open_files));
            self.live.len() - 1
        });
        &mut self.live[at]
    }

    pub(crate) fn live(&mut self, name: SegmentName) -> Option<&mut Live> {
        self.live.iter_mut().find(|live| live.file.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = SegmentName> {
        let live = self.live.iter().map(|live| live.file.name);
        let sealed = self.sealed.iter().map(|sealed| sealed.file.name);
        live.chain(sealed)
            .chain(self.newer.iter().copied())
            .chain(self.unreadable.names().copied())
    }

    /// What is called so in the directory, or ought to be: all but live segments that were never committed.
    pub(crate) fn names_on_disk(&self) -> Vec<SegmentName> {
        let unwritten: Vec<SegmentName> = self.names_in_memory().collect();
        self.names().filter(|name| !unwritten.contains(name)).collect()
    }

    /// Segments that were never committed.
    pub(crate) fn names_in_memory(&self) -> impl Iterator<Item = SegmentName> {
        let unwritten = self.live.iter().filter(|live| !live.on_disk);
        unwritten.map(|live| live.file.name)
    }

    /// Whether what is in memory alone may be promised.
    pub(crate) fn is_durable(&self, now: Instant) -> bool {
        let window = durability::window(self.options.durability, self.last_commit);
        // A commit may have to wait: for the sealing of a segment, or for a disk that hangs in it. A busy machine begins
        // one somewhat late by itself.
        let late = |since: Instant| now.saturating_duration_since(since) > 2 * window;
        self.durability.holds(window, now) && !self.waiting_since.is_some_and(|(_, at)| late(at))
    }

    /// Whether what waits would become older than the durability window before the next tick, `until_next_tick` from
    /// now, is through. What arrives while a commit runs waits for that one and for its own, so a slow disk is asked
    /// earlier.
    pub(crate) fn has_waited_long(&self, now: Nanos, until_next_tick: Duration) -> bool {
        let durability = self.options.durability;
        let slow = durability.saturating_sub(until_next_tick + 2 * self.last_commit);
        let patience = durability.mul_f64(0.75).min(slow);
        self.waiting_since.is_some_and(|(since, instant)| {
            // No wait at all is a clock that went back.
            now.since(since).is_none_or(|waited| waited >= patience) || instant.elapsed() >= patience
        })
    }

    /// Takes an opened segment in; the reason why it belongs into the quarantine when it is none.
    pub(crate) fn take_in(&mut self, name: SegmentName, opened: Opened) -> Option<String> {
        match opened {
            Opened::Live(live) => {
                self.count(&live.summary);
                self.live.push(*live);
            }
            Opened::Sealed(sealed) => self.add_sealed(sealed),
            Opened::Newer => self.newer.push(name),
            Opened::Foreign(reason) => return Some(reason),
        }
        None
    }

    pub(crate) fn add_sealed(&mut self, sealed: Arc<Sealed>) {
        self.count(&sealed.summary);
        self.sealed.push(sealed);
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

    /// Takes a segment's envelopes into account.
    fn count(&mut self, summary: &Summary) {
        self.cost_bytes += cost(summary.payload_bytes, summary.envelopes);
    }

    fn uncount(&mut self, summary: &Summary) {
        let bytes = cost(summary.payload_bytes, summary.envelopes);
        self.cost_bytes = self.cost_bytes.saturating_sub(bytes);
    }

    /// All that can be said without the disk: `bytes` is 0.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats {
            counters: self.counters.clone(),
            segments: self.names().count() as u64,
            live_segments: self.live.len() as u64,
            written_bytes_last_day: self.wear.last_day(),
            newer_segments: self.newer.len() as u64,
            unreadable_segments: self.unreadable.names().count() as u64,
            pending_bytes: self.pending_bytes as u64,
            pending_envelopes: self.live.iter().map(|live| live.pending.len() as u64).sum(),
            ..Stats::default()
        };
        stats.counters.written_bytes = self.wear.written_bytes;

        let live = self.live.iter().map(|live| &live.summary);
        let sealed = self.sealed.iter().map(|sealed| &sealed.summary);
        for summary in live.chain(sealed) {
            stats.envelopes += summary.envelopes;
            stats.payload_bytes += summary.payload_bytes;
            stats.oldest = earlier(stats.oldest, summary.oldest);
            stats.newest = stats.newest.max(summary.newest);
        }
        stats
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

impl Drop for Forgotten {
    fn drop(&mut self) {
        if self.live.is_some() || self.sealed.is_some() {
            may_wait();
        }
    }
}
