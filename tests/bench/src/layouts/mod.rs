//! The layouts that are compared, behind one face: ours through the archive's public functions, nwaku's and go-waku's
//! rebuilt from their schemas with their habits of inserting and deleting, on the same SQLite.

mod ours;
mod peers;

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use archive::{Envelope, MessageHash, Options};

pub(crate) use ours::Ours;
pub(crate) use peers::{Peer, Sync};

pub(crate) trait Layout {
    /// Keeps one envelope, as its owner does when one arrives.
    fn insert(&mut self, envelope: &Envelope, now: i64) -> Result<()>;
    /// What the owner does every quarter of a second.
    fn tick(&mut self, now: i64) -> Result<()>;
    /// Does that on a thread of its own, as its owner may, until what is returned is dropped.
    fn ticker(&self, now: i64) -> Result<Ticker>;
    /// How many envelopes a page of a hundred of one content topic between two times holds, newest first.
    fn page(&mut self, topic: &str, from: i64, to: i64) -> Result<usize>;
    /// How many of the hashes are found.
    fn by_hash(&mut self, hashes: &[MessageHash], now: i64) -> Result<usize>;
    /// Removes what is older, as retention does.
    fn remove_before(&mut self, cutoff: i64) -> Result<()>;
    fn close(self: Box<Self>) -> Result<()>;
}

/// Ends and awaits its thread when it is dropped.
pub(crate) struct Ticker(Option<(mpsc::Sender<()>, JoinHandle<()>)>);

impl Ticker {
    /// For an owner that does nothing between inserts.
    pub(crate) fn none() -> Ticker {
        Ticker(None)
    }

    pub(crate) fn run(mut tick: impl FnMut() + Send + 'static) -> Ticker {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(250)) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        });
        Ticker(Some((stop, thread)))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            if thread.join().is_err() {
                println!("a tick panicked");
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Ours,
    Nwaku,
    GoWaku,
}

pub(crate) const ALL: [Which; 3] = [Which::Ours, Which::Nwaku, Which::GoWaku];

pub(crate) fn open(which: Which, dir: &Path, sync: Sync) -> Result<Box<dyn Layout>> {
    Ok(match which {
        Which::Ours => Box::new(Ours::open(dir, Options::default())?),
        Which::Nwaku => Box::new(Peer::nwaku(dir, sync)?),
        Which::GoWaku => Box::new(Peer::go_waku(dir, sync)?),
    })
}
