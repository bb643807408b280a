//! Which messages were seen, in little memory: a keyed 64-bit fingerprint of topic and id, kept by generations.
//!
//! Not in the published crate, whose cache holds every id twice: 200 bytes and more a message, for two minutes.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    time::Duration,
};

use web_time::Instant;

use crate::{MessageId, TopicHash};

/// Generations in the time to live: what is seen is remembered for that time, and at most a twelfth of it longer.
const GENERATIONS: u32 = 12;
/// Fingerprints at the most, 9 to 18 bytes each. With more, the oldest generation is forgotten before its time.
const MAX_ENTRIES: usize = 1 << 20;

/// What went through [`RandomState`] is as random as it needs to be.
#[derive(Default)]
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed")
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

type Seen = HashSet<u64, BuildHasherDefault<Fingerprint>>;

pub(crate) struct SeenMessages {
    /// The key is of this process alone: nobody can look for two messages with one fingerprint.
    key: RandomState,
    /// The newest first, each with its beginning.
    generations: VecDeque<(Instant, Seen)>,
    span: Duration,
    max_entries: usize,
}

impl SeenMessages {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self::bounded(ttl, MAX_ENTRIES)
    }

    fn bounded(ttl: Duration, max_entries: usize) -> Self {
        Self {
            key: RandomState::new(),
            generations: VecDeque::new(),
            span: ttl / GENERATIONS,
            max_entries,
        }
    }

    /// Remembers the message; whether it is a new one.
    pub(crate) fn insert(&mut self, topic: &TopicHash, id: &MessageId) -> bool {
        self.insert_at(topic, id, Instant::now())
    }

    fn insert_at(&mut self, topic: &TopicHash, id: &MessageId, now: Instant) -> bool {
        let fingerprint = self.fingerprint(topic, id);
        self.turn(now);
        if self.has(fingerprint) {
            return false;
        }
        while self.generations.len() > 1 && self.len() >= self.max_entries {
            self.generations.pop_back();
        }
        match self.generations.front_mut() {
            Some((_, newest)) if newest.len() < self.max_entries => newest.insert(fingerprint),
            _ => {
                self.generations.clear();
                self.generations
                    .push_front((now, Seen::from_iter([fingerprint])));
                true
            }
        }
    }

    pub(crate) fn contains(&self, topic: &TopicHash, id: &MessageId) -> bool {
        self.has(self.fingerprint(topic, id))
    }

    fn has(&self, fingerprint: u64) -> bool {
        self.generations
            .iter()
            .any(|(_, seen)| seen.contains(&fingerprint))
    }

    fn len(&self) -> usize {
        self.generations.iter().map(|(_, seen)| seen.len()).sum()
    }

    fn fingerprint(&self, topic: &TopicHash, id: &MessageId) -> u64 {
        self.key.hash_one((topic.as_str(), &id.0))
    }

    /// Begins a generation when it is time, and forgets those that are over.
    fn turn(&mut self, now: Instant) {
        let over = self.span * (GENERATIONS + 1);
        while self
            .generations
            .back()
            .is_some_and(|(begun, _)| now.saturating_duration_since(*begun) >= over)
        {
            self.generations.pop_back();
        }
        if self
            .generations
            .front()
            .is_none_or(|(begun, _)| now.saturating_duration_since(*begun) >= self.span)
        {
            self.generations.push_front((now, Seen::default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MessageId {
        MessageId::new(&number.to_be_bytes())
    }

    #[test]
    fn a_message_is_new_once_for_each_topic_until_its_time_is_over() {
        let mut seen = SeenMessages::new(Duration::from_secs(120));
        let (one, other) = (TopicHash::from_raw("one"), TopicHash::from_raw("other"));
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        assert!(seen.insert_at(&one, &id(1), at(0)));
        assert!(!seen.insert_at(&one, &id(1), at(5)));
        assert!(seen.insert_at(&other, &id(1), at(5)));
        assert!(seen.contains(&one, &id(1)) && !seen.contains(&one, &id(2)));
        assert!(!seen.insert_at(&one, &id(1), at(119)));
        assert!(seen.insert_at(&one, &id(1), at(131)));
    }

    #[test]
    fn a_flood_shortens_the_time_and_takes_no_memory() {
        let mut seen = SeenMessages::bounded(Duration::from_secs(120), 100);
        let topic = TopicHash::from_raw("one");
        let begun = Instant::now();
        for number in 0..1000 {
            assert!(seen.insert_at(&topic, &id(number), begun + Duration::from_secs(number)));
            assert!(seen.len() <= 100);
        }
        assert!(seen.contains(&topic, &id(999)) && !seen.contains(&topic, &id(800)));
        // All at one moment: one generation.
        for number in 2000..2500 {
            seen.insert_at(&topic, &id(number), begun + Duration::from_secs(1000));
            assert!(seen.len() <= 100);
        }
        assert!(seen.contains(&topic, &id(2499)));
    }
}
