//! The work of every tick that writes segments: what waits is committed, and what takes no more envelopes is sealed.

use std::time::Duration;

use crate::error::Error;
use crate::nanos::Nanos;
use crate::writer::commit::EARLY_PENDING_BYTES;
use crate::writer::core::Core;
use crate::writer::{commit, seal, wear};

/// How far apart the ticks are.
const TICK: Duration = Duration::from_millis(250);

pub(crate) fn at_tick(core: &Core, now: Nanos) -> Result<(), Error> {
    metered(core, now, || {
        let writing = core.writing();
        if commit_is_due(core, now) {
            commit::waiting(&writing)?;
        }
        seal::due(&writing, now)
    })
}

/// As a tick does, at once.
pub(crate) fn ahead_of_tick(core: &Core, now: Nanos) -> Result<(), Error> {
    metered(core, now, || {
        let writing = core.writing();
        commit::waiting(&writing)?;
        let crowded = seal::is_crowded(&core.catalogue());
        if crowded { seal::due(&writing, now) } else { Ok(()) }
    })
}

fn commit_is_due(core: &Core, now: Nanos) -> bool {
    let catalogue = core.catalogue();
    catalogue.has_waited_long(now, TICK) || catalogue.pending_bytes >= EARLY_PENDING_BYTES
}

/// Counts what `work` writes.
fn metered(core: &Core, now: Nanos, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let before = wear::written_by_this_thread();
    let outcome = work();
    if let (Some(before), Some(after)) = (before, wear::written_by_this_thread()) {
        core.catalogue().wear.add(now, after.saturating_sub(before));
    }
    outcome
}
