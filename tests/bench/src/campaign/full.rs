//! The disk is full from some operation of a run on, then has space again: nothing crashes, nothing is damaged, what
//! was acknowledged and fits in memory is there in the end, and the archive takes envelopes again.

use anyhow::{Context, Result, ensure};
use archive::{Archive, Inserted, Refusal, verify};

use super::disk::Fault;
use super::mount::Shared;
use super::writer::options;
use crate::workload::{Random, SECOND, START, envelope};

/// Operations of one run, roughly: points are spread over them.
const RUN_OPERATIONS: u64 = 1500;

pub(crate) fn run(points: u64, seed: u64) -> Result<u64> {
    let mut random = Random::new(seed);
    for point in 0..points {
        // Every operation of the first part, where files are made; then here and there.
        let at = if point < points / 2 {
            point
        } else {
            random.below(RUN_OPERATIONS)
        };
        one(at).with_context(|| format!("full at operation {at}"))?;
    }
    Ok(points)
}

fn one(at: u64) -> Result<()> {
    let place = tempfile::tempdir()?;
    let disk = Shared::new();
    let session = disk.mount(place.path())?;
    let dir = place.path().join("archive");
    let archive = Archive::open(&dir, options())?;
    disk.lock().arm(Fault::Full(at));
    let mut stored = Vec::new();
    let mut failures = 0;
    // Half a minute of which the last third has space again; the reopening is sealed and pruned over.
    for number in 0..360u64 {
        let next = envelope(number, SECOND / 12);
        let now = next.timestamp;
        if number == 240 {
            disk.lock().arm(Fault::None);
        }
        match archive.insert(&next, now)? {
            Inserted::Stored(hash) => stored.push(hash),
            Inserted::Refused(Refusal::DiskFull) => {}
            other => anyhow::bail!("{other:?}"),
        }
        // What a full disk answers is told, and tried again at the next tick.
        failures += u64::from(number.is_multiple_of(3) && archive.tick(now).is_err());
    }
    let now = START + 100 * SECOND;
    archive.tick(now)?;
    archive.tick(now + SECOND)?;
    let check = |archive: &Archive| -> Result<()> {
        for hash in &stored {
            ensure!(archive.contains(hash)?, "{hash} is not there ({failures} ticks failed)");
        }
        Ok(())
    };
    check(&archive)?;
    archive.close()?;
    let verified = verify(&dir)?;
    ensure!(
        verified.is_sound() && verified.quarantined.is_empty(),
        "not sound: {verified:?}"
    );
    let archive = Archive::open(&dir, options())?;
    check(&archive)?;
    archive.close()?;
    session.umount_and_join()?;
    Ok(())
}
