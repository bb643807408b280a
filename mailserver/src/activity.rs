//! What the node waits for before it ends: requests that have no answer yet, and bytes of answers that wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is being done. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(Arc<AtomicUsize>);

/// One piece of work; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Work(Arc<AtomicUsize>);

impl Activity {
    pub(crate) fn begin(&self) -> Work {
        self.0.fetch_add(1, Ordering::Relaxed);
        Work(self.0.clone())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_when_all_work_has_ended() {
        let activity = Activity::default();
        assert!(activity.is_idle());
        let (one, other) = (activity.begin(), activity.clone().begin());
        drop(one);
        assert!(!activity.is_idle());
        drop(other);
        assert!(activity.is_idle());
    }
}
