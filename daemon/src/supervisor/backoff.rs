//! How long to wait before a restart: min(base · 2ⁿ, max), less up to half of it by chance, so that services which fell
//! together do not rise together.

use std::time::Duration;

/// n is the number of failures in a row before this one.
pub(super) fn delay(base: Duration, max: Duration, n: u32, random: &mut Random) -> Duration {
    let full = 2_u32
        .checked_pow(n)
        .and_then(|factor| base.checked_mul(factor))
        .map_or(max, |delay| delay.min(max));
    let half_ms = u64::try_from(full.as_millis() / 2).unwrap_or(u64::MAX);
    full.saturating_sub(Duration::from_millis(random.below(half_ms.saturating_add(1))))
}

/// SplitMix64 (Steele, Lea, Flood 2014), part of the state so that the same events give the same actions.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, or 0; the bias is far below what a delay's jitter could show.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_stay_within_bounds(
            base_ms in 1_u64..100_000, factor in 1_u32..1000, n in any::<u32>(), seed in any::<u64>(),
        ) {
            let base = Duration::from_millis(base_ms);
            let max = base * factor;
            let delay = delay(base, max, n, &mut Random(seed));
            prop_assert!(delay <= max);
            prop_assert!(delay >= base / 2);
            if n < 10 && 2_u32.pow(n) < factor {
                prop_assert!(delay >= base * 2_u32.pow(n) / 2);
                prop_assert!(delay <= base * 2_u32.pow(n));
            }
        }
    }
}
