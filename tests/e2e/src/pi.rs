//! A Raspberry Pi 3 from its own card: firmware's part by QEMU, then U-Boot from the FAT partition, SD controller, GPIO
//! block and USB network. Its button cannot be pressed, and its watchdog cannot count, in an emulator (`board-configs`,
//! qemu-raspi3b): the first is pressed on `-M virt`, the second counts there.

use anyhow::{Result, ensure};

use crate::card::Card;
use crate::envelope::Client;
use crate::light;
use crate::pins::Pins;
use crate::report;
use crate::scenarios::{Bench, peer_id, step, wait_for_status};

const BOARD: &str = "qemu-raspi3b";

pub(crate) fn start(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.pi_image, &bench.dir)?;
    let mut machine = bench.power_on_pi(&card, "pi")?;
    let status = step("the page answers", || {
        wait_for_status(&mut machine, "the page", |status| Some(status.clone()))
    })?;
    report(&format!(
        "e2e:   {} s after power-on",
        machine.since_power_on().as_secs()
    ));
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
    step("the light of a box at work is lit", || {
        let pins = Pins::of(BOARD)?;
        machine.wait_for("GPIO 17 lit", crate::scenarios::BOOT_LIMIT, |machine| {
            let runs = machine.wires.record(pins.led, std::time::Duration::from_secs(5))?;
            let lit = runs.iter().any(|(level, _)| *level);
            ensure!(lit, "it showed {}", light::text(&runs));
            Ok(Some(()))
        })
    })?;
    step("the watchdog's driver is there, and its not being set is said", || {
        wait_for_status(&mut machine, "a finding about the watchdog", |status| {
            let finding = &status["health"]["watchdog"];
            let detail = finding["detail"].as_str()?;
            (finding["level"] == "warn" && detail.starts_with("Broadcom BCM2835")).then_some(())
        })
    })
}
