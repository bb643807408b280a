//! Who may fill the quota: a store that anyone can write to must not let one topic's flood, nor a flood that invents a
//! topic an envelope, shorten any other topic's retention.
//!
//! Every slice has an even part of the quota, its budget. Within it
//! - a topic that has been seen in several different minutes is established (`known_topics`). What each of them will want
//!   of this slice is estimated from the slice before and from what came so far; if together they want more than the
//!   budget, each has all it wants up to a fair level (`fair_level`). Who wants more than that gets the level, spread
//!   over the slice, so that what others turn out to want is still there;
//! - all other topics together have a quarter more, at the slice's pace, or what the established ones leave, and when
//!   that does not do for all, each of them an even part of it.
//!
//! What is admitted goes to the slice's main segments and stays for the whole retention; all of them together fit the
//! quota. The rest goes to overflow segments while the quota has room, and those are removed first. So nothing is
//! refused while there is room, and the worst that a flood does is to fill the room that nobody else needs.
//!
//! Everything here is bounded: what is forgotten of a topic makes it a newcomer again.

mod fair_level;
mod known_topics;

use std::collections::HashMap;

use crate::envelope::{Envelope, TopicKey};
use crate::nanos::Nanos;
use fair_level::fair_level;
use known_topics::{KnownTopics, REMEMBERED};

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
/// Of a slice's budget, in thousandths: kept back from the fair level, because wants are estimates.
const MARGIN_PERMILLE: u64 = 30;
/// An eighth of a slice may come at once.
const BURST_PERMILLE: u64 = 125;
/// The first half of a slice says little about the rest where the slice before says more.
const TRUST_PERMILLE: u64 = 500;
/// The level is worked out anew when this part of a budget was asked for, or when this much of the slice has gone.
const LEVEL_STEPS: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Within,
    Beyond,
}

#[derive(Default)]
pub(crate) struct Shares {
    topics: KnownTopics,
    /// The one used last is at the end.
    slices: Vec<SliceUse>,
}

struct SliceUse {
    start: Nanos,
    /// How much of the slice had gone when this writer began to count.
    since_permille: u64,
    /// What was there then.
    already_bytes: u64,
    main_bytes: u64,
    newcomers_bytes: u64,
    newcomers_asked_bytes: u64,
    topics: HashMap<TopicKey, TopicUse>,
    /// Asked for by established topics, admitted or not.
    asked_bytes: u64,
    level: Level,
}

#[derive(Clone, Copy, Default)]
struct TopicUse {
    established: bool,
    asked_bytes: u64,
    kept_bytes: u64,
}

/// The fair level, and when it was worked out.
#[derive(Default)]
struct Level {
    bytes: Option<u64>,
    asked_bytes: u64,
    gone_permille: u64,
}

/// A slice's part of the quota, and how far it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) bytes: u64,
    pub(crate) slice_start: Nanos,
    /// Of the slice's time, in thousandths.
    pub(crate) gone_permille: u64,
}

impl Budget {
    pub(crate) fn of(quota_bytes: u64, retention_secs: u64, slice_secs: i64, timestamp: Nanos, now: Nanos) -> Budget {
        let length = slice_secs.max(1);
        let slices = retention_secs.div_ceil(length.cast_unsigned()) + 1;
        let slice_start = timestamp.slice_start(length);
        let gone = now
            .since(slice_start)
            .unwrap_or_default()
            .as_secs()
            .min(length.cast_unsigned());
        Budget {
            bytes: quota_bytes / 100 * MAIN_PERCENT / slices.max(1),
            slice_start,
            gone_permille: gone * 1000 / length.cast_unsigned(),
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
    pub(crate) fn admit(
        &mut self,
        envelope: &Envelope,
        budget: &Budget,
        now: Nanos,
        already: impl Fn() -> u64,
    ) -> Share {
        let topic = TopicKey::of(&envelope.content_topic);
        let established = self.topics.see(topic, now.secs().div_euclid(60));
        let bytes = cost(envelope.payload.len() as u64, 1);
        self.ask(topic, established, bytes, budget, already);
        let limit = if established {
            self.limit(topic, budget)
        } else {
            u64::MAX
        };
        let slice = self.slices.last_mut().expect("ask leaves the slice at the end");
        let used = slice.topics.get(&topic).map_or(0, |topic| topic.kept_bytes) + bytes;
        let established_bytes = slice.main_bytes - slice.newcomers_bytes;
        let within = if established {
            used <= limit && established_bytes + bytes <= budget.bytes
        } else {
            let pace = budget.bytes / 1000 * budget.gone_permille.max(BURST_PERMILLE);
            // Where the established ones leave room, as all of them do in a young archive, newcomers have it.
            let room = (pace / 8 * 7).saturating_sub(established_bytes).max(pace / 4);
            let even = room / (slice.topics.len() as u64 + 1);
            let all_fit = slice.newcomers_asked_bytes <= room;
            (all_fit || used <= even.max(NEWCOMER_BYTES)) && slice.newcomers_bytes + bytes <= room
        };
        if !within {
            return Share::Beyond;
        }
        slice.main_bytes += bytes;
        if !established {
            slice.newcomers_bytes += bytes;
        }
        if let Some(topic) = slice.topics.get_mut(&topic) {
            topic.kept_bytes = used;
        }
        Share::Within
    }

    /// A topic that an earlier writer knew.
    pub(crate) fn know(&mut self, content_topic: &str) {
        self.topics.know(TopicKey::of(content_topic));
    }

    /// Counts what a topic wants, and brings the level up to date.
    fn ask(&mut self, topic: TopicKey, established: bool, bytes: u64, budget: &Budget, already: impl Fn() -> u64) {
        let slice = self.slice(budget, already);
        let room = slice.topics.len() < REMEMBERED;
        if room || slice.topics.contains_key(&topic) {
            let topic = slice.topics.entry(topic).or_default();
            topic.established = established;
            topic.asked_bytes += bytes;
        }
        if established {
            slice.asked_bytes += bytes;
        } else {
            slice.newcomers_asked_bytes += bytes;
        }
        let asked = slice.asked_bytes - slice.level.asked_bytes;
        let gone = budget.gone_permille.saturating_sub(slice.level.gone_permille);
        if asked >= budget.bytes / LEVEL_STEPS || gone >= 1000 / LEVEL_STEPS {
            let bytes = self.level(budget);
            let slice = self.slices.last_mut().expect("as above");
            slice.level = Level {
                bytes,
                asked_bytes: slice.asked_bytes,
                gone_permille: budget.gone_permille,
            };
        }
    }

    fn level(&self, budget: &Budget) -> Option<u64> {
        let slice = self.slices.last()?;
        let before = self.before(slice);
        let known = slice.topics.iter().filter(|(_, topic)| topic.established);
        let silent = before
            .iter()
            .flat_map(|before| &before.topics)
            .filter(|(key, topic)| topic.established && !slice.topics.contains_key(key));
        let wants = known.chain(silent).map(|(key, _)| self.wants(*key, budget)).collect();
        let capacity = budget.bytes / 1000 * (1000 - MARGIN_PERMILLE);
        fair_level(wants, capacity.saturating_sub(slice.already_bytes))
    }

    /// The slice before this one, of those whose use is known.
    fn before(&self, slice: &SliceUse) -> Option<&SliceUse> {
        let earlier = self.slices.iter().filter(|other| other.start < slice.start);
        earlier.max_by_key(|other| other.start)
    }

    /// What a topic is likely to want of the slice at the end of the list, in bytes.
    fn wants(&self, topic: TopicKey, budget: &Budget) -> u64 {
        let Some(slice) = self.slices.last() else { return 0 };
        let asked = |slice: &SliceUse| slice.topics.get(&topic).map(|topic| topic.asked_bytes);
        let counted = 1000 - slice.since_permille.min(999);
        let gone = budget.gone_permille.saturating_sub(slice.since_permille);
        let now = asked(slice).unwrap_or(0);
        let before = self.before(slice).and_then(|before| {
            let counted = 1000 - before.since_permille.min(999);
            asked(before).map(|bytes| bytes.saturating_mul(1000) / counted)
        });
        let least = if before.is_some() {
            TRUST_PERMILLE
        } else {
            BURST_PERMILLE
        };
        let projected = now.saturating_mul(counted) / gone.clamp(least.min(counted), counted);
        projected.max(before.unwrap_or(0) * counted / 1000)
    }

    /// What an established topic may have of the slice at the end of the list so far.
    fn limit(&self, topic: TopicKey, budget: &Budget) -> u64 {
        let Some(level) = self.slices.last().and_then(|slice| slice.level.bytes) else {
            return u64::MAX;
        };
        let even = budget.bytes / (self.topics.established() + 1).max(8);
        if self.wants(topic, budget) <= level {
            level.max(even)
        } else {
            (level / 1000 * budget.gone_permille.max(BURST_PERMILLE)).max(even)
        }
    }

    fn slice(&mut self, budget: &Budget, already: impl Fn() -> u64) -> &mut SliceUse {
        let slice = match self.slices.iter().position(|slice| slice.start == budget.slice_start) {
            Some(at) => self.slices.remove(at),
            None => {
                if self.slices.len() >= SLICES {
                    self.slices.remove(0);
                }
                let already_bytes = already();
                SliceUse {
                    start: budget.slice_start,
                    since_permille: budget.gone_permille,
                    already_bytes,
                    main_bytes: already_bytes,
                    newcomers_bytes: 0,
                    newcomers_asked_bytes: 0,
                    topics: HashMap::new(),
                    asked_bytes: 0,
                    level: Level::default(),
                }
            }
        };
        self.slices.push(slice);
        self.slices.last_mut().expect("one was put there")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const START: Nanos = Nanos::from_secs(500_000 * 3600);

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
            let now = START.later(Duration::from_secs(second.cast_unsigned()));
            let budget = Budget::of((5 << 30) / 3, 28_800, 1200, now, now);
            let mut ask = |topic: String| {
                let share = shares.admit(&envelope(topic), &budget, now, || 0);
                bytes += if share == Share::Within { cost(2050, 1) } else { 0 };
                share
            };
            for turn in 0..14 {
                asked += 1;
                // Some topics are much busier than others, the busiest has a tenth of all.
                let pick = (second * 14 + turn) * 37 % 1000;
                let share = ask(format!("/ordinary/{}", pick * pick * 100 / 1_000_000));
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
        // A young archive knows nobody yet: what comes before a topic is established competes with the flood.
        for (name, from, rate, topics, least) in [
            ("none", 0, 0, 1, 1.0),
            ("one topic", 300, 280, 1, 1.0),
            ("one topic, from the first second", 0, 280, 1, 0.95),
            // What ten floods leave one another is less than the busiest ordinary topic wants: it gets as much as they.
            ("ten topics", 300, 140, 10, 0.92),
            // Two hundred topics of much the same size.
            ("a hundred topics", 300, 140, 100, 0.6),
            ("a topic an envelope", 300, 140, u64::MAX, 0.999),
            ("a topic an envelope, from the first second", 0, 140, u64::MAX, 0.88),
        ] {
            let (share, bytes) = two_slices(from, rate, |number| format!("/flood/{}", number % topics));
            assert!(share >= least, "{name}: {share}");
            assert!(bytes <= 2 * budget, "{name}: {bytes}");
        }
    }

    #[test]
    fn memory_is_bounded_and_a_slice_that_was_there_counts() {
        let mut shares = Shares::default();
        let budget = Budget::of(1 << 30, 86_400, 3600, START, START.later(HOUR));
        for number in 0..200_000 {
            shares.admit(&envelope(format!("/t/{number}")), &budget, START, || 0);
        }
        assert_eq!(shares.slices[0].topics.len(), REMEMBERED);
        let next = Budget {
            slice_start: START.later(HOUR),
            ..budget
        };
        shares.know("/t");
        let share = shares.admit(&envelope("/t".into()), &next, START, || budget.bytes);
        assert_eq!(share, Share::Beyond);
    }
}
