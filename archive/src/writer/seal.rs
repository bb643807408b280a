//! Sealing: a segment that takes no more envelopes gets its indexes and filter, loses its write-ahead log, and its
//! look-ups leave memory.
//!
//! Queries go on meanwhile, by the look-ups in memory; only while the log is copied away do those of this one segment
//! wait. A crash at any point leaves either an unsealed segment or a sealed one whose log the next opening copies.

use std::sync::Arc;

use crate::directory::names::{Kind, SegmentName};
use crate::envelope::MessageHash;
use crate::error::Error;
use crate::mutex::lock;
use crate::nanos::NANOS;
use crate::segment::bloom::Bloom;
use crate::segment::connect::open_for_writing;
use crate::segment::harm::Harm;
use crate::segment::live::{Live, MAX_ROWS, Stage};
use crate::segment::sealed::{Sealed, build, drop_log};
use crate::segment::summary::Summary;
use crate::writer::archive::Archive;
use crate::writer::catalogue::Catalogue;

/// A slice that is over, and that nothing came for so long, is sealed.
const IDLE_NS: i64 = 60 * NANOS;
/// All live segments together; back-fill into many slices seals the oldest ones early.
const MAX_LIVE: usize = 32;
const MAX_LIVE_ROWS: u64 = 3 << 15;
/// How many one tick seals.
const SEALS_A_TICK: usize = 4;

impl Archive {
    /// Seals what is due. The committer's lock is held by the caller.
    pub(crate) fn seal_due(&self, now: i64) -> Result<(), Error> {
        for _ in 0..SEALS_A_TICK {
            let Some(name) = lock(&self.catalogue).next_to_seal(now) else {
                break;
            };
            match self.seal(name) {
                Ok(true) => {}
                // Another process reads it just now.
                Ok(false) => break,
                Err(error) => match Harm::of(&error) {
                    Harm::Damaged => self.set_aside(name, "corrupt"),
                    Harm::Unread => self.suspect(name),
                    Harm::None if !name.path(&self.dir).exists() => break,
                    Harm::None => return Err(error),
                },
            }
        }
        Ok(())
    }

    fn seal(&self, name: SegmentName) -> Result<bool, Error> {
        let (file, writer, summary, hashes) = {
            let mut catalogue = lock(&self.catalogue);
            let Some(live) = catalogue.live.iter_mut().find(|live| live.file.name == name) else {
                return Ok(false);
            };
            live.stage = Stage::Sealing;
            let hashes: Vec<MessageHash> = live.index.hashes().copied().collect();
            (Arc::clone(&live.file), Arc::clone(&live.writer), live.committed, hashes)
        };
        let filter = Bloom::of(hashes.iter());
        drop(hashes);
        let summary = Summary {
            sealed: true,
            ..summary
        };
        let mut slot = lock(&writer);
        let mut conn = match slot.take() {
            Some(conn) => conn,
            None => open_for_writing(&file.path)?,
        };
        if !Summary::read(&conn, &file.path)?.sealed {
            let built = build(&mut conn, &summary, &filter);
            if let Err(error) = built {
                *slot = Some(conn);
                return Err(Error::segment("seal", &file.path)(error));
            }
        }
        {
            let _reader = file.close();
            if !drop_log(&conn).map_err(Error::segment("copy the log", &file.path))? {
                *slot = Some(conn);
                return Ok(false);
            }
            conn.close()
                .map_err(|(_, error)| Error::segment("close", &file.path)(error))?;
            file.completed();
        }
        let filters = Arc::clone(&lock(&self.catalogue).filters);
        let sealed = Sealed::new(file, summary, Some(filter), &filters);
        let mut catalogue = lock(&self.catalogue);
        let forgotten = catalogue.forget(name);
        if forgotten.live.is_some() {
            catalogue.count(&summary);
            catalogue.sealed.push(sealed);
            catalogue.counters.sealed_segments += 1;
        }
        drop(catalogue);
        drop(forgotten);
        tracing::debug!(segment = %name, envelopes = summary.envelopes, "sealed");
        Ok(true)
    }
}

impl Catalogue {
    fn next_to_seal(&self, now: i64) -> Option<SegmentName> {
        // A provisional segment is sealed only when it is full; else it waits to be judged.
        let settled = |live: &Live| live.file.name.kind != Kind::Provisional || live.index.len() >= MAX_ROWS;
        let ready = |live: &&Live| live.on_disk && live.pending.is_empty() && settled(live);
        let due = |live: &&Live| {
            live.stage == Stage::Sealing
                || live.index.len() >= MAX_ROWS
                || (live.file.name.end() <= now && now.saturating_sub(live.last_push) >= IDLE_NS)
        };
        let rows: u64 = self.live.iter().map(|live| u64::from(live.index.len())).sum();
        let crowded = self.live.len() > MAX_LIVE || rows > MAX_LIVE_ROWS;
        let due = self.live.iter().filter(ready).find(due);
        let oldest = || self.live.iter().filter(ready).min_by_key(|live| live.file.name);
        due.or_else(|| if crowded { oldest() } else { None })
            .map(|live| live.file.name)
    }

    /// Whether sealing can no longer wait for the next tick.
    pub(crate) fn is_crowded(&self) -> bool {
        let rows: u64 = self.live.iter().map(|live| u64::from(live.index.len())).sum();
        rows > MAX_LIVE_ROWS + u64::from(MAX_ROWS)
    }
}
