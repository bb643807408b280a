//! `scripts/campaign archive-cards`: cards that take their time, and cards that cannot be read in places.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use archive::{Archive, Inserted, Query, verify};

use super::disk::Worn;
use super::mount::Held;
use super::remote::{self, Remote};
use super::writer::options;
use crate::workload::{SECOND, START, envelope};

/// Far longer than anything in memory takes, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(15);

pub(crate) fn run() -> Result<()> {
    if let Err(error) = remote::possible() {
        println!("NOT RUN: slow and worn cards, for want of a FUSE file system ({error:#})");
        return Ok(());
    }
    remote::with(slow)?;
    println!("a sync that does not end: inserts and queries go on");
    remote::with(mute)?;
    println!("a disk that answers nothing: what needs no answer of it goes on");
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
    disk.hold(Held::Syncs)?;
    thread::scope(|scope| -> Result<()> {
        let ticking = scope.spawn(|| archive.tick(START + 3 * SECOND));
        let meanwhile = during_sync(disk, &archive, &|| ticking.is_finished());
        disk.hold(Held::Nothing)?;
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
    until_waited_for(disk, has_ended)?;
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
    ensure!(disk.state()?.is_waited_for && !has_ended(), "the sync has ended");
    Ok(())
}

/// Until the work that `has_ended` tells of stands before the card.
fn until_waited_for(disk: &mut Remote, has_ended: &dyn Fn() -> bool) -> Result<()> {
    while !disk.state()?.is_waited_for {
        ensure!(!has_ended(), "the work did not come to the card");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A card that answers nothing any more delays only who asks it: an insert that may be a duplicate of what lies there,
/// the figures, which tell the size of files, and a tick, which looks at the policy. An insert and a query that memory
/// can answer wait for none of them.
fn mute(disk: &mut Remote, place: &Path) -> Result<()> {
    let dir = place.join("archive");
    two_segments(&dir)?;
    let now = START + 100 * SECOND;
    let archive = Archive::open(&dir, options())?;
    // The kernel forgets what it has read of a file when the file is opened once more.
    for file in std::fs::read_dir(&dir)? {
        std::fs::File::open(file?.path())?;
    }
    let back_fill = envelope(0, SECOND / 4);
    beside(disk, &archive, "slice-", now, &|| {
        let inserted = archive.insert(&back_fill, now)?;
        ensure!(inserted == Inserted::Duplicate(back_fill.hash()), "{inserted:?}");
        Ok(())
    })?;
    // What is committed meanwhile is a file that the figures look at.
    archive.tick(now + 3 * SECOND)?;
    beside(disk, &archive, "slice-", now + 10 * SECOND, &|| {
        let bytes = archive.stats().bytes;
        ensure!(bytes > 0, "{bytes} bytes on the disk");
        Ok(())
    })?;
    beside(disk, &archive, "policy", now + 20 * SECOND, &|| {
        Ok(archive.tick(now + 20 * SECOND)?)
    })?;
    archive.close()?;
    ensure!(verify(&dir, &mut |_| {})?.is_sound());
    Ok(())
}

/// Does `work`, which comes to files whose name begins with `prefix`, while these take for ever; and beside it inserts and
/// a query of envelopes that nothing on the disk is of the time of.
fn beside(
    disk: &mut Remote,
    archive: &Archive,
    prefix: &str,
    now: i64,
    work: &(dyn Fn() -> Result<()> + Sync),
) -> Result<()> {
    disk.hold(Held::Files(prefix.to_owned()))?;
    thread::scope(|scope| -> Result<()> {
        let working = scope.spawn(work);
        let begun = until_waited_for(disk, &|| working.is_finished());
        let going_on = scope.spawn(|| in_memory(archive, now));
        let waits = begun.and_then(|()| {
            let since = Instant::now();
            while !going_on.is_finished() && since.elapsed() < AT_ONCE {
                thread::sleep(Duration::from_millis(5));
            }
            ensure!(
                going_on.is_finished(),
                "inserts and queries wait for who asks for {prefix}*"
            );
            ensure!(
                disk.state()?.is_waited_for && !working.is_finished(),
                "the card has answered"
            );
            Ok(())
        });
        disk.hold(Held::Nothing)?;
        let ended = |work: thread::ScopedJoinHandle<'_, Result<()>>| {
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let outcomes = [ended(going_on), ended(working)];
        waits?;
        outcomes.into_iter().collect()
    })
}

/// A hundred inserts and a page of them, all in memory.
fn in_memory(archive: &Archive, now: i64) -> Result<()> {
    for number in 0..100 {
        let mut next = envelope(number, 1);
        next.timestamp = now + number.cast_signed();
        let inserted = archive.insert(&next, now)?;
        // A busy machine may come to some of them when the window of those before is over.
        ensure!(
            matches!(inserted, Inserted::Stored(_) | Inserted::Unwritten(_)),
            "envelope {number}: {inserted:?}"
        );
    }
    let query = Query {
        time_start: Some(now),
        limit: 100,
        include_data: true,
        ..Query::default()
    };
    let found = archive.query(&query, now)?.entries.len();
    ensure!(found == 100, "{found} of a page of 100");
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
