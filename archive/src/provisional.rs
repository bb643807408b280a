//! Judging what arrived while the clock was not trusted: once it is, each envelope of a provisional segment goes to the
//! slice of its time, or is forgotten when it is too old or in the future.
//!
//! The provisional file is removed after what it gave has been committed, so a crash in between judges it again; the
//! same envelope in two segments is one envelope to every query.

use std::sync::Arc;

use crate::archive::Archive;
use crate::catalogue::Stage;
use crate::file::{SegmentFile, envelope_at, lock};
use crate::layout::Kind;
use crate::{Envelope, Error, retention};

/// Rows read at a time.
const CHUNK: u32 = 256;

impl Archive {
    pub(crate) fn judge_provisional(&self, now: i64) -> Result<(), Error> {
        let provisional: Vec<Arc<SegmentFile>> = {
            let mut catalogue = lock(&self.catalogue);
            if !catalogue
                .policy
                .policy
                .as_ref()
                .is_none_or(|policy| policy.clock_trusted)
            {
                return Ok(());
            }
            let live = catalogue
                .live
                .iter_mut()
                .filter(|live| live.file.name.kind == Kind::Provisional);
            let mut files: Vec<_> = live
                .map(|live| {
                    live.stage = Stage::Sealing;
                    Arc::clone(&live.file)
                })
                .collect();
            let sealed = catalogue.sealed.iter().map(|sealed| &sealed.file);
            files.extend(sealed.filter(|file| file.name.kind == Kind::Provisional).cloned());
            files
        };
        if provisional.is_empty() {
            return Ok(());
        }
        self.commit()?;
        for file in &provisional {
            if let Err(error) = self.judge(file, now)
                && !self.give_up_segment(&error)?
            {
                return Err(error);
            }
        }
        self.commit()?;
        for file in provisional {
            retention::remove_with_sidecars(&file.path)?;
            tracing::info!(segment = %file.name, "provisional segment judged");
        }
        self.close_removed()
    }

    fn judge(&self, file: &Arc<SegmentFile>, now: i64) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let rows = file.envelopes_after(after, CHUNK)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = *last;
            for (_, envelope) in &rows {
                self.insert(envelope, now)?;
            }
        }
    }
}

impl SegmentFile {
    /// The next rows with their envelopes, in order of arrival.
    pub(crate) fn envelopes_after(self: &Arc<Self>, row: u32, limit: u32) -> Result<Vec<(u32, Envelope)>, Error> {
        self.read("read envelopes", |conn| {
            conn.prepare_cached(
                "SELECT pubsub.name, topic.name, e.payload, e.version, e.timestamp, e.meta, e.proof, e.id
                 FROM envelope e JOIN topic ON topic.id = e.topic JOIN pubsub ON pubsub.id = e.pubsub
                 WHERE e.id > ? ORDER BY e.id LIMIT ?",
            )?
            .query_map([row, limit], |row| Ok((row.get(7)?, envelope_at(row)?)))?
            .collect()
        })
    }
}
