//! The values of flags, each read by a pure function that says what it would have taken.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use k256::ecdsa::VerifyingKey;
use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::key::{self, NodeKey};
use crate::settings::{Nat, ProtectedShard, RateLimit};
use crate::topics::{MAX_SHARD, Shard};

/// nim's `parseBool`, which nwaku's flags and file go through.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "1" | "on" => Some(true),
        "false" | "no" | "n" | "0" | "off" => Some(false),
        _ => None,
    }
}

/// Not a whole number, or not one between these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give a whole number from {low} to {high}")]
pub struct NotBetween<T> {
    low: T,
    high: T,
}

pub fn number<T>(text: &str, low: T, high: T) -> Result<T, NotBetween<T>>
where
    T: FromStr + PartialOrd + Copy,
{
    text.parse()
        .ok()
        .filter(|number| *number >= low && *number <= high)
        .ok_or(NotBetween { low, high })
}

/// Any text.
pub fn words(text: &str) -> Result<String, Infallible> {
    Ok(text.to_owned())
}

pub fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "give an IP address")
}

/// Below this not even pings and gossip of a few peers get through; above it nothing is a limit.
const BANDWIDTH_KIB_PER_SEC: RangeInclusive<u32> = 8..=10_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give 0 for no limit, or from {} to {} KiB per second", BANDWIDTH_KIB_PER_SEC.start(), BANDWIDTH_KIB_PER_SEC.end())]
pub struct NotABandwidth;

/// KiB per second; 0 is no limit.
pub fn bandwidth_kib_per_sec(text: &str) -> Result<Option<NonZeroU32>, NotABandwidth> {
    let limit = text.parse().map(NonZeroU32::new).map_err(|_| NotABandwidth)?;
    match limit {
        Some(limit) if !BANDWIDTH_KIB_PER_SEC.contains(&limit.get()) => Err(NotABandwidth),
        limit => Ok(limit),
    }
}

/// Smaller than this, relay's own control messages would not fit; larger, a board's memory is at peers' mercy.
const MESSAGE_BYTES: RangeInclusive<usize> = 1024..=16 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongSize {
    #[error("give a size such as 150KiB, 150 KB or 153600B")]
    NotASize,
    #[error("give from {} to {} bytes", MESSAGE_BYTES.start(), MESSAGE_BYTES.end())]
    NotAMessage,
}

/// The largest message that the node is to take.
pub fn message_bytes(text: &str) -> Result<usize, WrongSize> {
    match size_bytes(text)? {
        bytes if MESSAGE_BYTES.contains(&bytes) => Ok(bytes),
        _ => Err(WrongSize::NotAMessage),
    }
}

/// An amount of bytes: a whole number with `B`, `KB` (1000) or `KiB` (1024), a space between or not, or a bare number of
/// bytes, as nwaku's `parseMsgSize` takes it.
pub fn size_bytes(text: &str) -> Result<usize, WrongSize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().map_err(|_| WrongSize::NotASize)?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "kib" => 1024,
        _ => return Err(WrongSize::NotASize),
    };
    number.checked_mul(factor).ok_or(WrongSize::NotASize)
}

/// Which part of nwaku's retention policies is kept to here, and which is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// `None` keeps everything.
    pub time: Option<Duration>,
    /// `capacity:` and `size:` parts, which segments by time cannot follow.
    pub not_applied: Vec<String>,
}

/// `time:SECONDS`, `capacity:COUNT`, `size:AMOUNT`, several joined by `;`, or `none` (nwaku `waku_archive/retention_policy`).
pub fn retention(text: &str) -> Result<Retention, &'static str> {
    const WRONG: &str = "give time:SECONDS, or none to keep everything";
    let mut retention = Retention {
        time: None,
        not_applied: Vec::new(),
    };
    if text.eq_ignore_ascii_case("none") {
        return Ok(retention);
    }
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once(':') {
            Some(("time", seconds)) => {
                // Two centuries in nanoseconds still are an i64.
                let seconds = number(seconds, 1u64, 6_000_000_000).map_err(|_| WRONG)?;
                retention.time = Some(Duration::from_secs(seconds));
            }
            Some(("capacity" | "size", _)) => retention.not_applied.push(part.to_owned()),
            _ => return Err(WRONG),
        }
    }
    Ok(retention)
}

/// The archive's directory for nwaku's database URL: `sqlite://PATH` becomes the directory `PATH.d` beside the file that
/// nwaku would use, so that an nwaku archive at PATH is neither read nor harmed.
pub fn database_directory(url: &str) -> Result<PathBuf, &'static str> {
    const MEND: &str = "give --archive-dir=DIRECTORY instead, or sqlite://PATH";
    let path = url.strip_prefix("sqlite://").ok_or(MEND)?;
    if path.is_empty() || path.contains(":memory:") {
        return Err(MEND);
    }
    Ok(PathBuf::from(format!("{path}.d")))
}

/// The node's secp256k1 key.
pub fn node_key(text: &str) -> Result<NodeKey, &'static str> {
    key::from_hex(text)
        .map(NodeKey::from)
        .ok_or("give the secp256k1 key as 64 hexadecimal digits")
}

/// `SHARD:KEY` or `/waku/2/rs/CLUSTER/SHARD:KEY`, the key compressed or not, in hexadecimal digits.
pub fn protected_shard(text: &str) -> Result<ProtectedShard, &'static str> {
    const WRONG: &str = "give SHARD:PUBLIC-KEY, the secp256k1 key in hexadecimal digits";
    let (shard, key) = text.split_once(':').ok_or(WRONG)?;
    let shard = match shard.parse::<Shard>() {
        Ok(topic) => topic.index,
        Err(_) => shard_index(shard).map_err(|_| WRONG)?,
    };
    let bytes = hex::decode(key.strip_prefix("0x").unwrap_or(key)).map_err(|_| WRONG)?;
    let public_key = VerifyingKey::from_sec1_bytes(&bytes).map_err(|_| WRONG)?;
    Ok(ProtectedShard { shard, public_key })
}

/// The most shards of a network (RFC 51).
pub const MAX_NETWORK_SHARDS: u16 = MAX_SHARD + 1;

pub fn shard_index(text: &str) -> Result<u16, NotBetween<u16>> {
    number(text, 0, MAX_SHARD)
}

/// What a rate limit is for (nwaku `common/rate_limit/setting.nim`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limited {
    /// Every protocol that has no limit of its own.
    All,
    /// Store 3.0.0 and the legacy store.
    Store,
    StoreV3,
    LightPush,
    PeerExchange,
    Filter,
}

/// `[PROTOCOL:]VOLUME/PERIOD` with a unit: `filter:100/1s`.
pub fn rate_limit(text: &str) -> Result<(Limited, RateLimit), &'static str> {
    const WRONG: &str =
        "give [store|storev3|lightpush|px|filter:]VOLUME/PERIOD with unit h, m, s or ms, such as filter:100/1s";
    let (limited, rest) = match text.split_once(':') {
        None => (Limited::All, text),
        Some((protocol, rest)) => {
            let limited = match protocol.trim().to_ascii_lowercase().as_str() {
                "store" | "storev2" => Limited::Store,
                "storev3" => Limited::StoreV3,
                "lightpush" => Limited::LightPush,
                "px" => Limited::PeerExchange,
                "filter" => Limited::Filter,
                _ => return Err(WRONG),
            };
            (limited, rest)
        }
    };
    let (volume, period) = rest.split_once('/').ok_or(WRONG)?;
    let volume = volume.trim().parse().map_err(|_| WRONG)?;
    let period = period.trim();
    let digits = period.find(|c: char| !c.is_ascii_digit()).unwrap_or(period.len());
    let amount: u32 = period[..digits].parse().map_err(|_| WRONG)?;
    let unit = match period[digits..].trim().to_ascii_lowercase().as_str() {
        "h" => Duration::from_secs(3600),
        "m" => Duration::from_secs(60),
        "s" => Duration::from_secs(1),
        "ms" => Duration::from_millis(1),
        _ => return Err(WRONG),
    };
    let period = unit
        .checked_mul(amount)
        .filter(|period| !period.is_zero())
        .ok_or(WRONG)?;
    Ok((limited, RateLimit { volume, period }))
}

/// How the public address becomes known.
pub fn nat(text: &str) -> Result<Nat, &'static str> {
    const WRONG: &str = "give any, none, upnp, pmp or extip:ADDRESS";
    match text.to_ascii_lowercase().as_str() {
        "any" => Ok(Nat::Any),
        "none" => Ok(Nat::None),
        "upnp" => Ok(Nat::Upnp { router: None }),
        "pmp" => Ok(Nat::Pmp { gateway: None }),
        other => {
            let address = other
                .strip_prefix("extip:")
                .and_then(|address| address.parse().ok())
                .ok_or(WRONG)?;
            if address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
                Err(WRONG)
            } else {
                Ok(Nat::ExternalIp(address))
            }
        }
    }
}

pub fn multiaddr(text: &str) -> Result<Multiaddr, &'static str> {
    text.parse()
        .map_err(|_| "give a multiaddr such as /ip4/203.0.113.7/tcp/60000")
}

/// A multiaddr that says who is there.
pub fn peer_address(text: &str) -> Result<Multiaddr, &'static str> {
    const WRONG: &str = "give a multiaddr that ends with /p2p/ and the peer's id";
    let address: Multiaddr = text.parse().map_err(|_| WRONG)?;
    match address.iter().last() {
        Some(Protocol::P2p(_)) if address.iter().count() > 1 => Ok(address),
        _ => Err(WRONG),
    }
}

/// The text form of a node record (EIP-778). Whether it is whole is seen when it is used.
pub fn record(text: &str) -> Result<String, &'static str> {
    beginning_with("enr:", text).ok_or("give a record that starts with enr:")
}

/// A list of nodes in DNS (EIP-1459). Whether it is one is seen when it is used.
pub fn tree(text: &str) -> Result<String, &'static str> {
    beginning_with("enrtree://", text).ok_or("give enrtree://KEY@DOMAIN")
}

fn beginning_with(start: &str, text: &str) -> Option<String> {
    text.starts_with(start).then(|| text.to_owned())
}

/// Where the node begins to look for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Tree(String),
    Record(String),
    Peer(Multiaddr),
}

pub fn entry(text: &str) -> Result<Entry, &'static str> {
    if text.starts_with("enrtree:") {
        Ok(Entry::Tree(text.to_owned()))
    } else if text.starts_with("enr:") {
        Ok(Entry::Record(text.to_owned()))
    } else {
        peer_address(text)
            .map(Entry::Peer)
            .map_err(|_| "give an enrtree:// URL, an enr: record or a multiaddr with /p2p/")
    }
}

/// `RELAY:SERVICE`, two percentages that make 100; the relay's share is returned.
pub fn relay_share_percent(text: &str) -> Result<u8, &'static str> {
    const WRONG: &str = "give two percentages that make 100, such as 60:40";
    let (relay, service) = text.split_once(':').ok_or(WRONG)?;
    let (relay, service): (u8, u8) = (relay.parse().map_err(|_| WRONG)?, service.parse().map_err(|_| WRONG)?);
    if u16::from(relay) + u16::from(service) == 100 {
        Ok(relay)
    } else {
        Err(WRONG)
    }
}

/// nwaku's log levels; NOTICE and FATAL have no counterpart and take their neighbours'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    None,
}

impl LogLevel {
    /// As `tracing_subscriber` spells it.
    pub fn directive(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::None => "off",
        }
    }
}

pub fn log_level(text: &str) -> Result<LogLevel, &'static str> {
    match text.to_ascii_uppercase().as_str() {
        "TRACE" => Ok(LogLevel::Trace),
        "DEBUG" => Ok(LogLevel::Debug),
        "INFO" | "NOTICE" => Ok(LogLevel::Info),
        "WARN" => Ok(LogLevel::Warn),
        "ERROR" | "FATAL" => Ok(LogLevel::Error),
        "NONE" => Ok(LogLevel::None),
        _ => Err("give TRACE, DEBUG, INFO, NOTICE, WARN, ERROR, FATAL or NONE"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

pub fn log_format(text: &str) -> Result<LogFormat, &'static str> {
    match text.to_ascii_uppercase().as_str() {
        "TEXT" => Ok(LogFormat::Text),
        "JSON" => Ok(LogFormat::Json),
        _ => Err("give TEXT or JSON"),
    }
}

/// The prefix of nwaku's own metrics: `waku_` through v0.38.1, `logos_delivery_` after (nwaku pull request 4074).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsPrefix {
    Waku,
    LogosDelivery,
}

impl MetricsPrefix {
    pub fn text(self) -> &'static str {
        match self {
            Self::Waku => "waku",
            Self::LogosDelivery => "logos_delivery",
        }
    }
}

pub fn metrics_prefix(text: &str) -> Result<MetricsPrefix, &'static str> {
    match text.trim_end_matches('_') {
        "waku" => Ok(MetricsPrefix::Waku),
        "logos_delivery" => Ok(MetricsPrefix::LogosDelivery),
        _ => Err("give waku_ or logos_delivery_"),
    }
}

#[cfg(test)]
mod tests;
