//! What shows and what happens for a reset, an update, a press and a browser that waits.

use super::*;

#[test]
fn a_reset_shows_until_the_services_have_ended() {
    let mut bench = Bench::new(vec![spec("one", false)]);
    bench.spawned(0);
    let activity = |bench: &Bench| bench.state.snapshot(bench.now).activity;
    assert_eq!(activity(&bench), None);
    bench.feed(Event::Button(Gesture::FactoryReset));
    assert_eq!(activity(&bench), Some(Activity::Resetting));
    bench.exited(0, Exit::Code(0));
    assert!(bench.actions.contains(&Action::FactoryReset));
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

#[test]
fn a_press_grants_the_one_browser_that_waits() {
    let asked = |browser| Event::UnlockAsked { browser };
    let press = || Event::Button(Gesture::Press);
    let mut bench = Bench::new(vec![spec("one", false)]);
    bench.spawned(0);
    let unlock = |bench: &Bench| bench.state.snapshot(bench.now).unlock;
    bench.feed(asked(1));
    bench.feed(press());
    assert_eq!(unlock(&bench), Unlock::Granted { browser: 1 });
    assert_eq!(bench.name(0), ServiceStateName::Active, "the press was for the browser");
    assert_eq!(
        bench.state.snapshot(bench.now).unlocked_until,
        Some(WALL_NS / 1_000_000_000 + 300)
    );
    bench.feed(asked(2));
    assert_eq!(
        unlock(&bench),
        Unlock::Granted { browser: 1 },
        "nobody takes a grant over"
    );
    bench.pass(Duration::from_secs(300));
    assert_eq!(
        (unlock(&bench), bench.state.snapshot(bench.now).unlocked_until),
        (Unlock::Locked, None)
    );
    // Two that wait are refused both.
    bench.feed(asked(1));
    bench.feed(asked(2));
    bench.feed(press());
    assert_eq!(unlock(&bench), Unlock::Locked);
    // Waiting ends after a minute.
    bench.feed(asked(3));
    bench.pass(Duration::from_secs(60));
    bench.feed(press());
    assert_eq!(unlock(&bench), Unlock::Locked);
}

#[test]
fn root_and_the_cards_word_let_browsers_in_without_a_press() {
    let mut bench = Bench::new(vec![spec("one", false)]);
    bench.spawned(0);
    let unlock = |bench: &Bench| bench.state.snapshot(bench.now).unlock;
    bench.feed(Event::Unlocked { browser: None });
    assert_eq!(unlock(&bench), Unlock::Locked, "nobody waits");
    bench.feed(Event::UnlockAsked { browser: 1 });
    bench.feed(Event::Unlocked { browser: None });
    assert_eq!(unlock(&bench), Unlock::Granted { browser: 1 });
    bench.feed(Event::Unlocked { browser: Some(2) });
    assert_eq!(
        unlock(&bench),
        Unlock::Granted { browser: 1 },
        "nobody takes a grant over"
    );
    bench.pass(Duration::from_secs(300));
    bench.feed(Event::UnlockAsked { browser: 3 });
    bench.feed(Event::Unlocked { browser: Some(2) });
    assert_eq!(
        unlock(&bench),
        Unlock::Granted { browser: 2 },
        "the one that proved itself"
    );
    assert_eq!(bench.name(0), ServiceStateName::Active);
}
