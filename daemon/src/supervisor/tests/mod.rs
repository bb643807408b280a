//! The machine without a process: tables for what presses, unlocks and clocks do, and random orders of events for what
//! must always hold.

mod diagram;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::service::{ArchiveRules, Check, Schema, Service as Spec, Services};
use crate::config::service::{HealthRules, Limits, OutputRules, RestartPolicy, RestartRules, StopRules};
use crate::config::{ClockSource, Network, Page, Span};
use crate::event::{ArchiveId, Exit, Gesture, PruneReport, SurveyReport};
use crate::snapshot::{
    Activity, BoxState, DiskStatus, MailserverStatus, MemoryStatus, NetworkStatus, ServiceStateName, SystemStatus,
    Unlock,
};

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn spec(name: &str, checked: bool) -> Spec {
    Spec {
        name: name.to_owned(),
        description: String::new(),
        essential: true,
        order: 0,
        program: "/bin/true".into(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        identity: Vec::new(),
        user: None,
        writes_to: None,
        limits: Limits::default(),
        directory: "/".into(),
        stop: StopRules {
            grace: Span(millis(500)),
            ..StopRules::default()
        },
        restart: RestartRules {
            policy: RestartPolicy::Always,
            base: Span(millis(100)),
            max: Span(millis(1000)),
            start_limit: 4,
            slow: Span(Duration::from_secs(600)),
            stable_after: Span(millis(5000)),
        },
        health: checked.then(|| HealthRules {
            check: Check::Tcp("127.0.0.1:1".to_owned()),
            interval: millis(100),
            timeout: millis(100),
            failures: 2,
            start_timeout: millis(3000),
        }),
        archive: None,
        ports: BTreeMap::new(),
        node: None,
        output: OutputRules::default(),
        bandwidth_kib_per_sec: None,
    }
}

fn rules(path: &str) -> ArchiveRules {
    ArchiveRules {
        path: path.into(),
        schema: Schema::Pillarbox,
        quota_bytes: None,
    }
}

fn config(specs: Vec<Spec>) -> Config {
    Config {
        file: "/main.toml".into(),
        board: board_configs::Board::named("dev").unwrap(),
        state_dir: "/nonexistent".into(),
        control: "/nonexistent/control".into(),
        retention: Duration::from_secs(240),
        clock: ClockSource::Trusted,
        power: crate::config::Power::None,
        network: Network::default(),
        page: Page::default(),
        health: crate::config::Health::default(),
        notify: crate::config::Notify::default(),
        reported: crate::config::Reported::default(),
        backup: None,
        services: Services {
            enabled: specs,
            disabled: Vec::new(),
            unheeded: None,
        },
    }
}

const WALL_NS: i64 = 1_800_000_000_000_000_000;

/// A machine and the children that it believes in.
struct Bench {
    state: State,
    now: Now,
    living: BTreeSet<(ServiceId, RunId)>,
    actions: Vec<Action>,
}

impl Bench {
    fn new(specs: Vec<Spec>) -> Bench {
        let state = State::new(&config(specs), 0, 7);
        let now = Now {
            mono: Duration::ZERO,
            wall_ns: WALL_NS,
            trusted: true,
        };
        let mut bench = Bench {
            state,
            now,
            living: BTreeSet::new(),
            actions: Vec::new(),
        };
        bench.feed(Event::Tick);
        bench
    }

    /// Feeds an event and checks what must always hold.
    fn feed(&mut self, event: Event) {
        if let Event::Exited { service, run, .. } | Event::SpawnFailed { service, run, .. } = &event {
            self.living.remove(&(*service, *run));
        }
        self.actions = self.state.step(event, self.now);
        for action in &self.actions {
            if let Action::Spawn { service, run } = action {
                let other = self.living.iter().find(|(living, _)| living == service);
                assert_eq!(other, None, "a second child of {service:?}");
                assert!(self.living.insert((*service, *run)), "a run was used twice");
            }
        }
        for service in &self.state.services {
            if let ServiceState::Backoff { until, .. } = service.state {
                assert!(
                    until.saturating_sub(self.now.mono) <= service.spec.restart.max.0,
                    "{service:?}"
                );
            }
        }
        let _ = self.state.snapshot(self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall_ns += i64::try_from(time.as_nanos()).unwrap();
        self.feed(Event::Tick);
    }

    fn run(&self, service: usize) -> RunId {
        self.state.services[service].run().unwrap()
    }

    fn spawned(&mut self, service: usize) {
        let run = self.run(service);
        self.feed(Event::Spawned {
            service: ServiceId(service),
            run,
            pid: 100,
        });
    }

    fn exited(&mut self, service: usize, exit: Exit) {
        let run = self.run(service);
        self.feed(Event::Exited {
            service: ServiceId(service),
            run,
            exit,
            last_line: None,
        });
    }

    fn checked(&mut self, service: usize, healthy: bool) {
        let run = self.run(service);
        let result = if healthy { Ok(()) } else { Err("no".to_owned()) };
        self.feed(Event::Checked {
            service: ServiceId(service),
            run,
            result,
        });
    }

    fn name(&self, service: usize) -> ServiceStateName {
        self.state.services[service].status().state
    }
}

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

#[test]
fn pruning_follows_the_trusted_clock_only() {
    let mut one = spec("one", false);
    one.archive = Some(rules("/nonexistent/archive"));
    let mut bench = Bench::new(vec![one]);
    let policy = |bench: &Bench| {
        bench.actions.iter().find_map(|action| match action {
            Action::Prune { policy, .. } => Some(policy.clone()),
            _ => None,
        })
    };
    let report = || {
        let survey = SurveyReport::default();
        Ok(PruneReport {
            removed_envelopes: 3,
            removed_segments: 1,
            removed_bytes: 9,
            survey,
        })
    };
    let retention_ns = 240_000_000_000;
    assert_eq!(policy(&bench).unwrap().cutoff, Some(WALL_NS - retention_ns));
    bench.pass(Duration::from_secs(1000));
    assert_eq!(policy(&bench), None, "one run at a time");
    bench.feed(Event::Pruned {
        archive: ArchiveId(0),
        result: report(),
    });
    bench.pass(Duration::from_secs(9));
    assert_eq!(policy(&bench), None, "not before a segment's length");
    bench.pass(Duration::from_secs(1));
    let trusted = policy(&bench).unwrap();
    assert_eq!(trusted.cutoff, Some(bench.now.wall_ns - retention_ns));
    bench.feed(Event::Pruned {
        archive: ArchiveId(0),
        result: Err("disk".to_owned()),
    });
    assert_eq!(bench.state.snapshot(bench.now).archive.pruned_total, 3);
    // Ten years ahead or back without trust: the cut-off stays, and the writer is told not to judge.
    for leap_ns in [315_360_000_000_000_000, -630_720_000_000_000_000] {
        bench.now.wall_ns += leap_ns;
        bench.now.trusted = false;
        bench.pass(Duration::from_secs(10));
        let untrusted = policy(&bench).unwrap();
        assert_eq!((untrusted.cutoff, untrusted.clock_trusted), (trusted.cutoff, false));
        bench.feed(Event::Pruned {
            archive: ArchiveId(0),
            result: report(),
        });
    }
    // Trusted again, but earlier: the cut-off never goes back.
    bench.now.trusted = true;
    bench.pass(Duration::from_secs(10));
    assert_eq!(policy(&bench).unwrap().cutoff, trusted.cutoff);
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
    assert_eq!(bench.actions, [Action::Exit]);
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
    assert!(!bench.actions.contains(&Action::Exit));
    bench.pass(millis(1));
    assert!(bench.actions.contains(&Action::Exit));
}

/// What the world may do next, by a few small numbers.
#[derive(Clone, Debug)]
enum Move {
    Pass(u64),
    Spawned(usize),
    SpawnFails(usize),
    Exits(usize, i32),
    Checked(usize, bool),
    StaleExit(usize),
    Press,
    Restart(usize),
    Stop,
    Leap(i64),
    Trust(bool),
    /// A sample of the machine: disk, memory and temperature out of 100.
    Sampled(u64, u64, f32),
    Peers(Option<u64>),
    Pruned(bool),
    UnlockAsked(u64),
    Unlocked(Option<u64>),
    Missing(bool),
    /// Settings with these of the three services, the first of them changed each time; none is a mistake.
    Reread(u8),
}

fn moves() -> impl Strategy<Value = Move> {
    let service = 0..3_usize;
    prop_oneof![
        4 => (0_u64..2000).prop_map(Move::Pass),
        4 => service.clone().prop_map(Move::Spawned),
        1 => service.clone().prop_map(Move::SpawnFails),
        4 => (service.clone(), prop_oneof![Just(0), Just(1), Just(78)]).prop_map(|(one, code)| Move::Exits(one, code)),
        4 => (service.clone(), any::<bool>()).prop_map(|(one, healthy)| Move::Checked(one, healthy)),
        1 => service.clone().prop_map(Move::StaleExit),
        1 => Just(Move::Press),
        1 => service.prop_map(Move::Restart),
        1 => any::<i64>().prop_map(Move::Leap),
        1 => any::<bool>().prop_map(Move::Trust),
        1 => (0_u64..=100, 0_u64..=100, any::<f32>()).prop_map(|(disk, memory, hot)| Move::Sampled(disk, memory, hot)),
        1 => any::<Option<u64>>().prop_map(Move::Peers),
        1 => any::<bool>().prop_map(Move::Pruned),
        1 => (0_u64..3).prop_map(Move::UnlockAsked),
        1 => prop::option::of(0_u64..3).prop_map(Move::Unlocked),
        1 => any::<bool>().prop_map(Move::Missing),
        1 => (0_u8..8).prop_map(Move::Reread),
    ]
}

fn three() -> Vec<Spec> {
    let mut last = spec("never", false);
    last.restart.policy = RestartPolicy::Never;
    let mut archived = spec("checked", true);
    archived.archive = Some(rules("/nonexistent"));
    let mut late = spec("plain", false);
    late.order = 1;
    vec![archived, late, last]
}

fn play(bench: &mut Bench, step: &Move) {
    let id = |service: usize| ServiceId(service);
    let living = |bench: &Bench, service: usize| bench.state.services[service].run();
    match step {
        Move::Pass(ms) => bench.pass(millis(*ms)),
        Move::Leap(ns) => bench.now.wall_ns = *ns,
        Move::Trust(trusted) => bench.now.trusted = *trusted,
        Move::Press => bench.feed(Event::Button(Gesture::Press)),
        Move::Stop => bench.feed(Event::Stop),
        Move::Restart(service) => {
            let service = bench.state.services[*service].spec.name.clone();
            bench.feed(Event::Asked(Request::Restart { service }));
        }
        Move::StaleExit(service) => {
            let event = Event::Exited {
                service: id(*service),
                run: RunId(u64::MAX),
                exit: Exit::Code(1),
                last_line: None,
            };
            bench.feed(event);
        }
        Move::Sampled(disk, memory, hot) => {
            let share = |percent: u64| u64::MAX / 100 * percent;
            let sample = SystemStatus {
                load: Some([f64::from(*hot); 3]),
                disk: Some(DiskStatus {
                    total_bytes: u64::MAX,
                    available_bytes: share(*disk),
                    stage: archive::DiskStage::Fine,
                    read_only: *disk == 0,
                }),
                memory: Some(MemoryStatus {
                    total_bytes: u64::MAX,
                    available_bytes: share(*memory),
                }),
                temperature: Some(*hot),
                ..SystemStatus::default()
            };
            let network = NetworkStatus {
                links: (*disk % 3 > 0).then(Vec::new),
                counters: Some((share(*disk), share(*memory))),
                ..NetworkStatus::default()
            };
            bench.feed(Event::Sampled(sample, network));
        }
        Move::Peers(peers) => {
            let seen = MailserverStatus {
                peers: *peers,
                peers_public: *peers,
                ..MailserverStatus::default()
            };
            bench.feed(Event::MailserverSeen(seen));
        }
        Move::Pruned(well) => {
            let result = if *well {
                Ok(PruneReport {
                    removed_envelopes: u64::MAX,
                    ..PruneReport::default()
                })
            } else {
                Err("no".to_owned())
            };
            let archive = ArchiveId(0);
            bench.feed(Event::Pruned { archive, result });
        }
        Move::UnlockAsked(browser) => bench.feed(Event::UnlockAsked { browser: *browser }),
        Move::Unlocked(browser) => bench.feed(Event::Unlocked { browser: *browser }),
        Move::Missing(missing) => {
            let trouble = missing.then(|| "busy".to_owned());
            let part = Part::Leds;
            bench.feed(Event::Missing { part, trouble });
        }
        Move::Reread(which) => {
            let mut specs = three();
            specs[0].order = bench.now.mono.as_millis() as u8;
            let mut number = 0;
            specs.retain(|_| {
                number += 1;
                which & (1 << (number - 1)) != 0
            });
            let mistake = Mistake::in_file(std::path::Path::new("/main.toml"), "is empty", "write it");
            let read = if specs.is_empty() {
                Err(mistake)
            } else {
                Ok(config(specs))
            };
            bench.feed(Event::Reread(Box::new(read)));
        }
        Move::Spawned(service) if living(bench, *service).is_some() => bench.spawned(*service),
        Move::SpawnFails(service) => {
            if let Some(run) = living(bench, *service) {
                bench.feed(Event::SpawnFailed {
                    service: id(*service),
                    run,
                    error: "no".to_owned(),
                });
            }
        }
        Move::Exits(service, code) if living(bench, *service).is_some() => bench.exited(*service, Exit::Code(*code)),
        Move::Checked(service, healthy) if living(bench, *service).is_some() => bench.checked(*service, *healthy),
        Move::Spawned(_) | Move::Exits(..) | Move::Checked(..) => {}
    }
}

proptest! {
    /// Never two children (checked by the bench at every step), delays within bounds, nothing panics, and from wherever
    /// the machine got to, a press leads to Active.
    #[test]
    fn every_order_of_events_keeps_the_promises(steps in prop::collection::vec(moves(), 0..200)) {
        let mut bench = Bench::new(three());
        for step in &steps {
            play(&mut bench, step);
        }
        // A grant is over by then, and whoever waits has given up: the press is nobody else's.
        play(&mut bench, &Move::Reread(7));
        bench.pass(Duration::from_secs(301));
        bench.feed(Event::Button(Gesture::Press));
        // A world in which everything works again.
        for _ in 0..10 {
            for service in 0..3 {
                match bench.name(service) {
                    ServiceStateName::Deactivating => bench.exited(service, Exit::Signal(9)),
                    ServiceStateName::Activating => {
                        bench.spawned(service);
                        bench.checked(service, true);
                    }
                    _ => {}
                }
            }
            bench.pass(millis(1000));
        }
        for service in &bench.state.services {
            let ended = !service.wanted && service.state == ServiceState::Inactive;
            prop_assert!(service.is_active() || ended, "{service:?}");
        }
    }

    /// Once told to stop, nothing is started, and with the deadline at the latest the daemon leaves.
    #[test]
    fn a_stop_is_final(before in prop::collection::vec(moves(), 0..50), after in prop::collection::vec(moves(), 0..50)) {
        let mut bench = Bench::new(three());
        for step in &before {
            play(&mut bench, step);
        }
        play(&mut bench, &Move::Stop);
        let mut left = bench.actions.contains(&Action::Exit);
        for step in &after {
            play(&mut bench, step);
            let spawns = bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. }));
            prop_assert!(!spawns);
            left |= bench.actions.contains(&Action::Exit);
        }
        bench.pass(GIVE_UP_DEADLINE);
        prop_assert!(left || bench.actions.contains(&Action::Exit));
    }
}
