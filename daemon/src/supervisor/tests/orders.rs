//! Random orders of events, for what must always hold.

use proptest::prelude::*;

use super::*;
use crate::program::Program;

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
    Unlocked(u64),
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
        1 => (0_u64..3).prop_map(Move::Unlocked),
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
                Err(no_disk())
            };
            let archive = ArchiveId(0);
            bench.feed(Event::Pruned { archive, result });
        }
        Move::UnlockAsked(browser) => bench.feed(Event::UnlockAsked {
            browser: *browser,
            address: [10, 0, 0, *browser as u8].into(),
            program: Program::default(),
        }),
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
        // A grant is over by then, and so are the turns of all that ask: the press is nobody else's.
        play(&mut bench, &Move::Reread(7));
        for _ in 0..5 {
            bench.pass(Duration::from_secs(301));
        }
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
        let mut left = bench.actions.contains(&Action::Leave(None));
        for step in &after {
            play(&mut bench, step);
            let spawns = bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. }));
            prop_assert!(!spawns);
            left |= bench.actions.contains(&Action::Leave(None));
        }
        bench.pass(GIVE_UP_DEADLINE);
        prop_assert!(left || bench.actions.contains(&Action::Leave(None)));
    }
}
