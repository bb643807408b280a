//! Who is let in, and into which kind of segment: by the policy, and by the topic's share of the quota.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::names::{Kind, SegmentName};
use crate::directory::policy::DiskStage;
use crate::envelope::Envelope;
use crate::nanos::Nanos;
use crate::segment::live::Live;
use crate::segment::sealed::Sealed;
use crate::shares::{Budget, ROOM_PERCENT, Share, cost};
use crate::writer::catalogue::Catalogue;
use crate::writer::stats::Refusal;

/// How far into the future an envelope may be dated (RFC 13/WAKU2-STORE, "Eligibility"; nwaku's
/// `MaxMessageTimestampVariance`).
pub const MAX_DRIFT: Duration = Duration::from_secs(20);
/// Of the quota, for what arrives while the clock is not trusted; with the slices' part (`shares`) less than what is
/// full.
const PROVISIONAL_PERCENT: u64 = 20;
/// Until this much of the quota is used, it is given to whoever wants it.
const GENEROUS_PERCENT: u64 = 60;

/// Whether an envelope may be taken, whatever its topic's share is.
pub(crate) fn admit(catalogue: &Catalogue, envelope: &Envelope, now: Nanos) -> Result<(), Refusal> {
    let trusted = catalogue.clock_trusted();
    let policy = catalogue.policy.as_ref();
    let time = envelope.time();
    if time < catalogue.cutoff(now) || (trusted && time < Nanos::EPOCH) {
        Err(Refusal::Expired)
    } else if trusted && time > now.later(MAX_DRIFT) {
        Err(Refusal::Future)
    } else if policy.is_some_and(|policy| policy.disk == DiskStage::ReadOnly) {
        Err(Refusal::ReadOnly)
    } else {
        Ok(())
    }
}

/// The kind of segment that takes an envelope, which is counted as its topic's.
pub(crate) fn kind_for(catalogue: &mut Catalogue, envelope: &Envelope, now: Nanos) -> Result<Kind, Refusal> {
    let trusted = catalogue.clock_trusted();
    let Some(quota) = catalogue.policy.as_ref().and_then(|policy| policy.quota_bytes) else {
        return Ok(if trusted { Kind::Main } else { Kind::Provisional });
    };
    if !trusted {
        return provisional(catalogue, envelope, quota, now);
    }
    let (retention_secs, slice_secs) = (catalogue.retention().as_secs(), catalogue.slice_secs());
    let budget = Budget::of(quota, retention_secs, slice_secs, envelope.time(), now);
    let (live, sealed) = (&catalogue.live, &catalogue.sealed);
    let already = || {
        let here = |name: &SegmentName| name.kind == Kind::Main && name.covers(envelope.time());
        cost_of(live, sealed, here)
    };
    match catalogue.shares.admit(envelope, &budget, now, already) {
        Share::Within => Ok(Kind::Main),
        Share::Beyond if catalogue.cost_bytes < quota / 100 * ROOM_PERCENT => Ok(Kind::Overflow),
        Share::Beyond => Err(Refusal::Share),
    }
}

/// Nothing expires while the clock is not trusted, so what arrives meanwhile has a part of the quota, shared as a slice
/// is, that takes no room from the slices.
fn provisional(catalogue: &mut Catalogue, envelope: &Envelope, quota: u64, now: Nanos) -> Result<Kind, Refusal> {
    let budget = Budget {
        bytes: quota / 100 * PROVISIONAL_PERCENT,
        slice_start: Nanos::MIN,
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
