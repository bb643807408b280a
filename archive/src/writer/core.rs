//! What the writer's parts share, and its two locks.
//!
//! - The catalogue's is held for memory only (`mutex::Brief`): who needs the disk takes out what it needs to know (an
//!   `Arc`, a path), lets the lock go, and asks then. So neither an insert nor a query of fresh envelopes waits for the
//!   disk, except an insert that finds the memory for uncommitted rows full.
//! - The committer's is for everything that writes, and is taken before the catalogue's. Holding it is a [`Writing`],
//!   which whatever may be done by its holder alone asks for.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use crate::mutex::{Brief, lock, lock_briefly};
use crate::writer::catalogue::Catalogue;

pub(crate) struct Core {
    pub(crate) dir: PathBuf,
    /// Of segments that are made from now on.
    pub(crate) page_bytes: u32,
    catalogue: Mutex<Catalogue>,
    committer: Mutex<()>,
}

impl Core {
    pub(crate) fn new(dir: &Path, page_bytes: u32, catalogue: Catalogue) -> Core {
        Core {
            dir: dir.to_path_buf(),
            page_bytes,
            catalogue: Mutex::new(catalogue),
            committer: Mutex::default(),
        }
    }

    pub(crate) fn catalogue(&self) -> Brief<'_, Catalogue> {
        lock_briefly(&self.catalogue)
    }

    /// Waits for whoever commits, seals or puts aside just now.
    pub(crate) fn writing(&self) -> Writing<'_> {
        Writing {
            core: self,
            _committer: lock(&self.committer),
        }
    }
}

/// The committer's lock, held.
pub(crate) struct Writing<'a> {
    pub(crate) core: &'a Core,
    _committer: MutexGuard<'a, ()>,
}
