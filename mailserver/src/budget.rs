//! Bytes that strangers make this node hold: so many in all, and so many for one address.
//!
//! When there is no room for more, something gives way: of the address that holds the most, the share that got on longest
//! ago. So one address fills its own part alone, and whoever stalls makes room for whoever gets on. To who holds more
//! only those give way that have stalled. Shares that are in work stay; where only these are left, the newcomer waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::host::Host;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) total: usize,
    pub(crate) per_host: usize,
    /// A share that got on within this time gives way to none of its own address.
    pub(crate) grace: Duration,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    book: Mutex<Book>,
    /// Somebody holds less.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Book {
    total: usize,
    hosts: HashMap<Host, usize>,
    shares: HashMap<u64, Held>,
    /// Counts shares and their steps: what is lower is older.
    clock: u64,
}

#[derive(Debug)]
struct Held {
    host: Host,
    bytes: usize,
    stepped: u64,
    stepped_at: Instant,
    stays: bool,
    leave: Arc<Notify>,
}

/// The share had to give way to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GaveWay;

/// Who has not got on for so long gives way to anybody.
const STALLED: Duration = Duration::from_secs(1);
/// How often who waits looks whether somebody has stalled meanwhile.
const RETRY: Duration = Duration::from_millis(250);

enum Tried {
    Held,
    GaveWay,
    Full,
}

/// What one stream holds; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    id: u64,
    leave: Arc<Notify>,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            limits,
            book: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// A share of nothing yet.
    pub(crate) fn share(&self, host: Host) -> Share {
        let leave = Arc::new(Notify::new());
        let mut book = self.book();
        book.clock += 1;
        let id = book.clock;
        let held = Held {
            host,
            bytes: 0,
            stepped: id,
            stepped_at: Instant::now(),
            stays: false,
            leave: leave.clone(),
        };
        book.shares.insert(id, held);
        drop(book);
        Share {
            budget: self.clone(),
            id,
            leave,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[cfg(test)]
    fn total(&self) -> usize {
        self.book().total
    }
}

impl Share {
    /// Makes it `bytes` from now on; waits while there is no room and nobody to give way.
    pub(crate) async fn hold(&self, bytes: usize) -> Result<(), GaveWay> {
        loop {
            let mut freed = std::pin::pin!(self.budget.0.freed.notified());
            freed.as_mut().enable();
            let tried = self.budget.book().hold(self.id, bytes, self.budget.0.limits);
            match tried {
                Tried::Held => {
                    self.budget.0.freed.notify_waiters();
                    return Ok(());
                }
                Tried::GaveWay => return Err(GaveWay),
                // Freed, or somebody's grace is over.
                Tried::Full => drop(timeout(RETRY, freed).await),
            }
        }
    }

    /// Whether it stays whatever comes: what is held is in work.
    pub(crate) fn stays(&self, stays: bool) {
        if let Some(held) = self.budget.book().shares.get_mut(&self.id) {
            held.stays = stays;
        }
    }

    /// Waits until it has to give way.
    pub(crate) async fn left(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.book().remove(self.id);
        self.budget.0.freed.notify_waiters();
    }
}

impl Book {
    fn hold(&mut self, id: u64, bytes: usize, limits: Limits) -> Tried {
        loop {
            let Some(mine) = self.shares.get(&id) else {
                return Tried::GaveWay;
            };
            let (host, more) = (mine.host, bytes.saturating_sub(mine.bytes));
            let of_host = self.hosts.get(&host).copied().unwrap_or(0) + more;
            let victim = if of_host > limits.per_host {
                self.stalest(host, id, limits.grace)
            } else if self.total + more > limits.total {
                let mut heavier = self.heavier(host, of_host);
                heavier
                    .find_map(|other| self.stalest(other, id, Duration::ZERO))
                    .or_else(|| self.stalled(id))
            } else {
                self.step(id, bytes);
                return Tried::Held;
            };
            let Some(victim) = victim else { return Tried::Full };
            if let Some(held) = self.remove(victim) {
                held.leave.notify_one();
            }
        }
    }

    /// Other hosts that hold at least `of_host`, the heaviest first.
    fn heavier(&self, host: Host, of_host: usize) -> impl Iterator<Item = Host> + use<> {
        let others = self.hosts.iter().filter(|&(&other, _)| other != host);
        let mut heavier: Vec<(usize, Host)> = others
            .filter(|&(_, &bytes)| bytes >= of_host)
            .map(|(&host, &bytes)| (bytes, host))
            .collect();
        heavier.sort_unstable_by(|one, other| other.cmp(one));
        heavier.into_iter().map(|(_, host)| host)
    }

    /// Of a host's shares but `except`, the one that may give way and got on longest ago.
    fn stalest(&self, host: Host, except: u64, grace: Duration) -> Option<u64> {
        let may_go = self.shares.iter().filter(|&(&id, held)| {
            held.host == host && id != except && held.bytes > 0 && !held.stays && held.stepped_at.elapsed() >= grace
        });
        may_go.min_by_key(|(_, held)| held.stepped).map(|(&id, _)| id)
    }

    /// Of all shares but `except`, the one that has stalled longest, if one has.
    fn stalled(&self, except: u64) -> Option<u64> {
        let stalled = self.shares.iter().filter(|&(&id, held)| {
            id != except && held.bytes > 0 && !held.stays && held.stepped_at.elapsed() >= STALLED
        });
        stalled.min_by_key(|(_, held)| held.stepped).map(|(&id, _)| id)
    }

    fn step(&mut self, id: u64, bytes: usize) {
        self.clock += 1;
        let Some(held) = self.shares.get_mut(&id) else { return };
        let of_host = self.hosts.entry(held.host).or_default();
        *of_host = *of_host - held.bytes + bytes;
        self.total = self.total - held.bytes + bytes;
        held.bytes = bytes;
        held.stepped = self.clock;
        held.stepped_at = Instant::now();
    }

    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.shares.remove(&id)?;
        self.total -= held.bytes;
        if let Some(of_host) = self.hosts.get_mut(&held.host) {
            *of_host -= held.bytes;
            if *of_host == 0 {
                self.hosts.remove(&held.host);
            }
        }
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        total: 100,
        per_host: 60,
        grace: Duration::ZERO,
    };

    fn host(number: u8) -> Host {
        let address = format!("/ip4/192.0.2.{number}/tcp/1").parse().unwrap();
        Host::of(&address, None)
    }

    fn hold(share: &Share, bytes: usize) -> Option<Result<(), GaveWay>> {
        share.hold(bytes).now_or_never()
    }

    #[test]
    fn of_one_address_the_stalest_gives_way() {
        let budget = Budget::new(LIMITS);
        let shares: Vec<Share> = (0..4).map(|_| budget.share(host(1))).collect();
        for share in &shares[..3] {
            assert_eq!(hold(share, 20), Some(Ok(())));
        }
        // The first one gets on: the second is the stalest now.
        assert_eq!(hold(&shares[0], 20), Some(Ok(())));
        assert_eq!(hold(&shares[3], 20), Some(Ok(())));
        assert!(shares[1].left().now_or_never().is_some());
        assert_eq!(hold(&shares[1], 20), Some(Err(GaveWay)));
        assert!(shares[0].left().now_or_never().is_none());
        assert_eq!(budget.total(), 60);
        drop(shares);
        assert_eq!(budget.total(), 0);
    }

    #[tokio::test]
    async fn a_newcomer_takes_from_who_holds_most_and_never_from_who_holds_less() {
        let budget = Budget::new(LIMITS);
        let greedy: Vec<Share> = (0..3).map(|_| budget.share(host(1))).collect();
        greedy
            .iter()
            .for_each(|share| assert_eq!(hold(share, 20), Some(Ok(()))));
        let modest = budget.share(host(2));
        assert_eq!(hold(&modest, 30), Some(Ok(())));
        let newcomer = budget.share(host(3));
        assert_eq!(hold(&newcomer, 20), Some(Ok(())));
        assert!(greedy[0].left().now_or_never().is_some());
        assert!(modest.left().now_or_never().is_none());
        // Now the greedy one would hold the most: it waits, for nobody has stalled.
        let again = budget.share(host(1));
        assert_eq!(hold(&again, 20), None);
        assert!(greedy[1].left().now_or_never().is_none());
        assert!(modest.left().now_or_never().is_none() && newcomer.left().now_or_never().is_none());
        tokio::time::sleep(STALLED).await;
        assert_eq!(again.hold(20).await, Ok(()));
        assert!(greedy[1].left().now_or_never().is_some(), "it stalled first");
    }

    #[tokio::test]
    async fn who_gets_on_gives_way_to_none_of_its_own_address() {
        let budget = Budget::new(Limits {
            grace: Duration::from_secs(3600),
            ..LIMITS
        });
        let [reading, newcomer] = [(); 2].map(|()| budget.share(host(1)));
        assert_eq!(hold(&reading, 50), Some(Ok(())));
        assert_eq!(hold(&newcomer, 20), None);
        assert!(reading.left().now_or_never().is_none());
        // Who holds less is not held up by it.
        let [other, another] = [2, 3].map(|number| budget.share(host(number)));
        assert_eq!(hold(&other, 40), Some(Ok(())));
        assert_eq!(hold(&another, 20), Some(Ok(())));
        assert!(reading.left().now_or_never().is_some() && other.left().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_is_in_work_is_waited_for() {
        let budget = Budget::new(LIMITS);
        let working = budget.share(host(1));
        assert_eq!(hold(&working, 60), Some(Ok(())));
        working.stays(true);
        let waiting = budget.share(host(1));
        assert_eq!(hold(&waiting, 10), None);
        let held = tokio::spawn(async move { waiting.hold(10).await });
        tokio::task::yield_now().await;
        assert!(!held.is_finished());
        assert_eq!(hold(&working, 50), Some(Ok(())));
        assert_eq!(held.await.unwrap(), Ok(()));
        assert!(working.left().now_or_never().is_none());
    }

    proptest! {
        #[test]
        fn the_limits_hold_and_nothing_leaks(
            steps in proptest::collection::vec((0usize..12, 0u8..4, 0usize..60, any::<bool>()), 0..200)
        ) {
            // Who waits has a timer.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _entered = runtime.enter();
            let budget = Budget::new(LIMITS);
            let mut shares: HashMap<usize, Share> = HashMap::new();
            for (which, of, bytes, stays) in steps {
                if bytes == 0 {
                    shares.remove(&which);
                } else {
                    let share = shares.entry(which).or_insert_with(|| budget.share(host(of)));
                    match hold(share, bytes) {
                        Some(Err(GaveWay)) => drop(shares.remove(&which)),
                        _ => share.stays(stays),
                    }
                }
                let book = budget.book();
                prop_assert!(book.total <= LIMITS.total);
                prop_assert!(book.hosts.values().all(|&bytes| bytes <= LIMITS.per_host));
                prop_assert_eq!(book.total, book.hosts.values().sum::<usize>());
                prop_assert_eq!(book.total, book.shares.values().map(|held| held.bytes).sum::<usize>());
            }
            shares.clear();
            prop_assert_eq!(budget.total(), 0);
        }
    }
}
