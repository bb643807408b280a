//! When room is short: what the quota and the disk ask for is removed before its time, overflow first, then the oldest.

use std::path::PathBuf;
use std::time::Duration;

use crate::directory::files::size_with_sidecars;
use crate::directory::policy::DiskStage;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::retention;
use crate::shares::{FULL_PERCENT, ROOM_PERCENT};
use crate::writer::catalogue::Catalogue;
use crate::writer::core::Core;
use crate::writer::prune::close_removed;

/// Between two removals for a full disk: the daemon looks at the disk again in between.
const DROP_EVERY: Duration = Duration::from_secs(5);

/// Removes early what the quota or the disk asks for.
pub(crate) fn shed(core: &Core, now: Nanos) -> Result<(), Error> {
    let asked = {
        let catalogue = core.catalogue();
        let policy = catalogue.policy.as_ref();
        policy.map(|policy| (policy.disk, policy.quota_bytes))
    };
    let Some((disk, quota)) = asked else { return Ok(()) };
    if let Some(quota) = quota {
        let full = quota / 100 * FULL_PERCENT;
        let room = quota / 100 * ROOM_PERCENT;
        if bytes_on_disk(core) > full {
            while bytes_on_disk(core) > room && drop_one(core)? {}
        }
    }
    let waited = has_waited(&core.catalogue(), now);
    if disk == DiskStage::DropOldest && waited {
        core.catalogue().dropped_at = Some(now);
        drop_one(core)?;
    }
    Ok(())
}

fn has_waited(catalogue: &Catalogue, now: Nanos) -> bool {
    let since = catalogue.dropped_at.and_then(|at| now.since(at));
    since.is_none_or(|since| since >= DROP_EVERY)
}

/// `false` when nothing is left to remove.
fn drop_one(core: &Core) -> Result<bool, Error> {
    let Some(removed) = retention::drop_oldest(&core.dir)? else {
        return Ok(false);
    };
    close_removed(core)?;
    let mut catalogue = core.catalogue();
    catalogue.counters.dropped_early_segments += removed.segments;
    catalogue.counters.dropped_early_envelopes += removed.envelopes;
    Ok(true)
}

/// What the segments take, logs included; sealed ones do not change, so only live ones are looked at.
pub(crate) fn bytes_on_disk(core: &Core) -> u64 {
    let (sealed, live) = {
        let catalogue = core.catalogue();
        let sealed: u64 = catalogue.sealed.iter().map(|sealed| sealed.bytes).sum();
        let live = catalogue.live.iter().filter(|live| live.on_disk);
        let live: Vec<PathBuf> = live.map(|live| live.file.path.clone()).collect();
        (sealed, live)
    };
    sealed + live.iter().map(|path| size_with_sidecars(path)).sum::<u64>()
}
