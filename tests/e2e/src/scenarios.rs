//! What is shown on an emulated board. Limits are generous, because emulation on a busy machine is slow; measured times
//! are reported, not judged.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use board_configs::{Board, ButtonDriver, LedDriver};
use pillarbox_image::bootstate::{Bootstate, Slot, Trial};
use pillarbox_image::layout::{self, Part};
use serde_json::Value;

use crate::machine::{Card, Machine};
use crate::page;
use crate::report;

const BOOT_LIMIT: Duration = Duration::from_secs(900);
const LOADER_LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Bench {
    pub(crate) image: PathBuf,
    pub(crate) u_boot: PathBuf,
    pub(crate) dir: PathBuf,
}

type Scenario = fn(&Bench) -> Result<()>;

pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("a trial that does not start gives way", trial_gives_way),
    ("a torn boot state is survived", torn_state),
    ("first boot, button, second boot", first_and_second_boot),
];

/// A slot on trial is tried once, is noted as tried, and the good one starts in the same power-on.
fn trial_gives_way(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.image, &bench.dir)?;
    let armed = Bootstate {
        seq: 7,
        good: Slot::A,
        trial: Trial::Armed { slot: Slot::B, next: 8 },
    };
    write_state(
        &card.path,
        &armed.partition(layout::partition(Part::Bootstate).size_bytes),
    )?;
    let mut machine = Machine::virt(&card, &bench.u_boot, &bench.dir, "trial")?;
    machine.wait_for_console("Starting kernel", LOADER_LIMIT)?;
    let console = machine.console();
    machine.cut_power();
    let order: Vec<&str> = console
        .lines()
        .filter(|line| line.contains("Pillarbox: "))
        .map(str::trim)
        .collect();
    // Slot b of a flashed card is empty.
    let wanted = [
        "Pillarbox: starting slot b",
        "Pillarbox: slot b does not start",
        "Pillarbox: starting slot a",
    ];
    ensure!(order == wanted, "the boot script said {order:?}");
    let state = Bootstate::newest(&read_state(&card.path)?);
    let tried = Bootstate {
        seq: 8,
        good: Slot::A,
        trial: Trial::Tried { slot: Slot::B },
    };
    ensure!(state == Some(tried), "the state afterwards is {state:?}");

    let mut machine = Machine::virt(&card, &bench.u_boot, &bench.dir, "after-trial")?;
    machine.wait_for_console("Starting kernel", LOADER_LIMIT)?;
    ensure!(
        !machine.console().contains("starting slot b"),
        "slot b was tried a second time"
    );
    machine.cut_power();
    let after = Bootstate::newest(&read_state(&card.path)?);
    ensure!(after == Some(tried), "an ordinary boot changed the state to {after:?}");
    Ok(())
}

/// A torn second copy, and no copy at all.
fn torn_state(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.image, &bench.dir)?;
    let size = layout::partition(Part::Bootstate).size_bytes;
    for (name, content) in [
        ("torn", {
            let mut content = Bootstate::FIRST.partition(size);
            let newer = Bootstate {
                seq: 2,
                good: Slot::B,
                trial: Trial::None,
            };
            let copy = newer.encode();
            let at = usize::try_from(pillarbox_image::bootstate::COPY_DISTANCE_BYTES).context("a small number")?;
            content[at..at + 10].copy_from_slice(&copy[..10]);
            content
        }),
        ("empty", vec![0; usize::try_from(size).context("a small number")?]),
    ] {
        write_state(&card.path, &content)?;
        let mut machine = Machine::virt(&card, &bench.u_boot, &bench.dir, name)?;
        machine
            .wait_for_console("Starting kernel", LOADER_LIMIT)
            .with_context(|| name.to_owned())?;
        ensure!(
            machine.console().contains("Pillarbox: starting slot a"),
            "{name}: slot a was not started"
        );
    }
    Ok(())
}

/// Power on, page, lights and button; the plug pulled; power on again.
fn first_and_second_boot(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.image, &bench.dir)?;
    let mut machine = Machine::virt(&card, &bench.u_boot, &bench.dir, "first")?;
    let status = machine.wait_for("the page", BOOT_LIMIT, |machine| {
        page::status(machine.page_port).map(Some)
    })?;
    report(&format!(
        "e2e: the page answered {} s after power-on",
        machine.since_power_on().as_secs()
    ));
    ensure!(status["board"] == "qemu-virt", "the board is {}", status["board"]);
    ensure!(
        status["version"] == env!("CARGO_PKG_VERSION"),
        "the version is {}",
        status["version"]
    );

    let peer_id = machine.wait_for("the mailserver's peer id", BOOT_LIMIT, |machine| {
        let status = page::status(machine.page_port)?;
        Ok(status["mailserver"]["peer_id"].as_str().map(str::to_owned))
    })?;
    report(&format!(
        "e2e: the mailserver answered {} s after power-on",
        machine.since_power_on().as_secs()
    ));
    let status = machine.wait_for("the data partition grown to the card", BOOT_LIMIT, |machine| {
        let status = page::status(machine.page_port)?;
        Ok((disk_total(&status)? > 2 << 30).then_some(status))
    })?;
    report(&format!("e2e: memory {}", status["system"]["memory"]));
    let total = disk_total(&status)?;
    lights_and_button(&mut machine)?;
    machine.cut_power();

    let mut machine = Machine::virt(&card, &bench.u_boot, &bench.dir, "second")?;
    let again = machine.wait_for("the same mailserver after the plug was pulled", BOOT_LIMIT, |machine| {
        let status = page::status(machine.page_port)?;
        Ok(status["mailserver"]["peer_id"].as_str().map(str::to_owned))
    })?;
    ensure!(again == peer_id, "the identity changed from {peer_id} to {again}");
    let status = page::status(machine.page_port)?;
    ensure!(disk_total(&status)? == total, "the data partition shrank");
    Ok(())
}

/// The LED shows something, and a press from outside changes what the box says of it.
fn lights_and_button(machine: &mut Machine) -> Result<()> {
    let (led, button) = pins()?;
    let runs = machine.wires.record(led, Duration::from_secs(6))?;
    report(&format!("e2e: the LED before the press: {}", pattern(&runs)));
    ensure!(runs.iter().any(|(level, _)| *level), "the LED was dark for 6 s");

    machine.wires.drive(button, true)?;
    let held = machine.wait_for("the LED answers the held button", Duration::from_secs(60), |machine| {
        let status = page::status(machine.page_port)?;
        let shown = status["leds"]["status"].as_str().unwrap_or_default().to_owned();
        Ok(shown.starts_with("holding").then_some(shown))
    });
    machine.wires.drive(button, false)?;
    report(&format!("e2e: the LED while the button was held: {}", held?));
    Ok(())
}

/// The lines of the LED and the button, from the board's own file.
fn pins() -> Result<(u32, u32)> {
    let board = Board::named("qemu-virt")?;
    let led = match board.leds.get("status").map(|led| &led.driver) {
        Some(LedDriver::Gpiocdev(line)) => line.line,
        other => return Err(anyhow!("the status LED is {other:?}")),
    };
    let button = match board.button.map(|button| button.driver) {
        Some(ButtonDriver::Gpiocdev(line)) => line.line,
        other => return Err(anyhow!("the button is {other:?}")),
    };
    Ok((led, button))
}

fn pattern(runs: &[(bool, Duration)]) -> String {
    let run =
        |(level, time): &(bool, Duration)| format!("{} {} ms", if *level { "lit" } else { "dark" }, time.as_millis());
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

fn disk_total(status: &Value) -> Result<u64> {
    status["system"]["disk"]["total_bytes"]
        .as_u64()
        .ok_or_else(|| anyhow!("the disk's size is not known yet"))
}

fn write_state(card: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::options().write(true).open(card).context("cannot open the card")?;
    file.seek(SeekFrom::Start(layout::partition(Part::Bootstate).start_bytes))
        .context("cannot seek")?;
    file.write_all(content).context("cannot write the boot state")
}

fn read_state(card: &Path) -> Result<Vec<u8>> {
    let partition = layout::partition(Part::Bootstate);
    let mut file = File::open(card).context("cannot open the card")?;
    file.seek(SeekFrom::Start(partition.start_bytes))
        .context("cannot seek")?;
    let mut content = vec![0; usize::try_from(partition.size_bytes).context("a small number")?];
    file.read_exact(&mut content).context("cannot read the boot state")?;
    Ok(content)
}
