//! Single values, each with its bounds and its mend.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use networks::MAX_SHARD;

use super::Mistake;
use crate::ssh::Key;

/// A label of a host name (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = 63;
/// The mailserver takes part in few.
const MAX_SHARDS: usize = 16;
const MIN_QUOTA_MIB: u32 = 64;
const MAX_QUOTA_MIB: u32 = 4 << 20;
const RETENTION_HOURS: std::ops::RangeInclusive<u32> = 1..=720;
/// Under 8 KiB/s not even the two shards of Status pass; over 1 GiB/s is no cap.
const BANDWIDTH: std::ops::RangeInclusive<u32> = 8..=1 << 20;
const MAX_KEYS: usize = 8;

fn wrong(key: &str, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
    Mistake::in_key(super::FILE, key, what, mend)
}

pub(crate) fn name(value: &str) -> Result<String, Mistake> {
    let name = value.to_ascii_lowercase();
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let edges = !name.starts_with('-') && !name.ends_with('-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !letters || !edges || name == "localhost" {
        let mend = "use 1 to 63 letters, digits and hyphens, such as \"kitchen\"; .local is added by itself";
        return Err(wrong("name", format!("{value:?} is not a host name"), mend));
    }
    Ok(name)
}

pub(crate) fn time_zone(value: &str) -> Result<String, Mistake> {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    if value.len() > 64 || !value.split('/').all(part) {
        return Err(wrong(
            "time_zone",
            format!("{value:?} is not a time zone"),
            "write one such as \"Europe/Vienna\"",
        ));
    }
    Ok(value.to_owned())
}

pub(super) fn retention_hours(value: u32) -> Result<u32, Mistake> {
    if RETENTION_HOURS.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (RETENTION_HOURS.start(), RETENTION_HOURS.end());
    Err(wrong(
        "retention_hours",
        format!("{value} is out of bounds"),
        format!("use {low} to {high}"),
    ))
}

pub(super) fn quota_mib(value: u32) -> Result<NonZeroU32, Mistake> {
    NonZeroU32::new(value)
        .filter(|mib| (MIN_QUOTA_MIB..=MAX_QUOTA_MIB).contains(&mib.get()))
        .ok_or_else(|| {
            wrong(
                "quota_mib",
                format!("{value} is out of bounds"),
                format!("use {MIN_QUOTA_MIB} to {MAX_QUOTA_MIB}"),
            )
        })
}

pub(super) fn shards(key: &str, values: Vec<u16>) -> Result<BTreeSet<u16>, Mistake> {
    let count = values.len();
    let set: BTreeSet<u16> = values.into_iter().collect();
    let problem = if count == 0 {
        "is empty".to_owned()
    } else if count > MAX_SHARDS {
        format!("has {count} shards")
    } else if set.len() != count {
        "names a shard twice".to_owned()
    } else if let Some(shard) = set.iter().find(|shard| **shard > MAX_SHARD) {
        format!("{shard} is not a shard")
    } else {
        return Ok(set);
    };
    let mend = format!("list 1 to {MAX_SHARDS} different shards from 0 to {MAX_SHARD}");
    Err(wrong(key, problem, mend))
}

pub(super) fn bandwidth(value: u32) -> Result<NonZeroU32, Mistake> {
    NonZeroU32::new(value)
        .filter(|kib| BANDWIDTH.contains(&kib.get()))
        .ok_or_else(|| {
            let (low, high) = (BANDWIDTH.start(), BANDWIDTH.end());
            wrong(
                "bandwidth_kib_per_sec",
                format!("{value} is out of bounds"),
                format!("use {low} to {high}"),
            )
        })
}

pub(crate) fn ssh_keys(keys: &[String]) -> Result<Vec<Key>, Mistake> {
    let mend = "paste the one line of your .pub file, such as \"ssh-ed25519 AAAA… me\"";
    if keys.len() > MAX_KEYS {
        let list = format!("list at most {MAX_KEYS}");
        return Err(wrong("ssh.keys", "has too many keys", list));
    }
    let keys = keys.iter().enumerate().map(|(number, text)| {
        Key::parse(text).ok_or_else(|| {
            let which = format!("key {} is not an SSH public key", number + 1);
            wrong("ssh.keys", which, mend)
        })
    });
    keys.collect()
}
