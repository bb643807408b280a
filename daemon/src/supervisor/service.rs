//! One service's machine. Every transition is here; the table of them is in ARCHITECTURE.md, which a test keeps true.
//!
//! A run (one child) exists from `Spawn` until `Exited` or `SpawnFailed`, and a new one is asked for only in states that
//! have none: that is why a service never has two children.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::{self, Random};
use crate::config::EXIT_CONFIG;
use crate::config::service::{RestartPolicy, Service as Spec};
use crate::detail::{Cause, Detail};
use crate::event::{Action, Exit, RunId, ServiceId, Transition};
use crate::health::check;
use crate::snapshot::{ServiceHealth, ServiceStateName, ServiceStatus};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// No child: not started yet, ended as it should, or stopped.
    Inactive,
    /// The child was asked for and has not been healthy yet.
    Activating {
        run: RunId,
        pid: Option<u32>,
        deadline: Option<Duration>,
    },
    Active {
        run: RunId,
        pid: Option<u32>,
        since: Duration,
    },
    /// The child was told to end; at the deadline it is killed (`None`: it has been).
    Deactivating {
        run: RunId,
        pid: Option<u32>,
        deadline: Option<Duration>,
        then: Then,
    },
    Backoff {
        until: Duration,
        failures: u32,
    },
    /// Given up, until somebody presses the button or asks for a restart; after the start limit also until the slow
    /// retry: nobody may be there to press, and a port that was taken is free some day.
    Failed {
        cause: Cause,
        retry: Option<Duration>,
    },
}

/// What follows the end of a child that was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Stop,
    Restart,
    /// It was hung, which is a failure as if it had died.
    Fail,
}

#[derive(Clone, Debug)]
pub struct Service {
    pub id: ServiceId,
    pub spec: Arc<Spec>,
    pub state: ServiceState,
    /// To be running: cleared by a stop, or by an end that its restart policy accepts.
    pub wanted: bool,
    /// Has been healthy, or has failed, at least once: services of a higher order need wait no longer.
    pub settled: bool,
    /// Has been healthy since the daemon's start.
    pub was_active: bool,
    /// No longer in the settings: to be shown only until its child has ended.
    pub removed: bool,
    /// In a row, without a stable run between.
    pub failures: u32,
    pub spawns: u64,
    pub last_exit: Option<String>,
    /// Why it is not active; kept through attempts, until one succeeds.
    pub reason: Option<Cause>,
    pub health: Option<ServiceHealth>,
    failed_checks: u32,
    /// The state at the end of the last step.
    was: ServiceStateName,
}

impl Service {
    pub fn new(id: ServiceId, spec: Spec) -> Service {
        Service {
            id,
            spec: Arc::new(spec),
            state: ServiceState::Inactive,
            wanted: true,
            settled: false,
            was_active: false,
            removed: false,
            failures: 0,
            spawns: 0,
            last_exit: None,
            reason: None,
            health: None,
            failed_checks: 0,
            was: ServiceStateName::Inactive,
        }
    }

    /// What became of it since it was asked last, if it is in another state.
    pub fn transition(&mut self) -> Option<Transition> {
        let now = self.state_name();
        let from = std::mem::replace(&mut self.was, now);
        (from != now).then(|| Transition {
            from,
            status: self.status(),
            failures: self.failures,
        })
    }

    /// The run that lives, or is about to.
    pub fn run(&self) -> Option<RunId> {
        match &self.state {
            ServiceState::Activating { run, .. }
            | ServiceState::Active { run, .. }
            | ServiceState::Deactivating { run, .. } => Some(*run),
            ServiceState::Inactive | ServiceState::Backoff { .. } | ServiceState::Failed { .. } => None,
        }
    }

    pub fn is_active(&self) -> bool {
        matches!(self.state, ServiceState::Active { .. })
    }

    /// It is working at this moment, as far as is known.
    pub fn is_healthy(&self) -> bool {
        self.is_active() && self.health != Some(ServiceHealth::Failing)
            || !self.wanted && self.state == ServiceState::Inactive
    }

    /// When the machine has to be looked at again though nothing happens.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            ServiceState::Activating { deadline, .. } | ServiceState::Deactivating { deadline, .. } => *deadline,
            ServiceState::Backoff { until, .. } => Some(*until),
            ServiceState::Failed { retry, .. } => *retry,
            ServiceState::Inactive | ServiceState::Active { .. } => None,
        }
    }

    /// Asks for a child; only from a state without one.
    pub fn start(&mut self, now: Duration, run: RunId) -> Action {
        debug_assert!(self.run().is_none(), "{} has a child", self.spec.name);
        self.spawns += 1;
        self.health = None;
        self.failed_checks = 0;
        let deadline = self
            .spec
            .health
            .as_ref()
            .map(|health| now.saturating_add(health.start_timeout));
        self.state = ServiceState::Activating {
            run,
            pid: None,
            deadline,
        };
        Action::Spawn {
            service: self.id,
            run,
            spec: self.spec.clone(),
        }
    }

    pub fn spawned(&mut self, of: RunId, started: u32, now: Duration) {
        match &mut self.state {
            ServiceState::Activating { run, pid, .. }
            | ServiceState::Active { run, pid, .. }
            | ServiceState::Deactivating { run, pid, .. }
                if *run == of =>
            {
                *pid = Some(started);
            }
            _ => return,
        }
        if self.spec.health.is_none() && matches!(self.state, ServiceState::Activating { .. }) {
            self.activate(now);
        }
    }

    pub fn checked(&mut self, of: RunId, result: Result<(), check::Failed>, now: Duration) -> Option<Action> {
        if self.run() != Some(of) || matches!(self.state, ServiceState::Deactivating { .. }) {
            return None;
        }
        match result {
            Ok(()) => {
                self.failed_checks = 0;
                self.health = Some(ServiceHealth::Ok);
                if matches!(self.state, ServiceState::Activating { .. }) {
                    self.activate(now);
                }
                None
            }
            Err(why) => {
                self.health = Some(ServiceHealth::Failing);
                if !self.is_active() {
                    return None;
                }
                self.failed_checks += 1;
                let allowed = self.spec.health.as_ref().map_or(u32::MAX, |health| health.failures);
                if self.failed_checks < allowed {
                    return None;
                }
                self.forget_failures_if_stable(now);
                self.kill_hung(Cause::NotResponding { why: why.to_string() })
            }
        }
    }

    fn activate(&mut self, now: Duration) {
        if let ServiceState::Activating { run, pid, .. } = self.state {
            self.state = ServiceState::Active { run, pid, since: now };
            self.settled = true;
            self.was_active = true;
            self.reason = None;
        }
    }

    /// A hung process is not asked to end, for it would not hear; the bound on how long it may hold on is the checks'.
    fn kill_hung(&mut self, why: Cause) -> Option<Action> {
        let (run, pid) = match self.state {
            ServiceState::Activating { run, pid, .. } | ServiceState::Active { run, pid, .. } => (run, pid),
            _ => return None,
        };
        self.reason = Some(why);
        self.state = ServiceState::Deactivating {
            run,
            pid,
            deadline: None,
            then: Then::Fail,
        };
        Some(Action::Kill { service: self.id, run })
    }

    pub fn exited(&mut self, of: RunId, exit: Option<Exit>, last_line: Option<String>, now: Duration, by: &mut Random) {
        if self.run() != Some(of) {
            return;
        }
        self.last_exit = exit.map(|exit| exit.to_string());
        self.health = None;
        self.forget_failures_if_stable(now);
        let then = match self.state {
            ServiceState::Deactivating { then, .. } => Some(then),
            _ => None,
        };
        match then {
            Some(Then::Stop) => self.state = ServiceState::Inactive,
            Some(Then::Restart) => {
                self.failures = 0;
                self.state = ServiceState::Backoff {
                    until: now,
                    failures: 0,
                };
            }
            Some(Then::Fail) => self.fail(exit, now, by),
            None => {
                let cause = ended(exit, last_line);
                self.reason = Some(cause.clone());
                match (self.spec.restart.policy, exit) {
                    (RestartPolicy::Never, _) | (RestartPolicy::OnFailure, Some(Exit::Code(0))) => {
                        self.wanted = false;
                        self.settled = true;
                        self.state = match exit {
                            Some(Exit::Code(0)) => {
                                self.reason = None;
                                ServiceState::Inactive
                            }
                            _ => ServiceState::Failed { cause, retry: None },
                        };
                    }
                    _ => self.fail(exit, now, by),
                }
            }
        }
    }

    fn fail(&mut self, exit: Option<Exit>, now: Duration, random: &mut Random) {
        self.settled = true;
        let delay = backoff::delay(self.spec.restart.base.0, self.spec.restart.max.0, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        let cause = self.reason.clone().unwrap_or_else(|| ended(exit, None));
        self.state = if exit == Some(Exit::Code(i32::from(EXIT_CONFIG))) {
            // It says that it cannot work with these settings: trying again would not change them.
            ServiceState::Failed { cause, retry: None }
        } else if self.failures >= self.spec.restart.start_limit {
            ServiceState::Failed {
                cause,
                retry: Some(now.saturating_add(self.spec.restart.slow.0)),
            }
        } else {
            ServiceState::Backoff {
                until: now.saturating_add(delay),
                failures: self.failures,
            }
        };
    }

    fn forget_failures_if_stable(&mut self, now: Duration) {
        if let ServiceState::Active { since, .. } = self.state
            && now.saturating_sub(since) >= self.spec.restart.stable_after.0
        {
            self.failures = 0;
        }
    }

    /// What time alone does, except starting.
    pub fn tick(&mut self, now: Duration) -> Option<Action> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        match &mut self.state {
            ServiceState::Activating { .. } => {
                let timeout = self
                    .spec
                    .health
                    .as_ref()
                    .map(|health| health.start_timeout)
                    .unwrap_or_default();
                self.kill_hung(Cause::NotReady {
                    within_secs: timeout.as_secs(),
                })
            }
            ServiceState::Failed { .. } => {
                self.state = ServiceState::Backoff {
                    until: now,
                    failures: self.failures,
                };
                None
            }
            ServiceState::Deactivating { run, deadline, .. } => {
                *deadline = None;
                Some(Action::Kill {
                    service: self.id,
                    run: *run,
                })
            }
            _ => None,
        }
    }

    /// Whether a child is due; `turn` says whether all services of a lower order have settled.
    pub fn is_due(&self, now: Duration, turn: bool) -> bool {
        match &self.state {
            ServiceState::Inactive => self.wanted && turn,
            ServiceState::Backoff { until, .. } => *until <= now,
            _ => false,
        }
    }

    /// Ends the child with its grace, at most until `latest`.
    pub fn stop(&mut self, then: Then, now: Duration, latest: Option<Duration>) -> Option<Action> {
        match &mut self.state {
            ServiceState::Activating { run, pid, .. } | ServiceState::Active { run, pid, .. } => {
                let end = now.saturating_add(self.spec.stop.grace.0);
                let deadline = latest.map_or(end, |latest| latest.min(end));
                let action = Action::Terminate {
                    service: self.id,
                    run: *run,
                    signal: self.spec.stop.signal,
                };
                self.state = ServiceState::Deactivating {
                    run: *run,
                    pid: *pid,
                    deadline: Some(deadline),
                    then,
                };
                Some(action)
            }
            ServiceState::Deactivating {
                deadline,
                then: planned,
                ..
            } => {
                *planned = then;
                if let (Some(deadline), Some(latest)) = (deadline.as_mut(), latest) {
                    *deadline = (*deadline).min(latest);
                }
                None
            }
            ServiceState::Inactive | ServiceState::Backoff { .. } | ServiceState::Failed { .. } => {
                self.state = match then {
                    Then::Stop | Then::Fail => ServiceState::Inactive,
                    Then::Restart => ServiceState::Backoff {
                        until: now,
                        failures: 0,
                    },
                };
                None
            }
        }
    }

    /// Somebody wants it up again, whatever it has done.
    pub fn restart(&mut self, now: Duration) -> Option<Action> {
        self.wanted = true;
        self.failures = 0;
        self.stop(Then::Restart, now, None)
    }

    pub fn state_name(&self) -> ServiceStateName {
        match &self.state {
            ServiceState::Inactive => ServiceStateName::Inactive,
            ServiceState::Activating { .. } => ServiceStateName::Activating,
            ServiceState::Active { .. } => ServiceStateName::Active,
            ServiceState::Deactivating { .. } => ServiceStateName::Deactivating,
            ServiceState::Backoff { .. } => ServiceStateName::Backoff,
            ServiceState::Failed { .. } => ServiceStateName::Failed,
        }
    }

    fn pid(&self) -> Option<u32> {
        match &self.state {
            ServiceState::Activating { pid, .. }
            | ServiceState::Active { pid, .. }
            | ServiceState::Deactivating { pid, .. } => *pid,
            ServiceState::Inactive | ServiceState::Backoff { .. } | ServiceState::Failed { .. } => None,
        }
    }

    pub fn status(&self) -> ServiceStatus {
        ServiceStatus {
            name: self.spec.name.clone(),
            state: self.state_name(),
            pid: self.pid(),
            restarts: self.spawns.saturating_sub(1),
            last_exit: self.last_exit.clone(),
            health: self.health,
            reason: self.reason.clone().map(Detail::Cause),
        }
    }
}

/// How a child's end is told; without an exit it never was one.
fn ended(exit: Option<Exit>, words: Option<String>) -> Cause {
    match exit {
        None => Cause::NotStarted { words },
        Some(exit) => Cause::Ended {
            exit: exit.to_string(),
            words,
        },
    }
}
