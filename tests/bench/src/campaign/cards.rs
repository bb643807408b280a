//! `scripts/campaign archive-cards`: cards that take their time, and cards that cannot be read in places.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use archive::{Archive, Inserted, Query, verify};

use super::disk::Worn;
use super::remote::{self, Remote};
use super::writer::options;
use crate::workload::{SECOND, START, envelope};

pub(crate) fn run() -> Result<()> {
    if let Err(error) = remote::possible() {
        println!("NOT RUN: slow and worn cards, for want of a FUSE file system ({error:#})");
        return Ok(());
    }
    remote::with(slow)?;
    println!("a sync that does not end: inserts and queries go on");
    remote::with(stumbling)?;
    println!("a read that fails once: nothing is lost");
    remote::with(worn)?;
    println!("sectors that cannot be read: the segment is put aside, the rest is served");
    Ok(())
}

fn store(archive: &Archive, number: u64, step_ns: i64) -> Result<()> {
    let next = envelope(number, step_ns);
    match archive.insert(&next, next.timestamp)? {
        Inserted::Stored(_) => Ok(()),
        other => bail!("envelope {number}: {other:?}"),
    }
}

fn count(archive: &Archive, now: i64) -> Result<usize> {
    let query = Query {
        limit: 100,
        include_data: true,
        ..Query::default()
    };
    Ok(archive.query(&query, now)?.entries.len())
}

/// A light push is answered after the insert: the card's syncs must not delay it.
fn slow(disk: &mut Remote, place: &Path) -> Result<()> {
    let dir = place.join("archive");
    let archive = Archive::open(&dir, options())?;
    store(&archive, 0, 1)?;
    disk.hold_syncs(true)?;
    thread::scope(|scope| -> Result<()> {
        let ticking = scope.spawn(|| archive.tick(START + 3 * SECOND));
        let meanwhile = during_sync(disk, &archive, &|| ticking.is_finished());
        disk.hold_syncs(false)?;
        ticking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        meanwhile
    })?;
    archive.tick(START + 6 * SECOND)?;
    let late = envelope(200, 1);
    let again = archive.insert(&late, START)?;
    ensure!(again == Inserted::Duplicate(late.hash()), "{again:?} after the commit");
    archive.close()?;
    ensure!(verify(&dir, &mut |_| {})?.is_sound());
    Ok(())
}

fn during_sync(disk: &mut Remote, archive: &Archive, has_ended: &dyn Fn() -> bool) -> Result<()> {
    while !disk.state()?.holds_a_sync {
        ensure!(!has_ended(), "a commit without a sync");
        thread::sleep(Duration::from_millis(5));
    }
    (1..200).try_for_each(|number| {
        let next = envelope(number, 1);
        match archive.insert(&next, next.timestamp)? {
            // A busy machine may come to the first of them when the window is over.
            Inserted::Stored(_) | Inserted::Unwritten(_) => Ok(()),
            other => bail!("envelope {number}: {other:?}"),
        }
    })?;
    let found = count(archive, START)?;
    ensure!(found == 100, "{found} of a page of 100");
    // Past the window they are kept, but promised to nobody.
    thread::sleep(archive::Options::default().durability);
    let late = envelope(200, 1);
    for inserted in [archive.insert(&late, START)?, archive.insert(&late, START)?] {
        ensure!(
            inserted == Inserted::Unwritten(late.hash()),
            "{inserted:?} past the window"
        );
    }
    ensure!(disk.state()?.holds_a_sync && !has_ended(), "the sync has ended");
    Ok(())
}

/// Two slices of 5 s, sealed. There is no error in their files, only under them.
fn two_segments(dir: &Path) -> Result<()> {
    let archive = Archive::open(dir, options())?;
    (0..40).try_for_each(|number| store(&archive, number, SECOND / 4))?;
    archive.tick(START + 13 * SECOND)?;
    archive.tick(START + 80 * SECOND)?;
    let sealed = archive.stats().counters.sealed_segments;
    ensure!(sealed == 2, "{sealed} segments are sealed");
    Ok(archive.close()?)
}

fn wear_out(disk: &mut Remote, failures: u64) -> Result<()> {
    let place = 16_384;
    disk.wear_out("slice-", Worn { place, failures })
}

/// The kernel asks twice for a page before it gives an error: to read ahead, and for the page itself.
fn stumbling(disk: &mut Remote, place: &Path) -> Result<()> {
    let dir = place.join("archive");
    two_segments(&dir)?;
    wear_out(disk, 2)?;
    let archive = Archive::open(&dir, options())?;
    let left = count(&archive, START + 81 * SECOND)?;
    let quarantined = archive.stats().counters.quarantined;
    ensure!(
        (left, quarantined) == (40, 0),
        "{left} envelopes are left, {quarantined} segments in the quarantine"
    );
    Ok(archive.close()?)
}

fn worn(disk: &mut Remote, place: &Path) -> Result<()> {
    let dir = place.join("archive");
    two_segments(&dir)?;
    wear_out(disk, u64::MAX)?;
    let archive = Archive::open(&dir, options())?;
    let now = START + 81 * SECOND;
    let left = count(&archive, now)?;
    ensure!(left == 20, "{left} envelopes are left");
    // One that failed when it was opened is asked once more by a tick.
    archive.tick(now)?;
    ensure!(archive.stats().counters.quarantined == 1);
    let mut aside = std::fs::read_dir(dir.join("quarantine"))?;
    let aside = aside.next().transpose()?.map(|entry| entry.file_name());
    let named = aside.as_ref().map(|name| name.to_string_lossy());
    ensure!(
        named.is_some_and(|name| name.ends_with(".read-error")),
        "{aside:?} in the quarantine"
    );
    // It takes envelopes of the lost slice again.
    ensure!(matches!(
        archive.insert(&envelope(0, SECOND / 4), now)?,
        Inserted::Stored(_)
    ));
    archive.tick(now + 3 * SECOND)?;
    ensure!(count(&archive, now)? == 21);
    archive.close()?;
    Ok(())
}
