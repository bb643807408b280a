//! What shows and what happens for a reset, an update, a press and a browser that waits.

use super::*;
use crate::program::Program;

#[test]
fn a_reset_shows_until_the_services_have_ended() {
    let mut bench = Bench::new(vec![spec("one", false)]);
    bench.spawned(0);
    let activity = |bench: &Bench| bench.state.snapshot(bench.now).activity;
    assert_eq!(activity(&bench), None);
    bench.feed(Event::Button(Gesture::FactoryReset));
    assert_eq!(activity(&bench), Some(Activity::Resetting));
    bench.exited(0, Exit::Code(0));
    assert!(bench.actions.contains(&Action::Leave(Some(Ending::FactoryReset))));
}

#[test]
fn an_update_shows_while_it_is_installed() {
    let mut bench = Bench::new(vec![spec("one", false)]);
    for (updating, wanted) in [(true, Some(Activity::Updating)), (false, None)] {
        let sample = crate::snapshot::SystemStatus {
            updating,
            ..crate::snapshot::SystemStatus::default()
        };
        bench.feed(Event::Sampled(sample, crate::snapshot::NetworkStatus::default()));
        assert_eq!(bench.state.snapshot(bench.now).activity, wanted);
    }
}

#[test]
fn a_press_restarts_what_is_unhealthy_and_a_second_one_everything() {
    let mut bench = Bench::new(vec![spec("good", true), spec("hung", true)]);
    for service in [0, 1] {
        bench.spawned(service);
        bench.checked(service, true);
    }
    bench.checked(1, false);
    bench.feed(Event::Button(Gesture::Press));
    assert_eq!(
        [bench.name(0), bench.name(1)],
        [ServiceStateName::Active, ServiceStateName::Deactivating]
    );
    bench.exited(1, Exit::Signal(15));
    bench.spawned(1);
    bench.checked(1, true);
    bench.pass(Duration::from_secs(20));
    bench.feed(Event::Button(Gesture::Press));
    assert_eq!([bench.name(0), bench.name(1)], [ServiceStateName::Deactivating; 2]);
    // Later than 30 s it is a first press again, and all is well.
    bench.exited(0, Exit::Code(0));
    bench.exited(1, Exit::Code(0));
    for service in [0, 1] {
        bench.spawned(service);
        bench.checked(service, true);
    }
    bench.pass(Duration::from_secs(31));
    bench.feed(Event::Button(Gesture::Press));
    assert_eq!([bench.name(0), bench.name(1)], [ServiceStateName::Active; 2]);
}

fn asked(browser: u64, last: u8) -> Event {
    Event::UnlockAsked {
        browser,
        address: [192, 168, 1, last].into(),
        program: Program::of("Firefox/1"),
    }
}

fn press() -> Event {
    Event::Button(Gesture::Press)
}

fn granted(bench: &Bench) -> Option<u64> {
    bench.state.snapshot(bench.now).unlock.granted
}

/// The browsers that ask, in order.
fn asking(bench: &Bench) -> Vec<u64> {
    let asking = bench.state.snapshot(bench.now).asking;
    asking.iter().map(|asker| asker.browser).collect()
}

fn working() -> Bench {
    let mut bench = Bench::new(vec![spec("one", true)]);
    bench.spawned(0);
    bench.checked(0, true);
    bench
}

/// Long enough for any number to have been blinked once.
const COUNTED: Duration = Duration::from_secs(11);

#[test]
fn a_press_lets_in_the_browser_whose_number_is_shown() {
    let mut bench = working();
    bench.feed(asked(1, 1));
    bench.feed(asked(2, 2));
    assert_eq!(asking(&bench), [1, 2]);
    bench.pass(COUNTED);
    bench.feed(press());
    assert_eq!(granted(&bench), Some(1));
    assert_eq!(bench.name(0), ServiceStateName::Active, "the press was for the browser");
    let until = bench.now.wall_ns / 1_000_000_000 + 300;
    assert_eq!(bench.state.snapshot(bench.now).unlocked_until, Some(until));
    assert_eq!(
        asking(&bench),
        [] as [u64; 0],
        "the other one is told that somebody was let in"
    );
    bench.feed(asked(2, 2));
    assert_eq!(
        (granted(&bench), asking(&bench).len()),
        (Some(1), 0),
        "nobody takes a grant over"
    );
    bench.pass(Duration::from_secs(300));
    assert_eq!(
        (granted(&bench), bench.state.snapshot(bench.now).unlocked_until),
        (None, None)
    );
    bench.feed(asked(2, 2));
    assert_eq!(asking(&bench), [2]);
}

/// The one that the press was not meant for: too early to have been counted, or a moment after its end.
#[test]
fn a_press_for_something_else_lets_nobody_in_and_restarts_nothing() {
    let mut bench = working();
    bench.checked(0, false);
    bench.feed(asked(1, 1));
    bench.feed(asked(2, 2));
    bench.feed(press());
    assert_eq!(
        (granted(&bench), bench.name(0)),
        (None, ServiceStateName::Active),
        "not counted yet"
    );
    // Meant for the first, while the second is shown already.
    bench.pass(Duration::from_secs(61));
    assert_eq!(asking(&bench), [2]);
    bench.feed(press());
    assert_eq!((granted(&bench), bench.name(0)), (None, ServiceStateName::Active));
    // The last turn is over: a late press does not restart what is unhealthy.
    bench.pass(Duration::from_secs(59));
    assert_eq!(asking(&bench), [2]);
    bench.pass(Duration::from_secs(1));
    assert_eq!(asking(&bench), [] as [u64; 0]);
    assert!(bench.state.snapshot(bench.now).unlock.takes_press);
    bench.feed(press());
    assert_eq!((granted(&bench), bench.name(0)), (None, ServiceStateName::Active));
    // Nothing is asked: now it is for the box.
    bench.pass(Duration::from_secs(3));
    bench.feed(press());
    assert_eq!((granted(&bench), bench.name(0)), (None, ServiceStateName::Deactivating));
}

#[test]
fn a_longer_hold_refuses_the_browser_that_is_shown() {
    let mut bench = working();
    let refuse = || Event::Button(Gesture::Refuse);
    bench.feed(refuse());
    bench.feed(asked(1, 1));
    bench.feed(asked(2, 2));
    bench.feed(refuse());
    assert_eq!(
        asking(&bench),
        [1, 2],
        "meant for something else: nobody can have counted the number yet"
    );
    bench.pass(COUNTED);
    bench.feed(refuse());
    assert_eq!(asking(&bench), [2]);
    bench.feed(asked(3, 1));
    assert_eq!(asking(&bench), [2], "the refused address is quiet for a minute");
    bench.pass(COUNTED);
    bench.feed(press());
    assert_eq!(granted(&bench), Some(2));
    assert_eq!(bench.name(0), ServiceStateName::Active);
}

#[test]
fn root_and_the_cards_word_let_browsers_in_without_a_press() {
    let mut bench = working();
    bench.feed(asked(1, 1));
    bench.feed(asked(2, 2));
    bench.feed(Event::Unlocked { browser: 2 });
    assert_eq!((granted(&bench), asking(&bench).len()), (Some(2), 0));
    bench.feed(Event::Unlocked { browser: 3 });
    assert_eq!(granted(&bench), Some(2), "nobody takes a grant over");
    bench.pass(Duration::from_secs(300));
    bench.feed(Event::Unlocked { browser: 3 });
    assert_eq!(
        granted(&bench),
        Some(3),
        "the one that proved itself did not have to ask"
    );
    assert_eq!(bench.name(0), ServiceStateName::Active);
}

/// An owner who asks whenever the page lets them, and presses when their number has been shown, is let in in bounded
/// time, whatever up to eight other addresses do; and a press lets in nobody else.
mod besides_others {
    use proptest::prelude::*;

    use super::*;

    const OWNER: u64 = 1000;
    const OWNERS: u8 = 100;
    /// All the others' turns, the owner's own, and a turn that was running.
    const BOUND: u64 = (8 + 2) * 60;

    /// What one of the others does at one second: from which address, with which cookie.
    fn others() -> impl Strategy<Value = Vec<(u8, u64)>> {
        prop::collection::vec((0..8_u8, 0..4_u64), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_owner_is_let_in(rounds in prop::collection::vec(others(), 1..40), asks_from in 0..200_u64) {
            let mut bench = working();
            for second in 0..asks_from + BOUND {
                for (address, cookie) in &rounds[second as usize % rounds.len()] {
                    bench.feed(asked(u64::from(*address) * 10 + cookie, *address));
                }
                if second >= asks_from {
                    bench.feed(asked(OWNER, OWNERS));
                }
                let snapshot = bench.state.snapshot(bench.now);
                prop_assert!(snapshot.asking.len() <= 9);
                let addresses: BTreeSet<_> = snapshot.asking.iter().map(|asker| asker.address).collect();
                prop_assert_eq!(addresses.len(), snapshot.asking.len(), "one question for an address");
                let first = snapshot.asking.first();
                if first.is_some_and(|first| first.browser == OWNER && first.turn == crate::asking::Turn::Ready) {
                    bench.feed(press());
                    prop_assert_eq!(granted(&bench), Some(OWNER));
                    return Ok(());
                }
                prop_assert_eq!(granted(&bench), None, "nobody pressed");
                bench.pass(Duration::from_secs(1));
            }
            prop_assert!(false, "not let in within {BOUND} s");
        }

        /// Whenever the button is pressed, it lets in only the browser whose number had been blinked once by then.
        #[test]
        fn a_press_lets_in_nobody_whose_number_was_not_shown(
            rounds in prop::collection::vec((others(), 0..8_u8), 1..200),
        ) {
            let mut bench = working();
            let mut shown_since: Option<(u64, Duration)> = None;
            for (asks, act) in rounds {
                for (address, cookie) in asks {
                    bench.feed(asked(u64::from(address) * 10 + cookie, address));
                }
                let first = asking(&bench).first().copied();
                if shown_since.map(|(browser, _)| browser) != first {
                    shown_since = first.map(|browser| (browser, bench.now.mono));
                }
                let before = granted(&bench);
                match act {
                    0 => bench.feed(press()),
                    1 => bench.feed(Event::Button(Gesture::Refuse)),
                    _ => bench.pass(Duration::from_secs(u64::from(act) * 2)),
                }
                let after = granted(&bench);
                if after != before && after.is_some() {
                    prop_assert_eq!(act, 0, "only a press");
                    let (browser, since) = shown_since.unwrap();
                    prop_assert_eq!(after, Some(browser));
                    prop_assert!(bench.now.mono - since >= Duration::from_secs(4));
                }
            }
        }
    }
}
