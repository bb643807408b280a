//! When room is short: what the quota and the disk ask for is removed before its time, overflow first, then the oldest.

use crate::directory::files::size_with_sidecars;
use crate::directory::policy::DiskStage;
use crate::error::Error;
use crate::mutex::lock;
use crate::nanos::NANOS;
use crate::retention;
use crate::shares::{FULL_PERCENT, ROOM_PERCENT};
use crate::writer::archive::Archive;

/// Between two removals for the ladder: the daemon looks at the disk again in between.
const DROP_EVERY_NS: i64 = 5 * NANOS;

impl Archive {
    /// Removes early what the quota or the ladder asks for. Needs no lock to be held.
    pub(crate) fn shed(&self, now: i64) -> Result<(), Error> {
        let stage = {
            let catalogue = lock(&self.catalogue);
            catalogue
                .policy
                .policy
                .as_ref()
                .map(|policy| (policy.disk, policy.quota_bytes))
        };
        let Some((disk, quota)) = stage else { return Ok(()) };
        if let Some(quota) = quota {
            let full = quota / 100 * FULL_PERCENT;
            let room = quota / 100 * ROOM_PERCENT;
            if self.bytes_on_disk() > full {
                while self.bytes_on_disk() > room && self.drop_one()? {}
            }
        }
        let waited = {
            let catalogue = lock(&self.catalogue);
            let since = catalogue.dropped_at.map(|at| now.saturating_sub(at));
            since.is_none_or(|since| !(0..DROP_EVERY_NS).contains(&since))
        };
        if disk == DiskStage::DropOldest && waited {
            lock(&self.catalogue).dropped_at = Some(now);
            self.drop_one()?;
        }
        Ok(())
    }

    fn drop_one(&self) -> Result<bool, Error> {
        let Some(removed) = retention::drop_oldest(&self.dir)? else {
            return Ok(false);
        };
        self.close_removed()?;
        let mut catalogue = lock(&self.catalogue);
        catalogue.counters.dropped_early_segments += removed.segments;
        catalogue.counters.dropped_early_envelopes += removed.envelopes;
        Ok(true)
    }

    /// What the segments take, logs included; sealed ones do not change, so only live ones are looked at.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        let catalogue = lock(&self.catalogue);
        let live = catalogue.live.iter().filter(|live| live.on_disk);
        let live: u64 = live.map(|live| size_with_sidecars(&live.file.path)).sum();
        live + catalogue.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>()
    }
}
