//! The runner: takes events, lets the supervisor decide, does what it decided, and publishes a snapshot.
//!
//! One loop, one task. It waits for nothing but the next event, so whatever takes time (a child, a check, a pruning
//! run) is a task of its own that comes back with an event. It publishes after every event and at least once a second,
//! which is the sign of life that the LEDs and the watchdogs go by.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use archive::Policy;
use archive::retention::Leap;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::{Clock, Now, Save};
use crate::config::service::{ArchiveRules, Node, Service as Spec};
use crate::event::{Action, ArchiveId, Ending, Event, Receiver, RunId, Sender, ServiceId, Transition};
use crate::health::probe::{self, Probe};
use crate::process::cgroup::{self, Tree};
use crate::process::{Launch, run};
use crate::retention;
use crate::sd_notify::Systemd;
use crate::snapshot::{ServiceStateName, Snapshot};
use crate::supervisor::State;

/// A snapshot at least so often, changed or not.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The trusted time is kept for the next start so often: a card wears with every write.
const SAVE_EVERY: Duration = Duration::from_secs(3600);
/// What saving may take when the daemon ends.
const LAST_SAVE: Duration = Duration::from_millis(400);
/// Beside it, in the state directory: the month's traffic.
const TRAFFIC: &str = "traffic";
/// What is saved is no secret.
const SAVED_MODE: u32 = 0o644;

pub struct Runner {
    state: State,
    clock: Clock,
    inbox: Receiver,
    events: Sender,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// The runs that live, by service; the supervisor never asks for a second one of a service.
    runs: BTreeMap<ServiceId, Live>,
    saved_at: Option<Duration>,
    systemd: Systemd,
    /// For the limits of services, where it can be had.
    tree: Option<Tree>,
    /// The node that is asked about itself.
    nodes: watch::Sender<Option<Node>>,
}

struct Live {
    run: RunId,
    handle: run::Handle,
    _probe: Option<Probe>,
}

impl Runner {
    pub fn new(
        state: State,
        clock: Clock,
        inbox: Receiver,
        events: Sender,
        snapshots: watch::Sender<Arc<Snapshot>>,
    ) -> Runner {
        Runner {
            state,
            clock,
            inbox,
            events,
            snapshots,
            runs: BTreeMap::new(),
            saved_at: None,
            systemd: Systemd::new(),
            tree: None,
            nodes: watch::channel(None).0,
        }
    }

    /// Which node is to be asked about itself, now and after each change of the settings.
    pub fn nodes(&self) -> watch::Receiver<Option<Node>> {
        self.nodes.subscribe()
    }

    /// With limits on its services, or the reason why there are none.
    pub fn limited(mut self, tree: Result<Tree, cgroup::Error>) -> Runner {
        self.state.set_unlimited(tree.as_ref().err().map(ToString::to_string));
        self.tree = tree.ok();
        self
    }

    /// Runs until the supervisor says to leave; all services have ended then.
    pub async fn run(mut self) -> Option<Ending> {
        let mut event = Event::Tick;
        loop {
            let now = self.clock.now();
            self.state.set_outlook(self.clock.outlook());
            forget_ended(&mut self.runs, &event);
            let step = self.state.step(event, now);
            step.transitions.iter().for_each(log);
            let left = step.actions.into_iter().try_for_each(|action| self.act(action));
            self.publish(now);
            if let ControlFlow::Break(ending) = left {
                // A stuck disk holds up no stop.
                let _ = timeout(LAST_SAVE, self.save(now)).await;
                return ending;
            }
            let saved_at = self.saved_at;
            if saved_at.is_none_or(|at| now.mono.saturating_sub(at) >= SAVE_EVERY) {
                self.save(now);
            }
            let wait = self
                .state
                .deadline()
                .map_or(HEARTBEAT, |at| at.saturating_sub(now.mono).min(HEARTBEAT));
            event = tokio::select! {
                received = self.inbox.recv() => received.unwrap_or(Event::Stop),
                () = sleep_until(Instant::now() + wait) => Event::Tick,
            };
        }
    }

    fn publish(&mut self, now: Now) {
        let snapshot = Arc::new(self.state.snapshot(now));
        self.systemd.beat(&snapshot, self.state.is_stopping(), now.mono);
        self.snapshots.send_replace(snapshot);
        self.nodes.send_if_modified(|node| {
            let asked = self.state.node();
            let differs = node.as_ref() != asked;
            if differs {
                *node = asked.cloned();
            }
            differs
        });
    }

    /// Breaks with what is left to do when the loop is to be left.
    fn act(&mut self, action: Action) -> ControlFlow<Option<Ending>> {
        match action {
            Action::Spawn { service, run, spec } => self.spawn(service, run, &spec),
            Action::Terminate { service, run, signal } => {
                if let Some(live) = self.live(service, run) {
                    live.handle.signal(signal.into());
                }
            }
            Action::Kill { service, run } => {
                if let Some(live) = self.live(service, run) {
                    live.handle.kill();
                }
            }
            Action::Prune {
                archive,
                rules,
                policy,
                leap,
            } => self.prune(archive, rules, policy, leap),
            Action::ConfirmTime => {
                let saves = self.clock.confirm();
                write(saves);
            }
            Action::Leave(ending) => return ControlFlow::Break(ending),
        }
        ControlFlow::Continue(())
    }

    fn live(&self, service: ServiceId, run: RunId) -> Option<&Live> {
        self.runs.get(&service).filter(|live| live.run == run)
    }

    fn spawn(&mut self, service: ServiceId, run: RunId, spec: &Spec) {
        let job = run::Job {
            service,
            run,
            launch: Launch::of(spec),
            output: spec.output.clone(),
            tree: self.tree.clone(),
            limits: spec.limits,
        };
        let health = spec.health.clone();
        let probe = health.map(|rules| probe::start(service, run, rules, self.events.clone()));
        let handle = run::start(job, self.events.clone());
        self.runs.insert(
            service,
            Live {
                run,
                handle,
                _probe: probe,
            },
        );
    }

    fn prune(&self, archive: ArchiveId, rules: Arc<ArchiveRules>, policy: Policy, leap: Option<Leap>) {
        let events = self.events.clone();
        tokio::spawn(async move {
            let pruned = tokio::task::spawn_blocking(move || retention::prune(&rules, &policy, leap)).await;
            let result = pruned.unwrap_or_else(|error| Err(error.into()));
            // Closed only when the daemon ends.
            let _ = events.send(Event::Pruned { archive, result }).await;
        });
    }

    /// Writes down what the next start goes on from; not on this thread, for a card may take its time.
    fn save(&mut self, now: Now) -> JoinHandle<()> {
        self.saved_at = Some(now.mono);
        let traffic = self.state.traffic_text();
        let traffic = traffic.map(|text| (self.state.state_dir().join(TRAFFIC), Some(text)));
        write(self.clock.to_save(now).into_iter().chain(traffic).collect())
    }
}

/// The month's traffic as the run before left it; read before the loop begins, which waits for no disk.
pub fn saved_traffic(state_dir: &Path) -> String {
    std::fs::read_to_string(state_dir.join(TRAFFIC)).unwrap_or_default()
}

/// Changes of state are the log's main matter; attempts that fail alike are counted in the fields.
fn log(transition: &Transition) {
    let now = &transition.status;
    let name = &now.name;
    let (state, restarts, last_exit) = (now.state, now.restarts, &now.last_exit);
    match state {
        ServiceStateName::Active | ServiceStateName::Inactive => {
            tracing::info!(service = name, ?state, pid = now.pid, restarts, last_exit, "service");
        }
        ServiceStateName::Backoff | ServiceStateName::Failed => {
            let failures = transition.failures;
            let reason = now.reason.as_ref().map(tracing::field::display);
            tracing::warn!(service = name, ?state, failures, last_exit, reason, "service");
        }
        _ => tracing::debug!(service = name, ?state, "service"),
    }
}

fn write(saves: Vec<Save>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        for (file, text) in saves {
            let done = match text {
                Some(text) => durable_file::replace(&file, text.as_bytes(), SAVED_MODE),
                None => durable_file::remove(&file),
            };
            if let Err(error) = done {
                tracing::warn!(%error, "not saved");
            }
        }
    })
}

fn forget_ended(runs: &mut BTreeMap<ServiceId, Live>, event: &Event) {
    if let Event::Exited { service, run, .. } | Event::SpawnFailed { service, run, .. } = event
        && runs.get(service).is_some_and(|live| live.run == *run)
    {
        runs.remove(service);
    }
}
