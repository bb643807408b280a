//! A disk in a process of its own, as campaigns have it: mounted on a directory, with orders given to it over a socket.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::disk::{Fault, Worn};
use super::mount::Held;
use super::server::{Answer, Order, State};

/// Orders are carried out in milliseconds; a busy machine may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Remote {
    at: PathBuf,
    process: Child,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
}

/// From now on what this process and its children mount is seen by them alone, and is gone when they are: somebody else's
/// copy of it (every mount namespace that is made begins as one) would keep it from being unmounted. For a process that
/// has started no threads yet.
pub(crate) fn mount_apart() -> Result<()> {
    match unshare(CloneFlags::CLONE_NEWNS) {
        Ok(()) => {}
        // Who may not do so may not mount either, or only by another program's hand.
        Err(Errno::EPERM) => return Ok(()),
        Err(error) => return Err(error).context("make a mount namespace"),
    }
    let alone = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, alone, None::<&str>).context("keep mounts from spreading")
}

/// Works on such a disk, empty and mounted. Whatever comes of it, the disk and its process are gone afterwards.
pub(crate) fn with<T>(work: impl FnOnce(&mut Remote, &Path) -> Result<T>) -> Result<T> {
    let place = tempfile::tempdir()?;
    let mut disk = Remote::start(place.path())?;
    let outcome = work(&mut disk, place.path());
    match (outcome, disk.order(&Order::Detach)) {
        (Ok(outcome), detached) => detached.map(|_| outcome),
        (Err(error), Ok(_)) => Err(error),
        // Whatever failed, the disk's end may be the reason.
        (Err(error), Err(disk)) => Err(error.context(format!("{disk:#}"))),
    }
}

/// Whether such a disk can be had here, and why not.
pub(crate) fn possible() -> Result<()> {
    with(|_, _| Ok(()))
}

impl Remote {
    fn start(at: &Path) -> Result<Remote> {
        let (orders, theirs) = UnixStream::pair()?;
        orders.set_read_timeout(Some(PATIENCE))?;
        let process = Command::new(std::env::current_exe()?)
            .arg("disk")
            .arg(at)
            .stdin(OwnedFd::from(theirs.try_clone()?))
            .stdout(OwnedFd::from(theirs))
            .spawn()
            .context("start the disk's process")?;
        let mut disk = Remote {
            at: at.to_path_buf(),
            process,
            answers: BufReader::new(orders.try_clone()?),
            orders,
        };
        disk.hear()?;
        Ok(disk)
    }

    pub(crate) fn arm(&mut self, fault: Fault) -> Result<()> {
        self.order(&Order::Arm(fault)).map(|_| ())
    }

    /// No file of it may be open.
    pub(crate) fn lose_power(&mut self, seed: u64) -> Result<()> {
        self.order(&Order::LosePower { seed }).map(|_| ())
    }

    pub(crate) fn hold(&mut self, held: Held) -> Result<()> {
        self.order(&Order::Hold(held)).map(|_| ())
    }

    pub(crate) fn wear_out(&mut self, prefix: &str, worn: Worn) -> Result<()> {
        let prefix = prefix.to_owned();
        self.order(&Order::WearOut { prefix, worn }).map(|_| ())
    }

    pub(crate) fn state(&mut self) -> Result<State> {
        self.order(&Order::Look)
    }

    fn order(&mut self, order: &Order) -> Result<State> {
        let line = serde_json::to_string(order)? + "\n";
        // Whether it was heard is told by the answer.
        let _ = self.orders.write_all(line.as_bytes());
        self.hear()
    }

    fn hear(&mut self) -> Result<State> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(1..) => {
                let answer: Answer = serde_json::from_str(&line).with_context(|| format!("the disk said {line:?}"))?;
                answer.map_err(|why| anyhow!("the disk: {why}"))
            }
            Ok(0) => Err(self.ended()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(anyhow!(
                "the process that serves the disk at {} has not answered for {} s",
                self.at.display(),
                PATIENCE.as_secs()
            )),
            Err(error) => Err(self.ended().context(error)),
        }
    }

    fn ended(&mut self) -> Error {
        let how = self.process.wait();
        let how = how.map_or_else(|error| error.to_string(), |status| status.to_string());
        anyhow!(
            "the process that serves the disk at {} has ended: {how}",
            self.at.display()
        )
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        match umount2(&self.at, MntFlags::MNT_DETACH) {
            // Without the right to unmount nothing was mounted.
            Ok(()) | Err(Errno::EINVAL | Errno::EPERM) => {}
            Err(error) => println!("cleaning up: unmount {}: {error}", self.at.display()),
        }
    }
}
