//! Which slot the boot loader starts, by what the boot state says and by what it says itself on the console.

use anyhow::{Context, Result, ensure};
use pillarbox_image::bootstate::{self, Bootstate, Slot, Trial};
use pillarbox_image::layout::{self, Part};

use crate::card::Card;

const TRIED: Bootstate = Bootstate {
    seq: 8,
    good: Slot::A,
    trial: Trial::Tried { slot: Slot::B },
};

/// As an update leaves it: slot b is to be tried. On a flashed card it is empty.
pub(crate) fn arm_a_trial(card: &Card) -> Result<()> {
    let armed = Bootstate {
        seq: 7,
        good: Slot::A,
        trial: Trial::Armed { slot: Slot::B, next: 8 },
    };
    card.write_state(&armed.partition(size_bytes()))
}

/// A slot that does not start is tried once, is noted as tried, and the good one starts in the same power-on.
pub(crate) fn trial_gave_way(card: &Card, console: &str) -> Result<()> {
    let wanted = [
        "Pillarbox: starting slot b",
        "Pillarbox: slot b does not start",
        "Pillarbox: starting slot a",
    ];
    ensure!(said(console) == wanted, "the boot script said {:?}", said(console));
    is_tried(card)
}

/// It is not tried a second time, and an ordinary start writes nothing.
pub(crate) fn trial_is_over(card: &Card, console: &str) -> Result<()> {
    let (last, before) = said(console)
        .split_last()
        .map(|(last, all)| (*last, all.len()))
        .unwrap_or_default();
    ensure!(
        before == 3 && last == "Pillarbox: starting slot a",
        "the boot script said {:?}",
        said(console)
    );
    is_tried(card)
}

fn is_tried(card: &Card) -> Result<()> {
    let state = Bootstate::newest(&card.read_state()?);
    ensure!(state == Some(TRIED), "the boot state is {state:?}");
    Ok(())
}

/// The power went while the newer of two states was written: only its first ten bytes are there.
pub(crate) fn tear(card: &Card) -> Result<()> {
    let mut content = TRIED.partition(size_bytes());
    let newer = Bootstate {
        seq: 9,
        good: Slot::B,
        trial: Trial::None,
    };
    let at = usize::try_from(bootstate::COPY_DISTANCE_BYTES).context("a small number")?;
    content[at..at + 10].copy_from_slice(&newer.encode()[..10]);
    card.write_state(&content)
}

/// No state at all.
pub(crate) fn wipe(card: &Card) -> Result<()> {
    card.write_state(&vec![0; usize::try_from(size_bytes()).context("a small number")?])
}

/// In a power-on's only start.
pub(crate) fn started_a(console: &str) -> Result<()> {
    let mut starts = said(console);
    starts.retain(|line| line.starts_with("Pillarbox: starting"));
    ensure!(
        starts == ["Pillarbox: starting slot a"],
        "the boot script said {starts:?}"
    );
    Ok(())
}

/// The boot script's lines.
fn said(console: &str) -> Vec<&str> {
    let lines = console.lines().filter(|line| line.contains("Pillarbox: "));
    lines.map(str::trim).collect()
}

fn size_bytes() -> u64 {
    layout::partition(Part::Bootstate).size_bytes
}
