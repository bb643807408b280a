//! Locks that outlive a panic of their holder (what they guard is as the holder left it), and locks that are held for
//! memory only.
//!
//! Whatever may wait for the disk says so by [`may_wait`], and where debug assertions are on, as in every test, it
//! panics while its thread holds a lock of the second kind.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    /// How many locks for memory only this thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Takes the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a lock that is held for memory only.
pub(crate) fn lock_briefly<T>(mutex: &Mutex<T>) -> Brief<'_, T> {
    let guard = lock(mutex);
    HELD.set(HELD.get() + 1);
    Brief(guard)
}

/// A lock that nobody may hold while it waits for the disk.
pub(crate) struct Brief<'a, T>(MutexGuard<'a, T>);

impl<T> Deref for Brief<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Brief<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Brief<'_, T> {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
    }
}

/// Here the disk is asked, which may take as long as it likes.
pub(crate) fn may_wait() {
    debug_assert_eq!(HELD.get(), 0, "the disk is waited for under a lock for memory only");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_not_waited_for_under_a_lock_for_memory() {
        let mutex = Mutex::new(1);
        may_wait();
        *lock_briefly(&mutex) += 1;
        may_wait();
        let slow = std::panic::catch_unwind(|| {
            let _held = lock_briefly(&mutex);
            may_wait();
        });
        assert!(slow.is_err());
        may_wait();
        assert_eq!(*lock(&mutex), 2, "the lock outlives the panic");
    }
}
