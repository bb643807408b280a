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

use super::admission::NotKept;
use super::metrics::Metrics;
use super::received::Received;
use crate::clock;
use crate::labels::count;

/// How often the archive wants to be ticked.
const TICK: Duration = Duration::from_millis(250);
/// Envelopes that may wait.
const QUEUE_ENVELOPES: usize = 4096;
/// Bytes that may wait: 4,096 envelopes of the largest size would be gigabytes.
const QUEUE_BYTES: usize = 16 << 20;
/// What an envelope costs in the queue besides its bytes.
const OVERHEAD_BYTES: usize = 512;
/// Until an envelope that found the queue full is offered again.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);
/// How long closing waits for queries that still run.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of an offered envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    /// Kept before.
    Duplicate,
    NotStored(NotStored),
}

/// Why an envelope is not in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotStored {
    #[error("no archive")]
    NoArchive,
    /// It is not one to be kept.
    #[error("{}", .0.reason())]
    NotKept(NotKept),
    /// Too much waits already; it may be offered again.
    #[error("queue_full")]
    QueueFull,
    /// It is in memory alone because the disk fails or takes too long.
    #[error("unwritten")]
    Unwritten,
    #[error("{}", refusal_label(*.0))]
    Refused(Refusal),
    /// The archive failed.
    #[error("insert_failure")]
    Failed,
    #[error("the archive is closed")]
    Closed,
    #[error("the archive did not answer in time")]
    NoAnswer,
}

impl NotStored {
    /// Whether the archive takes nothing at the moment, whatever it is offered.
    pub fn is_archives_fault(self) -> bool {
        match self {
            Self::Unwritten | Self::Failed | Self::Closed | Self::NoAnswer | Self::NoArchive => true,
            Self::Refused(refusal) => matches!(refusal, Refusal::ReadOnly | Refusal::DiskFull),
            Self::NotKept(_) | Self::QueueFull => false,
        }
    }

    /// What it is counted under: nwaku's label where it has one.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NotKept(reason) => reason.reason(),
            Self::QueueFull => "queue_full",
            Self::Unwritten => "unwritten",
            Self::Refused(refusal) => refusal_label(refusal),
            Self::Failed => "insert_failure",
            Self::NoArchive => "no_archive",
            Self::Closed => "closed",
            Self::NoAnswer => "no_answer",
        }
    }
}

fn refusal_label(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Expired => "invalid_message_too_old",
        Refusal::Future => "invalid_message_future_timestamp",
        Refusal::Share => "share",
        Refusal::ReadOnly => "read_only",
        Refusal::DiskFull => "disk_full",
    }
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

/// Hears of each envelope that the archive has, stored just now or before. On the writer's thread: it must not wait.
pub(crate) type OnKept = Box<dyn Fn(&Received) + Send>;

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
    metrics: Metrics,
}

/// The writer's thread.
pub struct Writer(thread::JoinHandle<()>);

impl Archivist {
    /// Opens the archive in `dir` and starts its threads, which tell `on_kept` of each envelope that the archive has.
    pub(crate) fn start(
        dir: PathBuf,
        retention: Duration,
        metrics: Metrics,
        on_kept: Option<OnKept>,
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
            metrics: metrics.clone(),
        };
        let mut ticker = Ticker {
            archive: archive.clone(),
            metrics: metrics.clone(),
            clock_trusted: archivist.clock_trusted.clone(),
            cutoff: archivist.cutoff.clone(),
            failures: 0,
        };
        ticker.tick();
        let (stop, stopped) = mpsc::channel();
        let ticking = spawn("archive ticks", move || ticker.run(&stopped))?;
        let inserter = Inserter {
            archive,
            on_kept,
            metrics,
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

    /// Hands over an envelope of another store and waits for its place.
    pub(crate) async fn keep(&self, received: Received) -> Outcome {
        let received = Arc::new(received);
        loop {
            let (done, outcome) = oneshot::channel();
            self.offer(received.clone(), Some(done));
            match outcome.await {
                Ok(Outcome::NotStored(NotStored::QueueFull)) => tokio::time::sleep(QUEUE_PAUSE).await,
                Ok(outcome) => return outcome,
                Err(_) => return Outcome::NotStored(NotStored::Closed),
            }
        }
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
        let permits = u32::try_from(bytes.min(QUEUE_BYTES)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(permits) else {
            return self.turn_away(done, NotStored::QueueFull);
        };
        let offer = Offer {
            received,
            done,
            _room: room,
        };
        let (job, reason) = match self.jobs.try_send(Job::Keep(offer)) {
            Ok(()) => return,
            Err(mpsc::TrySendError::Full(job)) => (job, NotStored::QueueFull),
            Err(mpsc::TrySendError::Disconnected(job)) => (job, NotStored::Closed),
        };
        if let Job::Keep(offer) = job {
            self.turn_away(offer.done, reason);
        }
    }

    fn turn_away(&self, done: Option<oneshot::Sender<Outcome>>, reason: NotStored) {
        count(&self.metrics.archive_errors, reason.label());
        if let Some(done) = done {
            let _ = done.send(Outcome::NotStored(reason));
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
        self.metrics
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
    on_kept: Option<OnKept>,
    metrics: Metrics,
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
        self.metrics
            .archive_insert_seconds
            .observe(started.elapsed().as_secs_f64());
        let outcome = match inserted {
            Ok(Inserted::Stored(_)) => {
                self.metrics.stored(&offer.received);
                Outcome::Stored
            }
            Ok(Inserted::Duplicate(_)) => {
                self.metrics.archive_duplicates.inc();
                Outcome::Duplicate
            }
            // Served, and written once the disk works again; until then nobody is told that it is kept.
            Ok(Inserted::Unwritten(_)) => {
                self.kept(&offer.received);
                Outcome::NotStored(NotStored::Unwritten)
            }
            Ok(Inserted::Refused(refusal)) => Outcome::NotStored(NotStored::Refused(refusal)),
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 {
                    tracing::error!(what = "insert", %error, "archive fails");
                }
                Outcome::NotStored(NotStored::Failed)
            }
        };
        if self.failures > 0 && outcome.is_kept() {
            tracing::info!(failures = self.failures, what = "insert", "archive works again");
            self.failures = 0;
        }
        if let Outcome::NotStored(reason) = outcome {
            count(&self.metrics.archive_errors, reason.label());
        } else {
            self.kept(&offer.received);
        }
        if let Some(done) = offer.done {
            let _ = done.send(outcome);
        }
    }

    fn kept(&self, received: &Received) {
        if let Some(on_kept) = &self.on_kept {
            on_kept(received);
        }
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
    metrics: Metrics,
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
                count(&self.metrics.archive_errors, "tick_failure");
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
