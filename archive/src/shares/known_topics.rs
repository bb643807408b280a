//! Which topics have been around for a while. Bounded: topics are kept in two generations, and when the young one is
//! full, the old one is forgotten. Newcomers have generations of their own, so a flood that invents a topic an envelope
//! can wash out newcomers only.

use std::collections::HashMap;

use crate::envelope::TopicKey;

/// Seen in so many different minutes, a topic is established.
const ESTABLISHED_MINUTES: u32 = 3;
/// Topics remembered in each generation.
pub(crate) const REMEMBERED: usize = 1 << 15;

#[derive(Default)]
pub(crate) struct KnownTopics {
    newcomers: Generations<Seen>,
    established: Generations<()>,
}

#[derive(Clone, Copy)]
struct Seen {
    minute: i64,
    minutes: u32,
}

struct Generations<V> {
    young: HashMap<TopicKey, V>,
    old: HashMap<TopicKey, V>,
}

impl KnownTopics {
    /// Whether the topic is established, this sight of it included.
    pub(crate) fn see(&mut self, topic: TopicKey, minute: i64) -> bool {
        if self.established.take(&topic).is_some() {
            self.established.put(topic, ());
            return true;
        }
        let mut seen = self.newcomers.take(&topic).unwrap_or(Seen { minute, minutes: 1 });
        if seen.minute != minute {
            seen = Seen {
                minute,
                minutes: seen.minutes + 1,
            };
        }
        let established = seen.minutes >= ESTABLISHED_MINUTES;
        if established {
            self.established.put(topic, ());
        } else {
            self.newcomers.put(topic, seen);
        }
        established
    }

    /// A topic that an earlier writer knew.
    pub(crate) fn know(&mut self, topic: TopicKey) {
        self.established.take(&topic);
        self.established.put(topic, ());
    }

    pub(crate) fn established(&self) -> u64 {
        self.established.len() as u64
    }
}

impl<V> Default for Generations<V> {
    fn default() -> Self {
        Generations {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<V> Generations<V> {
    fn take(&mut self, topic: &TopicKey) -> Option<V> {
        self.young.remove(topic).or_else(|| self.old.remove(topic))
    }

    /// What was taken before is put back as the newest; a topic is in one generation only.
    fn put(&mut self, topic: TopicKey, value: V) {
        self.young.insert(topic, value);
        if self.young.len() > REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> TopicKey {
        TopicKey::of(&format!("/t/{number}"))
    }

    #[test]
    fn three_minutes_make_a_regular_and_newcomers_wash_out_no_regular() {
        let mut topics = KnownTopics::default();
        let sights: Vec<bool> = [0, 0, 1, 1, 5, 5].map(|minute| topics.see(key(0), minute)).into();
        assert_eq!(sights, [false, false, false, false, true, true]);
        for number in 1..200_000 {
            assert!(!topics.see(key(number), 6));
        }
        assert!(topics.see(key(0), 7));
        assert_eq!(topics.established(), 1);
        assert!(topics.newcomers.len() <= 2 * REMEMBERED + 1);
    }

    #[test]
    fn what_is_known_is_bounded_and_counted_once() {
        let mut topics = KnownTopics::default();
        for number in [1, 2, 1] {
            topics.know(key(number));
        }
        assert_eq!(topics.established(), 2);
        for number in 0..100_000 {
            topics.know(key(number));
        }
        assert!(topics.established() <= 2 * REMEMBERED as u64 + 1);
    }
}
