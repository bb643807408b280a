//! What waits for one subscriber, and for all: bounded in bytes.
//!
//! An envelope is encoded once and shared by all who wait for it, so what it takes is counted once: its frame holds its
//! room until the last of them has it. When there is no room for another, the subscriber that has not taken its next
//! envelope for the longest time ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Envelopes that wait for one subscriber: two of the largest of the Status network (1 MiB), or hundreds of ordinary ones.
const QUEUE_BYTES: usize = 2 << 20;
/// The same in number: small ones have a cost of their own.
const QUEUE_FRAMES: usize = 1024;
/// Different envelopes that wait for anybody.
const TOTAL_BYTES: usize = 16 << 20;
/// Who has waited for less is no obstacle to anybody: it is being written to.
const STALLED: Duration = Duration::from_secs(1);

/// One encoded envelope.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl Frame {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A subscriber's envelopes on their way to the task that writes them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Arc<Frame>>,
    /// Of those and of the one that is being written.
    bytes: usize,
    /// Since when the one that is being written is.
    writing_since: Option<Instant>,
    ended: bool,
}

impl Queue {
    /// Whether it was taken: a subscriber that reads too slowly loses the newest.
    pub(super) fn push(&self, frame: Arc<Frame>) -> bool {
        let mut state = self.state();
        // One envelope is always taken, whatever its size.
        let full = state.bytes > 0 && state.bytes + frame.bytes.len() > QUEUE_BYTES;
        if state.ended || full || state.frames.len() >= QUEUE_FRAMES {
            return false;
        }
        state.bytes += frame.bytes.len();
        state.frames.push_back(frame);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// The next one to write, which counts until [`Queue::written`]. `None` at the end.
    pub(super) async fn next(&self) -> Option<Arc<Frame>> {
        loop {
            {
                let mut state = self.state();
                if state.ended {
                    return None;
                }
                if let Some(frame) = state.frames.pop_front() {
                    state.writing_since = Some(Instant::now());
                    return Some(frame);
                }
            }
            self.changed.notified().await;
        }
    }

    pub(super) fn written(&self, frame: Arc<Frame>) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(frame.bytes.len());
        state.writing_since = None;
    }

    /// Nothing waits any more, and nothing is taken.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.frames = VecDeque::new();
        drop(state);
        // A permit, should the task be writing just now.
        self.changed.notify_one();
    }

    /// Waits for the end.
    pub(super) async fn ended(&self) {
        while !self.state().ended {
            self.changed.notified().await;
        }
    }

    fn stalled_since(&self) -> Option<Instant> {
        let state = self.state();
        state.writing_since.filter(|_| !state.ended)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The registry's end of a queue: when a subscription goes, what waits for it goes.
#[derive(Debug)]
pub(super) struct Entrance(pub(super) Arc<Queue>);

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Room for frames, and all queues that may hold some.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    room: Arc<Semaphore>,
    all: Arc<Mutex<Vec<Weak<Queue>>>>,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(TOTAL_BYTES)),
            all: Arc::default(),
        }
    }
}

impl Queues {
    pub(super) fn open(&self) -> Arc<Queue> {
        let queue = Arc::new(Queue::default());
        let mut all = self.all();
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&queue));
        queue
    }

    /// A frame in the room that there is.
    pub(super) fn frame(&self, bytes: Vec<u8>) -> Result<Arc<Frame>, Vec<u8>> {
        let wanted = u32::try_from(bytes.len().min(TOTAL_BYTES)).unwrap_or(u32::MAX);
        match self.room.clone().try_acquire_many_owned(wanted) {
            Ok(room) => Ok(Arc::new(Frame { bytes, _room: room })),
            Err(_) => Err(bytes),
        }
    }

    /// Ends the queue that stalled first; `false` when none has.
    pub(super) fn end_stalled(&self, now: Instant) -> bool {
        let queues: Vec<Arc<Queue>> = self.all().iter().filter_map(Weak::upgrade).collect();
        let stalled = queues
            .iter()
            .filter_map(|queue| Some((queue.stalled_since()?, queue)))
            .filter(|(since, _)| now.saturating_duration_since(*since) >= STALLED);
        let Some((_, first)) = stalled.min_by_key(|(since, _)| *since) else {
            return false;
        };
        first.end();
        true
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Queue>>> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn next(queue: &Queue) -> Option<Arc<Frame>> {
        queue.next().now_or_never().flatten()
    }

    #[test]
    fn a_queue_is_bounded_in_bytes_and_takes_one_of_any_size() {
        let queues = Queues::default();
        let queue = queues.open();
        let large = queues.frame(vec![0; QUEUE_BYTES + 1]).unwrap();
        assert!(queue.push(large.clone()));
        assert!(!queue.push(queues.frame(vec![0; 1]).unwrap()));
        let writing = next(&queue).unwrap();
        assert!(!queue.push(queues.frame(vec![0; 1]).unwrap()), "what is written counts");
        queue.written(writing);
        let half = queues.frame(vec![0; QUEUE_BYTES / 2]).unwrap();
        assert_eq!([(); 3].map(|()| queue.push(half.clone())), [true, true, false]);
    }

    #[test]
    fn a_frame_takes_its_room_once_however_many_wait_for_it() {
        let queues = Queues::default();
        let all: Vec<Arc<Queue>> = (0..100).map(|_| queues.open()).collect();
        let frame = queues.frame(vec![0; TOTAL_BYTES / 2]).unwrap();
        assert!(all.iter().all(|queue| queue.push(frame.clone())));
        drop(frame);
        let other = queues.frame(vec![0; TOTAL_BYTES / 2]).unwrap();
        assert!(queues.frame(vec![0; 1]).is_err());
        drop(other);
        for queue in &all {
            assert!(queues.frame(vec![0; TOTAL_BYTES / 2 + 1]).is_err());
            queue.written(next(queue).unwrap());
        }
        assert!(queues.frame(vec![0; TOTAL_BYTES]).is_ok());
    }

    #[test]
    fn who_stalled_first_ends_and_gives_its_room_back() {
        let queues = Queues::default();
        let [first, second] = [queues.open(), queues.open()];
        let mut writing = Vec::new();
        for queue in [&first, &second] {
            for _ in 0..2 {
                assert!(queue.push(queues.frame(vec![0; 1000]).unwrap()));
            }
            writing.push(next(queue).unwrap());
        }
        let now = Instant::now();
        assert!(!queues.end_stalled(now), "nobody waits for long");
        let later = now + STALLED + Duration::from_millis(1);
        assert!(queues.end_stalled(later));
        assert!(first.ended().now_or_never().is_some() && next(&first).is_none());
        assert!(second.ended().now_or_never().is_none());
        assert!(!first.push(queues.frame(vec![0; 1]).unwrap()));
        second.written(writing.pop().unwrap());
        assert!(!queues.end_stalled(later), "the other gets on");
        writing.clear();
        drop(Entrance(second));
        assert!(queues.frame(vec![0; TOTAL_BYTES]).is_ok());
    }
}
