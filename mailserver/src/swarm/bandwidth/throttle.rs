//! A cap on one direction's traffic, shared by all connections: a token bucket whose waiters take turns.
//!
//! In any time `t` at most `rate × t + capacity` bytes are let through. Whoever finds too few tokens stands in a queue,
//! once, and gets a turn of at most [`QUANTUM`] bytes when it is at the head; so a connection with much to move gets as
//! much as every other one, and a ping waits for one round. A turn is handed out whether or not it is fetched at once: a
//! connection that is not polled keeps its turn until it is, or is gone, and holds up nobody. What was not used of a turn
//! goes back. One task sleeps until the next turn can be given, and only while somebody waits.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::activity::{Activity, Work};

/// Bytes of a turn: a sixteenth of a second's, within these. Smaller ones cost system calls, larger ones make others wait.
const QUANTUM: std::ops::RangeInclusive<u64> = 1024..=16 * 1024;
/// What a silence saves up, as a part of a second: an envelope of 150 KiB passes at once where the line is a fast one.
const CAPACITY_PART: u64 = 4;
const NANOS: u128 = 1_000_000_000;

/// One direction's bucket. Clones share it; its task ends with the last of them and of their lanes.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    bucket: Arc<Bucket>,
    _turns: Arc<Turns>,
}

/// One connection's place in it.
#[derive(Debug)]
pub(super) struct Lane {
    throttle: Throttle,
    id: u64,
}

#[derive(Debug)]
struct Bucket {
    /// Bytes a second.
    rate: u64,
    quantum: u64,
    capacity: u64,
    state: Mutex<State>,
    /// Somebody waits, or tokens came back.
    changed: Notify,
    waits: Waits,
}

/// What is counted of those who wait for a turn.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    pub(super) all: Counter,
    /// Connections that wait at this moment, or were given a turn and have not come for it.
    pub(super) now: Gauge,
    /// What is waited for before the node ends, too.
    pub(super) activity: Option<Activity>,
}

#[derive(Debug)]
struct State {
    tokens: u64,
    /// Tokens are counted up to this time.
    filled: Instant,
    queue: VecDeque<u64>,
    lanes: HashMap<u64, Place>,
    next_id: u64,
}

/// Absent while a connection has all it wants.
#[derive(Debug)]
enum Place {
    Waiting {
        need: u64,
        waker: Waker,
        work: Option<Work>,
    },
    Granted {
        bytes: u64,
        _work: Option<Work>,
    },
}

#[derive(Debug)]
struct Turns(AbortHandle);

impl Drop for Turns {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Throttle {
    /// Must be called in a runtime.
    pub(super) fn start(kib_per_sec: NonZeroU32, waits: Waits) -> Self {
        let bucket = Arc::new(Bucket::new(kib_per_sec, waits));
        let turns = tokio::spawn(Arc::clone(&bucket).give_turns()).abort_handle();
        Self {
            bucket,
            _turns: Arc::new(Turns(turns)),
        }
    }

    pub(super) fn lane(&self) -> Lane {
        let mut state = self.bucket.lock();
        let id = state.next_id;
        state.next_id += 1;
        Lane {
            throttle: self.clone(),
            id,
        }
    }
}

impl Lane {
    /// How many of `wanted` bytes may move now; all of them must be settled. `wanted` must not be 0.
    pub(super) fn poll_turn(&self, cx: &Context<'_>, wanted: usize) -> Poll<usize> {
        self.poll_turn_at(Instant::now(), cx, wanted)
    }

    fn poll_turn_at(&self, now: Instant, cx: &Context<'_>, wanted: usize) -> Poll<usize> {
        let bucket = &self.throttle.bucket;
        let need = u64::try_from(wanted).map_or(bucket.quantum, |wanted| wanted.min(bucket.quantum));
        let mut state = bucket.lock();
        match state.lanes.get_mut(&self.id) {
            Some(Place::Granted { bytes: granted, .. }) => {
                let granted = *granted;
                state.lanes.remove(&self.id);
                bucket.waits.now.dec();
                let taken = granted.min(need);
                bucket.give_back(&mut state, granted - taken);
                return Poll::Ready(bytes(taken));
            }
            Some(Place::Waiting { waker, .. }) => {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            None => {}
        }
        bucket.fill(&mut state, now);
        if state.queue.is_empty() && state.tokens >= need {
            state.tokens -= need;
            return Poll::Ready(bytes(need));
        }
        let waker = cx.waker().clone();
        let work = bucket.waits.activity.as_ref().map(Activity::begin);
        state.lanes.insert(self.id, Place::Waiting { need, waker, work });
        state.queue.push_back(self.id);
        bucket.waits.all.inc();
        bucket.waits.now.inc();
        bucket.changed.notify_one();
        Poll::Pending
    }

    /// Ends a turn of `granted` bytes in which `moved` were moved.
    pub(super) fn settle(&self, granted: usize, moved: usize) {
        let bucket = &self.throttle.bucket;
        bucket.give_back(&mut bucket.lock(), granted.saturating_sub(moved) as u64);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let bucket = &self.throttle.bucket;
        let mut state = bucket.lock();
        let Some(place) = state.lanes.remove(&self.id) else {
            return;
        };
        bucket.waits.now.dec();
        match place {
            Place::Granted { bytes, .. } => bucket.give_back(&mut state, bytes),
            Place::Waiting { .. } => {
                state.queue.retain(|id| *id != self.id);
                bucket.changed.notify_one();
            }
        }
    }
}

impl Bucket {
    fn new(kib_per_sec: NonZeroU32, waits: Waits) -> Self {
        let rate = u64::from(kib_per_sec.get()) * 1024;
        let quantum = (rate / 16).clamp(*QUANTUM.start(), *QUANTUM.end());
        let capacity = (rate / CAPACITY_PART).max(quantum);
        Self {
            rate,
            quantum,
            capacity,
            state: Mutex::new(State {
                tokens: capacity,
                filled: Instant::now(),
                queue: VecDeque::new(),
                lanes: HashMap::new(),
                next_id: 0,
            }),
            changed: Notify::new(),
            waits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what time has brought, and keeps the rest of a byte for later.
    fn fill(&self, state: &mut State, now: Instant) {
        let elapsed = now.saturating_duration_since(state.filled).as_nanos();
        let earned = elapsed * u128::from(self.rate) / NANOS;
        if earned >= u128::from(self.capacity - state.tokens) {
            state.tokens = self.capacity;
            state.filled = now;
        } else {
            state.tokens += earned as u64;
            state.filled += self.time_of(earned as u64);
        }
    }

    /// How long `bytes` take, rounded down.
    fn time_of(&self, bytes: u64) -> Duration {
        Duration::from_nanos((u128::from(bytes) * NANOS / u128::from(self.rate)) as u64)
    }

    fn give_back(&self, state: &mut State, unused: u64) {
        if unused == 0 {
            return;
        }
        state.tokens = (state.tokens + unused).min(self.capacity);
        if !state.queue.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Gives turns to those at the head of the queue as far as tokens go. How long until the next can have one.
    fn serve(&self, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        self.fill(&mut state, now);
        while let Some(id) = state.queue.front().copied() {
            let Some(Place::Waiting { need, .. }) = state.lanes.get(&id) else {
                state.queue.pop_front();
                continue;
            };
            let need = *need;
            if state.tokens < need {
                return Some(self.time_of(need - state.tokens) + Duration::from_millis(1));
            }
            state.tokens -= need;
            state.queue.pop_front();
            if let Some(Place::Waiting { waker, work, .. }) = state.lanes.remove(&id) {
                let granted = Place::Granted {
                    bytes: need,
                    _work: work,
                };
                state.lanes.insert(id, granted);
                waker.wake();
            }
        }
        None
    }

    async fn give_turns(self: Arc<Self>) {
        loop {
            match self.serve(Instant::now()) {
                Some(pause) => tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }
}

/// No turn is longer than [`QUANTUM`].
fn bytes(granted: u64) -> usize {
    granted as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;
    /// A time that no test comes to.
    const LONG: Duration = Duration::from_secs(3600);

    /// A bucket of 64 KiB/s, turns of 4 KiB, at a time that passes only when everybody waits.
    struct Line {
        throttle: Throttle,
        waits: Waits,
        begun: Instant,
        now: Instant,
    }

    impl Line {
        /// In a runtime whose own time plays no part: its task finds nothing to do that `wait` has not done.
        fn new() -> Self {
            let waits = Waits::default();
            let bucket = Arc::new(Bucket::new(NonZeroU32::new(64).unwrap(), waits.clone()));
            let begun = bucket.lock().filled;
            let idle = tokio::spawn(std::future::pending::<()>()).abort_handle();
            Self {
                throttle: Throttle {
                    bucket,
                    _turns: Arc::new(Turns(idle)),
                },
                waits,
                begun,
                now: begun,
            }
        }

        fn poll(&self, lane: &Lane, wanted: usize) -> Poll<usize> {
            lane.poll_turn_at(self.now, &Context::from_waker(Waker::noop()), wanted)
        }

        fn wait(&mut self) {
            if let Some(pause) = self.throttle.bucket.serve(self.now) {
                self.now += pause;
                self.throttle.bucket.serve(self.now);
            }
        }

        /// Moves what each lane wants, all of each turn, until the first lane is done. How much each has moved.
        fn run(&mut self, wants: &mut [(&Lane, usize)]) -> Vec<usize> {
            let mut moved = vec![0; wants.len()];
            loop {
                let mut progress = false;
                for (moved, (lane, left)) in moved.iter_mut().zip(wants.iter_mut()) {
                    while *left > 0
                        && let Poll::Ready(granted) = self.poll(lane, *left)
                    {
                        lane.settle(granted, granted);
                        (*left, *moved, progress) = (*left - granted, *moved + granted, true);
                    }
                }
                if wants[0].1 == 0 {
                    return moved;
                }
                if !progress {
                    self.wait();
                }
                assert!(self.elapsed() < LONG, "nobody gets a turn: {moved:?}");
            }
        }

        fn elapsed(&self) -> Duration {
            self.now - self.begun
        }
    }

    /// The time is what it should be, but for a millisecond a turn by which the clock of a runtime may be late.
    fn about(time: Duration, millis: u64) {
        let expected = Duration::from_millis(millis);
        assert!(
            time >= expected && time < expected + expected / 20,
            "{time:?}, not {expected:?}"
        );
    }

    #[tokio::test]
    async fn a_rate_is_kept_after_what_was_saved_up() {
        let mut line = Line::new();
        let lane = line.throttle.lane();
        line.run(&mut [(&lane, 16 * KIB)]);
        assert_eq!((line.elapsed(), line.waits.all.get()), (Duration::ZERO, 0));
        line.run(&mut [(&lane, 640 * KIB)]);
        about(line.elapsed(), 10_000);
        assert!(line.waits.all.get() > 0);
        line.now += Duration::from_secs(60);
        let after = line.now;
        line.run(&mut [(&lane, 16 * KIB)]);
        assert_eq!(line.now, after, "a minute's silence saves a quarter of a second");
        line.run(&mut [(&lane, 64 * KIB)]);
        about(line.now - after, 1_000);
    }

    #[tokio::test]
    async fn greedy_connections_do_not_keep_another_from_its_share() {
        let mut line = Line::new();
        let lanes: Vec<Lane> = (0..10).map(|_| line.throttle.lane()).collect();
        let [modest, greedy @ ..] = lanes.as_slice() else {
            unreachable!()
        };
        let wants = |modest_wants| {
            let mut wants = vec![(modest, modest_wants)];
            wants.extend(greedy.iter().map(|lane| (lane, usize::MAX)));
            wants
        };
        line.run(&mut wants(16 * KIB));
        let before = line.now;
        line.run(&mut wants(12));
        let round = line.now - before;
        assert!(
            round < Duration::from_millis(700),
            "more than a round of ten turns: {round:?}"
        );
        let before = line.now;
        let moved = line.run(&mut wants(64 * KIB));
        about(line.now - before, 10_000);
        let most = moved.iter().max().unwrap();
        assert!(*most <= 64 * KIB + 4 * KIB, "{moved:?}");
    }

    #[tokio::test]
    async fn who_does_not_fetch_its_turn_or_is_gone_holds_up_nobody() {
        let mut line = Line::new();
        let [first, asleep, gone] = [(); 3].map(|()| line.throttle.lane());
        line.run(&mut [(&first, 16 * KIB)]);
        assert!(line.poll(&asleep, 4096).is_pending() && line.poll(&gone, 4096).is_pending());
        assert_eq!(line.waits.now.get(), 2);
        drop(gone);
        assert_eq!(line.waits.now.get(), 1);
        line.run(&mut [(&first, 64 * KIB)]);
        // The sleeper's turn of 4 KiB is spoken for, the other's is not.
        about(line.elapsed(), 1_062);
        assert_eq!(line.poll(&asleep, 100), Poll::Ready(100));
        assert_eq!(line.waits.now.get(), 0);
    }

    #[tokio::test]
    async fn what_was_not_used_goes_back() {
        let mut line = Line::new();
        let lane = line.throttle.lane();
        for _ in 0..1_000 {
            assert_eq!(line.poll(&lane, 4096), Poll::Ready(4096));
            lane.settle(4096, 0);
        }
        line.run(&mut [(&lane, 16 * KIB)]);
        assert_eq!(line.elapsed(), Duration::ZERO);
    }

    /// The same by its own task, which wakes who waits.
    #[tokio::test]
    async fn its_task_gives_turns_and_ends_with_the_last_lane() {
        let throttle = Throttle::start(NonZeroU32::new(1024).unwrap(), Waits::default());
        let bucket = Arc::downgrade(&throttle.bucket);
        let lane = throttle.lane();
        drop(throttle);
        let mut left = 512 * KIB;
        while left > 0 {
            let granted = std::future::poll_fn(|cx| lane.poll_turn(cx, left)).await;
            lane.settle(granted, granted);
            left -= granted;
        }
        assert!(bucket.upgrade().is_some());
        drop(lane);
        while bucket.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }
}
