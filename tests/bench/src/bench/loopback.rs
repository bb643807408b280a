//! A file system of its own on a loop device, so that what reaches the device is counted, the file system's journal
//! included. Needs root; without it the figure is left out, and said to be.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::meter::device_bytes;

pub(crate) struct Loopback {
    pub(crate) mount: PathBuf,
    image: PathBuf,
    device: String,
}

impl Loopback {
    pub(crate) fn ext4(dir: &Path, bytes: u64) -> Result<Loopback> {
        let image = dir.join("loopback.img");
        let mount = dir.join("loopback");
        std::fs::create_dir_all(&mount)?;
        std::fs::File::create(&image)?.set_len(bytes)?;
        // As the data partition is made; lazy initialisation would write behind our back.
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"])
            .arg(&image))?;
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(&image))?;
        let mounted = run(Command::new("mount").args(["-o", "noatime"]).arg(&device).arg(&mount));
        let loopback = Loopback { mount, image, device };
        mounted.map(|_| loopback)
    }

    /// Bytes that reached the device so far, with everything that was waiting.
    pub(crate) fn written(&self) -> Result<u64> {
        run(Command::new("sync").arg("--file-system").arg(&self.mount))?;
        let name = self.device.trim_start_matches("/dev/");
        device_bytes(name).context("no /sys/block for the loop device")
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        for command in [
            Command::new("umount").arg(&self.mount),
            Command::new("losetup").arg("--detach").arg(&self.device),
        ] {
            if let Err(error) = run(command) {
                println!("cleaning up: {error}");
            }
        }
        if let Err(error) = std::fs::remove_file(&self.image) {
            println!("cleaning up: {error}");
        }
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
