//! Judging what arrived while the clock was not trusted: once it is, each envelope of a provisional segment goes to the
//! slice of its time, or is forgotten when it is too old or in the future.
//!
//! A tick judges for a moment only, so that commits and removals go on meanwhile. The provisional file is removed after
//! what it gave has been committed, so a crash in between judges it again; the same envelope in two segments is one
//! envelope to every query. On a disk that takes nothing, judging waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::files::remove_with_sidecars;
use crate::directory::names::Kind;
use crate::directory::policy::{DiskStage, Policy};
use crate::error::Error;
use crate::nanos::Nanos;
use crate::segment::file::SegmentFile;
use crate::segment::live::Stage;
use crate::writer::catalogue::Catalogue;
use crate::writer::core::Core;
use crate::writer::insert::{Inserted, insert};
use crate::writer::stats::Refusal;
use crate::writer::{commit, give_up, prune};

/// Rows read at a time.
const CHUNK: u32 = 256;
/// How long one tick judges.
const MOMENT: Duration = Duration::from_millis(100);

pub(crate) fn judge(core: &Core, now: Nanos) -> Result<(), Error> {
    let next = next(&mut core.catalogue());
    let Some((file, uncommitted)) = next else { return Ok(()) };
    if uncommitted {
        commit::now(core)?;
    }
    match judge_for_a_moment(core, &file, now) {
        Ok(false) => Ok(()),
        Ok(true) => {
            commit::now(core)?;
            remove_with_sidecars(&file.path)?;
            tracing::info!(segment = %file.name, "provisional segment judged");
            prune::close_removed(core)
        }
        Err(error) if give_up::after(core, &error)? => Ok(()),
        Err(error) => Err(error),
    }
}

/// A provisional segment, when judging makes sense now, and whether it has rows in memory alone.
fn next(catalogue: &mut Catalogue) -> Option<(Arc<SegmentFile>, bool)> {
    let judges = |policy: &Policy| policy.clock_trusted && !policy.held && policy.disk != DiskStage::ReadOnly;
    if !catalogue.policy.as_ref().is_none_or(judges) {
        return None;
    }
    let mut live = catalogue.live.iter_mut();
    if let Some(live) = live.find(|live| live.file.name.kind == Kind::Provisional) {
        live.stage = Stage::Sealing;
        return Some((Arc::clone(&live.file), !live.pending.is_empty()));
    }
    let mut sealed = catalogue.sealed.iter().map(|sealed| &sealed.file);
    let file = sealed.find(|file| file.name.kind == Kind::Provisional)?;
    Some((Arc::clone(file), false))
}

/// Goes on where the tick before stopped; whether that was the last of it.
fn judge_for_a_moment(core: &Core, file: &Arc<SegmentFile>, now: Nanos) -> Result<bool, Error> {
    let begun = Instant::now();
    loop {
        let judged = core.catalogue().judged.filter(|(name, _)| *name == file.name);
        let rows = file.envelopes_after(judged.map_or(0, |(_, row)| row), CHUNK)?;
        let Some((last, _)) = rows.last() else { return Ok(true) };
        for (_, envelope) in &rows {
            if insert(core, envelope, now)? == Inserted::Refused(Refusal::DiskFull) {
                return Ok(false);
            }
        }
        core.catalogue().judged = Some((file.name, *last));
        if begun.elapsed() >= MOMENT {
            return Ok(false);
        }
    }
}
