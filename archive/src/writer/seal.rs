//! Sealing: a segment that takes no more envelopes gets its indexes and filter, loses its write-ahead log, and its
//! look-ups leave memory.
//!
//! Queries go on meanwhile, by the look-ups in memory; only while the log is copied away do those of this one segment
//! wait. A crash at any point leaves either an unsealed segment or a sealed one whose log the next opening copies.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::names::{Kind, SegmentName};
use crate::envelope::MessageHash;
use crate::error::Error;
use crate::mutex::lock;
use crate::nanos::Nanos;
use crate::segment::bloom::Bloom;
use crate::segment::connect::open_for_writing;
use crate::segment::file::SegmentFile;
use crate::segment::harm::Harm;
use crate::segment::live::{Live, MAX_ROWS, Stage, Writer};
use crate::segment::sealed::{Sealed, build, drop_log};
use crate::segment::summary::Summary;
use crate::writer::catalogue::Catalogue;
use crate::writer::core::{Core, Writing};
use crate::writer::give_up;

/// A slice that is over, and that nothing came for so long, is sealed.
const IDLE: Duration = Duration::from_secs(60);
/// All live segments together; back-fill into many slices seals the oldest ones early.
const MAX_LIVE: usize = 32;
const MAX_LIVE_ROWS: u64 = 3 << 15;
/// How many one tick seals.
const SEALS_A_TICK: usize = 4;

/// Seals what is due.
pub(crate) fn due(writing: &Writing<'_>, now: Nanos) -> Result<(), Error> {
    let core = writing.core;
    for _ in 0..SEALS_A_TICK {
        let Some(name) = next(&core.catalogue(), now) else {
            break;
        };
        match one(core, name) {
            Ok(true) => {}
            // Another process reads it just now.
            Ok(false) => break,
            Err(error) => match Harm::of(&error) {
                Harm::Damaged => give_up::set_aside(writing, name, "corrupt"),
                Harm::Unread => give_up::suspect(writing, name),
                Harm::None if !name.path(&core.dir).exists() => break,
                Harm::None => return Err(error),
            },
        }
    }
    Ok(())
}

/// `false` while another process reads the segment.
fn one(core: &Core, name: SegmentName) -> Result<bool, Error> {
    let Some(ending) = Ending::of(&mut core.catalogue(), name) else {
        return Ok(false);
    };
    let filter = Bloom::of(ending.hashes.iter());
    let summary = Summary {
        sealed: true,
        ..ending.committed
    };
    if !finish(&ending.file, &ending.writer, &summary, &filter)? {
        return Ok(false);
    }
    let filters = Arc::clone(&core.catalogue().filters);
    let sealed = Sealed::new(ending.file, summary, Some(filter), &filters);
    let forgotten = {
        let mut catalogue = core.catalogue();
        let forgotten = catalogue.forget(name);
        if forgotten.live.is_some() {
            catalogue.add_sealed(sealed);
            catalogue.counters.sealed_segments += 1;
        }
        forgotten
    };
    drop(forgotten);
    tracing::debug!(segment = %name, envelopes = summary.envelopes, "sealed");
    Ok(true)
}

/// A live segment that takes no more envelopes.
struct Ending {
    file: Arc<SegmentFile>,
    writer: Writer,
    committed: Summary,
    hashes: Vec<MessageHash>,
}

impl Ending {
    fn of(catalogue: &mut Catalogue, name: SegmentName) -> Option<Ending> {
        let live = catalogue.live(name)?;
        live.stage = Stage::Sealing;
        Some(Ending {
            file: Arc::clone(&live.file),
            writer: Arc::clone(&live.writer),
            committed: live.committed,
            hashes: live.index.hashes().copied().collect(),
        })
    }
}

/// Writes what a sealed segment has, copies the log away and closes the file; `false` while another process reads it.
fn finish(file: &SegmentFile, writer: &Writer, summary: &Summary, filter: &Bloom) -> Result<bool, Error> {
    let mut slot = lock(writer);
    let mut conn = match slot.take() {
        Some(conn) => conn,
        None => open_for_writing(&file.path)?,
    };
    if !Summary::read(&conn, &file.path)?.sealed {
        let built = build(&mut conn, summary, filter);
        if let Err(error) = built {
            *slot = Some(conn);
            return Err(Error::segment("seal", &file.path)(error));
        }
    }
    let _reader = file.close();
    if !drop_log(&conn).map_err(Error::segment("copy the log", &file.path))? {
        *slot = Some(conn);
        return Ok(false);
    }
    conn.close()
        .map_err(|(_, error)| Error::segment("close", &file.path)(error))?;
    file.completed();
    Ok(true)
}

fn next(catalogue: &Catalogue, now: Nanos) -> Option<SegmentName> {
    // A provisional segment is sealed only when it is full; else it waits to be judged.
    let settled = |live: &Live| live.file.name.kind != Kind::Provisional || live.index.len() >= MAX_ROWS;
    let ready = |live: &&Live| live.on_disk && live.pending.is_empty() && settled(live);
    let due = |live: &&Live| {
        live.stage == Stage::Sealing
            || live.index.len() >= MAX_ROWS
            || (live.file.name.end() <= now && now.since(live.last_push).is_some_and(|idle| idle >= IDLE))
    };
    let crowded = catalogue.live.len() > MAX_LIVE || rows(catalogue) > MAX_LIVE_ROWS;
    let due = catalogue.live.iter().filter(ready).find(due);
    let oldest = || catalogue.live.iter().filter(ready).min_by_key(|live| live.file.name);
    due.or_else(|| if crowded { oldest() } else { None })
        .map(|live| live.file.name)
}

/// Whether sealing can no longer wait for the next tick.
pub(crate) fn is_crowded(catalogue: &Catalogue) -> bool {
    rows(catalogue) > MAX_LIVE_ROWS + u64::from(MAX_ROWS)
}

/// With look-ups in memory.
fn rows(catalogue: &Catalogue) -> u64 {
    catalogue.live.iter().map(|live| u64::from(live.index.len())).sum()
}
