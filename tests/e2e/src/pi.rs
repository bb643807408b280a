//! A Raspberry Pi 3 from its own card: firmware's part by QEMU, then U-Boot from the FAT partition, SD controller and GPIO
//! block. Its button cannot be pressed, and its watchdog cannot count, in an emulator (`board-configs`, qemu-raspi3b): the
//! first is pressed on `-M virt`, the second counts there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{BOOT_LIMIT, Bench, KERNEL_STARTS, peer_id, step, wait_for_status};
use crate::card::Card;
use crate::envelope::Client;
use crate::light;
use crate::machine::Machine;
use crate::pins::Pins;
use crate::report;

const BOARD: &str = "qemu-raspi3b";
/// A round of the longest code, twice, so that one is seen whole.
const LOOK: Duration = Duration::from_secs(26);

/// First without a network adapter, as without a cable: what the lights say is seen from outside. Then one is put into a
/// USB socket.
pub(crate) fn start(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.pi_image, &bench.dir)?;
    let pins = Pins::of(BOARD)?;
    let fault = pins.fault.context("the board has no light for codes")?;
    let mut machine = bench.power_on_pi(&card, "pi")?;
    step("U-Boot starts the kernel from the card", || {
        machine.wait_for_console(KERNEL_STARTS, 1, BOOT_LIMIT)
    })?;
    step("the light for codes says that there is no network", || {
        machine.wait_for("code 4 on GPIO 27", BOOT_LIMIT, |machine| {
            let runs = machine.wires.record(fault, LOOK)?;
            ensure!(light::code(&runs) == Some(4), "it showed {}", light::text(&runs));
            Ok(Some(()))
        })
    })?;
    report(&format!(
        "e2e:   {} s after power-on",
        machine.since_power_on().as_secs()
    ));
    step("the light for the state is lit: the mailserver is at work", || {
        lit(&mut machine, pins.led)
    })?;
    machine.plug_usb_adapter()?;
    let status = step("with an adapter in, the page answers", || {
        wait_for_status(&mut machine, "the page", |status| Some(status.clone()))
    })?;
    ensure!(status["board"] == BOARD, "the board is {}", status["board"]);
    let peer_id = step("the mailserver answers", || peer_id(&mut machine))?;
    step("the router's time server sets the clock", || {
        wait_for_status(&mut machine, "a trusted clock", |status| {
            (status["health"]["clock"]["level"] == "ok").then_some(())
        })
    })?;
    step("js-waku stores an envelope and finds it", || {
        let client = Client::of(&peer_id);
        client.push("on a Raspberry Pi")?;
        let stored = client.stored()?;
        ensure!(stored == ["on a Raspberry Pi"], "it has {stored:?}");
        Ok(())
    })?;
    step("the watchdog's driver is there, and its not being set is said", || {
        wait_for_status(&mut machine, "a finding about the watchdog", |status| {
            let finding = &status["health"]["watchdog"];
            let detail = finding["detail"].as_str()?;
            (finding["level"] == "warn" && detail.starts_with("Broadcom BCM2835")).then_some(())
        })
    })?;
    machine.cut_power();
    let answer = card.read("pillarbox-answer.txt")?;
    ensure!(
        !answer.contains("not been switched on"),
        "the card's answer is {answer:?}"
    );
    Ok(())
}

fn lit(machine: &mut Machine, line: u32) -> Result<()> {
    machine.wait_for("the light lit", BOOT_LIMIT, |machine| {
        let runs = machine.wires.record(line, Duration::from_secs(5))?;
        let longest = runs.iter().filter(|(level, _)| *level).map(|(_, time)| *time).max();
        ensure!(
            longest > Some(Duration::from_secs(1)),
            "it showed {}",
            light::text(&runs)
        );
        Ok(Some(()))
    })
}
