//! What a finger on the button means, decided from presses and releases alone: no clock, no hardware.
//!
//! Everything acts on release, so that a hold can still be thought better of: the light says at every threshold what
//! releasing it would do now, and from 20 s on releasing it does nothing. A press that is neither short nor long enough
//! for a reboot refuses a browser that requests access. A button that is down when watching begins (a jammed one, or a
//! box that was plugged in with a finger on it) means nothing until it is released.

use std::time::Duration;

use crate::event::Gesture;
pub use crate::pattern::Held;

/// Let go before this, it was a press; from here on it refuses.
pub const PRESS: Duration = Duration::from_secs(2);
/// Held this long and let go: reboot.
pub const REBOOT: Duration = Duration::from_secs(5);
/// Held this long and let go: factory reset.
pub const FACTORY_RESET: Duration = Duration::from_secs(10);
/// Held this long: nothing happens any more.
pub const CANCEL: Duration = Duration::from_secs(20);

/// An edge of the debounced button; `at` is monotonic time from any origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Down { at: Duration },
    Up { at: Duration },
}

/// The thresholds in order, with what holds from each on.
const STAGES: [(Duration, Held); 4] = [
    (PRESS, Held::Refuse),
    (REBOOT, Held::Reboot),
    (FACTORY_RESET, Held::FactoryReset),
    (CANCEL, Held::Cancelled),
];

/// The button's state: since when it is down, if it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classifier {
    down_since: Option<Duration>,
}

impl Classifier {
    /// Takes one edge; a release may complete a gesture. A second `Down` without an `Up` between (an edge was lost)
    /// starts anew, and an `Up` without a `Down` is nothing.
    pub fn edge(&mut self, edge: Edge) -> Option<Gesture> {
        match edge {
            Edge::Down { at } => {
                self.down_since = Some(at);
                None
            }
            Edge::Up { at } => {
                let held_for = at.saturating_sub(self.down_since.take()?);
                match stage(held_for) {
                    None => Some(Gesture::Press),
                    Some(Held::Reboot) => Some(Gesture::Reboot),
                    Some(Held::FactoryReset) => Some(Gesture::FactoryReset),
                    Some(Held::Refuse) => Some(Gesture::Refuse),
                    Some(Held::Cancelled) => None,
                }
            }
        }
    }

    /// What the light has to say at `now`: `None` while the button is up or was pressed only just.
    pub fn held(&self, now: Duration) -> Option<Held> {
        stage(now.saturating_sub(self.down_since?))
    }

    /// When [`Classifier::held`] changes next without an edge.
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        let since = self.down_since?;
        STAGES.iter().map(|(after, _)| since + *after).find(|at| *at > now)
    }
}

fn stage(held_for: Duration) -> Option<Held> {
    STAGES
        .iter()
        .rev()
        .find(|(after, _)| held_for >= *after)
        .map(|(_, held)| *held)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn after_hold(held_ms: u64) -> Option<Gesture> {
        let mut classifier = Classifier::default();
        assert_eq!(
            classifier.edge(Edge::Down { at: START }),
            None,
            "nothing happens on the way down"
        );
        classifier.edge(Edge::Up {
            at: START + Duration::from_millis(held_ms),
        })
    }

    #[test]
    fn gesture_by_time_held() {
        for (held_ms, gesture) in [
            (0, Some(Gesture::Press)),
            (80, Some(Gesture::Press)),
            (1_999, Some(Gesture::Press)),
            (2_000, Some(Gesture::Refuse)),
            (4_999, Some(Gesture::Refuse)),
            (5_000, Some(Gesture::Reboot)),
            (9_999, Some(Gesture::Reboot)),
            (10_000, Some(Gesture::FactoryReset)),
            (19_999, Some(Gesture::FactoryReset)),
            (20_000, None),
            (86_400_000, None),
        ] {
            assert_eq!(after_hold(held_ms), gesture, "held {held_ms} ms");
        }
    }

    #[test]
    fn the_light_changes_at_each_threshold() {
        let mut classifier = Classifier::default();
        classifier.edge(Edge::Down { at: START });
        let mut seen = vec![(0, classifier.held(START))];
        let mut now = START;
        while let Some(next) = classifier.next_change(now) {
            now = next;
            seen.push(((now - START).as_secs(), classifier.held(now)));
        }
        assert_eq!(
            seen,
            [
                (0, None),
                (2, Some(Held::Refuse)),
                (5, Some(Held::Reboot)),
                (10, Some(Held::FactoryReset)),
                (20, Some(Held::Cancelled))
            ]
        );
    }

    #[test]
    fn a_button_that_is_down_from_the_start_means_nothing() {
        let mut classifier = Classifier::default();
        assert_eq!(classifier.held(START), None);
        assert_eq!(classifier.edge(Edge::Up { at: START }), None);
        assert_eq!(classifier.edge(Edge::Down { at: START }), None);
        assert_eq!(classifier.edge(Edge::Up { at: START }), Some(Gesture::Press));
    }

    #[test]
    fn a_lost_release_does_not_add_up() {
        let mut classifier = Classifier::default();
        classifier.edge(Edge::Down { at: START });
        classifier.edge(Edge::Down {
            at: START + FACTORY_RESET,
        });
        assert_eq!(
            classifier.edge(Edge::Up {
                at: START + FACTORY_RESET
            }),
            Some(Gesture::Press)
        );
    }

    proptest! {
        /// The light never promises anything else than what letting go then does.
        #[test]
        fn light_and_action_agree(held_ms in 0..40_000u64) {
            let mut classifier = Classifier::default();
            classifier.edge(Edge::Down { at: START });
            let now = START + Duration::from_millis(held_ms);
            let promised = match classifier.held(now) {
                None => Some(Gesture::Press),
                Some(Held::Reboot) => Some(Gesture::Reboot),
                Some(Held::FactoryReset) => Some(Gesture::FactoryReset),
                Some(Held::Refuse) => Some(Gesture::Refuse),
                Some(Held::Cancelled) => None,
            };
            prop_assert_eq!(classifier.edge(Edge::Up { at: now }), promised);
            prop_assert_eq!(classifier.held(now), None);
        }

        /// No order of edges, with a clock that goes any way, does more than one thing a release.
        #[test]
        fn any_order_of_edges(edges in prop::collection::vec((any::<bool>(), 0..60_000u64), 0..100)) {
            let mut classifier = Classifier::default();
            let mut downs = 0;
            let mut gestures = 0;
            for (down, at_ms) in edges {
                let at = Duration::from_millis(at_ms);
                downs += u32::from(down);
                let edge = if down { Edge::Down { at } } else { Edge::Up { at } };
                gestures += u32::from(classifier.edge(edge).is_some());
                if let Some(next) = classifier.next_change(at) {
                    prop_assert!(next > at);
                }
            }
            prop_assert!(gestures <= downs);
        }
    }
}
