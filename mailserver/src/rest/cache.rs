//! What `GET …/messages` returns: the envelopes that came since the last time, of the topics that were subscribed to.
//!
//! Bounded in envelopes (`--rest-relay-cache-capacity`), bytes and topics. When it is full the envelope that came first
//! goes; nobody who doesn't read can make it grow.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use crate::intake::received::Received;

/// Payload and topics of all kept envelopes; the largest envelope of any network fits.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Topics of one kind.
const MAX_TOPICS: usize = 1000;

#[derive(Debug)]
pub(super) struct Cache {
    capacity: usize,
    bytes: usize,
    pubsub_topics: BTreeSet<String>,
    content_topics: BTreeSet<String>,
    /// In the order in which they came.
    received: VecDeque<Arc<Received>>,
}

/// No further topic is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            bytes: 0,
            pubsub_topics: BTreeSet::new(),
            content_topics: BTreeSet::new(),
            received: VecDeque::new(),
        }
    }

    pub(super) fn subscribe_pubsub(&mut self, topic: &str) -> Result<(), Full> {
        subscribe(&mut self.pubsub_topics, topic)
    }

    pub(super) fn subscribe_content(&mut self, topic: &str) -> Result<(), Full> {
        subscribe(&mut self.content_topics, topic)
    }

    pub(super) fn has_pubsub(&self, topic: &str) -> bool {
        self.pubsub_topics.contains(topic)
    }

    pub(super) fn has_content(&self, topic: &str) -> bool {
        self.content_topics.contains(topic)
    }

    pub(super) fn content_topics(&self) -> impl Iterator<Item = &str> {
        self.content_topics.iter().map(String::as_str)
    }

    pub(super) fn unsubscribe_pubsub(&mut self, topic: &str) {
        self.pubsub_topics.remove(topic);
        self.forget_unwanted();
    }

    pub(super) fn unsubscribe_content(&mut self, topic: &str) {
        self.content_topics.remove(topic);
        self.forget_unwanted();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// Keeps an envelope if somebody may ask for it.
    pub(super) fn add(&mut self, received: &Arc<Received>) {
        if !self.wanted(received) || self.received.iter().any(|kept| kept.hash == received.hash) {
            return;
        }
        self.bytes += size(received);
        self.received.push_back(received.clone());
        while self.received.len() > self.capacity || self.bytes > MAX_BYTES {
            let Some(first) = self.received.pop_front() else { break };
            self.bytes -= size(&first);
        }
    }

    /// Hands out and forgets the envelopes of a pubsub topic; `None` when it was not subscribed to.
    pub(super) fn take_pubsub(&mut self, topic: &str) -> Option<Vec<Arc<Received>>> {
        self.has_pubsub(topic)
            .then(|| self.take(|received| received.envelope.pubsub_topic == topic))
    }

    /// The same for a content topic.
    pub(super) fn take_content(&mut self, topic: &str) -> Option<Vec<Arc<Received>>> {
        self.has_content(topic)
            .then(|| self.take(|received| received.envelope.content_topic == topic))
    }

    fn take(&mut self, wanted: impl Fn(&Received) -> bool) -> Vec<Arc<Received>> {
        let (taken, kept): (VecDeque<_>, VecDeque<_>) = self.received.drain(..).partition(|received| wanted(received));
        self.received = kept;
        self.bytes -= taken.iter().map(|received| size(received)).sum::<usize>();
        taken.into()
    }

    fn wanted(&self, received: &Received) -> bool {
        self.has_pubsub(&received.envelope.pubsub_topic) || self.has_content(&received.envelope.content_topic)
    }

    fn forget_unwanted(&mut self) {
        let mut received = std::mem::take(&mut self.received);
        received.retain(|kept| self.wanted(kept));
        self.bytes = received.iter().map(|kept| size(kept)).sum();
        self.received = received;
    }
}

fn subscribe(topics: &mut BTreeSet<String>, topic: &str) -> Result<(), Full> {
    if !topics.contains(topic) {
        if topics.len() >= MAX_TOPICS {
            return Err(Full);
        }
        topics.insert(topic.to_owned());
    }
    Ok(())
}

fn size(received: &Received) -> usize {
    let envelope = &received.envelope;
    let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    envelope.payload.len()
        + envelope.content_topic.len()
        + envelope.pubsub_topic.len()
        + optional(&envelope.meta)
        + optional(&envelope.rate_limit_proof)
}

#[cfg(test)]
mod tests {
    use archive::Envelope;
    use proptest::prelude::*;

    use super::*;
    use crate::intake::received::Source;

    fn received(pubsub: &str, content: &str, n: u8, bytes: usize) -> Arc<Received> {
        let envelope = Envelope {
            pubsub_topic: pubsub.into(),
            content_topic: content.into(),
            payload: vec![n; bytes],
            version: None,
            timestamp: i64::from(n),
            meta: None,
            rate_limit_proof: None,
        };
        Arc::new(Received {
            hash: envelope.hash(),
            envelope,
            ephemeral: false,
            source: Source::Local,
        })
    }

    fn payloads(taken: Option<Vec<Arc<Received>>>) -> Option<Vec<u8>> {
        taken.map(|taken| taken.iter().map(|received| received.envelope.payload[0]).collect())
    }

    #[test]
    fn what_came_is_handed_out_once() {
        let mut cache = Cache::new(10);
        assert_eq!(cache.take_pubsub("p"), None);
        cache.subscribe_pubsub("p").unwrap();
        cache.subscribe_content("c").unwrap();
        for (pubsub, content, n) in [
            ("p", "x", 1),
            ("q", "c", 2),
            ("q", "x", 3),
            ("p", "c", 4),
            ("p", "x", 1),
        ] {
            cache.add(&received(pubsub, content, n, 4));
        }
        assert_eq!(payloads(cache.take_pubsub("p")), Some(vec![1, 4]));
        assert_eq!(payloads(cache.take_pubsub("p")), Some(vec![]));
        assert_eq!(payloads(cache.take_content("c")), Some(vec![2]));
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn the_first_goes_when_it_is_full() {
        let mut cache = Cache::new(2);
        cache.subscribe_pubsub("p").unwrap();
        for n in 1..=3 {
            cache.add(&received("p", "c", n, 1));
        }
        assert_eq!(payloads(cache.take_pubsub("p")), Some(vec![2, 3]));
        for n in 1..=3 {
            cache.add(&received("p", "c", n, MAX_BYTES / 2 - 10));
        }
        assert_eq!(payloads(cache.take_pubsub("p")), Some(vec![2, 3]));
        let mut none = Cache::new(0);
        none.subscribe_pubsub("p").unwrap();
        none.add(&received("p", "c", 1, 1));
        assert_eq!(payloads(none.take_pubsub("p")), Some(vec![]));
    }

    #[test]
    fn an_ended_subscription_forgets_what_nobody_else_wants() {
        let mut cache = Cache::new(10);
        cache.subscribe_pubsub("p").unwrap();
        cache.subscribe_content("c").unwrap();
        cache.add(&received("p", "c", 1, 1));
        cache.add(&received("p", "x", 2, 1));
        cache.unsubscribe_pubsub("p");
        assert_eq!(
            (cache.take_pubsub("p"), payloads(cache.take_content("c"))),
            (None, Some(vec![1]))
        );
        assert_eq!((cache.received.len(), cache.bytes), (0, 0));
        for n in 0..MAX_TOPICS - 1 {
            cache.subscribe_content(&n.to_string()).unwrap();
        }
        assert_eq!(
            (cache.subscribe_content("one more"), cache.subscribe_content("c")),
            (Err(Full), Ok(()))
        );
    }

    proptest! {
        #[test]
        fn bytes_are_those_of_what_is_kept(steps in proptest::collection::vec((0u8..5, 0u8..3, 0u8..20), 0..60)) {
            let mut cache = Cache::new(5);
            for (step, topic, n) in steps {
                let topic = topic.to_string();
                match step {
                    0 => cache.subscribe_pubsub(&topic).unwrap(),
                    1 => cache.unsubscribe_pubsub(&topic),
                    2 => drop(cache.take_pubsub(&topic)),
                    _ => cache.add(&received(&topic, "c", n, usize::from(n))),
                }
                prop_assert_eq!(cache.bytes, cache.received.iter().map(|kept| size(kept)).sum::<usize>());
                prop_assert!(cache.received.len() <= 5);
            }
        }
    }
}
