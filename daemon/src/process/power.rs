//! Switching the machine, and starting the daemon from anew.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};

/// `systemctl reboot` or `systemctl poweroff`; systemd then ends this process as any other.
pub fn systemctl(verb: &str) -> anyhow::Result<()> {
    let status = Command::new("systemctl")
        .arg(verb)
        .status()
        .context("cannot start systemctl")?;
    if !status.success() {
        bail!("systemctl {verb}: {status}");
    }
    Ok(())
}

/// Becomes the same program with the same arguments. Returns only when that fails.
pub fn start_again() -> anyhow::Error {
    let error = Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).exec();
    anyhow::Error::new(error).context("cannot start pillarboxd again")
}
