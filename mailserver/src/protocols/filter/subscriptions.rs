//! Who wants which envelopes: pure book-keeping, with nwaku's limits (`waku_filter_v2/subscriptions.nim`).

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use libp2p::PeerId;

use crate::settings::FilterLimits;

/// All peers' criteria together. nwaku's limits multiply to a million; strings of that many are too much for a board.
const MAX_CRITERIA: usize = 100_000;
/// Content topics are short; longer ones are somebody's attempt to fill memory.
const MAX_TOPIC_BYTES: usize = 512;

/// A pubsub topic and a content topic on it.
pub type Criterion = (String, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NotSubscribed,
    TooManySubscribers,
    TooManyCriteria,
    TopicTooLong,
}

#[derive(Debug)]
struct Subscriber<Q> {
    criteria: HashSet<Criterion>,
    seen: Instant,
    queue: Q,
}

/// `Q` is where a subscriber's envelopes go.
#[derive(Debug)]
pub(super) struct Subscriptions<Q> {
    limits: FilterLimits,
    subscribers: HashMap<PeerId, Subscriber<Q>>,
    /// Pubsub topic, content topic, subscribers.
    wanted: HashMap<String, HashMap<String, HashSet<PeerId>>>,
    criteria: usize,
}

impl<Q> Subscriptions<Q> {
    pub(super) fn new(limits: FilterLimits) -> Self {
        Self {
            limits,
            subscribers: HashMap::new(),
            wanted: HashMap::new(),
            criteria: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Adds criteria; `queue` is made when the peer is new. All of them are added or none.
    pub(super) fn subscribe(
        &mut self,
        peer: PeerId,
        criteria: HashSet<Criterion>,
        now: Instant,
        queue: impl FnOnce() -> Q,
    ) -> Result<(), Refused> {
        if criteria
            .iter()
            .any(|(pubsub, content)| pubsub.len().max(content.len()) > MAX_TOPIC_BYTES)
        {
            return Err(Refused::TopicTooLong);
        }
        let known = self.subscribers.get(&peer);
        if known.is_none() && self.subscribers.len() >= self.limits.max_subscribers {
            return Err(Refused::TooManySubscribers);
        }
        let held = known.map_or(0, |subscriber| subscriber.criteria.len());
        let fresh = criteria
            .iter()
            .filter(|&c| known.is_none_or(|known| !known.criteria.contains(c)))
            .count();
        if held + fresh > self.limits.max_criteria_per_subscriber || self.criteria + fresh > MAX_CRITERIA {
            return Err(Refused::TooManyCriteria);
        }
        self.criteria += fresh;
        for (pubsub, content) in &criteria {
            let contents = self.wanted.entry(pubsub.clone()).or_default();
            contents.entry(content.clone()).or_default().insert(peer);
        }
        let subscriber = self.subscribers.entry(peer).or_insert_with(|| Subscriber {
            criteria: HashSet::new(),
            seen: now,
            queue: queue(),
        });
        subscriber.criteria.extend(criteria);
        subscriber.seen = now;
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        peer: PeerId,
        criteria: &HashSet<Criterion>,
        now: Instant,
    ) -> Result<(), Refused> {
        let subscriber = self.subscribers.get_mut(&peer).ok_or(Refused::NotSubscribed)?;
        if criteria
            .iter()
            .any(|criterion| !subscriber.criteria.contains(criterion))
        {
            return Err(Refused::NotSubscribed);
        }
        subscriber.seen = now;
        for criterion in criteria {
            subscriber.criteria.remove(criterion);
        }
        let empty = subscriber.criteria.is_empty();
        for criterion in criteria {
            self.unwant(peer, criterion);
        }
        if empty {
            self.subscribers.remove(&peer);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, peer: PeerId) -> Result<(), Refused> {
        let subscriber = self.subscribers.remove(&peer).ok_or(Refused::NotSubscribed)?;
        for criterion in &subscriber.criteria {
            self.unwant(peer, criterion);
        }
        Ok(())
    }

    pub(super) fn queue(&self, peer: PeerId) -> Option<&Q> {
        self.subscribers.get(&peer).map(|subscriber| &subscriber.queue)
    }

    pub(super) fn ping(&mut self, peer: PeerId, now: Instant) -> Result<(), Refused> {
        let subscriber = self.subscribers.get_mut(&peer).ok_or(Refused::NotSubscribed)?;
        subscriber.seen = now;
        Ok(())
    }

    /// Forgets who has not been heard of for the subscription's life.
    pub(super) fn sweep(&mut self, now: Instant) {
        let life = self.limits.subscription_timeout;
        let silent = self
            .subscribers
            .iter()
            .filter(|(_, s)| now.saturating_duration_since(s.seen) > life);
        for peer in silent.map(|(&peer, _)| peer).collect::<Vec<_>>() {
            let _ = self.remove(peer);
        }
    }

    /// Where an envelope goes. A subscriber whose time is over is passed by, swept or not.
    pub(super) fn find(&self, pubsub: &str, content: &str, now: Instant) -> impl Iterator<Item = (PeerId, &Q)> {
        let peers = self.wanted.get(pubsub).and_then(|contents| contents.get(content));
        let life = self.limits.subscription_timeout;
        peers.into_iter().flatten().filter_map(move |peer| {
            let subscriber = self.subscribers.get(peer)?;
            (now.saturating_duration_since(subscriber.seen) <= life).then_some((*peer, &subscriber.queue))
        })
    }

    pub(super) fn list(&self) -> Vec<(PeerId, Vec<Criterion>)> {
        self.subscribers
            .iter()
            .map(|(&peer, s)| (peer, s.criteria.iter().cloned().collect()))
            .collect()
    }

    fn unwant(&mut self, peer: PeerId, (pubsub, content): &Criterion) {
        self.criteria -= 1;
        let Some(contents) = self.wanted.get_mut(pubsub) else {
            return;
        };
        let Some(peers) = contents.get_mut(content) else { return };
        peers.remove(&peer);
        if peers.is_empty() {
            contents.remove(content);
        }
        if contents.is_empty() {
            self.wanted.remove(pubsub);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn limits(max_subscribers: usize, max_criteria_per_subscriber: usize) -> FilterLimits {
        FilterLimits {
            max_subscribers,
            max_criteria_per_subscriber,
            ..FilterLimits::default()
        }
    }

    fn criteria(contents: &[&str]) -> HashSet<Criterion> {
        contents
            .iter()
            .map(|content| ("p".to_owned(), (*content).to_owned()))
            .collect()
    }

    #[test]
    fn a_subscription_lives_from_subscribe_to_unsubscribe() {
        let mut book = Subscriptions::new(limits(2, 3));
        let [a, b, c] = [PeerId::random(), PeerId::random(), PeerId::random()];
        let now = Instant::now();
        assert_eq!(book.ping(a, now), Err(Refused::NotSubscribed));
        assert_eq!(book.subscribe(a, criteria(&["x", "y"]), now, || ()), Ok(()));
        assert_eq!(book.subscribe(a, criteria(&["y", "z"]), now, || ()), Ok(()));
        assert_eq!(
            book.subscribe(a, criteria(&["w"]), now, || ()),
            Err(Refused::TooManyCriteria)
        );
        assert_eq!(book.subscribe(b, criteria(&["x"]), now, || ()), Ok(()));
        assert_eq!(
            book.subscribe(c, criteria(&["x"]), now, || ()),
            Err(Refused::TooManySubscribers)
        );
        assert_eq!(
            book.subscribe(b, criteria(&[&"t".repeat(513)]), now, || ()),
            Err(Refused::TopicTooLong)
        );
        let to = |book: &Subscriptions<()>, content| {
            let mut peers: Vec<PeerId> = book.find("p", content, now).map(|(peer, ())| peer).collect();
            peers.sort();
            peers
        };
        let mut both = vec![a, b];
        both.sort();
        assert_eq!(to(&book, "x"), both);
        assert_eq!(book.find("q", "x", now).count(), 0);
        assert_eq!(
            book.unsubscribe(a, &criteria(&["x", "w"]), now),
            Err(Refused::NotSubscribed)
        );
        assert_eq!(to(&book, "x"), both, "all or nothing");
        assert_eq!(book.unsubscribe(a, &criteria(&["x"]), now), Ok(()));
        assert_eq!(to(&book, "x"), [b]);
        assert_eq!(book.unsubscribe(b, &criteria(&["x"]), now), Ok(()));
        assert_eq!(
            book.remove(b),
            Err(Refused::NotSubscribed),
            "the last criterion took the subscriber along"
        );
        assert_eq!(book.remove(a), Ok(()));
        assert!(book.wanted.is_empty() && book.criteria == 0 && book.len() == 0);
    }

    #[test]
    fn silence_ends_a_subscription() {
        let mut book = Subscriptions::new(FilterLimits::default());
        let peer = PeerId::random();
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        book.subscribe(peer, criteria(&["x"]), start, || ()).unwrap();
        assert_eq!(book.find("p", "x", at(300)).count(), 1);
        assert_eq!(book.find("p", "x", at(301)).count(), 0);
        book.ping(peer, at(299)).unwrap();
        book.sweep(at(599));
        assert_eq!(book.len(), 1);
        book.sweep(at(600));
        assert_eq!((book.len(), book.criteria), (0, 0));
    }

    proptest! {
        /// Whatever is asked in whatever order, both sides of the book agree and no limit is passed.
        #[test]
        fn the_book_stays_consistent(steps in proptest::collection::vec((0usize..4, 0u8..5, proptest::collection::hash_set(0u8..6, 0..4)), 0..60)) {
            let peers: Vec<PeerId> = (0..5).map(|_| PeerId::random()).collect();
            let mut book = Subscriptions::new(limits(3, 4));
            let now = Instant::now();
            for (kind, peer, topics) in steps {
                let peer = peers[usize::from(peer)];
                let wanted: HashSet<Criterion> = topics.iter().map(|t| ("p".to_owned(), t.to_string())).collect();
                let _ = match kind {
                    0 | 1 => book.subscribe(peer, wanted, now, || ()),
                    2 => book.unsubscribe(peer, &wanted, now),
                    _ => book.remove(peer),
                };
                let pairs: usize = book.wanted.values().flat_map(HashMap::values).map(HashSet::len).sum();
                let held: usize = book.subscribers.values().map(|s| s.criteria.len()).sum();
                prop_assert_eq!(pairs, held);
                prop_assert_eq!(pairs, book.criteria);
                prop_assert!(book.len() <= 3);
                prop_assert!(book.subscribers.values().all(|s| s.criteria.len() <= 4));
            }
        }
    }
}
