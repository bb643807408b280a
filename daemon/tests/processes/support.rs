//! A daemon inside the test ([`Daemon`]) or as the built program ([`Program`]), on a folder of services of the test's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pillarboxd::clock::Clock;
use pillarboxd::config::Config;
use pillarboxd::event::{self, Ending, Event, Sender};
use pillarboxd::runner::Runner;
use pillarboxd::snapshot::{ServiceStateName, ServiceStatus, Snapshot};
use pillarboxd::supervisor::State;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A minute on a busy machine of two cores; every wait ends as soon as its condition holds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const PILLARBOXD: &str = env!("CARGO_BIN_EXE_pillarboxd");

/// Settings, services and their programs in a folder of their own.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// `main` is added to the settings that every test needs.
    pub(crate) fn new(main: &str) -> Files {
        Files::expecting("expects = \"nothing\"", main)
    }

    /// With these settings about health.
    pub(crate) fn expecting(health: &str, main: &str) -> Files {
        let files = Files {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(files.path("services")).unwrap();
        let base = "board = \"dev\"\nstate_dir = \"state\"\nservices_dir = \"services\"\nclock = \"trusted\"\n";
        // Last, or `main` would add its keys to the table.
        let page = format!("[page]\nlisten = \"127.0.0.1:0\"\n[health]\n{health}\n");
        std::fs::write(files.config(), format!("{base}{main}\n{page}")).unwrap();
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("main.toml")
    }

    /// A service whose program is this shell text; `$D` in it is the test's folder.
    pub(crate) fn service(self, name: &str, shell: &str, settings: &str) -> Files {
        let program = self.path(&format!("{name}.sh"));
        let text = format!("D={}\n{shell}\n", self.folder.path().display());
        std::fs::write(&program, text).unwrap();
        // Read by the shell, not executed: another test's fork could hold the file open for writing just then.
        let settings = format!(
            "program = \"/bin/sh\"\narguments = [\"{}\"]\n{settings}\n",
            program.display()
        );
        std::fs::write(self.path("services").join(format!("{name}.toml")), settings).unwrap();
        self
    }
}

/// A daemon that runs in the test; dropping it without [`Daemon::stop`] ends its children too.
pub(crate) struct Daemon {
    pub(crate) events: Sender,
    seen: watch::Receiver<Arc<Snapshot>>,
    task: JoinHandle<Option<Ending>>,
}

impl Daemon {
    pub(crate) fn start(files: &Files) -> Daemon {
        pillarboxd::process::set_own_program(PathBuf::from(PILLARBOXD));
        let config = Config::read(&files.config()).unwrap();
        std::fs::create_dir_all(&config.state_dir).unwrap();
        let mut clock = Clock::new(&config);
        let state = State::new(&config, clock.floor_ns(), 1);
        let (events, inbox) = event::channel();
        let (snapshots, seen) = watch::channel(Arc::new(state.snapshot(clock.now())));
        let task = tokio::spawn(Runner::new(state, clock, inbox, events.clone(), snapshots).run());
        Daemon { events, seen, task }
    }

    /// The first snapshot for which the condition holds.
    pub(crate) async fn until(&mut self, what: &str, condition: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut condition = condition;
        let waiting = self.seen.wait_for(|snapshot| condition(snapshot));
        let waited = tokio::time::timeout(PATIENCE, waiting)
            .await
            .map(|ended| ended.map(|held| Arc::clone(&held)));
        match waited {
            Ok(Ok(snapshot)) => snapshot,
            Ok(Err(_)) => panic!("the daemon ended before: {what}"),
            Err(_) => panic!("not within {PATIENCE:?}: {what}\n{:#?}", self.seen.borrow()),
        }
    }

    pub(crate) async fn until_active(&mut self, name: &str) -> u32 {
        let snapshot = self
            .until(name, |snapshot| {
                service(snapshot, name).state == ServiceStateName::Active
            })
            .await;
        service(&snapshot, name).pid.unwrap()
    }

    pub(crate) fn now(&self) -> Arc<Snapshot> {
        Arc::clone(&self.seen.borrow())
    }

    pub(crate) async fn send(&self, event: Event) {
        self.events.send(event).await.unwrap();
    }

    pub(crate) async fn stop(self) -> Option<Ending> {
        self.send(Event::Stop).await;
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("the daemon does not stop")
            .unwrap()
    }
}

pub(crate) fn service<'a>(snapshot: &'a Snapshot, name: &str) -> &'a ServiceStatus {
    snapshot.services.iter().find(|service| service.name == name).unwrap()
}

/// The built program, started on the files.
pub(crate) struct Program {
    pub(crate) child: Child,
}

impl Program {
    pub(crate) fn start(files: &Files) -> Program {
        Program::start_with(files, &[] as &[(&str, &str)])
    }

    /// With these in its environment.
    pub(crate) fn start_with(files: &Files, environment: &[(&str, impl AsRef<OsStr>)]) -> Program {
        let child = Command::new(PILLARBOXD)
            .arg("--config")
            .arg(files.config())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Program { child }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Blocks until the condition holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The pids that a service's shell wrote into a file, a line each, once there are so many.
pub(crate) fn pids(file: &Path, count: usize) -> Vec<i32> {
    let mut found = Vec::new();
    wait_until(&format!("{count} pids in {}", file.display()), || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        found = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
        found.len() >= count
    });
    found
}

/// Whether the process runs; a zombie, which only waits to be reaped, does not.
pub(crate) fn lives(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !matches!(
        stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]),
        None | Some(b'Z' | b'X')
    )
}
