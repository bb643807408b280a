//! The archive as its users have it: a name for what each of the writer's parts does.

use std::path::Path;
use std::sync::Mutex;

use crate::directory::lock::WriterLock;
use crate::directory::policy::{News, Watch, obey};
use crate::envelope::{Envelope, MessageHash};
use crate::error::Error;
use crate::mutex::lock;
use crate::nanos::Nanos;
use crate::query::{Page, Query};
use crate::writer::core::Core;
use crate::writer::insert::Inserted;
use crate::writer::options::Options;
use crate::writer::prune::Clock;
use crate::writer::stats::Stats;
use crate::writer::{answer, commit, durability, give_up, insert, open, periodic, provisional, prune, shed};

/// What the archive goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Whether the clock may be believed.
    pub clock_trusted: bool,
    /// What is older is neither kept nor served.
    pub cutoff: Nanos,
}

/// An open archive, of which this is the only writer. All of it may be called by several threads.
pub struct Archive {
    core: Core,
    ticks: Mutex<Ticks>,
    _lock: WriterLock,
}

/// What one tick tells the next.
struct Ticks {
    policy: Watch,
    clock: Clock,
}

impl Archive {
    /// Opens the archive in `dir`, or makes one. Corrupt and foreign files are moved into `dir/quarantine`.
    pub fn open(dir: &Path, options: Options) -> Result<Archive, Error> {
        std::fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
        let lock = WriterLock::take(dir)?;
        let mut catalogue = open::catalogue(dir, options.within_bounds())?;
        let mut policy = Watch::default();
        if let Some(read) = policy.look(dir)
            // No policy is known yet whose cut-off the clock could move.
            && let Some(news) = obey(&mut catalogue.policy, read, Nanos::MIN)
        {
            news.log();
        }
        Ok(Archive {
            core: Core::new(dir, options.page_bytes, catalogue),
            ticks: Mutex::new(Ticks {
                policy,
                clock: Clock::default(),
            }),
            _lock: lock,
        })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.core.dir
    }

    /// Keeps an envelope; `now` is the caller's clock. It can be queried at once and
    /// is on disk within the durability window, unless the answer is [`Inserted::Unwritten`].
    pub fn insert(&self, envelope: &Envelope, now: impl Into<Nanos>) -> Result<Inserted, Error> {
        insert::insert(&self.core, envelope, now.into())
    }

    /// One page. Never holds an envelope older than the cut-off at `now`, whether its segment is removed yet or not.
    pub fn query(&self, query: &Query, now: impl Into<Nanos>) -> Result<Page, Error> {
        answer::query(&self.core, query, now.into())
    }

    /// Whether the hash is kept (also when it is about to expire).
    pub fn contains(&self, hash: &MessageHash) -> Result<bool, Error> {
        answer::contains(&self.core, hash)
    }

    /// Whether the clock may be believed, and what is too old at `now`: the policy as of the last tick, without one the
    /// clock itself.
    pub fn outlook(&self, now: impl Into<Nanos>) -> Outlook {
        let catalogue = self.core.catalogue();
        Outlook {
            clock_trusted: catalogue.clock_trusted(),
            cutoff: catalogue.cutoff(now.into()),
        }
    }

    /// The periodic work, to be called every 250 ms, from another thread than the inserts' where these must not wait
    /// for the disk: takes note of the policy and of removed segments, commits, seals, and without a daemon prunes.
    pub fn tick(&self, now: impl Into<Nanos>) -> Result<(), Error> {
        let (core, now) = (&self.core, now.into());
        let mut ticks = lock(&self.ticks);
        let free = durability::free_bytes(&core.dir);
        core.catalogue().durability.free = free;
        if let Some(read) = ticks.policy.look(&core.dir) {
            let news = obey(&mut core.catalogue().policy, read, now);
            news.iter().for_each(News::log);
        }
        prune::alone(core, &mut ticks.clock, now)?;
        prune::close_removed(core)?;
        shed::shed(core, now)?;
        provisional::judge(core, now)?;
        give_up::read_again(core, now);
        periodic::at_tick(core, now)?;
        answer::read_one_filter(core)
    }

    /// Commits what waits.
    pub(crate) fn commit(&self) -> Result<(), Error> {
        commit::now(&self.core)
    }

    /// The archive as it stands. Asks the disk for the size of the segments that are being written.
    pub fn stats(&self) -> Stats {
        let bytes = shed::bytes_on_disk(&self.core);
        Stats {
            bytes,
            ..self.core.catalogue().stats()
        }
    }

    /// Commits what waits and closes the files.
    pub fn close(self) -> Result<(), Error> {
        self.commit()?;
        let live = std::mem::take(&mut self.core.catalogue().live);
        live.iter().try_for_each(|live| live.close())
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
