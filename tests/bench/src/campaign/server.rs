//! The disk's own process: this program started once more, which serves [`Disk`](super::disk::Disk) as a file system and
//! obeys orders, one JSON line each on standard input, answered by one on standard output.
//!
//! It is no thread of the process that uses the file system, because such a one can wait for itself for ever: unmapping a
//! file waits for the kernel to write it back, the kernel for the server, and the server's allocator for the address
//! space that is just being unmapped. The end of the orders is the end of the disk, whatever became of who gave them.

use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use fuser::{BackgroundSession, Config};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount, umount2};
use serde::{Deserialize, Serialize};

use super::disk::{Fault, Refused, Worn};
use super::mount::{Held, Mounted};
use crate::workload::Random;

/// How long a disk may be busy when it is to be unmounted.
const BUSY: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// What goes wrong, counting operations from now.
    Arm(Fault),
    /// The power goes, drops and tears by this seed what was not synced, and comes back: the disk is mounted anew.
    LosePower {
        seed: u64,
    },
    /// What takes for ever from now on.
    Hold(Held),
    /// The first file whose name begins so cannot be read.
    WearOut {
        prefix: String,
        worn: Worn,
    },
    /// Nothing but the answer is wanted.
    Look,
    Detach,
}

/// How the disk is, after an order was carried out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) operations: u64,
    pub(crate) is_off: bool,
    pub(crate) is_waited_for: bool,
}

/// The state, or why the order was not carried out. The first one comes unasked, when the disk is mounted.
pub(crate) type Answer = Result<State, String>;

/// Serves an empty disk at `at` until the orders end.
pub(crate) fn run(at: &Path) -> Result<()> {
    let mut served = Served {
        at,
        disk: Mounted::new(),
        session: None,
    };
    let mounted = served.attach();
    answer(mounted.map(|()| served.state()))?;
    for line in io::stdin().lines() {
        let done = serde_json::from_str(&line?)
            .context("no order that is known")
            .and_then(|order| served.carry_out(order));
        answer(done.map(|()| served.state()))?;
    }
    served.disk.gate.hold(Held::Nothing);
    served.detach()
}

fn answer(outcome: Result<State>) -> Result<()> {
    let answer: Answer = outcome.map_err(|error| format!("{error:#}"));
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    Ok(out.flush()?)
}

struct Served<'a> {
    at: &'a Path,
    disk: Mounted,
    session: Option<BackgroundSession>,
}

impl Served<'_> {
    fn state(&self) -> State {
        let disk = self.disk.lock();
        State {
            operations: disk.operations,
            is_off: disk.is_off(),
            is_waited_for: self.disk.gate.has_waiter(),
        }
    }

    fn carry_out(&mut self, order: Order) -> Result<()> {
        match order {
            Order::Arm(fault) => self.disk.lock().arm(fault),
            Order::LosePower { seed } => {
                self.detach()?;
                self.disk.lock().after_power_cut(&mut Random::new(seed));
                self.attach()?;
            }
            Order::Hold(held) => self.disk.gate.hold(held),
            Order::WearOut { prefix, worn } => {
                let worn = self.disk.lock().wear_out(&prefix, worn);
                worn.map_err(|refused: Refused| anyhow!("{refused:?}: {prefix}*"))?;
            }
            Order::Look => {}
            Order::Detach => self.detach()?,
        }
        Ok(())
    }

    fn attach(&mut self) -> Result<()> {
        let session = fuser::spawn_mount(self.disk.clone(), self.at, &Config::default());
        let session = session.with_context(|| {
            format!(
                "mount a FUSE file system on {} (as root, with /dev/fuse)",
                self.at.display()
            )
        })?;
        self.session = Some(session);
        Ok(())
    }

    fn detach(&mut self) -> Result<()> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        // A process that is just being started has a copy of its parent's open files until it runs its own program: such
        // a copy keeps a disk busy for a moment after the last file of it was closed.
        let begun = Instant::now();
        let unmounted = loop {
            match umount(self.at) {
                Err(Errno::EBUSY) if begun.elapsed() < BUSY => thread::sleep(Duration::from_millis(5)),
                outcome => break outcome,
            }
        };
        let ended = match unmounted {
            Ok(()) => session.join(),
            // It knows of another program that may.
            Err(_) => session.umount_and_join(),
        };
        match ended {
            // Unmounting ends what is on its way to the server. No file is open any more, so that can only be word of one
            // that was closed, which nobody waits for; but a server that was about to read it gets this error for it
            // (`fuse_dev_do_read` in Linux's fs/fuse/dev.c), where it gets ENODEV otherwise.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(()),
            Err(error) => {
                umount2(self.at, MntFlags::MNT_DETACH).ok();
                Err(error).with_context(|| format!("unmount {}", self.at.display()))
            }
            Ok(()) => Ok(()),
        }
    }
}
