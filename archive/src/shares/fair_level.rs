//! The fair level of a budget that many want more of than there is: whoever wants less than the level gets all of it,
//! whoever wants more gets the level, and nothing is left over (max-min fairness). So a flood is held to what the
//! others leave, and the busiest of the others is no worse off for being busy.

/// The largest level at which all that `demands` want below it fits `capacity`; `None` when everything fits anyway.
pub(crate) fn fair_level(mut demands: Vec<u64>, capacity: u64) -> Option<u64> {
    demands.sort_unstable();
    let mut left = capacity;
    for (served, demand) in demands.iter().enumerate() {
        let sharers = (demands.len() - served) as u64;
        if demand.saturating_mul(sharers) > left {
            return Some(left / sharers);
        }
        left -= demand;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_level_is_what_the_small_ones_leave() {
        for (demands, capacity, level) in [
            (vec![], 10, None),
            (vec![4, 6], 10, None),
            (vec![4, 7], 10, Some(6)),
            (vec![1_000_000, 10, 20, 30], 100, Some(40)),
            (vec![50, 50, 50], 60, Some(20)),
            (vec![1], 0, Some(0)),
            (vec![u64::MAX, u64::MAX], 10, Some(5)),
        ] {
            assert_eq!(
                fair_level(demands.clone(), capacity),
                level,
                "{demands:?} of {capacity}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_is_overdrawn_and_nothing_left(demands in prop::collection::vec(0u64..1000, 0..50), capacity in 0u64..20_000) {
            let taken = |level: u64| demands.iter().map(|demand| (*demand).min(level)).sum::<u64>();
            match fair_level(demands.clone(), capacity) {
                Some(level) => prop_assert!(taken(level) <= capacity && taken(level + 1) > capacity),
                None => prop_assert!(taken(u64::MAX) <= capacity),
            }
        }
    }
}
