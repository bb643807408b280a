//! Who may fill the quota: a store that anyone can write to must not let one topic's flood, nor a flood that invents a
//! topic an envelope, shorten any other topic's retention.
//!
//! Every slice has an even part of the quota, its budget. Within it
//! - a topic that has been seen in several different minutes is established; it has a fair share of the budget, and
//!   beyond that up to an eighth of the budget while the slice as a whole is well behind its pace;
//! - all other topics together have a quarter more, at the slice's pace, or what the
//!   established ones leave, and each of them an even part of that.
//!
//! What is admitted goes to the slice's main segments and stays for the whole retention; all of them together fit the
//! quota. The rest goes to overflow segments while the quota has room, and those are removed first. So nothing is
//! refused while there is room, and the worst that a flood does is to fill the room that nobody else needs.
//!
//! Everything here is bounded: what is forgotten of a topic makes it a newcomer again.

use std::collections::HashMap;

use crate::Envelope;
use crate::layout::NANOS;
use crate::live::TopicKey;

/// Seen in so many different minutes, a topic is established.
const ESTABLISHED_MINUTES: u32 = 3;
/// Topics remembered in each of two generations.
const REMEMBERED: usize = 1 << 15;
/// Slices whose use is known by topic: the current one, its neighbours, and where back-fill is at work.
const SLICES: usize = 4;
/// What established topics may fill of the quota, in percent. Newcomers' quarter comes on top; the rest is for logs,
/// indexes and estimates.
const MAIN_PERCENT: u64 = 72;
/// Overflow is taken up to here, in percent of the quota, and removed from here on.
pub(crate) const ROOM_PERCENT: u64 = 90;
pub(crate) const FULL_PERCENT: u64 = 95;
/// What any newcomer may have of what all of them have together.
const NEWCOMER_BYTES: u64 = 32 << 10;
/// What an envelope takes on disk beside its payload: row, pages, indexes.
const ROW_BYTES: u64 = 250;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Within,
    Beyond,
}

#[derive(Default)]
pub(crate) struct Shares {
    young: HashMap<TopicKey, Seen>,
    old: HashMap<TopicKey, Seen>,
    established: u64,
    slices: Vec<SliceUse>,
}

#[derive(Clone, Copy)]
struct Seen {
    minute: i64,
    minutes: u32,
}

struct SliceUse {
    start: i64,
    main_bytes: u64,
    newcomers_bytes: u64,
    topics: HashMap<TopicKey, u64>,
}

/// A slice's part of the quota, and how far it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) bytes: u64,
    pub(crate) slice_start: i64,
    /// Of the slice's time, in thousandths.
    pub(crate) gone_permille: u64,
}

impl Budget {
    pub(crate) fn of(quota_bytes: u64, retention_secs: u64, slice_secs: i64, timestamp: i64, now: i64) -> Budget {
        let length = slice_secs.max(1);
        let slices = retention_secs.div_ceil(length.cast_unsigned()) + 1;
        let slice_start = timestamp.div_euclid(length * NANOS) * length * NANOS;
        let gone = now.saturating_sub(slice_start).clamp(0, length * NANOS);
        Budget {
            bytes: quota_bytes / 100 * MAIN_PERCENT / slices.max(1),
            slice_start,
            gone_permille: (gone / NANOS * 1000 / length).cast_unsigned(),
        }
    }
}

/// What an envelope takes of a quota.
pub(crate) fn cost(payload_bytes: u64, envelopes: u64) -> u64 {
    payload_bytes + envelopes * ROW_BYTES
}

impl Shares {
    /// Judges an envelope, and counts it as used when it is within its share. `already` is what the slice's main
    /// segments held before this writer knew of them.
    pub(crate) fn admit(&mut self, envelope: &Envelope, budget: &Budget, now: i64, already: impl Fn() -> u64) -> Share {
        let topic = TopicKey::of(&envelope.content_topic);
        let established = self.see(topic, now.div_euclid(60 * NANOS));
        let fair = budget.bytes / (self.established + 1).max(8);
        let slice = self.slice(budget.slice_start, already);
        let bytes = cost(envelope.payload.len() as u64, 1);
        let used = slice.topics.get(&topic).copied().unwrap_or(0) + bytes;
        let total = slice.main_bytes + bytes;
        // An eighth of a slice may come at once.
        let pace = budget.bytes / 1000 * budget.gone_permille.max(125);
        let within = if established {
            used <= fair || (used <= budget.bytes / 8 && total <= pace / 4 * 3)
        } else {
            // Where the established ones leave room, as all of them do in a young archive, newcomers have it.
            let room = (pace / 8 * 7)
                .saturating_sub(slice.main_bytes - slice.newcomers_bytes)
                .max(pace / 4);
            let even = room / (slice.topics.len() as u64 + 1);
            used <= even.max(NEWCOMER_BYTES) && slice.newcomers_bytes + bytes <= room
        };
        let established_bytes = slice.main_bytes - slice.newcomers_bytes;
        if !within || (established && established_bytes + bytes > budget.bytes) {
            return Share::Beyond;
        }
        slice.main_bytes = total;
        if !established {
            slice.newcomers_bytes += bytes;
        }
        if slice.topics.len() < REMEMBERED || slice.topics.contains_key(&topic) {
            slice.topics.insert(topic, used);
        }
        Share::Within
    }

    /// Whether the topic is established.
    fn see(&mut self, topic: TopicKey, minute: i64) -> bool {
        let known = self.young.get(&topic).or_else(|| self.old.get(&topic)).copied();
        let mut seen = known.unwrap_or(Seen { minute, minutes: 1 });
        if seen.minute != minute {
            seen.minute = minute;
            seen.minutes = seen.minutes.saturating_add(1);
            if seen.minutes == ESTABLISHED_MINUTES {
                self.established += 1;
            }
        }
        self.old.remove(&topic);
        self.remember(topic, seen);
        seen.minutes >= ESTABLISHED_MINUTES
    }

    /// A topic that an earlier writer knew.
    pub(crate) fn know(&mut self, content_topic: &str) {
        let topic = TopicKey::of(content_topic);
        if !self.young.contains_key(&topic) && !self.old.contains_key(&topic) {
            self.established += 1;
            self.remember(
                topic,
                Seen {
                    minute: i64::MIN,
                    minutes: ESTABLISHED_MINUTES,
                },
            );
        }
    }

    fn remember(&mut self, topic: TopicKey, seen: Seen) {
        self.young.insert(topic, seen);
        if self.young.len() > REMEMBERED {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            let gone = forgotten
                .values()
                .filter(|seen| seen.minutes >= ESTABLISHED_MINUTES)
                .count();
            self.established = self.established.saturating_sub(gone as u64);
        }
    }

    fn slice(&mut self, start: i64, already: impl Fn() -> u64) -> &mut SliceUse {
        // The one used last is at the end.
        match self.slices.iter().position(|slice| slice.start == start) {
            Some(at) => {
                let slice = self.slices.remove(at);
                self.slices.push(slice);
            }
            None => {
                if self.slices.len() >= SLICES {
                    self.slices.remove(0);
                }
                self.slices.push(SliceUse {
                    start,
                    main_bytes: already(),
                    newcomers_bytes: 0,
                    topics: HashMap::new(),
                });
            }
        }
        let last = self.slices.len() - 1;
        &mut self.slices[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * NANOS;
    const START: i64 = 500_000 * HOUR;

    fn envelope(topic: String) -> Envelope {
        Envelope {
            pubsub_topic: String::new(),
            content_topic: topic,
            payload: vec![0; 2050],
            version: None,
            timestamp: 0,
            meta: None,
            rate_limit_proof: None,
        }
    }

    /// Ordinary traffic of 14 envelopes a second on a hundred topics beside a flood, for two slices; returns what share
    /// of the ordinary traffic was admitted, and the bytes admitted in all.
    fn two_slices(flood_from: i64, flood_a_second: u64, flood_topic: impl Fn(u64) -> String) -> (f64, u64) {
        let mut shares = Shares::default();
        let (mut asked, mut admitted, mut bytes, mut number) = (0u64, 0u64, 0u64, 0u64);
        for second in 0..2400i64 {
            let now = START + second * NANOS;
            let budget = Budget::of((5 << 30) / 3, 28_800, 1200, now, now);
            let mut ask = |topic: String| {
                let share = shares.admit(&envelope(topic), &budget, now, || 0);
                bytes += if share == Share::Within { cost(2050, 1) } else { 0 };
                share
            };
            for turn in 0..14 {
                asked += 1;
                let share = ask(format!("/ordinary/{}", (second * 14 + turn) % 100));
                admitted += u64::from(share == Share::Within);
                for _ in 0..if second < flood_from { 0 } else { flood_a_second / 14 } {
                    number += 1;
                    ask(flood_topic(number));
                }
            }
        }
        (admitted as f64 / asked as f64, bytes)
    }

    #[test]
    fn ordinary_traffic_is_admitted_beside_floods() {
        let budget = Budget::of((5 << 30) / 3, 28_800, 1200, START, START).bytes;
        for (name, rate, topics, least) in [
            ("none", 0, 1, 1.0),
            ("one topic", 1000, 1, 1.0),
            ("ten topics", 140, 10, 1.0),
            // Then two hundred topics want more than the budget, and each gets its even share of it.
            ("a hundred topics", 140, 100, 0.65),
        ] {
            let (share, bytes) = two_slices(0, rate, |number| format!("/flood/{}", number % topics));
            assert!(share >= least, "{name}: {share}");
            assert!(bytes <= 2 * budget, "{name}: {bytes}");
        }
        // A young archive knows nobody yet: what comes before a topic is established competes with the flood.
        for (from, least) in [(300, 0.999), (0, 0.88)] {
            let (share, bytes) = two_slices(from, 140, |number| format!("/flood/{number}"));
            assert!(share >= least, "a topic an envelope, from {from} s: {share}");
            assert!(bytes <= 2 * budget);
        }
    }

    #[test]
    fn memory_is_bounded_and_a_slice_that_was_there_counts() {
        let mut shares = Shares::default();
        let budget = Budget::of(1 << 30, 86_400, 3600, START, START + HOUR);
        for number in 0..200_000 {
            shares.admit(&envelope(format!("/t/{number}")), &budget, START, || 0);
        }
        assert!(shares.young.len() <= REMEMBERED && shares.old.len() <= REMEMBERED + 1);
        let next = Budget {
            slice_start: START + HOUR,
            ..budget
        };
        shares.know("/t");
        let share = shares.admit(&envelope("/t".into()), &next, START, || budget.bytes);
        assert_eq!(share, Share::Beyond);
    }
}
