//! The two threads that write the archive, and the way to them.
//!
//! One inserts what is offered, in memory, and answers; the other ticks the archive four times a second, and that is
//! what waits for the disk: a slow card's sync delays no answer. Offers wait in a queue bounded by number and by bytes;
//! when it is full the envelope is not kept, counted as `queue_full`, and whoever published it is told. Queries run on
//! the caller's thread; they borrow the archive only while they run, so that the writer can close it at the end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use archive::{Archive, Inserted, Options, Page, Query, Refusal, Stats};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::clock;
use crate::counters::{ByShard, Counters, Ingress};
use crate::node::{Received, Source};
use crate::protocols::sync::Ids;
use crate::topics::Shard;

/// How often the archive wants to be ticked.
const TICK: Duration = Duration::from_millis(250);
/// Envelopes that may wait.
const QUEUE_ENVELOPES: usize = 4096;
/// Bytes that may wait: 4,096 envelopes of the largest size would be gigabytes.
const QUEUE_BYTES: usize = 16 << 20;
/// What an envelope costs in the queue besides its bytes.
const OVERHEAD_BYTES: usize = 512;
/// How long closing waits for queries that still run.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The reason of an offer that found no room; it may be made again.
pub const QUEUE_FULL: &str = "queue_full";

/// The reason of an envelope that is in memory alone because the disk fails or takes too long (nwaku has no such label).
pub const UNWRITTEN: &str = "unwritten";

/// What became of an offered envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    /// Kept before.
    Duplicate,
    NotStored(&'static str),
}

impl Outcome {
    /// Whether the archive has the envelope.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Stored | Self::Duplicate)
    }
}

#[derive(Debug, Error)]
pub enum QueryError {
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error("the archive is closed")]
    Closed,
}

struct Offer {
    received: Arc<Received>,
    done: Option<oneshot::Sender<Outcome>>,
    _room: OwnedSemaphorePermit,
}

enum Job {
    Keep(Offer),
    Close,
}

/// Cheap to clone; the archive closes on [`Archivist::close`].
#[derive(Clone)]
pub struct Archivist {
    jobs: SyncSender<Job>,
    room: Arc<Semaphore>,
    archive: Weak<Archive>,
    clock_trusted: Arc<AtomicBool>,
    cutoff: Arc<AtomicI64>,
    counters: Counters,
}

/// The writer's thread.
pub struct Writer(thread::JoinHandle<()>);

impl Archivist {
    /// Opens the archive in `dir` and starts its threads, which add to `ids` what the archive has.
    pub(crate) fn start(
        dir: PathBuf,
        retention: Duration,
        counters: Counters,
        ids: Option<Ids>,
    ) -> Result<(Self, Writer), archive::Error> {
        let archive = Arc::new(Archive::open(
            &dir,
            Options {
                retention,
                ..Options::default()
            },
        )?);
        let (jobs, receiver) = mpsc::sync_channel(QUEUE_ENVELOPES);
        let archivist = Self {
            jobs,
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            archive: Arc::downgrade(&archive),
            clock_trusted: Arc::new(AtomicBool::new(false)),
            cutoff: Arc::new(AtomicI64::new(i64::MIN)),
            counters: counters.clone(),
        };
        let mut ticker = Ticker {
            archive: archive.clone(),
            counters: counters.clone(),
            clock_trusted: archivist.clock_trusted.clone(),
            cutoff: archivist.cutoff.clone(),
            failures: 0,
        };
        ticker.tick();
        let (stop, stopped) = mpsc::channel();
        let ticking = spawn("archive ticks", move || ticker.run(&stopped))?;
        let inserter = Inserter {
            archive,
            ids,
            counters,
            failures: 0,
        };
        let inserting = spawn("archivist", move || {
            let inserter = inserter.run(&receiver);
            drop(stop);
            if ticking.join().is_err() {
                tracing::error!("the archive's ticking thread panicked");
            }
            inserter.close();
        })?;
        Ok((archivist, Writer(inserting)))
    }

    /// Hands an envelope over to be kept; `done` hears what became of it. Never waits.
    pub fn offer(&self, received: Arc<Received>, done: Option<oneshot::Sender<Outcome>>) {
        let envelope = &received.envelope;
        let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let bytes = envelope.payload.len()
            + envelope.content_topic.len()
            + optional(&envelope.meta)
            + optional(&envelope.rate_limit_proof)
            + OVERHEAD_BYTES;
        let full = |done: Option<oneshot::Sender<Outcome>>| {
            Counters::count(&self.counters.archive_errors, QUEUE_FULL);
            if let Some(done) = done {
                let _ = done.send(Outcome::NotStored(QUEUE_FULL));
            }
        };
        let permits = u32::try_from(bytes.min(QUEUE_BYTES)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(permits) else {
            return full(done);
        };
        if let Err(error) = self.jobs.try_send(Job::Keep(Offer {
            received,
            done,
            _room: room,
        })) {
            let (mpsc::TrySendError::Full(job) | mpsc::TrySendError::Disconnected(job)) = error;
            if let Job::Keep(offer) = job {
                full(offer.done);
            }
        }
    }

    /// Whether the system clock may be believed: without a daemon's policy it may.
    pub fn clock_trusted(&self) -> bool {
        self.clock_trusted.load(Ordering::Relaxed)
    }

    /// What is older than this, nanoseconds since the Unix epoch, is not kept; as of the last look at the policy.
    pub(crate) fn cutoff(&self) -> i64 {
        self.cutoff.load(Ordering::Relaxed)
    }

    /// Asks the archive. Blocks on the disk: not for a task of the runtime.
    pub fn query(&self, query: &Query) -> Result<Page, QueryError> {
        let archive = self.archive.upgrade().ok_or(QueryError::Closed)?;
        let started = Instant::now();
        let page = archive.query(query, clock::now_nanos())?;
        self.counters
            .archive_query_seconds
            .observe(started.elapsed().as_secs_f64());
        Ok(page)
    }

    /// `None` once closed.
    pub fn stats(&self) -> Option<Stats> {
        Some(self.archive.upgrade()?.stats())
    }

    /// Has the thread insert what waits and close the archive; [`Writer::join`] waits for it.
    pub fn close(&self) {
        // The queue may be full of work: this waits its turn.
        let _ = self.jobs.send(Job::Close);
    }
}

impl Writer {
    /// Waits until the archive is closed. Blocks.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the archive's thread panicked");
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, archive::Error> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(|source| archive::Error::File {
        what: "start a thread for",
        path: ".".into(),
        source,
    })
}

struct Inserter {
    archive: Arc<Archive>,
    ids: Option<Ids>,
    counters: Counters,
    failures: u64,
}

impl Inserter {
    /// Until it is told to close.
    fn run(mut self, jobs: &mpsc::Receiver<Job>) -> Self {
        while let Ok(Job::Keep(offer)) = jobs.recv() {
            self.keep(offer);
        }
        self
    }

    fn keep(&mut self, offer: Offer) {
        let started = Instant::now();
        let inserted = self.archive.insert(&offer.received.envelope, clock::now_nanos());
        self.counters
            .archive_insert_seconds
            .observe(started.elapsed().as_secs_f64());
        let outcome = match inserted {
            Ok(Inserted::Stored(_)) => {
                self.stored(&offer.received);
                Outcome::Stored
            }
            Ok(Inserted::Duplicate(_)) => {
                self.counters.archive_duplicates.inc();
                Outcome::Duplicate
            }
            // Served, and written once the disk works again; until then nobody is told that it is kept.
            Ok(Inserted::Unwritten(_)) => {
                if let Some(ids) = &self.ids {
                    ids.note(&offer.received.envelope, offer.received.hash);
                }
                Outcome::NotStored(UNWRITTEN)
            }
            Ok(Inserted::Refused(refusal)) => Outcome::NotStored(label(refusal)),
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 {
                    tracing::error!(what = "insert", %error, "archive fails");
                }
                Outcome::NotStored("insert_failure")
            }
        };
        if self.failures > 0 && outcome.is_kept() {
            tracing::info!(failures = self.failures, what = "insert", "archive works again");
            self.failures = 0;
        }
        if let Outcome::NotStored(reason) = outcome {
            Counters::count(&self.counters.archive_errors, reason);
        } else if let Some(ids) = &self.ids {
            ids.note(&offer.received.envelope, offer.received.hash);
        }
        if let Some(done) = offer.done {
            let _ = done.send(outcome);
        }
    }

    fn stored(&self, received: &Received) {
        let counters = &self.counters;
        counters.archived.inc();
        // nwaku knows these two; everything that is not from another's archive came by relay or beside it.
        let source = match received.source {
            Source::Relay(_) | Source::LightPush(_) | Source::FilterPush(_) | Source::Local => "relay",
            _ => "sync",
        };
        counters.archive_inserts.get_or_create(&Ingress { source }).inc();
        // As in nwaku, a topic that is no shard counts as shard 0.
        let shard = received.envelope.pubsub_topic.parse::<Shard>();
        let shard = shard.map_or(0, |shard| shard.index).to_string();
        counters.archived_per_shard.get_or_create(&ByShard { shard }).inc();
    }

    fn close(self) {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        let mut archive = self.archive;
        loop {
            match Arc::try_unwrap(archive) {
                Ok(alone) => {
                    match alone.close() {
                        Ok(()) => tracing::info!("archive closed"),
                        Err(error) => tracing::error!(%error, "closing the archive"),
                    }
                    return;
                }
                Err(shared) if Instant::now() < deadline => {
                    archive = shared;
                    thread::sleep(Duration::from_millis(10));
                }
                Err(_) => {
                    tracing::error!("a query holds the archive open; it closes with the process");
                    return;
                }
            }
        }
    }
}

struct Ticker {
    archive: Arc<Archive>,
    counters: Counters,
    clock_trusted: Arc<AtomicBool>,
    cutoff: Arc<AtomicI64>,
    failures: u64,
}

impl Ticker {
    /// Until nobody holds the other end.
    fn run(mut self, stopped: &mpsc::Receiver<()>) {
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            self.tick();
        }
    }

    fn tick(&mut self) {
        match self.archive.tick(clock::now_nanos()) {
            Ok(()) if self.failures > 0 => {
                tracing::info!(failures = self.failures, what = "tick", "archive works again");
                self.failures = 0;
            }
            Ok(()) => {}
            Err(error) => {
                Counters::count(&self.counters.archive_errors, "tick_failure");
                self.failures += 1;
                if self.failures == 1 {
                    tracing::error!(what = "tick", %error, "archive fails");
                }
            }
        }
        let outlook = self.archive.outlook(clock::now_nanos());
        self.cutoff.store(outlook.cutoff.get(), Ordering::Relaxed);
        let trusted = outlook.clock_trusted;
        if self.clock_trusted.swap(trusted, Ordering::Relaxed) != trusted {
            tracing::info!(trusted, "clock");
        }
    }
}

/// nwaku's label where it has one.
fn label(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Expired => "invalid_message_too_old",
        Refusal::Future => "invalid_message_future_timestamp",
        Refusal::Share => "share",
        Refusal::ReadOnly => "read_only",
        Refusal::DiskFull => "disk_full",
    }
}
