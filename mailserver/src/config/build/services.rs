//! What the node serves, and how much of it.

use std::{path::PathBuf, time::Duration};

use super::mode::Mode;
use crate::config::{
    error::Error,
    source::Given,
    values::{self, Limited},
};
use crate::settings::{ArchiveSettings, FilterLimits, RateLimit, RateLimits, Services, SyncSettings};

/// What is kept when nothing is to be forgotten: a century, so that times stay inside an i64 of nanoseconds.
const KEEP_EVERYTHING: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// nwaku lets the mode go before the switches of single protocols.
pub(super) fn services(given: &Given, mode: Mode, store: bool) -> Result<Services, Error> {
    let served = |name, core, edge| match mode {
        Mode::Core => Ok(core),
        Mode::Edge => Ok(edge),
        Mode::AsGiven => given.switch(name),
    };
    Ok(Services {
        relay: served("relay", true, false)?,
        store,
        legacy_store: store && given.switch("legacy-store")?,
        light_push: served("lightpush", true, false)?,
        filter: served("filter", true, false)?,
        peer_exchange: served("peer-exchange", true, true)?,
        store_resume: store && given.switch("store-resume")?,
    })
}

/// Where envelopes are kept, if they are.
pub(super) fn archive(given: &Given, mode: Mode, warnings: &mut Vec<String>) -> Result<Option<ArchiveSettings>, Error> {
    if !given.switch("store")? || mode == Mode::Edge {
        if given.switch("store-sync")? {
            warnings.push(format!(
                "{} without --store has nothing to compare",
                given.spelling("store-sync")
            ));
        }
        return Ok(None);
    }
    let dir = match given.text("archive-dir") {
        Some(path) => PathBuf::from(path),
        None => given.value("store-message-db-url", values::database_directory)?,
    };
    let retention = given.value("store-message-retention-policy", values::retention)?;
    if !retention.not_applied.is_empty() {
        warnings.push(format!(
            "{}: {} not applied, envelopes are forgotten by time alone{}",
            given.spelling("store-message-retention-policy"),
            retention.not_applied.join(" and "),
            if retention.time.is_none() {
                ", and no time is given: they are kept for ever"
            } else {
                ""
            },
        ));
    }
    Ok(Some(ArchiveSettings {
        dir,
        retention: retention.time.unwrap_or(KEEP_EVERYTHING),
    }))
}

pub(super) fn sync(given: &Given, store: bool) -> Result<Option<SyncSettings>, Error> {
    if !store {
        return Ok(None);
    }
    let seconds = |name, least| Ok::<_, Error>(Duration::from_secs(u64::from(given.number(name, least, u32::MAX)?)));
    let interval = seconds("store-sync-interval", 0)?;
    let settings = SyncSettings {
        interval: Some(interval).filter(|interval| !interval.is_zero()),
        range: seconds("store-sync-range", 1)?,
        jitter: seconds("store-sync-relay-jitter", 0)?,
    };
    Ok(given.switch("store-sync")?.then_some(settings))
}

pub(super) fn filter_limits(given: &Given) -> Result<FilterLimits, Error> {
    let timeout = given.number("filter-subscription-timeout", 1, u16::MAX)?;
    Ok(FilterLimits {
        max_subscribers: given.number("filter-max-peers-to-serve", 1, 100_000)?,
        max_criteria_per_subscriber: given.number("filter-max-criteria", 1, 100_000)?,
        subscription_timeout: Duration::from_secs(u64::from(timeout)),
    })
}

/// A limit for one protocol goes before the one for all; what neither names keeps nwaku's default.
pub(super) fn rate_limits(given: &Given, mode: Mode) -> Result<RateLimits, Error> {
    let limits = given.many("rate-limit", values::rate_limit)?;
    let default = RateLimits::default();
    if limits.is_empty() && mode == Mode::Core {
        return Ok(core_rate_limits());
    }
    let last = |wanted: &Limited| limits.iter().rev().find(|(limited, _)| limited == wanted);
    let of = |wanted: &[Limited], default| {
        let given = wanted.iter().find_map(last);
        given.map(|(_, limit)| *limit).or(default)
    };
    Ok(RateLimits {
        store: of(&[Limited::StoreV3, Limited::Store, Limited::All], default.store),
        light_push: of(&[Limited::LightPush, Limited::All], default.light_push),
        peer_exchange: of(&[Limited::PeerExchange, Limited::All], default.peer_exchange),
        filter: of(&[Limited::Filter, Limited::All], default.filter),
    })
}

/// What nwaku gives a Core node that is given no other: `filter:100/1s`, `lightpush:5/1s` and `px:5/1s`.
fn core_rate_limits() -> RateLimits {
    let per_second = |volume| {
        Some(RateLimit {
            volume,
            period: Duration::from_secs(1),
        })
    };
    RateLimits {
        store: None,
        light_push: per_second(5),
        peer_exchange: per_second(5),
        filter: per_second(100),
    }
}
