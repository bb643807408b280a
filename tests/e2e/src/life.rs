//! A box's first days: flashed and switched on, found and used, restarted and reset by its button, given wishes on its
//! card, and hurt. Four starts of one card, and a fifth as far as the kernel's first line.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::bench::{BOOT_LIMIT, Bench, KERNEL_STARTS, LOADER_LIMIT, peer_id, step, wait_for_status};
use crate::card::Card;
use crate::envelope::Client;
use crate::lan::BOX;
use crate::light;
use crate::machine::{Cable, Machine};
use crate::pins::Pins;
use crate::shell::Shell;
use crate::{confinement, lan, neighbours, page, report, slots};

/// A round of the longest code, twice, so that one is seen whole.
const LOOK: Duration = Duration::from_secs(26);
/// A person's second press; the box takes 30 s for "again".
const BETWEEN_PRESSES: Duration = Duration::from_secs(3);
/// Where the list of the Status fleet's boot nodes is in DNS.
const STATUS_LIST: &str = "boot.prod.status.nodes.status.im";
const WISHES: &str = "name = \"kitchen\"\ntime_zone = \"Europe/Vienna\"\nretention_hours = 12\n";
const MISTAKE: &str = "name = \"kitchen\"\nretention_hours = \"many\"\n";

pub(crate) fn four_starts(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.image, &bench.dir)?;
    let pins = Pins::of("qemu-virt")?;

    slots::arm_a_trial(&card)?;
    let mut machine = bench.power_on(&card, "first", Cable::In)?;
    step("a slot on trial that does not start gives way", || {
        machine.wait_for_console(KERNEL_STARTS, 1, LOADER_LIMIT)?;
        slots::trial_gave_way(&card, &machine.console())
    })?;
    let first = first_start(bench, &mut machine, &pins)?;
    // The second start is the button's.
    step("the trial is over", || slots::trial_is_over(&card, &machine.console()))?;
    second_start(&mut machine, &pins, &first)?;
    machine.cut_power();

    let shell = Shell::new(&bench.dir)?;
    card.put(
        "pillarbox.toml",
        &format!("{WISHES}[ssh]\nkeys = [\"{}\"]\n", shell.public_key()?),
    )?;
    slots::tear(&card)?;
    let mut machine = bench.power_on(&card, "third", Cable::In)?;
    let third = third_start(&mut machine, &shell, &first);
    if third.is_err() {
        report(&shell.run("journalctl -b --no-pager -n 200").unwrap_or_default());
    }
    third?;
    step("a torn boot state is survived", || slots::started_a(&machine.console()))?;
    step("when systemd hangs, the hardware watchdog restarts the box", || {
        // A frozen group cannot be left, so nobody answers.
        let _ = shell.run("echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze");
        machine.wait_for_console(KERNEL_STARTS, 2, LOADER_LIMIT)
    })?;
    machine.cut_power();
    let answer = card.read("pillarbox-answer.txt")?;
    ensure!(
        answer.contains("kitchen") && answer.contains("SHA256:"),
        "the card's answer is {answer:?}"
    );

    card.put("pillarbox.toml", MISTAKE)?;
    slots::wipe(&card)?;
    let mut machine = bench.power_on(&card, "fourth", Cable::Out)?;
    fourth_start(&mut machine, &pins, &first)?;
    step("and no boot state at all, too", || slots::started_a(&machine.console()))?;
    machine.cut_power();
    let answer = card.read("pillarbox-answer.txt")?;
    ensure!(answer.contains("retention_hours"), "the card's answer is {answer:?}");
    Ok(())
}

/// What the later starts compare with.
struct First {
    peer_id: String,
    disk_bytes: u64,
    client: Client,
}

fn first_start(bench: &Bench, machine: &mut Machine, pins: &Pins) -> Result<First> {
    let status = step("the page answers", || {
        wait_for_status(machine, "the page", |status| Some(status.clone()))
    })?;
    report(&format!(
        "e2e:   {} s after power-on",
        machine.since_power_on().as_secs()
    ));
    ensure!(status["board"] == "qemu-virt", "the board is {}", status["board"]);
    let version = env!("CARGO_PKG_VERSION");
    ensure!(status["version"] == version, "the version is {}", status["version"]);

    let peer_id = step("the mailserver answers", || peer_id(machine))?;
    report(&format!(
        "e2e:   {} s after power-on",
        machine.since_power_on().as_secs()
    ));
    step("without a word on its card it looks for the Status network", || {
        machine.wait_for("the question for the fleet's list", BOOT_LIMIT, |_| {
            Ok(lan::asked_for_texts(&bench.home, STATUS_LIST)?.then_some(()))
        })
    })?;
    let disk_bytes = step("the data partition is as large as the card", || {
        wait_for_status(machine, "the data partition grown to the card", |status| {
            disk_total(status).filter(|bytes| *bytes > 2 << 30)
        })
    })?;
    step("a wrong clock is set by the router's time server", || {
        wait_for_status(machine, "a trusted clock", |status| {
            (status["health"]["clock"]["level"] == "ok").then_some(())
        })
    })?;
    step("it is found by its name and by its service", || found(machine, None))?;

    step("without a key there is no SSH", confinement::no_ssh)?;

    let client = Client::of(&peer_id);
    step("js-waku stores an envelope and finds it", || {
        client.push("first")?;
        ensure!(client.stored()? == ["first"], "it has {:?}", client.stored()?);
        Ok(())
    })?;
    step("the light, seen from outside, shows the page's code", || {
        machine.wait_for("the light to show the page's code", BOOT_LIMIT, |machine| {
            let before = page::status()?["code"].as_u64();
            let runs = machine.wires.record(pins.led, LOOK)?;
            let seen = light::code(&runs).map(u64::from);
            ensure!(
                seen == before,
                "the page says {before:?}, the light {}",
                light::text(&runs)
            );
            Ok(Some(()))
        })
    })?;
    step("a press blinks the address", || {
        press(machine, pins, Duration::from_millis(400), None)?;
        let runs = machine.wires.record(pins.led, Duration::from_secs(12))?;
        let last = BOX.octets()[3];
        ensure!(
            light::shows_number(&runs, last),
            "the light showed {}",
            light::text(&runs)
        );
        Ok(())
    })?;
    step("a press lets in the browser whose number the light blinks", || {
        let browser = page::Browser::ask()?;
        ensure!(!browser.is_let_in()?, "it is let in without a press");
        machine.wait_for("the browser's number", BOOT_LIMIT, |_| {
            let status = page::status()?;
            let asker = &status["asking"][0];
            let blinks = asker["number"].as_u64().map(|number| format!("asking-{number}"));
            let mut lights = status["leds"].as_object().into_iter().flat_map(|leds| leds.values());
            let shown = lights.any(|pattern| pattern.as_str() == blinks.as_deref());
            Ok((shown && asker["turn"] == "ready").then_some(()))
        })?;
        press(machine, pins, Duration::from_millis(400), None)?;
        machine.wait_for("the page's forms", BOOT_LIMIT, |_| {
            Ok(browser.is_let_in()?.then_some(()))
        })?;
        unharmed(&peer_id)
    })?;
    step("held for 3 s while no browser asks, nothing happens", || {
        press(machine, pins, Duration::from_secs(3), Some("holding-refuse"))?;
        unharmed(&peer_id)
    })?;
    step("pressed twice, every service starts anew", || {
        let before = service_pid()?;
        for _ in 0..2 {
            press(machine, pins, Duration::from_millis(400), None)?;
            std::thread::sleep(BETWEEN_PRESSES);
        }
        another_mailserver(machine, before)
    })?;
    step("held for 6 s, the box restarts", || {
        press(machine, pins, Duration::from_millis(6500), Some("holding-reboot"))?;
        machine.wait_for_console(KERNEL_STARTS, 2, BOOT_LIMIT)
    })?;
    Ok(First {
        peer_id,
        disk_bytes,
        client,
    })
}

fn second_start(machine: &mut Machine, pins: &Pins, first: &First) -> Result<()> {
    step("the second start keeps identity, size and envelopes", || {
        kept(machine, first, &["first"])
    })?;
    step("held for 21 s, nothing happens", || {
        press(machine, pins, Duration::from_secs(21), Some("holding-cancelled"))?;
        unharmed(&first.peer_id)
    })?;
    step(
        "held for 12 s, it forgets the envelopes and stays the same peer",
        || {
            press(machine, pins, Duration::from_secs(12), Some("holding-factory-reset"))?;
            machine.wait_for("an empty archive", BOOT_LIMIT, |_| {
                Ok(first.client.stored()?.is_empty().then_some(()))
            })
        },
    )?;
    let again = peer_id(machine)?;
    ensure!(
        again == first.peer_id,
        "the identity changed from {} to {again}",
        first.peer_id
    );
    first.client.push("second")?;
    // What a power cut may lose is what came in the last 2 s (archive/README.md).
    std::thread::sleep(Duration::from_secs(5));
    Ok(())
}

fn third_start(machine: &mut Machine, shell: &Shell, first: &First) -> Result<()> {
    step("the plug pulled, it keeps identity, size and envelopes", || {
        kept(machine, first, &["second"])
    })?;
    step("the card's name is the box's", || found(machine, Some("kitchen")))?;
    step("the card's retention is the archive's", || {
        wait_for_status(machine, "12 hours", |status| {
            (status["archive"]["retention_secs"] == 12 * 3600).then_some(())
        })
    })?;
    let zone = step("SSH lets the card's key in", || {
        machine.wait_for("SSH", BOOT_LIMIT, |_| shell.run("date +%Z").map(Some))
    })?;
    ensure!(zone == "CET" || zone == "CEST", "the time zone is {zone}");
    step("`pillarbox` speaks with the daemon", || {
        let said = shell.run("pillarbox --json status || [ $? -eq 3 ]")?;
        let said: Value = serde_json::from_str(&said).context("it is not JSON")?;
        ensure!(said["board"] == "qemu-virt", "it says {said}");
        Ok(())
    })?;
    step("no unit failed", || {
        let failed = shell.run("systemctl list-units --failed --plain --no-legend --no-pager")?;
        ensure!(failed.is_empty(), "{failed}");
        Ok(())
    })?;
    step("the hardware watchdog counts to what it was set to", || {
        wait_for_status(machine, "a finding about the watchdog", |status| {
            let watchdog = &status["system"]["watchdog"];
            (status["health"]["watchdog"]["level"] == "ok"
                && watchdog["active"] == true
                && watchdog["timeout_secs"] == 12)
                .then_some(())
        })
    })?;
    step("root is locked, and SSH takes no password", || {
        confinement::no_way_in(shell)
    })?;
    step("the firewall lets in what it should, and nothing else", || {
        confinement::firewall(shell)
    })?;
    step("services are confined", || confinement::services(shell))?;
    step("what a service may not write to is denied", || {
        confinement::landlock(shell)
    })?;
    let memory = shell.run("awk '/MemTotal|MemAvailable/ {print $2}' /proc/meminfo")?;
    report(&format!(
        "e2e:   memory, total and available in KiB: {}",
        memory.replace('\n', ", ")
    ));

    step("the mailserver killed comes back", || {
        let before = service_pid()?;
        shell.run(&format!("kill -KILL {before}"))?;
        another_mailserver(machine, before)
    })?;
    step("the daemon killed comes back, with one mailserver", || {
        shell.run("systemctl kill --kill-whom=main --signal=SIGKILL pillarboxd")?;
        restarted(machine, shell, 1)
    })?;
    step("the daemon stopped is found by the watchdog", || {
        shell.run("systemctl kill --kill-whom=main --signal=SIGSTOP pillarboxd")?;
        restarted(machine, shell, 2)
    })?;
    kept(machine, first, &["second"])
}

fn fourth_start(machine: &mut Machine, pins: &Pins, first: &First) -> Result<()> {
    step("without a network, the light says so", || {
        machine.wait_for("code 4, seen from outside", BOOT_LIMIT, |machine| {
            let runs = machine.wires.record(pins.led, LOOK)?;
            ensure!(light::code(&runs) == Some(4), "the light showed {}", light::text(&runs));
            Ok(Some(()))
        })
    })?;
    machine.plug(Cable::In)?;
    step("with the cable in, the page names the mistake on the card", || {
        wait_for_status(machine, "a finding about the settings", |status| {
            let finding = &status["health"]["settings"];
            let detail = finding["detail"].as_str()?;
            (finding["level"] != "ok" && detail.contains("retention_hours")).then_some(())
        })
    })?;
    step("and the box does its job all the same", || {
        kept(machine, first, &["second"])
    })
}

/// As after the first start: the same peer on the same partition, with these envelopes.
fn kept(machine: &mut Machine, first: &First, envelopes: &[&str]) -> Result<()> {
    let again = peer_id(machine)?;
    ensure!(
        again == first.peer_id,
        "the identity changed from {} to {again}",
        first.peer_id
    );
    let bytes = wait_for_status(machine, "the disk's size", disk_total)?;
    ensure!(bytes == first.disk_bytes, "the data partition has {bytes} bytes now");
    machine.wait_for("the envelopes", BOOT_LIMIT, |_| {
        let stored = first.client.stored()?;
        ensure!(stored == envelopes, "it has {stored:?}");
        Ok(Some(()))
    })
}

/// systemd has started the daemon so many times again, and it serves with a single mailserver.
fn restarted(machine: &mut Machine, shell: &Shell, times: u32) -> Result<()> {
    machine.wait_for("the daemon's restart", BOOT_LIMIT, |_| {
        let count = shell.run("systemctl show --property=NRestarts --value pillarboxd")?;
        ensure!(count == times.to_string(), "it was restarted {count} times");
        Ok(Some(()))
    })?;
    wait_for_status(machine, "a healthy mailserver", |status| {
        (status["services"][0]["health"] == "ok").then_some(())
    })?;
    // The kernel's name of a process has 15 letters.
    let running = shell.run("grep -lx pillarbox-mails /proc/[0-9]*/comm | wc -l")?;
    ensure!(running == "1", "{running} mailservers run");
    Ok(())
}

/// By its host name, and as an instance of a web page. The host name is the board's own unless the card says another.
fn found(machine: &mut Machine, name: Option<&str>) -> Result<()> {
    let instance = machine.wait_for("an answer to _http._tcp.local", BOOT_LIMIT, |_| {
        Ok(neighbours::instances("_http._tcp.local.")?.into_iter().next())
    })?;
    let host = instance
        .strip_prefix("Pillarbox ")
        .ok_or_else(|| anyhow!("the page is announced as {instance:?}"))?;
    match name {
        Some(name) => ensure!(host == name, "the box calls itself {instance}"),
        None => ensure!(
            host.starts_with("pillarbox-") && host.len() == 14,
            "the box calls itself {instance}"
        ),
    }
    let addresses = machine.wait_for("the name's address", BOOT_LIMIT, |_| {
        let addresses = neighbours::addresses(&format!("{host}.local."))?;
        Ok((!addresses.is_empty()).then_some(addresses))
    })?;
    ensure!(addresses == [BOX], "{host}.local is {addresses:?}");
    Ok(())
}

/// Holds the button and lets it go; the light must have been `shown` just before.
fn press(machine: &mut Machine, pins: &Pins, time: Duration, shown: Option<&str>) -> Result<()> {
    machine.wires.drive(pins.button, true)?;
    let started = std::time::Instant::now();
    let mut seen = Ok(());
    if let Some(wanted) = shown {
        std::thread::sleep(time.saturating_sub(Duration::from_millis(900)));
        seen = page::status().and_then(|status| {
            let shown = &status["leds"]["status"];
            ensure!(shown == wanted, "the light shows {shown}, not {wanted}");
            Ok(())
        });
    }
    std::thread::sleep(time.saturating_sub(started.elapsed()));
    machine.wires.drive(pins.button, false)?;
    seen
}

/// Nothing was restarted.
fn unharmed(peer_id: &str) -> Result<()> {
    std::thread::sleep(Duration::from_secs(3));
    let status = page::status()?;
    let service = &status["services"][0];
    ensure!(
        status["mailserver"]["peer_id"] == peer_id && service["state"] == "active" && service["restarts"] == 0,
        "the mailserver is {service}"
    );
    Ok(())
}

/// One that is healthy and another process than `before`.
fn another_mailserver(machine: &mut Machine, before: u64) -> Result<()> {
    wait_for_status(machine, "another healthy mailserver", |status| {
        let service = &status["services"][0];
        (service["pid"].as_u64()? != before && service["health"] == "ok").then_some(())
    })
}

fn service_pid() -> Result<u64> {
    let status = page::status()?;
    status["services"][0]["pid"]
        .as_u64()
        .context("the mailserver does not run")
}

fn disk_total(status: &Value) -> Option<u64> {
    status["system"]["disk"]["total_bytes"].as_u64()
}
