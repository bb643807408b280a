//! A leap of more than a day ahead, from when it is believed until it has stood for a day of running time. Until then
//! nothing is forgotten for it, and it raises no floor: a clock that was wrong for some hours has done no harm.
//!
//! What was learned of it outlives a restart in one small file, `leap`, beside the saved time.

use std::time::Duration;

use super::NS_PER_SEC;
use super::reading::Reading;

/// Ahead of what is known by more than this a time is a leap, and this is how long it has to stand.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const DAY_NS: i64 = 86_400 * NS_PER_SEC;

/// A leap that is believed, as the supervisor goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    /// What time it would be without it.
    pub old_ns: i64,
    /// What is dated before this was there before the leap, and goes by the old time.
    pub since_ns: i64,
    pub stood: Duration,
}

impl Leap {
    /// How long it still has to stand.
    pub fn left(&self) -> Duration {
        DAY.saturating_sub(self.stood)
    }
}

/// A leap while it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    /// The last time that was read of it.
    last_ns: i64,
    /// When; nothing after a restart.
    last_mono: Option<Duration>,
    pub(super) stood: Duration,
}

impl Standing {
    pub(super) fn of_text(text: &str) -> Option<Standing> {
        let mut words = text.split_ascii_whitespace();
        let last_secs: i64 = words.next()?.parse().ok()?;
        let stood_secs: u64 = words.next()?.parse().ok()?;
        Some(Standing {
            last_ns: last_secs.saturating_mul(NS_PER_SEC),
            last_mono: None,
            stood: Duration::from_secs(stood_secs),
        })
    }

    pub(super) fn to_text(self) -> String {
        format!("{} {}\n", self.last_ns.div_euclid(NS_PER_SEC), self.stood.as_secs())
    }

    /// What this leap is with another reading: the same for longer, or another one, which begins.
    pub(super) fn with(before: Option<Standing>, reading: &Reading) -> Standing {
        let begins = Standing {
            last_ns: reading.wall_ns,
            last_mono: Some(reading.mono),
            stood: Duration::ZERO,
        };
        let Some(before) = before else { return begins };
        let (same, more) = match before.last_mono {
            Some(mono) => {
                let last = Reading::at(mono, before.last_ns);
                (last.leads_to(reading), reading.mono.saturating_sub(mono))
            }
            // The box was off for a while, of which nothing is known; for longer than a day it is a leap of its own.
            None => {
                let off_ns = reading.wall_ns.saturating_sub(before.last_ns);
                ((0..=DAY_NS).contains(&off_ns), Duration::ZERO)
            }
        };
        if same {
            Standing {
                stood: before.stood.saturating_add(more),
                ..begins
            }
        } else {
            begins
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_running_time_counts_and_only_of_one_leap() {
        let reading =
            |mono_secs: u64, wall_secs: i64| Reading::at(Duration::from_secs(mono_secs), wall_secs * NS_PER_SEC);
        let begun = Standing::with(None, &reading(10, 5_000));
        let more = Standing::with(Some(begun), &reading(110, 5_100));
        assert_eq!(more.stood, Duration::from_secs(100));
        assert_eq!(more.to_text(), "5100 100\n");
        let kept = Standing::of_text(&more.to_text());
        // An hour without power does not count, nor does it begin anew.
        let on = Standing::with(kept, &reading(1, 5_100 + 3_600));
        assert_eq!(on.stood, Duration::from_secs(100));
        assert_eq!(
            Standing::with(Some(on), &reading(2, 5_100 + 3_601)).stood,
            Duration::from_secs(101)
        );
        for (what, other) in [
            ("two days off", Standing::with(kept, &reading(1, 5_100 + 2 * 86_400))),
            ("before it", Standing::with(kept, &reading(1, 5_099))),
            ("it leapt again", Standing::with(Some(more), &reading(111, 9_000))),
        ] {
            assert_eq!(other.stood, Duration::ZERO, "{what}");
        }
        for text in ["", "x y", "5", "-5 -5", "99999999999999999999 1"] {
            assert_eq!(Standing::of_text(text), None, "{text:?}");
        }
    }
}
