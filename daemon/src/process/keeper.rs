//! The keeper: one small process a service, whose only work is that nothing of the service outlives it.
//!
//! Standard input: a [`Launch`], then [`Order`]s, a line of JSON each; its end means that the daemon is gone. Standard
//! output: [`Report`]s. Standard error: passed on to the service, as both its output and error.
//!
//! It ignores the signals that ask to stop: on a terminal's Ctrl-C, or when systemd signals the whole control group,
//! the daemon decides what happens.

use std::io::{self, BufRead, Write};
use std::num::TryFromIntError;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{self, SigSet, Signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

use super::{End, LAUNCHER, Launch, Order, Report};

/// How long the service may tidy up after the daemon has died; with the daemon's own restart, it has to serve again
/// within 5 s.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// Between two rounds of killing what is left.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// The service's first process while it has not been reaped: its pid cannot be another's meanwhile.
type Leader = Arc<Mutex<Option<Pid>>>;

pub(super) fn keep() -> ExitCode {
    match try_keep() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&Report::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Why nothing runs.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot {0}: {1}")]
    Prepare(&'static str, Errno),
    #[error("cannot read the launch: {0}")]
    Read(io::Error),
    #[error("cannot understand the launch: {0}")]
    Understand(serde_json::Error),
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    #[error("cannot pass on the output: {0}")]
    Output(io::Error),
    #[error("cannot write down the sandbox: {0}")]
    Sandbox(serde_json::Error),
    #[error("cannot start {name} in {}: {source}", directory.display())]
    Start {
        name: String,
        directory: PathBuf,
        source: io::Error,
    },
    #[error("no pid: {0}")]
    Pid(TryFromIntError),
}

fn try_keep() -> Result<(), Failed> {
    let cannot = |what| move |error| Failed::Prepare(what, error);
    SigSet::all().thread_block().map_err(cannot("block signals"))?;
    prctl::set_child_subreaper(true).map_err(cannot("become a subreaper"))?;
    prctl::set_name(c"pillar-keeper").map_err(cannot("take a name"))?;
    let mut first = String::new();
    io::stdin().lock().read_line(&mut first).map_err(Failed::Read)?;
    let launch: Launch = serde_json::from_str(&first).map_err(Failed::Understand)?;
    let pid = spawn(&launch)?;
    let leader: Leader = Arc::new(Mutex::new(Some(pid)));
    report(&Report::Started(pid.as_raw().unsigned_abs()));
    let obeying = Arc::clone(&leader);
    std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || obey(&obeying))
        .map_err(Failed::Thread)?;
    let end = wait_for(pid, &leader);
    sweep();
    report(&Report::Ended(end));
    Ok(())
}

fn spawn(launch: &Launch) -> Result<Pid, Failed> {
    let output = || {
        let duplicate = io::stderr().as_fd().try_clone_to_owned();
        duplicate.map(Stdio::from).map_err(Failed::Output)
    };
    let writes_to = launch.writes_to.as_ref().map(serde_json::to_string).transpose();
    let writes_to = writes_to.map_err(Failed::Sandbox)?.unwrap_or_default();
    // The launcher is this very program, even when its file has been replaced meanwhile.
    let child = Command::new("/proc/self/exe")
        .arg(LAUNCHER)
        .arg(getpid().to_string())
        .arg(launch.user.as_deref().unwrap_or_default())
        .arg(launch.entrance.as_deref().unwrap_or(Path::new("")))
        .arg(writes_to)
        .arg(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(&launch.environment)
        .current_dir(&launch.directory)
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .spawn()
        .map_err(|source| Failed::Start {
            name: launch.name.clone(),
            directory: launch.directory.clone(),
            source,
        })?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(Failed::Pid)
}

/// The thread that takes orders.
fn obey(leader: &Leader) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Order::Signal(number)) => {
                if let Ok(signal) = Signal::try_from(number) {
                    signal_group(leader, signal);
                }
            }
            Ok(Order::Kill) => kill_all(leader),
            Err(_) => break,
        }
    }
    signal_group(leader, Signal::SIGTERM);
    std::thread::sleep(LAST_GRACE);
    kill_all(leader);
}

fn signal_group(leader: &Leader, signal: Signal) {
    let leader = leader.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pid) = *leader
        && signal::killpg(pid, signal).is_err()
    {
        // The launcher has not made its group yet; a signal to it alone ends it.
        let _ = signal::kill(pid, signal);
    }
}

fn kill_all(leader: &Leader) {
    signal_group(leader, Signal::SIGKILL);
    kill_children();
}

/// Reaps whatever ends, until the service's first process has.
fn wait_for(pid: Pid, leader: &Leader) -> End {
    loop {
        // Looked at before it is reaped, so that no order can go to a pid that has become another's.
        let ended = match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Ok(status) => status.pid(),
            Err(Errno::EINTR) => continue,
            Err(_) => return End::Signal(Signal::SIGKILL as i32),
        };
        let mut guard = leader.lock().unwrap_or_else(PoisonError::into_inner);
        if ended != Some(pid) {
            let _ = waitpid(ended, None);
            continue;
        }
        let _ = signal::killpg(pid, Signal::SIGKILL);
        let status = waitpid(pid, None);
        *guard = None;
        return match status {
            Ok(WaitStatus::Exited(_, code)) => End::Code(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => End::Signal(signal as i32),
            _ => End::Signal(Signal::SIGKILL as i32),
        };
    }
}

/// Kills and reaps until no descendant is left: whoever loses its parent becomes ours.
fn sweep() {
    loop {
        kill_children();
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Err(Errno::ECHILD) => return,
                _ => {}
            }
        }
        std::thread::sleep(SWEEP_PAUSE);
    }
}

fn kill_children() {
    let own = getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return;
    };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if parent_of(&stat) == Some(own.as_raw()) {
            let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The fourth field of `/proc/PID/stat` (proc(5)); the second is in parentheses and may hold anything.
pub(crate) fn parent_of(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn report(report: &Report) {
    let line = serde_json::to_string(report).expect("a report is plain data");
    let mut out = std::io::stdout().lock();
    // The daemon may be gone; then nobody needs to know.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents() {
        for (stat, wanted) in [
            ("12 (sh) S 7 12 12 0", Some(7)),
            ("12 (a) b) c) R 9 1", Some(9)),
            ("12 (sh", None),
            ("", None),
            ("12 (sh) S x", None),
        ] {
            assert_eq!(parent_of(stat), wanted, "{stat:?}");
        }
    }
}
