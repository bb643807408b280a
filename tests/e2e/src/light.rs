//! What a person reads from a light: codes and numbers, counted from the flashes as they are seen from outside.
//!
//! A flash counts by how long it is lit. The limits lie far from the pattern's own lengths (README, "What the light
//! says"), because an emulated board on a busy machine is not in time.

use std::time::Duration;

/// Shorter than this is a short flash; the pattern's is 200 ms.
const SHORT: Duration = Duration::from_millis(500);
/// Up to this, and not short, is a long flash; the pattern's is 900 ms, being lit between two codes is 2500 ms.
const LONG: Duration = Duration::from_millis(1500);
/// Darkness that ends a digit: the pattern's is 1200 ms more than the 300 ms between two flashes.
const PAUSE: Duration = Duration::from_millis(900);

/// Levels as they followed each other, each with its time.
pub(crate) type Runs = Vec<(bool, Duration)>;

/// The code that is shown: a long flash, then as many short ones, then something else. Only what was seen whole.
pub(crate) fn code(runs: &Runs) -> Option<u8> {
    let whole = runs.get(1..runs.len().saturating_sub(1))?;
    let flashes: Vec<Duration> = whole.iter().filter(|(lit, _)| *lit).map(|(_, time)| *time).collect();
    let is_long = |time: &Duration| (SHORT..LONG).contains(time);
    let start = flashes.iter().position(is_long)?;
    let rest = &flashes[start + 1..];
    let count = rest.iter().position(|time| *time >= SHORT)?;
    u8::try_from(count).ok().filter(|count| *count > 0)
}

/// Whether a number's digits are blinked, one after the other: so many short flashes each, a long one for a zero.
pub(crate) fn shows_number(runs: &Runs, number: u8) -> bool {
    let mut digits: Vec<String> = Vec::new();
    let mut current: Vec<Duration> = Vec::new();
    // The first run began before anybody looked.
    for (lit, time) in runs.iter().skip(1) {
        if *lit {
            current.push(*time);
        } else if *time >= PAUSE && !current.is_empty() {
            let digit = match current[..] {
                [one] if one >= SHORT => "0".to_owned(),
                _ => current.len().to_string(),
            };
            digits.push(digit);
            current.clear();
        }
    }
    digits.concat().contains(&number.to_string())
}

pub(crate) fn text(runs: &Runs) -> String {
    let run =
        |(level, time): &(bool, Duration)| format!("{} {} ms", if *level { "lit" } else { "dark" }, time.as_millis());
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(text: &str) -> Runs {
        let run = |word: &str| {
            let (level, ms) = word.split_at(1);
            (level == "+", Duration::from_millis(ms.parse().unwrap()))
        };
        text.split_whitespace().map(run).collect()
    }

    #[test]
    fn codes_are_counted_between_two_long_lights() {
        // Degraded, code 4, seen from the middle of a round.
        let degraded = "+180 -300 +2480 -800 +910 -500 +190 -310 +220 -300 +260 -280 +200 -800 +2500 -800 +900";
        assert_eq!(code(&runs(degraded)), Some(4));
        // Failed, code 2.
        assert_eq!(code(&runs("-900 +900 -500 +200 -300 +200 -2300 +900 -500")), Some(2));
        // Fine, and a round that was not seen whole.
        assert_eq!(code(&runs("+1000 -150 +1850 -150 +1850 -150 +700")), None);
        assert_eq!(code(&runs("-900 +900 -500 +200 -300 +200")), None);
    }

    #[test]
    fn numbers_are_digits_with_pauses() {
        let ten = "-1500 +200 -1500 +900 -3000 +210 -1500 +880 -1400 +1";
        assert!(shows_number(&runs(ten), 10));
        assert!(!shows_number(&runs(ten), 12));
        assert!(shows_number(&runs("-1500 +200 -1500 +200 -300 +200 -2000"), 12));
    }
}
