//! Cards that are much smaller or much larger than the usual: the data partition grows to each, and a second start finds
//! it as it was.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pillarbox_image::layout::{self, Part};

use crate::bench::{BOOT_LIMIT, Bench, peer_id, step, wait_for_status};
use crate::card::Card;
use crate::envelope::Client;
use crate::machine::Cable;

/// Cards are sold in decimal gigabytes, and some hold a little less than they say.
const SMALLEST_BYTES: u64 = 1_900_000_000;
const HUGE_BYTES: u64 = 512_000_000_000;
/// What a file system keeps for itself: its tables and journal (a sixteenth is for inodes, mke2fs.conf).
const LEAST_SHARE: f64 = 0.85;
/// A large one grows in steps; it has ended when there was none for this long.
const STILL: Duration = Duration::from_secs(20);

pub(crate) fn smallest(bench: &Bench) -> Result<()> {
    grows(bench, SMALLEST_BYTES)
}

pub(crate) fn huge(bench: &Bench) -> Result<()> {
    grows(bench, HUGE_BYTES)
}

fn grows(bench: &Bench, card_bytes: u64) -> Result<()> {
    let card = Card::flash_to(&bench.image, &bench.dir, card_bytes)?;
    let room = card_bytes - layout::partition(Part::Data).start_bytes;
    let mut machine = bench.power_on(&card, "grown", Cable::In)?;
    let id = peer_id(&mut machine)?;
    let grown = step("the data partition grows to the card", || {
        let mut before = (0, Instant::now());
        wait_for_status(&mut machine, "the data partition grown to the card", |status| {
            let bytes = status["system"]["disk"]["total_bytes"].as_u64()?;
            if bytes != before.0 {
                before = (bytes, Instant::now());
            }
            (bytes as f64 > room as f64 * LEAST_SHARE && before.1.elapsed() > STILL).then_some(bytes)
        })
    })?;
    ensure!(grown < room, "it has {grown} bytes where {room} are");
    let client = Client::of(&id);
    step("an envelope is stored", || client.push("kept"))?;
    // What a power cut may lose is what came in the last 2 s (archive/README.md).
    std::thread::sleep(Duration::from_secs(5));
    machine.cut_power();

    let mut machine = bench.power_on(&card, "again", Cable::In)?;
    step("the next start finds it", || {
        let again = peer_id(&mut machine)?;
        ensure!(again == id, "the identity changed from {id} to {again}");
        let bytes = wait_for_status(&mut machine, "the disk", |status| {
            status["system"]["disk"]["total_bytes"].as_u64()
        })?;
        ensure!(bytes == grown, "it has {bytes} bytes now, not {grown}");
        machine.wait_for("the envelope", BOOT_LIMIT, |_| {
            let stored = client.stored()?;
            ensure!(stored == ["kept"], "it has {stored:?}");
            Ok(Some(()))
        })
    })
}
