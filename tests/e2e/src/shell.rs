//! The box from inside, as its owner gets there: by SSH, with the key that the card's `pillarbox.toml` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::lan::BOX;

pub(crate) struct Shell {
    key: PathBuf,
}

impl Shell {
    /// Makes a key pair; the public half goes onto the card.
    pub(crate) fn new(dir: &Path) -> Result<Shell> {
        let key = dir.join("key");
        let output = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .output()
            .context("cannot start ssh-keygen; it is in Debian's openssh-client")?;
        ensure!(
            output.status.success(),
            "ssh-keygen: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Shell { key })
    }

    pub(crate) fn public_key(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.key.with_extension("pub")).context("cannot read the public key")?;
        Ok(text.trim().to_owned())
    }

    fn ssh() -> Command {
        let mut command = Command::new("ssh");
        command
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"])
            // One that stops answering is not waited for.
            .args(["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6"])
            // The box was flashed a moment ago: nobody can know it yet.
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "LogLevel=ERROR"]);
        command
    }

    /// How the box refuses somebody without a key.
    pub(crate) fn without_key(&self) -> Result<String> {
        let output = Shell::ssh()
            .args(["-o", "PubkeyAuthentication=no"])
            .arg(format!("root@{BOX}"))
            .arg("true")
            .output()
            .context("cannot start ssh; it is in Debian's openssh-client")?;
        ensure!(!output.status.success(), "root gets in without a key");
        Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// What a command on the box prints; it fails when the command does.
    pub(crate) fn run(&self, command: &str) -> Result<String> {
        let output = Shell::ssh()
            .args(["-o", "IdentitiesOnly=yes", "-i"])
            .arg(&self.key)
            .arg(format!("root@{BOX}"))
            .arg(command)
            .output()
            .context("cannot start ssh; it is in Debian's openssh-client")?;
        ensure!(
            output.status.success(),
            "on the box, {command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
