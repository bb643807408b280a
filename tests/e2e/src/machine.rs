//! One emulated board: qemu, its card, its serial console, and the wires to its GPIO controller.
//!
//! The board gets what a real one has: firmware, a card, a network cable. It ends with its owner: dropping a `Machine`
//! is pulling the plug.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::wires::Wires;

/// As the card's image would be on a card of a usual size; sparse.
const CARD_BYTES: u64 = 4 << 30;

/// A card with a copy of the image.
pub(crate) struct Card {
    pub(crate) path: PathBuf,
}

impl Card {
    pub(crate) fn flash(image: &Path, dir: &Path) -> Result<Card> {
        let path = dir.join("card.img");
        // Sparse, because most of the image and nearly all of the card is empty.
        let status = Command::new("cp")
            .args(["--sparse=always", "--reflink=auto"])
            .arg(image)
            .arg(&path)
            .status()
            .context("cannot start cp")?;
        ensure!(
            status.success(),
            "cannot copy {} to {}",
            image.display(),
            path.display()
        );
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(CARD_BYTES))
            .with_context(|| format!("cannot make {} as large as a card", path.display()))?;
        Ok(Card { path })
    }
}

pub(crate) struct Machine {
    child: Child,
    console: PathBuf,
    powered_on: Instant,
    /// Where the box's port 80 is reached.
    pub(crate) page_port: u16,
    pub(crate) wires: Wires,
}

impl Machine {
    /// Switches a `-M virt` board on. `u_boot` is in its flash memory.
    pub(crate) fn virt(card: &Card, u_boot: &Path, dir: &Path, name: &str) -> Result<Machine> {
        let console = dir.join(format!("{name}.console"));
        let page_port = free_port()?;
        let qtest = dir.join("qtest.sock");
        let qmp = dir.join("qmp.sock");
        for socket in [&qtest, &qmp] {
            if socket.exists() {
                fs::remove_file(socket).with_context(|| format!("cannot remove {}", socket.display()))?;
            }
        }
        let listening = |path: &Path| format!("unix:{},server=on,wait=off", path.display());
        let mut command = Command::new("qemu-system-aarch64");
        // With firmware in flash and ACPI on, this machine has its power key on another device and no GPIO controller
        // (QEMU, hw/arm/virt.c, machvirt_init). No other board here has ACPI either.
        command.args([
            "-M",
            "virt,acpi=off",
            "-cpu",
            "cortex-a53",
            "-smp",
            "2",
            "-m",
            "1024",
            "-display",
            "none",
        ]);
        command.arg("-bios").arg(u_boot);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command
            .arg("-drive")
            .arg(format!("if=none,id=card,format=raw,file={}", card.path.display()));
        command.args(["-device", "virtio-blk-pci,drive=card"]);
        command
            .arg("-netdev")
            .arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{page_port}-:80"));
        command.args(["-device", "virtio-net-pci,netdev=net"]);
        command
            .arg("-qtest")
            .arg(listening(&qtest))
            .args(["-qtest-log", "/dev/null"]);
        command.arg("-qmp").arg(listening(&qmp));
        let errors = File::create(dir.join(format!("{name}.qemu"))).context("cannot write qemu's log")?;
        let powered_on = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .context("cannot start qemu-system-aarch64; it is in Debian's qemu-system-arm")?;
        let mut machine = Machine {
            child,
            console,
            powered_on,
            page_port,
            wires: Wires::new(qtest, qmp),
        };
        machine
            .wires
            .connect(|| machine.child.try_wait().is_ok_and(|ended| ended.is_none()))?;
        Ok(machine)
    }

    pub(crate) fn since_power_on(&self) -> Duration {
        self.powered_on.elapsed()
    }

    pub(crate) fn console(&self) -> String {
        fs::read(&self.console)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until `look` finds something; fails when the board dies or the time is over, with the console's end.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&mut Machine) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let problem = match look(self) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => "it did not happen".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if let Some(status) = self.child.try_wait().context("cannot look after qemu")? {
                bail!("qemu ended ({status}) while waiting for: {what}");
            }
            if Instant::now() > deadline {
                let console = self.console();
                let tail: Vec<&str> = console.lines().rev().take(25).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!(
                    "not within {limit:?}: {what} ({problem}); the console's end:\n{}",
                    tail.join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    pub(crate) fn wait_for_console(&mut self, text: &str, limit: Duration) -> Result<()> {
        self.wait_for(&format!("{text:?} on the console"), limit, |machine| {
            Ok(machine.console().contains(text).then_some(()))
        })
    }

    /// Pulls the plug.
    pub(crate) fn cut_power(self) {}
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago. qemu cannot choose one itself and tell.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr().context("cannot read the free port")?.port())
}
