//! The disk is full from some operation of a run on, then has space again: nothing crashes, nothing is damaged, what
//! was acknowledged and fits in memory is there in the end, and the archive takes envelopes again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use archive::{Archive, Inserted, Refusal, verify};

use super::disk::Fault;
use super::remote::{self, Remote};
use super::writer::options;
use crate::workload::{Random, SECOND, START, envelope};

/// `scripts/campaign archive-full`: every operation of the run in turn.
pub(crate) fn every() -> Result<()> {
    remote::possible()?;
    let operations = remote::with(|disk, place| one(disk, place, Fault::None))?;
    println!("archive-full: a run of {operations} operations (writes, names, syncs)");
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let worker = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= operations {
                return Ok(());
            }
            full_at(at).inspect_err(|_| next.store(operations, Ordering::Relaxed))?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(100) {
                println!("{done} of {operations}");
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..thread::available_parallelism()?.get())
            .map(|_| scope.spawn(worker))
            .collect();
        let outcomes = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        outcomes.collect::<Result<()>>()
    })?;
    println!("disk full at each of {operations} operations of a run: every one recovered, nothing damaged or lost");
    Ok(())
}

/// The first operations, where files are made, and as many by chance.
pub(crate) fn sample(points: u64, seed: u64) -> Result<u64> {
    let mut random = Random::new(seed);
    let operations = remote::with(|disk, place| one(disk, place, Fault::None))?;
    for point in 0..points {
        full_at(if point < points / 2 {
            point
        } else {
            random.below(operations)
        })?;
    }
    Ok(points)
}

fn full_at(at: u64) -> Result<()> {
    remote::with(|disk, place| one(disk, place, Fault::Full(at))).with_context(|| format!("full at operation {at}"))?;
    Ok(())
}

/// A run, and how many operations it asked of the disk until there was space again.
fn one(disk: &mut Remote, place: &Path, fault: Fault) -> Result<u64> {
    let dir = place.join("archive");
    let archive = Archive::open(&dir, options())?;
    let before = disk.state()?.operations;
    disk.arm(fault)?;
    let mut operations = 0;
    let mut stored = Vec::new();
    let mut failures = 0;
    // Half a minute of which the last third has space again; the reopening is sealed and pruned over.
    for number in 0..360u64 {
        let next = envelope(number, SECOND / 12);
        let now = next.timestamp;
        if number == 240 {
            operations = disk.state()?.operations - before;
            disk.arm(Fault::None)?;
        }
        match archive.insert(&next, now)? {
            // What was not promised has to be there, too: this writer lives on.
            Inserted::Stored(hash) | Inserted::Unwritten(hash) => stored.push(hash),
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
    let verified = verify(&dir, &mut |_| {})?;
    ensure!(
        verified.is_sound() && verified.quarantined.is_empty(),
        "not sound: {verified:?}"
    );
    let archive = Archive::open(&dir, options())?;
    check(&archive)?;
    archive.close()?;
    Ok(operations)
}
