//! Which slot the boot loader starts, as far as the kernel's first line.

use anyhow::{Context, Result, ensure};
use pillarbox_image::bootstate::{Bootstate, Slot, Trial};
use pillarbox_image::layout::{self, Part};

use crate::card::Card;
use crate::machine::Cable;
use crate::scenarios::{Bench, KERNEL_STARTS, LOADER_LIMIT};

/// A slot on trial is tried once, is noted as tried, and the good one starts in the same power-on.
pub(crate) fn trial_gives_way(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.image, &bench.dir)?;
    let armed = Bootstate {
        seq: 7,
        good: Slot::A,
        trial: Trial::Armed { slot: Slot::B, next: 8 },
    };
    card.write_state(&armed.partition(layout::partition(Part::Bootstate).size_bytes))?;
    let mut machine = bench.power_on(&card, "trial", Cable::Out)?;
    machine.wait_for_console(KERNEL_STARTS, 1, LOADER_LIMIT)?;
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
    let state = Bootstate::newest(&card.read_state()?);
    let tried = Bootstate {
        seq: 8,
        good: Slot::A,
        trial: Trial::Tried { slot: Slot::B },
    };
    ensure!(state == Some(tried), "the state afterwards is {state:?}");

    let mut machine = bench.power_on(&card, "after-trial", Cable::Out)?;
    machine.wait_for_console(KERNEL_STARTS, 1, LOADER_LIMIT)?;
    ensure!(
        !machine.console().contains("starting slot b"),
        "slot b was tried a second time"
    );
    machine.cut_power();
    let after = Bootstate::newest(&card.read_state()?);
    ensure!(after == Some(tried), "an ordinary boot changed the state to {after:?}");
    Ok(())
}

/// A torn second copy, and no copy at all.
pub(crate) fn torn_state(bench: &Bench) -> Result<()> {
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
        card.write_state(&content)?;
        let mut machine = bench.power_on(&card, name, Cable::Out)?;
        machine
            .wait_for_console(KERNEL_STARTS, 1, LOADER_LIMIT)
            .with_context(|| name.to_owned())?;
        ensure!(
            machine.console().contains("Pillarbox: starting slot a"),
            "{name}: slot a was not started"
        );
    }
    Ok(())
}
