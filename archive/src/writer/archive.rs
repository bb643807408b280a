//! The writer: admits envelopes, answers queries, and does its periodic work when it is ticked.
//!
//! Two locks, never held together with anything slow: the catalogue's, for look-ups in memory, and the committer's, for
//! everything that writes. Neither an insert nor a query of fresh envelopes waits for the disk, except an insert that
//! finds the memory for uncommitted rows full.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::directory::lock::WriterLock;
use crate::directory::names::{Kind, SegmentName, slice_secs};
use crate::directory::policy::{self, DiskStage};
use crate::envelope::{Envelope, MessageHash, weight};
use crate::error::Error;
use crate::mutex::lock;
use crate::nanos::NANOS;
use crate::order::{Key, Span};
use crate::page::fill;
use crate::page::merge::{Source, merge};
use crate::query::{Direction, Entry, MAX_PAGE, Page, Query};
use crate::segment::file::OpenFiles;
use crate::segment::live::Live;
use crate::segment::place::{Place, each_place};
use crate::segment::schema;
use crate::segment::sealed::Sealed;
use crate::segment::summary::earlier;
use crate::shares::cost;
use crate::writer::catalogue::Catalogue;
use crate::writer::prune::Clock;
use crate::writer::stats::{Refusal, Stats};
use crate::writer::{durability, open, wear};

/// No durability window is longer.
const MAX_DURABILITY: Duration = Duration::from_secs(2);
/// How much may wait for the next commit before an insert commits by itself.
const MAX_PENDING_BYTES: usize = 4 << 20;
/// So much is committed with the next tick, however short it has waited: an insert should not come to that.
const EARLY_PENDING_BYTES: usize = MAX_PENDING_BYTES / 2;
/// How far apart the ticks are.
const TICK: Duration = Duration::from_millis(250);
/// How far into the future an envelope may be dated (nwaku's `MaxMessageTimestampVariance`).
const MAX_FUTURE_NS: i64 = 20 * NANOS;
/// How often a query starts again because a segment went away under it.
const QUERY_ATTEMPTS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Holds while there is no policy file.
    pub retention: Duration,
    /// How long an acknowledged envelope may be lost to a power cut; at most 2 s.
    pub durability: Duration,
    /// The page size of segments that are made from now on: a power of two from 512 to 65,536. The default is what was
    /// measured to be best.
    pub page_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            retention: Duration::from_secs(86_400),
            durability: MAX_DURABILITY,
            page_bytes: schema::PAGE_BYTES,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    Stored(MessageHash),
    Duplicate(MessageHash),
    /// In memory and served, but promised to nobody: a commit failed, or takes longer than the durability window. The
    /// same envelope again is a duplicate once it is on disk.
    Unwritten(MessageHash),
    Refused(Refusal),
}

/// What the archive goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    pub clock_trusted: bool,
    /// Nanoseconds since the Unix epoch: what is older is neither kept nor served.
    pub cutoff: i64,
}

pub struct Archive {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) open_files: Arc<OpenFiles>,
    pub(crate) catalogue: Mutex<Catalogue>,
    /// Taken by whoever commits, seals or quarantines, before the catalogue's lock.
    pub(crate) committer: Mutex<()>,
    pub(crate) clock: Mutex<Clock>,
    _lock: WriterLock,
}

impl Archive {
    /// Opens the archive in `dir`, or makes one. Corrupt and foreign files are moved into `dir/quarantine`.
    pub fn open(dir: &Path, options: Options) -> Result<Archive, Error> {
        std::fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
        let lock = WriterLock::take(dir)?;
        let open_files = Arc::default();
        let catalogue = open::catalogue(dir, &open_files)?;
        Ok(Archive {
            dir: dir.to_path_buf(),
            options: Options {
                durability: options.durability.min(MAX_DURABILITY),
                ..options
            },
            open_files,
            catalogue: Mutex::new(catalogue),
            committer: Mutex::default(),
            clock: Mutex::default(),
            _lock: lock,
        })
    }

    /// Keeps an envelope; `now` is the caller's clock, nanoseconds since the Unix epoch. It can be queried at once and
    /// is on disk within the durability window, unless the answer is [`Inserted::Unwritten`].
    pub fn insert(&self, envelope: &Envelope, now: i64) -> Result<Inserted, Error> {
        let hash = envelope.hash();
        if lock(&self.catalogue).pending_bytes >= MAX_PENDING_BYTES
            && let Err(error) = self.make_room(now)
        {
            if error.is_full() {
                return Ok(self.refuse(Refusal::DiskFull));
            }
            return Err(error);
        }
        let mut catalogue = lock(&self.catalogue);
        let refusal = self.refusal(&catalogue, envelope, now);
        if let Some(refusal) = refusal {
            drop(catalogue);
            return Ok(self.refuse(refusal));
        }
        // A provisional segment is no place to stay once time is trusted.
        let trusted = catalogue
            .policy
            .policy
            .as_ref()
            .is_none_or(|policy| policy.clock_trusted);
        let stays = |name: &SegmentName| !trusted || name.kind != Kind::Provisional;
        let promised = catalogue.is_durable(self.options.durability, Instant::now());
        let mut live = catalogue.live.iter().filter(|live| stays(&live.file.name));
        if let Some(written) = live.find_map(|live| live.is_written(&hash)) {
            if !promised && !written {
                return Ok(Inserted::Unwritten(hash));
            }
            catalogue.counters.duplicates += 1;
            return Ok(Inserted::Duplicate(hash));
        }
        // The hash covers the timestamp: a duplicate can only be in the same slice.
        let same_slice =
            |sealed: &&Arc<Sealed>| stays(&sealed.file.name) && sealed.file.name.covers(envelope.timestamp);
        let known = catalogue
            .sealed
            .iter()
            .filter(same_slice)
            .try_fold(false, |known, sealed| Ok(known || !sealed.find(&[hash])?.is_empty()));
        match known {
            Ok(false) => {}
            Ok(true) => {
                catalogue.counters.duplicates += 1;
                return Ok(Inserted::Duplicate(hash));
            }
            Err(error) => {
                drop(catalogue);
                return if self.give_up_segment(&error)? {
                    self.insert(envelope, now)
                } else {
                    Err(error)
                };
            }
        }
        if !catalogue
            .durability
            .has_room(catalogue.pending_bytes + weight(envelope))
        {
            drop(catalogue);
            return Ok(self.refuse(Refusal::DiskFull));
        }
        let kind = match self.kind_for(&mut catalogue, envelope, now) {
            Ok(kind) => kind,
            Err(refusal) => {
                drop(catalogue);
                return Ok(self.refuse(refusal));
            }
        };
        let slice = slice_secs(Duration::from_secs(self.retention_secs(&catalogue)));
        let live = catalogue.live_for(&self.dir, &self.open_files, kind, envelope.timestamp, slice);
        live.push(hash, Arc::new(envelope.clone()), now);
        catalogue.pending_bytes += weight(envelope);
        catalogue.waiting_since.get_or_insert((now, Instant::now()));
        catalogue.cost_bytes += cost(envelope.payload.len() as u64, 1);
        catalogue.counters.stored += 1;
        catalogue.counters.overflowed += u64::from(kind == Kind::Overflow);
        Ok(if promised {
            Inserted::Stored(hash)
        } else {
            Inserted::Unwritten(hash)
        })
    }

    /// An insert does the periodic work itself when it is faster than the ticks.
    fn make_room(&self, now: i64) -> Result<(), Error> {
        self.metered(now, || {
            let _committing = lock(&self.committer);
            self.commit_waiting()?;
            let crowded = lock(&self.catalogue).is_crowded();
            if crowded { self.seal_due(now) } else { Ok(()) }
        })
    }

    fn refusal(&self, catalogue: &Catalogue, envelope: &Envelope, now: i64) -> Option<Refusal> {
        let policy = catalogue.policy.policy.as_ref();
        let trusted = policy.is_none_or(|policy| policy.clock_trusted);
        if envelope.timestamp < self.cutoff(catalogue, now) || (trusted && envelope.timestamp < 0) {
            Some(Refusal::Expired)
        } else if trusted && envelope.timestamp > now.saturating_add(MAX_FUTURE_NS) {
            Some(Refusal::Future)
        } else if policy.is_some_and(|policy| policy.disk == DiskStage::ReadOnly) {
            Some(Refusal::ReadOnly)
        } else {
            None
        }
    }

    fn refuse(&self, refusal: Refusal) -> Inserted {
        *lock(&self.catalogue).counters.refused.entry(refusal).or_default() += 1;
        Inserted::Refused(refusal)
    }

    pub(crate) fn retention_secs(&self, catalogue: &Catalogue) -> u64 {
        let policy = catalogue.policy.policy.as_ref();
        policy.map_or(self.options.retention.as_secs(), |policy| policy.retention_secs)
    }

    /// What is older is neither stored nor served.
    pub(crate) fn cutoff(&self, catalogue: &Catalogue, now: i64) -> i64 {
        match &catalogue.policy.policy {
            Some(policy) => policy.cutoff_at(now),
            None => policy::cutoff(now, self.options.retention.as_secs()),
        }
    }

    /// Whether the clock may be believed, and what is too old at `now`: the policy as of the last tick, without one the
    /// clock itself.
    pub fn outlook(&self, now: i64) -> Outlook {
        let catalogue = lock(&self.catalogue);
        let policy = catalogue.policy.policy.as_ref();
        Outlook {
            clock_trusted: policy.is_none_or(|policy| policy.clock_trusted),
            cutoff: self.cutoff(&catalogue, now),
        }
    }

    /// One page. Never holds an envelope older than the cut-off at `now`, whether its segment is removed yet or not.
    pub fn query(&self, query: &Query, now: i64) -> Result<Page, Error> {
        lock(&self.catalogue).counters.queries += 1;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.page(query, now) {
                Err(error) if attempts < QUERY_ATTEMPTS && self.give_up_segment(&error)? => continue,
                page => return page,
            }
        }
    }

    /// Whether the hash is kept (also when it is about to expire).
    pub fn contains(&self, hash: &MessageHash) -> Result<bool, Error> {
        Ok(!self.locate(&[*hash])?.is_empty())
    }

    fn page(&self, query: &Query, now: i64) -> Result<Page, Error> {
        let limit = query.limit.clamp(1, MAX_PAGE);
        let cursor = query.cursor.map(|cursor| self.cursor(&cursor)).transpose()?;
        let cutoff = self.cutoff(&lock(&self.catalogue), now);
        let span = Span::of(query, cutoff, cursor);
        // One more than the page says whether there is more.
        let mut found = if query.hashes.is_empty() {
            self.by_filters(query, &span, limit + 1)?
        } else {
            self.by_hashes(query, &span, limit + 1)?
        };
        let mut more = found.len() > limit;
        fill::cut(&mut found, query.direction, limit);
        let mut envelopes = None;
        if query.include_data {
            let reached = found.len();
            envelopes = Some(fill::read(&mut found, query.direction)?.into_iter());
            more |= found.len() < reached;
        }
        let entries = found.iter().map(|(key, _)| Entry {
            hash: key.hash,
            envelope: envelopes.as_mut().and_then(Iterator::next),
        });
        let entries = entries.collect();
        let edge = match query.direction {
            Direction::Forward => found.last(),
            Direction::Backward => found.first(),
        };
        let cursor = edge.filter(|_| more).map(|(key, _)| *key);
        if let Some(key) = cursor {
            lock(&self.catalogue).cursors.remember(key);
        }
        Ok(Page {
            entries,
            cursor: cursor.map(|key| key.hash),
        })
    }

    fn cursor(&self, hash: &MessageHash) -> Result<Key, Error> {
        if let Some(key) = lock(&self.catalogue).cursors.recall(hash) {
            return Ok(key);
        }
        let found = self.locate(&[*hash])?;
        let key = found.first().map(|(key, _)| *key);
        key.ok_or(Error::UnknownCursor(*hash))
    }

    fn by_filters(&self, query: &Query, span: &Span, limit: usize) -> Result<Vec<(Key, Place)>, Error> {
        enum From {
            Memory(Vec<(Key, Place)>),
            File(Arc<Sealed>),
        }
        let sources = {
            let catalogue = lock(&self.catalogue);
            let sealed = catalogue.sealed.iter().filter_map(|sealed| {
                let (oldest, newest) = (sealed.summary.oldest?, sealed.summary.newest?);
                span.touches(oldest, newest).then(|| Source {
                    oldest,
                    newest,
                    from: From::File(Arc::clone(sealed)),
                })
            });
            let touched = catalogue.live.iter().filter_map(|live| {
                let (oldest, newest) = (live.summary.oldest?, live.summary.newest?);
                span.touches(oldest, newest).then_some((live, oldest, newest))
            });
            let live = touched.map(|(live, oldest, newest)| {
                let keys = live.index.keys(query, span, limit).into_iter();
                Source {
                    oldest,
                    newest,
                    from: From::Memory(keys.map(|(key, row)| (key, live.place(row))).collect()),
                }
            });
            sealed.chain(live).collect()
        };
        merge(sources, query.direction, limit, |from| match from {
            From::Memory(keys) => Ok(keys),
            From::File(sealed) => sealed.keys(query, span, limit),
        })
    }

    fn by_hashes(&self, query: &Query, span: &Span, limit: usize) -> Result<Vec<(Key, Place)>, Error> {
        let mut found = self.locate(&query.hashes)?;
        found.retain(|(key, _)| span.admits(key));
        if query.pubsub_topic.is_some() || !query.content_topics.is_empty() {
            let places: Vec<&Place> = found.iter().map(|(_, place)| place).collect();
            let mut wanted = each_place(
                &places,
                |envelope| query.wants(&envelope.pubsub_topic, &envelope.content_topic),
                |file, rows| file.of_topics(rows, query),
            )?
            .into_iter();
            found.retain(|_| wanted.next().unwrap_or(false));
        }
        found.sort_by_key(|(key, _)| *key);
        found.dedup_by_key(|(key, _)| *key);
        fill::cut(&mut found, query.direction, limit);
        Ok(found)
    }

    /// Where these are kept; of a hash that several segments have, one place.
    fn locate(&self, hashes: &[MessageHash]) -> Result<Vec<(Key, Place)>, Error> {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        let sealed = {
            let catalogue = lock(&self.catalogue);
            for hash in hashes {
                match catalogue.live.iter().find_map(|live| live.find(hash)) {
                    Some(place) => found.push(place),
                    None => missing.push(*hash),
                }
            }
            if missing.is_empty() {
                return Ok(found);
            }
            catalogue.sealed.clone()
        };
        // The newest are asked for most.
        for sealed in sealed.iter().rev() {
            if missing.is_empty() {
                break;
            }
            let here = sealed.find(&missing)?;
            missing.retain(|hash| !here.iter().any(|(key, _)| key.hash == *hash));
            found.extend(here);
        }
        Ok(found)
    }

    /// The periodic work, to be called every 250 ms, from another thread than the inserts' where these must not wait
    /// for the disk: takes note of the policy and of removed segments, commits, seals, and without a daemon prunes.
    pub fn tick(&self, now: i64) -> Result<(), Error> {
        let free = durability::free_bytes(&self.dir);
        lock(&self.catalogue).durability.free = free;
        lock(&self.catalogue).policy.refresh(&self.dir, now);
        self.prune_alone(now)?;
        self.close_removed()?;
        self.shed(now)?;
        self.judge_provisional(now)?;
        self.read_again(now);
        self.metered(now, || {
            let _committing = lock(&self.committer);
            if self.commit_is_due(now) {
                self.commit_waiting()?;
            }
            self.seal_due(now)
        })?;
        self.read_one_filter()
    }

    /// After a restart the filters come one a tick, so that the first look-up by hash does not wait for all of them.
    fn read_one_filter(&self) -> Result<(), Error> {
        let missing = {
            let catalogue = lock(&self.catalogue);
            let mut sealed = catalogue.sealed.iter().rev();
            sealed.find(|sealed| sealed.wants_filter()).cloned()
        };
        match missing.map_or(Ok(()), |sealed| sealed.read_filter()) {
            Err(error) if self.give_up_segment(&error)? => Ok(()),
            outcome => outcome,
        }
    }

    /// Counts what `work` writes.
    fn metered(&self, now: i64, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let before = wear::written_by_this_thread();
        let outcome = work();
        if let (Some(before), Some(after)) = (before, wear::written_by_this_thread()) {
            lock(&self.catalogue).wear.add(now, after.saturating_sub(before));
        }
        outcome
    }

    /// Whether what waits would become older than the durability window before the next tick is through. What arrives
    /// while a commit runs waits for that one and for its own, so a slow disk is asked earlier.
    fn commit_is_due(&self, now: i64) -> bool {
        let catalogue = lock(&self.catalogue);
        let slow = self.options.durability.saturating_sub(TICK + 2 * catalogue.last_commit);
        let patience = self.options.durability.mul_f64(0.75).min(slow);
        let waited_out = catalogue.waiting_since.is_some_and(|(since, instant)| {
            let waited = u64::try_from(now.saturating_sub(since));
            // A negative wait is a clock that went back.
            waited.map_or(true, |ns| Duration::from_nanos(ns) >= patience) || instant.elapsed() >= patience
        });
        waited_out || catalogue.pending_bytes >= EARLY_PENDING_BYTES
    }

    pub fn stats(&self) -> Stats {
        let bytes = self.bytes_on_disk();
        let catalogue = lock(&self.catalogue);
        let mut stats = Stats {
            bytes,
            counters: catalogue.counters.clone(),
            segments: catalogue.names().count() as u64,
            live_segments: catalogue.live.len() as u64,
            written_bytes_last_day: catalogue.wear.last_day(),
            newer_segments: catalogue.newer.len() as u64,
            unreadable_segments: catalogue.unreadable.names().count() as u64,
            pending_bytes: catalogue.pending_bytes as u64,
            ..Stats::default()
        };
        stats.counters.written_bytes = catalogue.wear.written_bytes;

        let live = catalogue.live.iter().map(|live| &live.summary);
        let sealed = catalogue.sealed.iter().map(|sealed| &sealed.summary);
        for summary in live.chain(sealed) {
            stats.envelopes += summary.envelopes;
            stats.payload_bytes += summary.payload_bytes;
            stats.oldest = earlier(stats.oldest, summary.oldest);
            stats.newest = stats.newest.max(summary.newest);
        }
        stats.pending_envelopes = catalogue.live.iter().map(|live| live.pending.len() as u64).sum();
        stats
    }

    /// Commits what waits and closes the files.
    pub fn close(self) -> Result<(), Error> {
        self.commit()?;
        let mut catalogue = lock(&self.catalogue);
        for live in catalogue.live.drain(..) {
            Live::close(&live)?;
        }
        Ok(())
    }
}

impl Drop for Archive {
    /// The fallback of [`Archive::close`].
    fn drop(&mut self) {
        if let Err(error) = self.commit() {
            tracing::error!(%error, "the last commit failed");
        }
    }
}
