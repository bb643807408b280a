//! Every way in which an LED can blink. Which one a light shows is the [`indicator`](crate::indicator)'s to say.
//!
//! `ok` is a light that winks every two seconds, not a steady one: a light that a dead daemon left on, or one that the
//! kernel blinks by itself, must never look like a box that works. A light that does not change for five seconds says
//! that nobody is at home.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What letting go of a held button would do. Before [`crate::button::PRESS`] there is nothing to show yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// Refuses a browser that asks.
    Refuse,
    Reboot,
    FactoryReset,
    Cancelled,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Held::Refuse => "refuse",
            Held::Reboot => "reboot",
            Held::FactoryReset => "factory-reset",
            Held::Cancelled => "cancelled",
        })
    }
}

impl FromStr for Held {
    type Err = ();

    fn from_str(name: &str) -> Result<Held, ()> {
        [Held::Refuse, Held::Reboot, Held::FactoryReset, Held::Cancelled]
            .into_iter()
            .find(|held| held.to_string() == name)
            .ok_or(())
    }
}

/// A stretch of light or darkness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub lit: bool,
    pub ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Dark: nothing to show on this light, or the daemon has ended.
    Off,
    Starting,
    Ok,
    /// The box is working, but the fault of this code needs attention.
    Degraded(u8),
    /// The box is not working, because of the fault of this code.
    Failed(u8),
    /// The supervisor has said nothing for [`crate::indicator::SILENCE`].
    Silent,
    /// A new version is being installed.
    Updating,
    /// The state is being set aside.
    Resetting,
    /// A browser requests access under this number of two digits.
    Asking(u8),
    /// The page's actions are unlocked.
    Unlocked,
    /// The last number of the box's address, digit by digit.
    Address(u8),
    /// What happens if the button is let go now.
    Holding(Held),
}

/// A short flash of a code, and the darkness after it.
const SHORT_MS: u32 = 200;
const GAP_MS: u32 = 300;
/// The long flash that begins a code. Four times a short one: nobody mistakes it.
const LONG_MS: u32 = 900;

const fn lit(ms: u32) -> Step {
    Step { lit: true, ms }
}

const fn dark(ms: u32) -> Step {
    Step { lit: false, ms }
}

impl Pattern {
    /// One round, which is repeated; light and darkness alternate, and no step is empty.
    pub fn steps(self) -> Vec<Step> {
        match self {
            Pattern::Off => vec![dark(1000)],
            Pattern::Starting => vec![lit(400), dark(400)],
            Pattern::Ok => vec![lit(1850), dark(150)],
            Pattern::Degraded(code) => [vec![lit(2500), dark(800)], counted(code), vec![dark(500)]].concat(),
            Pattern::Failed(code) => [counted(code), vec![dark(2000)]].concat(),
            Pattern::Silent => vec![lit(100), dark(1900)],
            Pattern::Updating => vec![lit(150), dark(150), lit(150), dark(150), lit(150), dark(1250)],
            Pattern::Resetting => vec![lit(1500), dark(1500)],
            Pattern::Asking(number) => asking(number),
            Pattern::Unlocked => vec![lit(1000), dark(120), lit(120), dark(120)],
            Pattern::Address(last) => address(last),
            Pattern::Holding(Held::Refuse) => vec![lit(1000)],
            Pattern::Holding(Held::Reboot) => vec![lit(250), dark(250)],
            Pattern::Holding(Held::FactoryReset) => vec![lit(80), dark(80)],
            Pattern::Holding(Held::Cancelled) => vec![dark(1000)],
        }
        .into_iter()
        .fold(Vec::new(), |mut steps: Vec<Step>, step| {
            match steps.last_mut() {
                Some(last) if last.lit == step.lit => last.ms += step.ms,
                _ => steps.push(step),
            }
            steps
        })
    }

    /// How long one round takes.
    pub fn round_ms(self) -> u32 {
        self.steps().iter().map(|step| step.ms).sum()
    }
}

/// One long flash, then `count` short ones.
fn counted(count: u8) -> Vec<Step> {
    let mut steps = vec![lit(LONG_MS), dark(GAP_MS + SHORT_MS)];
    for _ in 0..count {
        steps.extend([lit(SHORT_MS), dark(GAP_MS)]);
    }
    steps
}

/// Two long flashes, so that it is no code, then each digit as that many short ones with a pause between the digits.
fn asking(number: u8) -> Vec<Step> {
    let mut steps = vec![lit(LONG_MS), dark(GAP_MS + SHORT_MS), lit(LONG_MS), dark(LONG_MS)];
    for digit in [number / 10, number % 10] {
        steps.extend((0..digit).flat_map(|_| [lit(SHORT_MS), dark(GAP_MS)]));
        steps.push(dark(LONG_MS));
    }
    steps.push(dark(LONG_MS));
    steps
}

/// Each digit as that many flashes, a zero as one long flash, without leading zeros.
fn address(last: u8) -> Vec<Step> {
    let mut steps = vec![dark(1500)];
    for digit in last.to_string().bytes().map(|byte| byte - b'0') {
        match digit {
            0 => steps.extend([lit(LONG_MS), dark(GAP_MS)]),
            digit => steps.extend((0..digit).flat_map(|_| [lit(SHORT_MS), dark(GAP_MS)])),
        }
        steps.push(dark(1200));
    }
    steps
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Off => f.write_str("off"),
            Pattern::Starting => f.write_str("starting"),
            Pattern::Ok => f.write_str("ok"),
            Pattern::Degraded(code) => write!(f, "degraded-{code}"),
            Pattern::Failed(code) => write!(f, "failed-{code}"),
            Pattern::Silent => f.write_str("silent"),
            Pattern::Updating => f.write_str("updating"),
            Pattern::Resetting => f.write_str("resetting"),
            Pattern::Asking(number) => write!(f, "asking-{number}"),
            Pattern::Unlocked => f.write_str("unlocked"),
            Pattern::Address(last) => write!(f, "address-{last}"),
            Pattern::Holding(held) => write!(f, "holding-{held}"),
        }
    }
}

/// A name that no pattern has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no LED pattern is called {0:?}")]
pub struct UnknownPattern(String);

impl FromStr for Pattern {
    type Err = UnknownPattern;

    fn from_str(name: &str) -> Result<Pattern, UnknownPattern> {
        let unknown = || UnknownPattern(name.to_owned());
        // "00" and "+1" parse as numbers, too.
        let number = |text: &str| {
            let number = text.parse::<u8>().ok();
            number.filter(|number| number.to_string() == text).ok_or_else(unknown)
        };
        Ok(match name.split_once('-') {
            None => match name {
                "off" => Pattern::Off,
                "starting" => Pattern::Starting,
                "ok" => Pattern::Ok,
                "silent" => Pattern::Silent,
                "updating" => Pattern::Updating,
                "resetting" => Pattern::Resetting,
                "unlocked" => Pattern::Unlocked,
                _ => return Err(unknown()),
            },
            Some(("degraded", code)) => Pattern::Degraded(number(code)?),
            Some(("failed", code)) => Pattern::Failed(number(code)?),
            Some(("asking", asker)) => Pattern::Asking(number(asker)?),
            Some(("address", last)) => Pattern::Address(number(last)?),
            Some(("holding", held)) => Pattern::Holding(held.parse().map_err(|()| unknown())?),
            Some(_) => return Err(unknown()),
        })
    }
}

/// Its name, for scripts.
impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault;

    fn any_pattern() -> impl Strategy<Value = Pattern> {
        prop_oneof![
            Just(Pattern::Off),
            Just(Pattern::Starting),
            Just(Pattern::Ok),
            (0..=20u8).prop_map(Pattern::Degraded),
            (0..=20u8).prop_map(Pattern::Failed),
            Just(Pattern::Silent),
            Just(Pattern::Updating),
            Just(Pattern::Resetting),
            (11..=55u8).prop_map(Pattern::Asking),
            Just(Pattern::Unlocked),
            any::<u8>().prop_map(Pattern::Address),
            prop::sample::select(&[Held::Refuse, Held::Reboot, Held::FactoryReset, Held::Cancelled][..])
                .prop_map(Pattern::Holding),
        ]
    }

    #[test]
    fn a_pattern_has_one_name() {
        for name in ["address-00", "address-+1", "failed-256", "degraded-"] {
            assert!(name.parse::<Pattern>().is_err(), "{name}");
            assert!(serde_json::from_value::<Pattern>(name.into()).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_leads_back_and_steps_alternate(pattern in any_pattern()) {
            prop_assert_eq!(pattern.to_string().parse::<Pattern>(), Ok(pattern));
            let json = serde_json::to_value(pattern).unwrap();
            prop_assert_eq!(&json, &serde_json::Value::from(pattern.to_string()));
            prop_assert_eq!(serde_json::from_value::<Pattern>(json).ok(), Some(pattern));
            let steps = pattern.steps();
            prop_assert!(steps.iter().all(|step| step.ms > 0));
            prop_assert!(steps.windows(2).all(|pair| pair[0].lit != pair[1].lit));
        }

        /// WCAG 2.3.1: not more than three flashes in any one second, with one exception that lasts as long as a
        /// finger stays on the button.
        #[test]
        fn nothing_flickers(pattern in any_pattern()) {
            prop_assume!(pattern != Pattern::Holding(Held::FactoryReset));
            let steps: Vec<Step> = (0..3).flat_map(|_| pattern.steps()).collect();
            for first in 0..steps.len() {
                let (mut ms, mut flashes) = (0, 0);
                for step in &steps[first..] {
                    if ms >= 1000 {
                        break;
                    }
                    flashes += u32::from(step.lit);
                    ms += step.ms;
                }
                prop_assert!(flashes <= 3, "{pattern}: {flashes} flashes in a second");
            }
        }

        #[test]
        fn a_code_has_one_long_flash_and_as_many_short_ones(code in 1..=12u8) {
            for (pattern, steady) in [(Pattern::Failed(code), 0), (Pattern::Degraded(code), 1)] {
                let lit: Vec<u32> = pattern.steps().iter().filter(|step| step.lit).map(|step| step.ms).collect();
                prop_assert_eq!(lit.iter().filter(|ms| **ms == SHORT_MS).count(), usize::from(code));
                prop_assert_eq!(lit.iter().filter(|ms| **ms == LONG_MS).count(), 1);
                prop_assert_eq!(lit.len(), usize::from(code) + 1 + steady);
            }
        }
    }

    /// A frozen light, on or off, is told from `ok` within five seconds, and so is every other pattern.
    #[test]
    fn ok_changes_more_often_than_every_five_seconds() {
        let steps = Pattern::Ok.steps();
        assert!(steps.len() >= 2 && steps.iter().all(|step| step.ms < 5000), "{steps:?}");
    }

    #[test]
    fn every_code_is_counted_in_bearable_time() {
        for fault in fault::ALL {
            assert!(Pattern::Degraded(fault.code()).round_ms() <= 15_000, "{fault:?}");
        }
    }

    #[test]
    fn an_askers_number_can_be_counted() {
        let mut groups = vec![0];
        for step in Pattern::Asking(34).steps() {
            match (step.lit, step.ms) {
                (true, SHORT_MS) => *groups.last_mut().unwrap() += 1,
                (true, ms) => assert_eq!(ms, LONG_MS),
                (false, ms) if ms > GAP_MS => groups.push(0),
                (false, _) => {}
            }
        }
        assert_eq!(groups, [0, 0, 3, 4, 0], "two long flashes, then the digits");
    }

    #[test]
    fn address_digits() {
        let flashes = |last: u8| Pattern::Address(last).steps().iter().filter(|step| step.lit).count();
        assert_eq!(flashes(137), 1 + 3 + 7);
        assert_eq!(flashes(20), 2 + 1);
        assert_eq!(flashes(0), 1);
    }
}
