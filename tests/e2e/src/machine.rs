//! One emulated board: qemu, its card, its serial console, its network card, and the wires to its GPIO controller.
//!
//! The board gets what a real one has: firmware, a card, a network cable, and a clock that is wrong. It ends with its
//! owner: dropping a `Machine` is pulling the plug.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::card::Card;
use crate::lan;
use crate::wires::{Gpio, Wires};

/// What the board believes when it is switched on, as one without a clock of its own does.
const WRONG_TIME: &str = "2020-01-01T00:00:00";
/// How often to look again. Looking costs the emulated board time.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What the cable's and the card's ends are called at qemu's monitor.
const NETDEV: &str = "net";
const NETWORK_CARD: &str = "nic";
/// Intel's 6300ESB, the one counting watchdog that `-M virt` can have.
const WATCHDOG: &str = "i6300esb";

pub(crate) struct Machine {
    child: Child,
    console: PathBuf,
    powered_on: Instant,
    pub(crate) wires: Wires,
}

/// The network cable when the board is switched on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cable {
    In,
    Out,
}

/// Which board is emulated.
#[derive(Clone, Copy)]
pub(crate) enum Model<'a> {
    /// `-M virt`, with a hardware watchdog as a real board has; U-Boot is in its flash memory.
    Virt { u_boot: &'a Path },
    /// A Raspberry Pi 3. What its firmware takes from the card's FAT partition and starts, QEMU is given. It has no network
    /// card until one is put into a USB socket.
    Raspi3b,
}

/// What the Raspberry Pi's firmware reads from the FAT partition.
const PI_LOADER: &str = "u-boot.bin";
const PI_DEVICE_TREE: &str = "bcm2837-rpi-3-b.dtb";

impl Machine {
    /// Switches a board on.
    pub(crate) fn start(model: Model, card: &Card, dir: &Path, name: &str, cable: Cable) -> Result<Machine> {
        let console = dir.join(format!("{name}.console"));
        let qtest = dir.join("qtest.sock");
        let qmp = dir.join("qmp.sock");
        for socket in [&qtest, &qmp] {
            if socket.exists() {
                fs::remove_file(socket).with_context(|| format!("cannot remove {}", socket.display()))?;
            }
        }
        let listening = |path: &Path| format!("unix:{},server=on,wait=off", path.display());
        // The kernel ends it with this program, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-aarch64"]);
        command.args(["-display", "none", "-m", "1024"]);
        command.args(["-rtc", &format!("base={WRONG_TIME}")]);
        let netdev = format!("tap,id={NETDEV},ifname={},script=no,downscript=no", lan::CABLE);
        command.args(["-netdev", &netdev]);
        let drive = |interface: &str| format!("if={interface},format=raw,file={}", card.path.display());
        let serial = format!("file:{}", console.display());
        match model {
            Model::Virt { u_boot } => {
                // With firmware in flash and ACPI on, this machine has its power key on another device and no GPIO
                // controller (QEMU, hw/arm/virt.c, machvirt_init). No other board here has ACPI either.
                command.args(["-M", "virt,acpi=off", "-cpu", "cortex-a53", "-smp", "2"]);
                command.arg("-bios").arg(u_boot).args(["-serial", &serial]);
                command.args(["-drive", &(drive("none") + ",id=card")]);
                command.args(["-device", "virtio-blk-pci,drive=card"]);
                let network_card = format!("virtio-net-pci,netdev={NETDEV},id={NETWORK_CARD},mac={}", lan::BOX_MAC);
                command.args(["-device", &network_card]);
                command.args(["-device", WATCHDOG]);
            }
            Model::Raspi3b => {
                command.args(["-M", "raspi3b"]);
                command.arg("-kernel").arg(card.take(PI_LOADER, dir)?);
                command.arg("-dtb").arg(card.take(PI_DEVICE_TREE, dir)?);
                // The console is on the second of its serial ports.
                command.args(["-serial", "null", "-serial", &serial]);
                command.args(["-drive", &drive("sd")]);
            }
        }
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
        let gpio = match model {
            Model::Virt { .. } => Gpio::Pl061,
            Model::Raspi3b => Gpio::Bcm2835,
        };
        let mut machine = Machine {
            child,
            console,
            powered_on,
            wires: Wires::new(qtest, qmp, gpio),
        };
        machine
            .wires
            .connect(|| machine.child.try_wait().is_ok_and(|ended| ended.is_none()))?;
        if matches!(model, Model::Virt { .. }) {
            machine.plug(cable)?;
        }
        Ok(machine)
    }

    /// Puts the network cable in or takes it out.
    pub(crate) fn plug(&mut self, cable: Cable) -> Result<()> {
        self.wires.link(NETWORK_CARD, cable == Cable::In)
    }

    /// Puts a USB network adapter into a Raspberry Pi that runs. One that is in when U-Boot scans the bus is not seen by
    /// the kernel afterwards: this QEMU's controller tells of a device once.
    pub(crate) fn plug_usb_adapter(&mut self) -> Result<()> {
        self.wires
            .add_network_card("usb-net", NETDEV, NETWORK_CARD, lan::BOX_MAC)
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
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits until the console has shown `text` so many times since power-on.
    pub(crate) fn wait_for_console(&mut self, text: &str, times: usize, limit: Duration) -> Result<()> {
        self.wait_for(&format!("{text:?} on the console"), limit, |machine| {
            Ok((machine.console().matches(text).count() >= times).then_some(()))
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
