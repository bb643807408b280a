//! Where things are on a box.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::settings;

/// A test has them elsewhere.
#[derive(Clone, Debug, clap::Args)]
pub struct Places {
    /// The image's configuration of pillarboxd.
    #[arg(long, default_value = "/etc/pillarbox/pillarboxd.toml")]
    pub base: PathBuf,
    /// The time zone database.
    #[arg(long, default_value = "/usr/share/zoneinfo")]
    pub zones: PathBuf,
    /// For what the daemon, the SSH server and the C library read.
    #[arg(long, default_value = "/run/pillarbox")]
    pub run: PathBuf,
    /// Additions to the image's network file of the cable.
    #[arg(long, default_value = "/run/systemd/network/20-ethernet.network.d")]
    pub ethernet: PathBuf,
    /// Additions to the image's network file of the Wi-Fi.
    #[arg(long, default_value = "/run/systemd/network/25-wifi.network.d")]
    pub wireless: PathBuf,
    /// What is remembered of the card, on the data partition.
    #[arg(long, default_value = "/data/system/card")]
    pub kept: PathBuf,
    /// Where the daemon puts the settings of a backup that was restored. They hold while the card says nothing.
    #[arg(long, default_value = "/data/pillarbox/settings.toml")]
    pub restored: PathBuf,
}

impl Places {
    /// The initrd says so when what is written to the data partition is gone with the power.
    pub(super) fn data_is_lost(&self) -> bool {
        self.run.join("data-fault").exists()
    }
}

pub(super) fn put(path: &Path, text: &str) -> Result<()> {
    put_with(path, text, 0o644)
}

/// For root alone.
pub(super) fn put_secret(path: &Path, text: &str) -> Result<()> {
    put_with(path, text, 0o600)
}

fn put_with(path: &Path, text: &str, mode: u32) -> Result<()> {
    let said = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(said)?;
    }
    remove(path)?;
    let mut options = File::options();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(mode)
        .open(path)
        .with_context(said)?;
    file.write_all(text.as_bytes()).with_context(said)
}

pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A file of settings; nothing when it is not there. A byte more than is allowed is for the parser to refuse.
pub(super) fn bounded(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(settings::MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
