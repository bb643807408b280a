//! Child processes: the only place that starts any.
//!
//! A service runs under a *keeper*, a small resident process of our own program ([`keeper`]), which starts the service
//! in a session and process group of its own through a *launcher* ([`launcher`]) that gives up privileges and becomes
//! the service's program by exec. So it is that
//!
//! - everything a service starts ends with it, even what forked away from its group: the keeper is the subreaper of
//!   all its descendants, and ends only when none is left;
//! - SIGKILL of the daemon leaves no orphan: the keeper's standard input is a pipe that only the daemon holds, and its
//!   end is the order to end everything; SIGKILL of a keeper ends the service by the kernel's parent-death signal;
//! - nothing of this needs `unsafe`: what has to happen between fork and exec happens in the launcher, as a program.
//!
//! The daemon's side of a run is [`run::run`].

#![expect(clippy::disallowed_methods, reason = "the room that starts programs")]

pub mod cgroup;
pub mod command;
pub mod keeper;
pub mod launcher;
pub mod output;
pub mod power;
pub mod run;
mod sandbox;
pub(crate) mod strip;
pub(crate) mod vault;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::config::service::{Schema, Service};

/// First argument by which the program is told to be one of its small processes instead of the daemon.
pub const KEEPER: &str = "__keeper";
pub const LAUNCHER: &str = "__launcher";
pub(crate) const VAULT: &str = "__vault";

static OWN_PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Names the program that keepers are started from, for tests, which run inside a program that is not ours.
pub fn set_own_program(path: PathBuf) {
    // Only the first caller decides; every test names the same program.
    let _ = OWN_PROGRAM.set(path);
}

/// This very program, even when its file has been replaced since the start.
fn own_program() -> &'static Path {
    OWN_PROGRAM.get().map_or(Path::new("/proc/self/exe"), PathBuf::as_path)
}

/// One more small process: its first argument, and its work.
pub(crate) type Worker = (&'static str, fn() -> ExitCode);

/// Whether this process was started as a keeper, a launcher or one of these workers; then it has done that, and this is its
/// exit code. To be called first of all in `main`.
pub(crate) fn enter(workers: &[Worker]) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let mode = arguments.next()?;
    if mode == KEEPER {
        Some(keeper::keep())
    } else if mode == LAUNCHER {
        Some(launcher::launch(arguments))
    } else {
        let worker = workers.iter().find(|(name, _)| mode == *name)?;
        Some(worker.1())
    }
}

/// What a keeper is told on its standard input's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub environment: BTreeMap<String, String>,
    pub directory: PathBuf,
    /// Made before the start, and given to `user`.
    pub owned: Vec<PathBuf>,
    pub user: Option<String>,
    /// The only places that it may write to, where the kernel can see to that.
    pub writes_to: Option<Vec<PathBuf>>,
    /// Of its control group, where it has one: the file that a process writes its number into.
    pub entrance: Option<PathBuf>,
}

/// What a service finds programs with: the standard folders, whatever the daemon was started with.
const CHILD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Launch {
    /// As the service's settings say.
    pub fn of(spec: &Service) -> Launch {
        let own = [
            ("PATH", CHILD_PATH.to_owned()),
            ("HOME", spec.directory.display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        let mut environment: BTreeMap<String, String> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
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
}

/// The directory that its archive is in.
fn archive_dir(spec: &Service) -> Option<&PathBuf> {
    let archive = spec.archive.as_ref()?;
    (archive.schema == Schema::Pillarbox).then_some(&archive.path)
}

/// What a keeper is told afterwards, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// This signal to the service's process group.
    Signal(i32),
    /// SIGKILL to all that the service started.
    Kill,
}

/// What a keeper tells on its standard output, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    Started(u32),
    /// Could not even be tried; nothing runs.
    Failed(String),
    /// The service has ended and nothing that it started is left.
    Ended(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Code(i32),
    Signal(i32),
}
