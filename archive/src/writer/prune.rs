//! Segments that go: noticing what the daemon removed, and removing what expired when there is no daemon.
//!
//! Alone, a clock that jumps prunes nothing until it has gone steadily for a while: a jump back loses nothing, a jump
//! ahead that is taken back in time loses nothing either.

use std::time::Duration;

use crate::directory::names::SegmentName;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::retention;
use crate::writer::catalogue::Forgotten;
use crate::writer::core::Core;

/// Ticks further apart than this are a jump.
const JUMP: Duration = Duration::from_secs(60);
/// How long a clock must go steadily after a jump.
const STEADY: Duration = Duration::from_secs(300);

/// The clock as the ticks show it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Option<Nanos>,
    jumped_at: Option<Nanos>,
}

impl Clock {
    /// Whether pruning by this clock is safe.
    fn steady(&mut self, now: Nanos) -> bool {
        if let Some(last) = self.last.replace(now)
            && now.since(last).is_none_or(|gap| gap > JUMP)
        {
            tracing::warn!(
                by_secs = now.secs() - last.secs(),
                "the clock jumped: not pruning for a while"
            );
            self.jumped_at = Some(now);
        }
        if self
            .jumped_at
            .and_then(|at| now.since(at))
            .is_some_and(|since| since > STEADY)
        {
            self.jumped_at = None;
        }
        self.jumped_at.is_none()
    }
}

/// Without a policy there is no daemon: expired segments are removed here.
pub(crate) fn alone(core: &Core, clock: &mut Clock, now: Nanos) -> Result<(), Error> {
    if !clock.steady(now) {
        return Ok(());
    }
    let cutoff = {
        let catalogue = core.catalogue();
        let cutoff = catalogue.cutoff(now);
        if catalogue.policy.is_some() || !catalogue.names().any(|name| name.end() <= cutoff) {
            return Ok(());
        }
        cutoff
    };
    retention::remove_expired(&core.dir, cutoff)?;
    // What expired before it was ever committed has no file.
    let forgotten: Vec<Forgotten> = {
        let mut catalogue = core.catalogue();
        let expired: Vec<SegmentName> = catalogue
            .names_in_memory()
            .filter(|name| name.end() <= cutoff)
            .collect();
        expired.into_iter().map(|name| catalogue.forget(name)).collect()
    };
    drop(forgotten);
    Ok(())
}

/// Lets go of segments whose files are gone: only then is their space free.
pub(crate) fn close_removed(core: &Core) -> Result<(), Error> {
    let on_disk = core.catalogue().names_on_disk();
    let gone = on_disk.into_iter().filter(|name| !name.path(&core.dir).exists());
    let gone: Vec<SegmentName> = gone.collect();
    if gone.is_empty() {
        return Ok(());
    }
    let _writing = core.writing();
    for name in gone {
        let closing = {
            let mut catalogue = core.catalogue();
            catalogue.counters.removed_segments += 1;
            catalogue.forget(name)
        };
        if let Some(live) = &closing.live
            && let Err(error) = live.close()
        {
            tracing::debug!(%error, "closing a removed segment");
        }
        tracing::info!(segment = %name, "closed a removed segment");
    }
    Ok(())
}
