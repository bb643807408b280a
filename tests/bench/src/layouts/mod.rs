//! The layouts that are compared, behind one face: ours through the archive's public functions, nwaku's and go-waku's
//! rebuilt from their schemas with their habits of inserting and deleting, on the same SQLite.

mod ours;
mod peers;

use std::path::Path;

use anyhow::Result;
use archive::{Envelope, MessageHash};

pub(crate) use ours::Ours;
pub(crate) use peers::{Peer, Sync};

pub(crate) trait Layout {
    /// Keeps one envelope, as its owner does when one arrives.
    fn insert(&mut self, envelope: &Envelope, now: i64) -> Result<()>;
    /// What the owner does every quarter of a second.
    fn tick(&mut self, now: i64) -> Result<()>;
    /// How many envelopes a page of a hundred of one content topic between two times holds, newest first.
    fn page(&mut self, topic: &str, from: i64, to: i64) -> Result<usize>;
    /// How many of the hashes are found.
    fn by_hash(&mut self, hashes: &[MessageHash], now: i64) -> Result<usize>;
    /// Removes what is older, as retention does.
    fn remove_before(&mut self, cutoff: i64) -> Result<()>;
    fn close(self: Box<Self>) -> Result<()>;
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
        Which::Ours => Box::new(Ours::open(dir)?),
        Which::Nwaku => Box::new(Peer::nwaku(dir, sync)?),
        Which::GoWaku => Box::new(Peer::go_waku(dir, sync)?),
    })
}
