//! Which pattern shows what: the box as one light has to say it.

use board_configs::Shows;

use crate::pattern::Pattern;
use crate::snapshot::{Activity, BoxState, Snapshot};

impl Pattern {
    /// What a light that shows `shows` has to say about the box.
    pub fn of(snapshot: &Snapshot, shows: Shows) -> Pattern {
        let code = snapshot.code.unwrap_or_default();
        if shows == Shows::Fault {
            return match snapshot.state {
                BoxState::Starting | BoxState::Ok => Pattern::Off,
                BoxState::Degraded | BoxState::Failed => Pattern::Failed(code),
            };
        }
        if snapshot.activity == Some(Activity::Resetting) {
            return Pattern::Resetting;
        }
        // Before an update: a press must not mean what the light does not show.
        if let Some(asker) = snapshot.asking.first() {
            return Pattern::Asking(asker.number);
        }
        if snapshot.activity == Some(Activity::Updating) {
            return Pattern::Updating;
        }
        if snapshot.unlock.granted.is_some() {
            return Pattern::Unlocked;
        }
        match (snapshot.state, shows) {
            (BoxState::Starting, _) => Pattern::Starting,
            (BoxState::Ok, _) => Pattern::Ok,
            // Beside a light for faults, this one only says whether the box does its job.
            (BoxState::Degraded, Shows::State) => Pattern::Ok,
            (BoxState::Failed, Shows::State) => Pattern::Off,
            (BoxState::Degraded, _) => Pattern::Degraded(code),
            (BoxState::Failed, _) => Pattern::Failed(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asking::{Asker, Turn};
    use crate::program::Program;

    #[test]
    fn what_each_light_shows() {
        use BoxState::*;
        const CODE: u8 = 3;
        let cases = [
            (Starting, Pattern::Starting, Pattern::Starting, Pattern::Off),
            (Ok, Pattern::Ok, Pattern::Ok, Pattern::Off),
            (Degraded, Pattern::Degraded(CODE), Pattern::Ok, Pattern::Failed(CODE)),
            (Failed, Pattern::Failed(CODE), Pattern::Off, Pattern::Failed(CODE)),
        ];
        for (state, all, alone, fault) in cases {
            let mut snapshot = Snapshot::at_start("dev");
            snapshot.state = state;
            snapshot.code = matches!(state, Degraded | Failed).then_some(CODE);
            assert_eq!(Pattern::of(&snapshot, Shows::All), all, "{state:?}");
            assert_eq!(Pattern::of(&snapshot, Shows::State), alone, "{state:?}");
            assert_eq!(Pattern::of(&snapshot, Shows::Fault), fault, "{state:?}");
            let asker = Asker {
                browser: 1,
                number: 34,
                address: [10, 0, 0, 5].into(),
                program: Program::default(),
                turn: Turn::Showing,
            };
            for (asking, granted, pattern) in [
                (vec![asker], None, Pattern::Asking(34)),
                (Vec::new(), Some(1), Pattern::Unlocked),
            ] {
                (snapshot.asking, snapshot.unlock.granted) = (asking, granted);
                assert_eq!(Pattern::of(&snapshot, Shows::All), pattern);
                assert_eq!(Pattern::of(&snapshot, Shows::Fault), fault, "a fault stays visible");
            }
            for (activity, pattern) in [
                (Activity::Updating, Pattern::Updating),
                (Activity::Resetting, Pattern::Resetting),
            ] {
                snapshot.activity = Some(activity);
                assert_eq!(Pattern::of(&snapshot, Shows::All), pattern);
                assert_eq!(Pattern::of(&snapshot, Shows::State), pattern);
                assert_eq!(Pattern::of(&snapshot, Shows::Fault), fault);
            }
        }
    }
}
