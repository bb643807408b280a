//! Threads of one process take turns at a file: a second writer would remove the first one's temporary file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static BUSY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static FREED: Condvar = Condvar::new();

/// Gives the file to the next when it is dropped.
pub(crate) struct Turn(PathBuf);

/// Waits while another thread has the file of this very path. Others are not waited for: they may be on a stuck disk.
pub(crate) fn take(path: &Path) -> Turn {
    let mut busy = FREED
        .wait_while(lock(), |busy| busy.contains(path))
        .unwrap_or_else(PoisonError::into_inner);
    busy.insert(path.to_owned());
    Turn(path.to_owned())
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock().remove(&self.0);
        FREED.notify_all();
    }
}

fn lock() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    BUSY.lock().unwrap_or_else(PoisonError::into_inner)
}
