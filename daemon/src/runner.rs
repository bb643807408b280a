//! The runner: takes events, lets the supervisor decide, does what it decided, and publishes a snapshot.
//!
//! One loop, one task. It waits for nothing but the next event, so whatever takes time (a child, a check, a pruning
//! run) is a task of its own that comes back with an event. It publishes after every event and at least once a second,
//! which is the sign of life that the LEDs and the watchdogs go by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archive::Policy;
use archive::retention::Leap;
use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::{Clock, Save};
use crate::config::service::{Node, Schema, Service as Spec};
use crate::event::{Action, ArchiveId, Event, Now, Receiver, RunId, Sender, ServiceId};
use crate::health::probe::{self, Probe};
use crate::lifeline::Lifeline;
use crate::process::cgroup::Tree;
use crate::process::{Launch, run};
use crate::retention;
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

pub struct Runner {
    state: State,
    clock: Clock,
    inbox: Receiver,
    events: Sender,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// The runs that live, by service; the supervisor never asks for a second one of a service.
    runs: BTreeMap<ServiceId, Live>,
    saved_at: Option<Duration>,
    ending: Ending,
    lifeline: Lifeline,
    /// For the limits of services, where it can be had.
    tree: Option<Tree>,
    /// The node that is asked about itself.
    nodes: watch::Sender<Option<Node>>,
}

/// What is left to do when all services have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exit,
    Reboot,
    PowerOff,
    FactoryReset,
    Restore,
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
            ending: Ending::Exit,
            lifeline: Lifeline::new(),
            tree: None,
            nodes: watch::channel(None).0,
        }
    }

    /// Which node is to be asked about itself, now and after each change of the settings.
    pub fn nodes(&self) -> watch::Receiver<Option<Node>> {
        self.nodes.subscribe()
    }

    /// With limits on its services, or the reason why there are none.
    pub fn limited(mut self, tree: Result<Tree, String>) -> Runner {
        self.state.set_limits(tree.as_ref().map(drop).map_err(String::clone));
        self.tree = tree.ok();
        self
    }

    /// Runs until the supervisor says `Exit`; all services have ended then.
    pub async fn run(mut self) -> Ending {
        let mut event = Event::Tick;
        let kept = std::fs::read_to_string(self.state.state_dir().join(TRAFFIC)).unwrap_or_default();
        self.state.resume_traffic(&kept);
        loop {
            let now = self.clock.now();
            self.state.set_outlook(self.clock.outlook());
            forget_ended(&mut self.runs, &event);
            let before = self.state.service_states();
            let actions = self.state.step(event, now);
            self.log_changes(&before);
            let leaving = actions.contains(&Action::Exit);
            for action in actions {
                self.act(action);
            }
            let snapshot = Arc::new(self.state.snapshot(now));
            self.lifeline.beat(&snapshot, self.state.is_stopping(), now.mono);
            self.snapshots.send_replace(snapshot);
            self.nodes.send_if_modified(|node| {
                let asked = self.state.node();
                let differs = node.as_ref() != asked;
                if differs {
                    *node = asked.cloned();
                }
                differs
            });
            if leaving {
                // A stuck disk holds up no stop.
                let _ = timeout(LAST_SAVE, self.save(now)).await;
                return self.ending;
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

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn { service, run } => self.spawn(service, run),
            Action::Terminate { service, run } => {
                let signal = self
                    .spec(service)
                    .map_or(Signal::SIGTERM, |spec| spec.stop.signal.into());
                if let Some(live) = self.live(service, run) {
                    live.handle.signal(signal);
                }
            }
            Action::Kill { service, run } => {
                if let Some(live) = self.live(service, run) {
                    live.handle.kill();
                }
            }
            Action::Prune { archive, policy, leap } => self.prune(archive, policy, leap),
            Action::ConfirmTime => {
                let saves = self.clock.confirm();
                write(saves);
            }
            Action::Reboot => self.ending = Ending::Reboot,
            Action::PowerOff => self.ending = Ending::PowerOff,
            Action::FactoryReset => self.ending = Ending::FactoryReset,
            Action::Restore => self.ending = Ending::Restore,
            // The loop has seen it.
            Action::Exit => {}
        }
    }

    /// Changes of state are the log's main matter; attempts that fail alike are counted in the fields.
    fn log_changes(&mut self, before: &[ServiceStateName]) {
        for (service, before) in self.state.services.iter().zip(before) {
            let now = service.status();
            if now.state == *before {
                continue;
            }
            let name = &now.name;
            let (state, restarts, last_exit, reason) = (now.state, now.restarts, now.last_exit, now.reason);
            match state {
                ServiceStateName::Active | ServiceStateName::Inactive => {
                    tracing::info!(service = name, ?state, pid = now.pid, restarts, last_exit, "service");
                }
                ServiceStateName::Backoff | ServiceStateName::Failed => {
                    tracing::warn!(
                        service = name,
                        ?state,
                        failures = service.failures,
                        last_exit,
                        reason = reason.map(tracing::field::display),
                        "service"
                    );
                }
                _ => tracing::debug!(service = name, ?state, "service"),
            }
        }
    }

    fn spec(&self, service: ServiceId) -> Option<&Spec> {
        self.state.services.get(service.0).map(|service| &service.spec)
    }

    fn live(&self, service: ServiceId, run: RunId) -> Option<&Live> {
        self.runs.get(&service).filter(|live| live.run == run)
    }

    fn spawn(&mut self, service: ServiceId, run: RunId) {
        let Some(spec) = self.spec(service) else { return };
        let job = run::Job {
            service,
            run,
            launch: launch(spec),
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

    fn prune(&self, archive: ArchiveId, policy: Policy, leap: Option<Leap>) {
        let Some(rules) = self.state.archives.get(archive.0).map(|pruning| pruning.rules.clone()) else {
            return;
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            let pruned = tokio::task::spawn_blocking(move || retention::prune(&rules, &policy, leap)).await;
            let result = pruned.unwrap_or_else(|error| Err(format!("pruning ended early: {error}")));
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

fn write(saves: Vec<Save>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        for (file, text) in saves {
            let done = match text {
                Some(text) => replace(&file, &text),
                None => std::fs::remove_file(&file),
            };
            if let Err(error) = done {
                tracing::warn!(file = %file.display(), %error, "not saved");
            }
        }
    })
}

/// The file with this text, or as it was.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let temporary = file.with_extension("new");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, file)
}

fn forget_ended(runs: &mut BTreeMap<ServiceId, Live>, event: &Event) {
    if let Event::Exited { service, run, .. } | Event::SpawnFailed { service, run, .. } = event
        && runs.get(service).is_some_and(|live| live.run == *run)
    {
        runs.remove(service);
    }
}

/// The directory that its archive is in.
fn archive_dir(spec: &Spec) -> Option<&PathBuf> {
    let archive = spec.archive.as_ref()?;
    (archive.schema == Schema::Pillarbox).then_some(&archive.path)
}

fn launch(spec: &Spec) -> Launch {
    let mut environment = BTreeMap::from([
        (
            "PATH".to_owned(),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ),
        ("HOME".to_owned(), spec.directory.display().to_string()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    environment.extend(spec.environment.clone());
    Launch {
        name: spec.name.clone(),
        program: spec.program.clone(),
        arguments: spec.arguments.clone(),
        environment,
        directory: spec.directory.clone(),
        owned: [Some(&spec.directory), archive_dir(spec)]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        user: spec.user.clone(),
        writes_to: spec.writes_to.clone(),
        entrance: None,
    }
}
