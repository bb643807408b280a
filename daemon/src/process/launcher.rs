//! The launcher: what has to be done in the child before the service's program takes its place.
//!
//! No signal blocked (the keeper blocks them, and exec passes that on); own session, no controlling terminal; its
//! control group, while it still may; the account of the service; SIGKILL when the keeper dies (after the change of
//! account, which would clear it); no new privileges; no writing but to its own places. Then exec.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{self, Pid, User};

use super::sandbox;

/// As a shell has it for a program that cannot be executed.
const EXIT_NO_EXEC: u8 = 126;

/// `KEEPER_PID USER ENTRANCE WRITES_TO PROGRAM ARGUMENT…`; an empty user leaves the account as it is, an empty entrance
/// the control group, and `WRITES_TO` is a JSON list of paths or nothing. Returns only when it fails.
pub(super) fn launch(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Err(error) = become_program(&mut arguments);
    eprintln!("{error:#}");
    ExitCode::from(EXIT_NO_EXEC)
}

fn become_program(arguments: &mut dyn Iterator<Item = OsString>) -> anyhow::Result<std::convert::Infallible> {
    let mut next = |what| arguments.next().with_context(|| format!("launcher: no {what}"));
    let keeper: i32 = next("keeper")?
        .to_string_lossy()
        .parse()
        .context("launcher: keeper's pid")?;
    let user = next("user")?;
    let entrance = next("control group")?;
    let writes_to = next("sandbox")?;
    let program = next("program")?;
    SigSet::empty().thread_set_mask().context("cannot unblock signals")?;
    unistd::setsid().context("cannot start a session")?;
    if !entrance.is_empty() {
        std::fs::write(&entrance, std::process::id().to_string())
            .with_context(|| format!("cannot enter the control group {}", entrance.display()))?;
    }
    if !user.is_empty() {
        become_user(&user.to_string_lossy())?;
    }
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot ask for the parent-death signal")?;
    if unistd::getppid() != Pid::from_raw(keeper) {
        bail!("the keeper died first");
    }
    prctl::set_no_new_privs().context("cannot give up new privileges")?;
    if !writes_to.is_empty() {
        let paths: Vec<PathBuf> = serde_json::from_slice(writes_to.as_encoded_bytes()).context("launcher: sandbox")?;
        sandbox::write_only_to(&paths)?;
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot execute {}", program.display()))
}

fn become_user(name: &str) -> anyhow::Result<()> {
    let user = User::from_name(name).context("cannot look up accounts")?;
    let user = user.with_context(|| format!("there is no account {name:?}"))?;
    if unistd::geteuid() == user.uid {
        return Ok(());
    }
    unistd::setgroups(&[user.gid]).with_context(|| format!("cannot take the groups of {name}"))?;
    unistd::setgid(user.gid).with_context(|| format!("cannot take the group of {name}"))?;
    unistd::setuid(user.uid).with_context(|| format!("cannot become {name}"))
}
