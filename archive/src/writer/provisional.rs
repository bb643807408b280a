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
use crate::mutex::lock;
use crate::segment::file::SegmentFile;
use crate::segment::live::Stage;
use crate::writer::archive::{Archive, Inserted};
use crate::writer::stats::Refusal;

/// Rows read at a time.
const CHUNK: u32 = 256;
/// How long one tick judges.
const MOMENT: Duration = Duration::from_millis(100);

impl Archive {
    pub(crate) fn judge_provisional(&self, now: i64) -> Result<(), Error> {
        let Some((file, uncommitted)) = self.next_to_judge() else {
            return Ok(());
        };
        if uncommitted {
            self.commit()?;
        }
        match self.judge(&file, now) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.commit()?;
                remove_with_sidecars(&file.path)?;
                tracing::info!(segment = %file.name, "provisional segment judged");
                self.close_removed()
            }
            Err(error) if self.give_up_segment(&error)? => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A provisional segment, when judging makes sense now, and whether it has rows in memory alone.
    fn next_to_judge(&self) -> Option<(Arc<SegmentFile>, bool)> {
        let mut catalogue = lock(&self.catalogue);
        let judges = |policy: &Policy| policy.clock_trusted && !policy.held && policy.disk != DiskStage::ReadOnly;
        if !catalogue.policy.policy.as_ref().is_none_or(judges) {
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
    fn judge(&self, file: &Arc<SegmentFile>, now: i64) -> Result<bool, Error> {
        let begun = Instant::now();
        loop {
            let judged = lock(&self.catalogue).judged.filter(|(name, _)| *name == file.name);
            let rows = file.envelopes_after(judged.map_or(0, |(_, row)| row), CHUNK)?;
            let Some((last, _)) = rows.last() else { return Ok(true) };
            for (_, envelope) in &rows {
                if self.insert(envelope, now)? == Inserted::Refused(Refusal::DiskFull) {
                    return Ok(false);
                }
            }
            lock(&self.catalogue).judged = Some((file.name, *last));
            if begun.elapsed() >= MOMENT {
                return Ok(false);
            }
        }
    }
}
