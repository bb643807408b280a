//! What becomes of services that fail, of those that cannot work, and of all when the box stops.

use super::*;

#[test]
fn failures_are_counted_forgotten_and_limited() {
    let mut bench = Bench::new(vec![spec("one", false)]);
    for failures in 1..4 {
        bench.spawned(0);
        assert_eq!(bench.name(0), ServiceStateName::Active);
        bench.exited(0, Exit::Code(1));
        assert_eq!(bench.state.services[0].failures, failures);
        assert_eq!(bench.name(0), ServiceStateName::Backoff);
        bench.pass(millis(1000));
    }
    // Healthy for long enough: the next failure is the first again.
    bench.spawned(0);
    bench.pass(millis(5000));
    bench.exited(0, Exit::Signal(9));
    assert_eq!(bench.state.services[0].failures, 1);
    for _ in 0..3 {
        bench.pass(millis(1000));
        bench.spawned(0);
        bench.exited(0, Exit::Code(1));
    }
    assert_eq!(bench.name(0), ServiceStateName::Failed);
    // Nobody may be there to press: it is tried again, slowly, for as long as it takes.
    for _ in 0..3 {
        bench.pass(Duration::from_secs(600) - millis(1));
        assert_eq!(bench.name(0), ServiceStateName::Failed);
        assert_eq!(bench.state.snapshot(bench.now).state, BoxState::Failed);
        bench.pass(millis(1));
        assert_eq!(bench.name(0), ServiceStateName::Activating);
        assert_eq!(
            bench.state.snapshot(bench.now).state,
            BoxState::Failed,
            "an attempt is no success"
        );
        bench.exited(0, Exit::Code(1));
        assert_eq!(bench.name(0), ServiceStateName::Failed);
    }
    bench.feed(Event::Button(Gesture::Press));
    assert_eq!(bench.name(0), ServiceStateName::Activating);
}

/// Exit 78 says that nothing will change by itself.
#[test]
fn what_cannot_work_is_not_tried_again() {
    let mut bench = Bench::new(vec![spec("one", false)]);
    bench.spawned(0);
    bench.exited(0, Exit::Code(78));
    bench.pass(Duration::from_secs(100_000));
    assert_eq!(bench.name(0), ServiceStateName::Failed);
}

#[test]
fn a_stop_ends_all_kills_the_deaf_and_then_leaves() {
    let mut bench = Bench::new(vec![spec("polite", false), spec("deaf", false)]);
    bench.spawned(0);
    bench.spawned(1);
    bench.feed(Event::Stop);
    assert_eq!(bench.actions.len(), 2);
    bench.exited(0, Exit::Code(0));
    bench.pass(millis(499));
    assert!(bench.actions.is_empty());
    bench.pass(millis(1));
    assert_eq!(
        bench.actions,
        [Action::Kill {
            service: ServiceId(1),
            run: bench.run(1)
        }]
    );
    bench.exited(1, Exit::Signal(9));
    assert_eq!(bench.actions, [Action::Leave(None)]);
    bench.feed(Event::Tick);
    assert!(bench.actions.is_empty());
}

#[test]
fn a_child_that_even_sigkill_does_not_end_is_left_after_the_deadline() {
    let mut bench = Bench::new(vec![spec("stuck", false)]);
    bench.spawned(0);
    bench.feed(Event::Stop);
    bench.feed(Event::Stop);
    assert!(bench.actions.contains(&Action::Kill {
        service: ServiceId(0),
        run: bench.run(0)
    }));
    bench.pass(GIVE_UP_DEADLINE - millis(1));
    assert!(!bench.actions.contains(&Action::Leave(None)));
    bench.pass(millis(1));
    assert!(bench.actions.contains(&Action::Leave(None)));
}
