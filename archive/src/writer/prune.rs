//! Segments that go: noticing what the daemon removed, and removing what expired when there is no daemon.
//!
//! Alone, a clock that jumps prunes nothing until it has gone steadily for a while: a jump back loses nothing, a jump
//! ahead that is taken back in time loses nothing either.

use crate::directory::names::SegmentName;
use crate::error::Error;
use crate::mutex::lock;
use crate::nanos::NANOS;
use crate::retention;
use crate::writer::archive::Archive;
use crate::writer::catalogue::Forgotten;

/// Ticks further apart than this are a jump.
const JUMP_NS: i64 = 60 * NANOS;
/// How long a clock must go steadily after a jump.
const STEADY_NS: i64 = 300 * NANOS;

/// The clock as the ticks show it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Option<i64>,
    jumped_at: Option<i64>,
}

impl Clock {
    /// Whether pruning by this clock is safe.
    fn steady(&mut self, now: i64) -> bool {
        if let Some(last) = self.last.replace(now)
            && (now < last || now - last > JUMP_NS)
        {
            tracing::warn!(
                by_secs = (now - last) / NANOS,
                "the clock jumped: not pruning for a while"
            );
            self.jumped_at = Some(now);
        }
        if self.jumped_at.is_some_and(|at| now - at > STEADY_NS) {
            self.jumped_at = None;
        }
        self.jumped_at.is_none()
    }
}

impl Archive {
    /// Without a policy there is no daemon: expired segments are removed here.
    pub(crate) fn prune_alone(&self, now: i64) -> Result<(), Error> {
        if !lock(&self.clock).steady(now) {
            return Ok(());
        }
        let cutoff = {
            let catalogue = lock(&self.catalogue);
            let cutoff = self.cutoff(&catalogue, now);
            let mut names = catalogue.names();
            if catalogue.policy.policy.is_some() || !names.any(|name| name.end() <= cutoff) {
                return Ok(());
            }
            cutoff
        };
        retention::remove_expired(&self.dir, cutoff)?;
        // What expired before it was ever committed has no file.
        let mut catalogue = lock(&self.catalogue);
        let unwritten: Vec<SegmentName> = catalogue
            .live
            .iter()
            .filter(|live| !live.on_disk && live.file.name.end() <= cutoff)
            .map(|live| live.file.name)
            .collect();
        let forgotten: Vec<Forgotten> = unwritten.into_iter().map(|name| catalogue.forget(name)).collect();
        drop(catalogue);
        drop(forgotten);
        Ok(())
    }

    /// Lets go of segments whose files are gone: only then is their space free.
    pub(crate) fn close_removed(&self) -> Result<(), Error> {
        let on_disk: Vec<SegmentName> = {
            let catalogue = lock(&self.catalogue);
            let unwritten: Vec<SegmentName> = catalogue
                .live
                .iter()
                .filter(|live| !live.on_disk)
                .map(|live| live.file.name)
                .collect();
            catalogue.names().filter(|name| !unwritten.contains(name)).collect()
        };
        let gone: Vec<SegmentName> = on_disk
            .into_iter()
            .filter(|name| !name.path(&self.dir).exists())
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let _committing = lock(&self.committer);
        for name in gone {
            let mut catalogue = lock(&self.catalogue);
            let closing = catalogue.forget(name);
            catalogue.counters.removed_segments += 1;
            drop(catalogue);
            if let Some(live) = &closing.live
                && let Err(error) = live.close()
            {
                tracing::debug!(%error, "closing a removed segment");
            }
            tracing::info!(segment = %name, "closed a removed segment");
        }
        Ok(())
    }
}
