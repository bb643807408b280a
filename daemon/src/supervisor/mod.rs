//! The supervisor: a pure machine over everything that can happen. [`State::step`] takes an event and the time and
//! says what is to be done; it does no I/O, reads no clock, and takes chance from a seed in the state.
//!
//! What must always hold, and is tested on random orders of events: a service never has two children; a restart is
//! delayed within its bounds; every state can reach Active again by a press; nothing panics.

mod backoff;
mod presses;
mod reread;
mod retention;
mod service;
mod surroundings;
mod traffic;
mod verdict;

use std::collections::BTreeMap;
use std::time::Duration;

pub use backoff::Random;
pub use retention::Pruning;
pub use service::{Service, ServiceState, Then};

use crate::clock::{Now, Outlook};
use crate::config::service::{Disabled, Node};
use crate::config::{Config, Mistake};
use crate::detail::Detail;
use crate::event::{Action, Ending, Event, Part, Request, RunId, ServiceId, Step};
use crate::pattern::Pattern;
use crate::snapshot::WriterStatus;
use presses::Presses;
use surroundings::Surroundings;
use traffic::Traffic;

/// All services have ended by then, or are killed: of the 10 s that a stop may take, the rest is for the daemon itself.
const STOP_DEADLINE: Duration = Duration::from_millis(8_500);
/// Past the kills, a child that the kernel does not let die (a stuck disk) is left to its keeper.
const GIVE_UP_DEADLINE: Duration = Duration::from_millis(9_500);

#[derive(Clone, Debug)]
pub struct State {
    fixed: Fixed,
    services: Vec<Service>,
    disabled: Vec<Disabled>,
    unheeded: Option<Mistake>,
    archives: Vec<Pruning>,
    /// A time known to be past, before which a cut-off cannot be wrong.
    past_ns: Option<i64>,
    /// Why the settings were not taken over at the last SIGHUP, or not all of them.
    mistake: Option<Detail>,
    presses: Presses,
    stopping: Option<Stopping>,
    next_run: u64,
    random: Random,
    surroundings: Surroundings,
    traffic: Traffic,
    disk_stage: archive::DiskStage,
    writer: WriterStatus,
    leds: BTreeMap<String, Pattern>,
    missing: BTreeMap<Part, String>,
    /// Why limits on services do not hold, where they do not.
    unlimited: Option<String>,
    outlook: Outlook,
    /// What a factory reset could not keep.
    lost: Option<String>,
}

/// The settings that hold until the daemon is started again.
#[derive(Clone, Debug)]
struct Fixed {
    config: Config,
}

impl Fixed {
    fn of(config: &Config) -> Fixed {
        Fixed { config: config.clone() }
    }

    /// The first key whose value is another now.
    fn differ(&self, other: &Config) -> Option<&'static str> {
        let own = &self.config;
        [
            (own.board != other.board, "board"),
            (own.state_dir != other.state_dir, "state_dir"),
            (own.control != other.control, "control"),
            (own.clock != other.clock, "clock"),
            (own.power != other.power, "power"),
            (own.health != other.health, "health"),
            (own.notify != other.notify, "notify"),
            (own.page != other.page, "page"),
            (own.backup != other.backup, "backup"),
        ]
        .into_iter()
        .find_map(|(differs, key)| differs.then_some(key))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stopping {
    kill_at: Duration,
    give_up_at: Duration,
    finally: Option<Ending>,
    exited: bool,
}

impl State {
    /// `past_ns` is a time known to be past, before which a cut-off cannot be wrong.
    pub fn new(config: &Config, past_ns: i64, seed: u64) -> State {
        let services: Vec<Service> = config
            .services
            .enabled
            .iter()
            .enumerate()
            .map(|(index, spec)| Service::new(ServiceId(index), spec.clone()))
            .collect();
        let mut state = State {
            fixed: Fixed::of(config),
            services,
            disabled: config.services.disabled.clone(),
            unheeded: config.services.unheeded.clone(),
            archives: Vec::new(),
            past_ns: (past_ns > 0).then_some(past_ns),
            mistake: None,
            presses: Presses::default(),
            stopping: None,
            next_run: 0,
            random: Random(seed),
            surroundings: Surroundings::new(config.health.expects),
            traffic: Traffic::default(),
            disk_stage: archive::DiskStage::Fine,
            writer: WriterStatus::default(),
            leds: BTreeMap::new(),
            missing: BTreeMap::new(),
            unlimited: Some("nobody looked for control groups".to_owned()),
            outlook: Outlook::default(),
            lost: None,
        };
        state.add_archives(config.retention);
        state
    }

    /// The whole machine: one event in, what to do out.
    pub fn step(&mut self, event: Event, now: Now) -> Step {
        let mut actions = Vec::new();
        self.take(event, now, &mut actions);
        self.advance(now, &mut actions);
        let transitions = self.services.iter_mut().filter_map(Service::transition).collect();
        Step { actions, transitions }
    }

    // long: the one place where each event is matched.
    fn take(&mut self, event: Event, now: Now, actions: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::Spawned { service, run, pid } => {
                self.with(service, |service| service.spawned(run, pid, now.mono));
            }
            Event::SpawnFailed { service, run, error } => {
                let random = &mut self.random;
                if let Some(service) = self.services.get_mut(service.0) {
                    service.exited(run, None, Some(error), now.mono, random);
                }
            }
            Event::Exited {
                service,
                run,
                exit,
                last_line,
            } => {
                let random = &mut self.random;
                if let Some(service) = self.services.get_mut(service.0) {
                    service.exited(run, Some(exit), last_line, now.mono, random);
                }
            }
            Event::Checked { service, run, result } => {
                actions.extend(
                    self.with(service, |service| service.checked(run, result, now.mono))
                        .flatten(),
                );
            }
            Event::Sampled(mut sample, network) => {
                if let Some(disk) = &mut sample.disk {
                    self.disk_stage = crate::health::disk::stage(self.disk_stage, disk);
                    disk.stage = self.disk_stage;
                }
                self.traffic.sampled(network.counters, now);
                self.surroundings.sampled(sample, network, now);
            }
            Event::MailserverSeen(seen) => self.surroundings.mailserver_seen(seen, now),
            Event::WriterSeen(seen) => self.writer = seen,
            Event::Pruned { archive, result } => {
                if let Some(pruning) = self.archives.get_mut(archive.0) {
                    pruning.pruned(result, now);
                }
            }
            Event::Button(gesture) => self.button(gesture, now, actions),
            Event::Asked(request) => self.asked(&request, now, actions),
            Event::UnlockAsked {
                browser,
                address,
                program,
            } => self.presses.asked(browser, address, program, &mut self.random, now),
            Event::Unlocked { browser } => self.presses.unlocked(browser, now),
            Event::Indicated(leds) => self.leds = leds,
            Event::Missing { part, trouble } => {
                match trouble {
                    Some(trouble) => self.missing.insert(part, trouble),
                    None => self.missing.remove(&part),
                };
            }
            Event::Stop => self.stop(None, now.mono, actions),
            Event::Reread(read) => self.reread(*read, now, actions),
        }
    }

    /// The month's traffic, to go on with after a restart.
    pub fn traffic_text(&self) -> Option<String> {
        self.traffic.to_text()
    }

    pub fn resume_traffic(&mut self, text: &str) {
        self.traffic.resume(text);
    }

    pub fn state_dir(&self) -> &std::path::Path {
        &self.fixed.config.state_dir
    }

    /// The node that tells of itself: the first of the services that has one.
    pub fn node(&self) -> Option<&Node> {
        let present = self.services.iter().filter(|service| !service.removed);
        present.filter_map(|service| service.spec.node.as_ref()).next()
    }

    /// Why limits on services do not hold, where they do not.
    pub fn set_unlimited(&mut self, why: Option<String>) {
        self.unlimited = why;
    }

    /// What is known of the time beside the time, before each step.
    pub fn set_outlook(&mut self, outlook: Outlook) {
        self.outlook = outlook;
    }

    /// What the factory reset before this start could not keep.
    pub fn set_lost(&mut self, lost: Option<String>) {
        self.lost = lost;
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// When to be woken by a `Tick` though nothing happens.
    pub fn deadline(&self) -> Option<Duration> {
        let stopping = self
            .stopping
            .iter()
            .flat_map(|stopping| [stopping.kill_at, stopping.give_up_at]);
        let services = self.services.iter().filter_map(Service::deadline);
        let pruning = self.archives.iter().filter_map(Pruning::deadline);
        stopping
            .chain(services)
            .chain(pruning)
            .chain(self.presses.deadline())
            .min()
    }

    fn with<T>(&mut self, id: ServiceId, change: impl FnOnce(&mut Service) -> T) -> Option<T> {
        self.services.get_mut(id.0).map(change)
    }

    /// What time alone does.
    fn advance(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.presses.tick(now.mono);
        for service in &mut self.services {
            actions.extend(service.tick(now.mono));
        }
        let policy_facts = (self.disk_stage, self.surroundings.system.disk);
        for pruning in &mut self.archives {
            actions.extend(pruning.tick(now, self.outlook.leap, policy_facts.0, policy_facts.1));
        }
        match self.stopping {
            None => self.start_due(now.mono, actions),
            Some(stopping) => self.finish(stopping, now.mono, actions),
        }
    }

    fn start_due(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for index in 0..self.services.len() {
            let order = self.services[index].spec.order;
            let turn = self
                .services
                .iter()
                .all(|other| other.spec.order >= order || other.settled);
            let service = &mut self.services[index];
            if service.is_due(now, turn) {
                actions.push(service.start(now, RunId(self.next_run)));
                self.next_run += 1;
            }
        }
    }

    fn asked(&mut self, request: &Request, now: Now, actions: &mut Vec<Action>) {
        match request {
            Request::Restart { service: name } => {
                if self.stopping.is_none()
                    && let Some(service) = self.services.iter_mut().find(|service| service.spec.name == *name)
                {
                    actions.extend(service.restart(now.mono));
                }
            }
            Request::End(ending) => self.stop(Some(*ending), now.mono, actions),
            Request::ConfirmTime => self.confirm_time(now, actions),
        }
    }

    fn confirm_time(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.past_ns = self.past_ns.map(|past_ns| past_ns.min(now.wall_ns));
        for pruning in &mut self.archives {
            pruning.confirm_time(now);
        }
        actions.push(Action::ConfirmTime);
    }

    /// Ends every service at once; asked twice, it kills.
    fn stop(&mut self, finally: Option<Ending>, now: Duration, actions: &mut Vec<Action>) {
        if let Some(stopping) = &mut self.stopping {
            stopping.kill_at = now;
            return;
        }
        let kill_at = now.saturating_add(STOP_DEADLINE);
        self.stopping = Some(Stopping {
            kill_at,
            give_up_at: now.saturating_add(GIVE_UP_DEADLINE),
            finally,
            exited: false,
        });
        for service in &mut self.services {
            actions.extend(service.stop(Then::Stop, now, Some(kill_at)));
        }
    }

    fn finish(&mut self, stopping: Stopping, now: Duration, actions: &mut Vec<Action>) {
        if stopping.exited {
            return;
        }
        let mut living = 0;
        for service in &mut self.services {
            if let Some(run) = service.run() {
                living += 1;
                if now >= stopping.kill_at {
                    actions.push(Action::Kill {
                        service: service.id,
                        run,
                    });
                }
            }
        }
        if now >= stopping.kill_at {
            // Once is enough: the keeper goes on killing until nothing is left.
            if let Some(stopping) = &mut self.stopping {
                stopping.kill_at = stopping.give_up_at;
            }
        }
        if living > 0 && now < stopping.give_up_at {
            return;
        }
        actions.push(Action::Leave(stopping.finally));
        if let Some(stopping) = &mut self.stopping {
            stopping.exited = true;
        }
    }
}

#[cfg(test)]
mod tests;
