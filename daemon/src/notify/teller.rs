//! What is worth telling, and when: a change of state or code that has lasted, never the same twice in a row, and at
//! most one a minute. Pure.

use std::time::Duration;

use crate::snapshot::{BoxState, Snapshot};

/// A restart is over sooner; who is told of it has to look for nothing.
const LASTS: Duration = Duration::from_secs(10);
const APART: Duration = Duration::from_secs(60);

/// What two snapshots must agree in to be the same news.
type News = (BoxState, Option<u8>);

#[derive(Debug, Default)]
pub(super) struct Teller {
    told: Option<News>,
    told_at: Option<Duration>,
    present: Option<(News, Duration)>,
}

impl Teller {
    /// Whether this snapshot is to be told now; then it counts as told.
    pub(super) fn due(&mut self, snapshot: &Snapshot, now: Duration) -> bool {
        let news = (snapshot.state, snapshot.code);
        let since = match self.present {
            Some((present, since)) if present == news => since,
            _ => {
                self.present = Some((news, now));
                now
            }
        };
        // Starting, or stopping, is on the way to news.
        let worth = snapshot.state != BoxState::Starting && self.told != Some(news);
        let lasted = now.saturating_sub(since) >= LASTS;
        let apart = self.told_at.is_none_or(|told_at| now.saturating_sub(told_at) >= APART);
        let due = worth && lasted && apart;
        if due {
            (self.told, self.told_at) = (Some(news), Some(now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snapshot(state: BoxState, code: Option<u8>) -> Snapshot {
        let mut snapshot = Snapshot::at_start("dev");
        (snapshot.state, snapshot.code) = (state, code);
        snapshot
    }

    /// Looks every second at what is true from a second on; says when something was told.
    fn told(script: &[(u64, BoxState, Option<u8>)], until: u64) -> Vec<(u64, BoxState, Option<u8>)> {
        let mut teller = Teller::default();
        let mut told = Vec::new();
        for second in 0..until {
            let (_, state, code) = script.iter().rev().find(|(from, ..)| *from <= second).unwrap();
            if teller.due(&snapshot(*state, *code), Duration::from_secs(second)) {
                told.push((second, *state, *code));
            }
        }
        told
    }

    #[test]
    fn what_is_told_and_when() {
        use BoxState::{Degraded, Failed, Ok, Starting};
        assert_eq!(told(&[(0, Starting, None), (5, Ok, None)], 500), [(15, Ok, None)]);
        assert_eq!(
            told(&[(0, Ok, None), (100, Failed, Some(1)), (105, Ok, None)], 500),
            [(10, Ok, None)],
            "a restart is no news"
        );
        assert_eq!(
            told(&[(0, Ok, None), (20, Failed, Some(1))], 500),
            [(10, Ok, None), (70, Failed, Some(1))],
            "one a minute"
        );
        assert_eq!(
            told(&[(0, Ok, None), (20, Failed, Some(1)), (50, Ok, None)], 500),
            [(10, Ok, None)],
            "over before its minute came"
        );
        assert_eq!(
            told(
                &[
                    (0, Degraded, Some(7)),
                    (100, Degraded, Some(4)),
                    (200, Starting, None),
                    (300, Degraded, Some(4))
                ],
                500
            ),
            [(10, Degraded, Some(7)), (110, Degraded, Some(4))],
            "the same again after a restart is not told twice"
        );
    }

    proptest! {
        /// Whatever happens: a minute apart, never the same twice in a row, and in the end what is true is told.
        #[test]
        fn promises(steps in prop::collection::vec((0u64..40, 0u8..4, 0u8..3), 1..40)) {
            let mut at = 0;
            let mut script = vec![(0, BoxState::Starting, None)];
            for (after, state, code) in steps {
                at += after;
                let state = [BoxState::Starting, BoxState::Ok, BoxState::Degraded, BoxState::Failed][usize::from(state)];
                script.push((at, state, (state == BoxState::Degraded).then_some(code)));
            }
            let told = told(&script, at + 200);
            prop_assert!(told.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 60));
            prop_assert!(told.windows(2).all(|pair| (pair[0].1, pair[0].2) != (pair[1].1, pair[1].2)));
            let (_, state, code) = *script.last().unwrap();
            if state != BoxState::Starting {
                prop_assert_eq!(told.last().map(|(_, state, code)| (*state, *code)), Some((state, code)));
            }
        }
    }
}
