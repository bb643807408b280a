//! A push button and an LED on the outside of a board: its GPIO controller, through QEMU's test and monitor sockets.
//!
//! A line is driven by `set_irq_in` on the test socket for as long as the test likes. A line's level as the outside
//! sees it is read from the controller's registers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

/// Where `-M virt` has its PL061 (QEMU, hw/arm/virt.c, VIRT_GPIO).
const PL061_BASE: u64 = 0x0903_0000;
/// The levels of lines 0 to 31 of the Raspberry Pi 3's controller (BCM2835 ARM Peripherals, section 6.1, GPLEV0; its
/// peripherals are at 0x3f000000).
const BCM2835_LEVELS: u64 = 0x3f20_0034;
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The board's GPIO controller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gpio {
    Pl061,
    /// Its inputs cannot be driven from outside.
    Bcm2835,
}

pub(crate) struct Wires {
    gpio: Gpio,
    qtest_path: PathBuf,
    qmp_path: PathBuf,
    qtest: Option<BufReader<UnixStream>>,
    qmp: Option<BufReader<UnixStream>>,
    controller: String,
}

impl Wires {
    pub(crate) fn new(qtest_path: PathBuf, qmp_path: PathBuf, gpio: Gpio) -> Wires {
        Wires {
            gpio,
            qtest_path,
            qmp_path,
            qtest: None,
            qmp: None,
            controller: String::new(),
        }
    }

    /// Connects as soon as qemu listens; `alive` tells whether it still may.
    pub(crate) fn connect(&mut self, mut alive: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        let mut open = |path: &PathBuf| loop {
            match UnixStream::connect(path) {
                Ok(stream) => {
                    stream
                        .set_read_timeout(Some(ANSWER_LIMIT))
                        .context("cannot set a timeout")?;
                    return Ok(BufReader::new(stream));
                }
                Err(error) if !alive() || Instant::now() > deadline => {
                    return Err(anyhow!("qemu does not listen on {}: {error}", path.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        self.qtest = Some(open(&self.qtest_path)?);
        self.qmp = Some(open(&self.qmp_path)?);
        self.read_qmp().context("qemu's greeting")?;
        self.ask("qmp_capabilities", json!({}))?;
        if self.gpio == Gpio::Bcm2835 {
            return Ok(());
        }
        let devices = self.ask("qom-list", json!({"path": "/machine/unattached"}))?;
        let name = devices
            .as_array()
            .into_iter()
            .flatten()
            .find(|device| device["type"] == "child<pl061>")
            .and_then(|device| device["name"].as_str())
            .ok_or_else(|| anyhow!("the board has no PL061"))?;
        self.controller = format!("/machine/unattached/{name}");
        Ok(())
    }

    pub(crate) fn drive(&mut self, line: u32, high: bool) -> Result<()> {
        ensure!(self.gpio == Gpio::Pl061, "this board's lines cannot be driven");
        let command = format!(
            "set_irq_in {} unnamed-gpio-in {line} {}\n",
            self.controller,
            u8::from(high)
        );
        let qtest = self.qtest.as_mut().ok_or_else(|| anyhow!("not connected"))?;
        qtest
            .get_mut()
            .write_all(command.as_bytes())
            .context("cannot drive the line")?;
        let mut answer = String::new();
        qtest.read_line(&mut answer).context("no answer from the test socket")?;
        if answer.starts_with("OK") {
            Ok(())
        } else {
            bail!("the test socket says {answer:?}")
        }
    }

    /// The level of a line, seen from outside.
    pub(crate) fn level(&mut self, line: u32) -> Result<bool> {
        let address = match self.gpio {
            // Each line has an address of its own: bits 9 to 2 mask the lines (ARM PrimeCell PL061, GPIODATA).
            Gpio::Pl061 => PL061_BASE + (1 << (line + 2)),
            Gpio::Bcm2835 => BCM2835_LEVELS,
        };
        let command = format!("xp /1wx {address:#x}");
        let answer = self.ask("human-monitor-command", json!({"command-line": command}))?;
        let text = answer.as_str().unwrap_or_default();
        let word = text
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_start_matches("0x");
        let word = u32::from_str_radix(word, 16).with_context(|| format!("the monitor says {text:?}"))?;
        Ok(word & (1 << line) != 0)
    }

    /// Whether the network card has a cable that leads somewhere.
    pub(crate) fn link(&mut self, card: &str, up: bool) -> Result<()> {
        self.ask("set_link", json!({"name": card, "up": up}))?;
        Ok(())
    }

    /// Puts a network card into a socket.
    pub(crate) fn add_network_card(&mut self, driver: &str, netdev: &str, name: &str, mac: &str) -> Result<()> {
        let card = json!({"driver": driver, "netdev": netdev, "id": name, "mac": mac});
        self.ask("device_add", card)?;
        Ok(())
    }

    /// The levels of a line over some time, as runs: each level with how long it was seen.
    pub(crate) fn record(&mut self, line: u32, time: Duration) -> Result<Vec<(bool, Duration)>> {
        let mut runs: Vec<(bool, Duration)> = Vec::new();
        let start = Instant::now();
        let mut before = start;
        while start.elapsed() < time {
            let level = self.level(line)?;
            let now = Instant::now();
            match runs.last_mut() {
                Some((last, seen)) if *last == level => *seen += now - before,
                _ => runs.push((level, now - before)),
            }
            before = now;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(runs)
    }

    fn ask(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({"execute": command, "arguments": arguments}).to_string() + "\n";
        let qmp = self.qmp.as_mut().ok_or_else(|| anyhow!("not connected"))?;
        qmp.get_mut()
            .write_all(line.as_bytes())
            .context("cannot ask the monitor")?;
        loop {
            let mut answer = self.read_qmp()?;
            if let Some(error) = answer.get("error") {
                bail!("{command}: {error}");
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            // An event; nobody waits for those.
        }
    }

    fn read_qmp(&mut self) -> Result<Value> {
        let qmp = self.qmp.as_mut().ok_or_else(|| anyhow!("not connected"))?;
        let mut line = String::new();
        qmp.read_line(&mut line).context("no answer from the monitor")?;
        serde_json::from_str(&line).with_context(|| format!("the monitor says {line:?}"))
    }
}
