//! When room is short: the quota's and the disk ladder's removals before their time, overflow first, then the oldest.

use std::sync::Arc;
use std::time::Duration;

use crate::archive::Archive;
use crate::catalogue::{Catalogue, Live};
use crate::file::lock;
use crate::layout::{Kind, NANOS, SegmentName, slice_secs};
use crate::sealed::Sealed;
use crate::shares::{Budget, FULL_PERCENT, ROOM_PERCENT, Share, cost};
use crate::{DiskStage, Envelope, Error, Refusal, retention};

/// Of the quota, for what arrives while the clock is not trusted; with the slices' part (`shares`) less than what is
/// full.
const PROVISIONAL_PERCENT: u64 = 20;
/// Until this much of the quota is used, it is given to whoever wants it.
const GENEROUS_PERCENT: u64 = 60;
/// Between two removals for the ladder: the daemon looks at the disk again in between.
const DROP_EVERY_NS: i64 = 5 * NANOS;

impl Archive {
    /// The kind of segment that takes an envelope.
    pub(crate) fn kind_for(&self, catalogue: &mut Catalogue, envelope: &Envelope, now: i64) -> Result<Kind, Refusal> {
        let policy = catalogue.policy.policy.as_ref();
        let trusted = policy.is_none_or(|policy| policy.clock_trusted);
        let Some(quota) = policy.and_then(|policy| policy.quota_bytes) else {
            return Ok(if trusted { Kind::Main } else { Kind::Provisional });
        };
        if !trusted {
            return admit_provisional(catalogue, envelope, quota, now);
        }
        let retention = self.retention_secs(catalogue);
        let slice = slice_secs(Duration::from_secs(retention));
        let budget = Budget::of(quota, retention, slice, envelope.timestamp, now);
        let (live, sealed) = (&catalogue.live, &catalogue.sealed);
        let already = || {
            let here = |name: &SegmentName| name.kind == Kind::Main && name.covers(envelope.timestamp);
            cost_of(live, sealed, here)
        };
        match catalogue.shares.admit(envelope, &budget, now, already) {
            Share::Within => Ok(Kind::Main),
            Share::Beyond if catalogue.cost_bytes < quota / 100 * ROOM_PERCENT => Ok(Kind::Overflow),
            Share::Beyond => Err(Refusal::Share),
        }
    }

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
        let live: u64 = live.map(|live| retention::size_with_sidecars(&live.file.path)).sum();
        live + catalogue.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>()
    }
}

/// Nothing expires while the clock is not trusted, so what arrives meanwhile has a part of the quota, shared as a slice
/// is, that takes no room from the slices.
fn admit_provisional(catalogue: &mut Catalogue, envelope: &Envelope, quota: u64, now: i64) -> Result<Kind, Refusal> {
    let budget = Budget {
        bytes: quota / 100 * PROVISIONAL_PERCENT,
        slice_start: i64::MIN,
        gone_permille: 1000,
    };
    let (live, sealed) = (&catalogue.live, &catalogue.sealed);
    let already = || cost_of(live, sealed, |name| name.kind == Kind::Provisional);
    match catalogue.shares.admit(envelope, &budget, now, already) {
        Share::Within => Ok(Kind::Provisional),
        Share::Beyond if catalogue.cost_bytes < quota / 100 * GENEROUS_PERCENT => Ok(Kind::Provisional),
        Share::Beyond => Err(Refusal::Share),
    }
}

/// What these segments take of the quota, by the shares' estimate.
fn cost_of(live: &[Live], sealed: &[Arc<Sealed>], of: impl Fn(&SegmentName) -> bool) -> u64 {
    let live = live.iter().map(|live| (live.file.name, live.summary));
    let sealed = sealed.iter().map(|sealed| (sealed.file.name, sealed.summary));
    live.chain(sealed)
        .filter(|(name, _)| of(name))
        .map(|(_, summary)| cost(summary.payload_bytes, summary.envelopes))
        .sum()
}
