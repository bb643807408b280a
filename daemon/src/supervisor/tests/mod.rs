//! The machine without a process: tables for what presses, unlocks and clocks do, and random orders of events for what
//! must always hold.

mod clock;
mod diagram;
mod orders;
mod presses;
mod services;

use std::collections::BTreeSet;

use super::*;
use crate::config::service::{ArchiveRules, Check, Schema, Service as Spec, Services};
use crate::config::service::{HealthRules, Limits, OutputRules, RestartPolicy, RestartRules, StopRules};
use crate::config::{ClockSource, Network, Page, Span};
use crate::event::{ArchiveId, Exit, Gesture, Transition};
use crate::health::check::Failed;
use crate::retention::{self, PruneReport, SurveyReport};
use crate::snapshot::{
    Activity, BoxState, DiskStatus, MailserverStatus, MemoryStatus, NetworkStatus, ServiceStateName, SystemStatus,
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

/// Why an archive could not be pruned.
fn no_disk() -> retention::Error {
    let (path, source) = ("/nonexistent".into(), std::io::ErrorKind::ReadOnlyFilesystem.into());
    retention::Error::Make { path, source }
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
        time_servers: Vec::new(),
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
        let before: Vec<ServiceStateName> = self.state.services.iter().map(Service::state_name).collect();
        let step = self.state.step(event, self.now);
        self.transitions_are_told(&before, &step.transitions);
        self.actions = step.actions;
        for action in &self.actions {
            if let Action::Spawn { service, run, spec } = action {
                assert_eq!(*spec, self.state.services[service.0].spec, "as the settings say");
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

    /// Each service that is in another state is told, and no other; a new one begins as inactive.
    fn transitions_are_told(&self, before: &[ServiceStateName], told: &[Transition]) {
        let mut told = told.iter();
        for (index, service) in self.state.services.iter().enumerate() {
            let before = before.get(index).copied().unwrap_or(ServiceStateName::Inactive);
            if service.state_name() != before {
                let transition = told.next().expect("a transition is told");
                assert_eq!((transition.from, &transition.status), (before, &service.status()));
                assert_eq!(transition.failures, service.failures);
            }
        }
        assert_eq!(told.next(), None, "nothing else became of anybody");
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
        let result = if healthy {
            Ok(())
        } else {
            Err(Failed::Late(Duration::ZERO))
        };
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
