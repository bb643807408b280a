//! The values of flags, each read by a pure function that says what it would have taken.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use k256::ecdsa::VerifyingKey;

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

pub fn number<T>(text: &str, low: T, high: T) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Display + Copy,
{
    text.parse()
        .ok()
        .filter(|number| *number >= low && *number <= high)
        .ok_or_else(|| format!("give a whole number from {low} to {high}"))
}

pub fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "give an IP address")
}

/// Below this not even pings and gossip of a few peers get through; above it nothing is a limit.
const BANDWIDTH_KIB_PER_SEC: std::ops::RangeInclusive<u32> = 8..=10_000_000;

/// KiB a second; 0 is no limit.
pub fn bandwidth_kib_per_sec(text: &str) -> Result<Option<NonZeroU32>, String> {
    let (low, high) = (*BANDWIDTH_KIB_PER_SEC.start(), *BANDWIDTH_KIB_PER_SEC.end());
    match number(text, 0, high) {
        Ok(given) if given == 0 || given >= low => Ok(NonZeroU32::new(given)),
        _ => Err(format!("give 0 for no limit, or from {low} to {high} KiB a second")),
    }
}

/// An amount of bytes: a whole number with `B`, `KB` (1000) or `KiB` (1024), a space between or not, or a bare number of
/// bytes, as nwaku's `parseMsgSize` takes it.
pub fn size_bytes(text: &str) -> Result<usize, &'static str> {
    const WRONG: &str = "give a size such as 150KiB, 150 KB or 153600B";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().map_err(|_| WRONG)?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "kib" => 1024,
        _ => return Err(WRONG),
    };
    number.checked_mul(factor).ok_or(WRONG)
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
pub fn retention(text: &str) -> Result<Retention, String> {
    let mut retention = Retention {
        time: None,
        not_applied: Vec::new(),
    };
    if text.eq_ignore_ascii_case("none") {
        return Ok(retention);
    }
    let wrong = || "give time:SECONDS, or none to keep everything".to_owned();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once(':') {
            Some(("time", seconds)) => {
                // Two centuries in nanoseconds still are an i64.
                let seconds = number(seconds, 1u64, 6_000_000_000).map_err(|_| wrong())?;
                retention.time = Some(Duration::from_secs(seconds));
            }
            Some(("capacity" | "size", _)) => retention.not_applied.push(part.to_owned()),
            _ => return Err(wrong()),
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
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey(pub k256::ecdsa::SigningKey);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(secret)")
    }
}

pub fn node_key(text: &str) -> Result<NodeKey, &'static str> {
    const WRONG: &str = "give the secp256k1 key as 64 hexadecimal digits";
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| WRONG)?;
    k256::ecdsa::SigningKey::from_slice(&bytes)
        .map(NodeKey)
        .map_err(|_| WRONG)
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

pub fn shard_index(text: &str) -> Result<u16, String> {
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
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("150KiB", 153_600),
            ("150 KiB", 153_600),
            ("1024kib", 1 << 20),
            ("150KB", 150_000),
            ("1500 B", 1500),
            ("7", 7),
        ] {
            assert_eq!(size_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1.5KiB", "-1B", "1GB", "18446744073709551615KiB"] {
            assert!(size_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retention_policies() {
        let time = |seconds| Some(Duration::from_secs(seconds));
        for (text, expected, not_applied) in [
            ("time:172800", time(172_800), vec![]),
            ("none", None, vec![]),
            ("size:1GB", None, vec!["size:1GB"]),
            (
                "time:3600;size:1GB;capacity:100",
                time(3600),
                vec!["size:1GB", "capacity:100"],
            ),
        ] {
            let not_applied = not_applied.into_iter().map(str::to_owned).collect();
            assert_eq!(
                retention(text),
                Ok(Retention {
                    time: expected,
                    not_applied
                }),
                "{text}"
            );
        }
        for text in [
            "time:",
            "time:0",
            "time:-1",
            "time:1h",
            "24h",
            "forever",
            "time:99999999999",
        ] {
            assert!(retention(text).is_err(), "{text}");
        }
    }

    #[test]
    fn database_urls() {
        assert_eq!(
            database_directory("sqlite://store.sqlite3"),
            Ok("store.sqlite3.d".into())
        );
        assert_eq!(
            database_directory("sqlite:///data/store.sqlite3"),
            Ok("/data/store.sqlite3.d".into())
        );
        for text in [
            "",
            "sqlite://",
            "sqlite://:memory:",
            "postgres://u:p@localhost:5432/w",
            "store.sqlite3",
        ] {
            assert!(database_directory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys() {
        let hex = "5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6";
        assert!(node_key(hex).is_ok());
        assert_eq!(node_key(hex), node_key(&format!("0x{hex}")));
        assert_eq!(format!("{:?}", node_key(hex).unwrap()), "NodeKey(secret)");
        let zero = "0".repeat(64);
        for text in ["", "00", zero.as_str(), &hex[1..], "zz"] {
            assert!(node_key(text).is_err(), "{text}");
        }
    }

    /// The key pair of nwaku `tests/wakunode2/test_validators.nim`.
    #[test]
    fn protected_shards() {
        let key = "049c5fac802da41e07e6cdf51c3b9a6351ad5e65921527f2df5b7d59fd9b56ab02bab736cdcfc37f25095e78127500da371947217a8cd5186ab890ea866211c3f6";
        let expected = ProtectedShard {
            shard: 32,
            public_key: VerifyingKey::from_sec1_bytes(&hex::decode(key).unwrap()).unwrap(),
        };
        let compressed = format!("02{}", &key[2..66]);
        for text in [
            format!("32:{key}"),
            format!("/waku/2/rs/16/32:{key}"),
            format!("32:0x{key}"),
            format!("32:{compressed}"),
        ] {
            assert_eq!(protected_shard(&text), Ok(expected.clone()), "{text}");
        }
        for text in [
            "32",
            "32:",
            "1024:00",
            &format!("x:{key}"),
            &format!("32:{}", &key[2..]),
            ":",
        ] {
            assert!(protected_shard(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rate_limits() {
        for (text, limited, volume, period) in [
            ("30/1m", Limited::All, 30, Duration::from_secs(60)),
            ("filter:100/1s", Limited::Filter, 100, Duration::from_secs(1)),
            ("store:2/1h", Limited::Store, 2, Duration::from_secs(3600)),
            ("storev3:8/500ms", Limited::StoreV3, 8, Duration::from_millis(500)),
            ("px:5/1s", Limited::PeerExchange, 5, Duration::from_secs(1)),
            ("LIGHTPUSH: 5 / 1 s", Limited::LightPush, 5, Duration::from_secs(1)),
        ] {
            assert_eq!(rate_limit(text), Ok((limited, RateLimit { volume, period })), "{text}");
        }
        for text in [
            "",
            "30",
            "30/1",
            "30/0s",
            "relay:1/1s",
            "-1/1s",
            "1/1d",
            "/",
            ":1/1s",
            "1/4294967295h/",
        ] {
            assert!(rate_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nat_and_ratio() {
        assert_eq!(nat("any"), Ok(Nat::Any));
        assert_eq!(
            nat("extip:203.0.113.7"),
            Ok(Nat::ExternalIp("203.0.113.7".parse().unwrap()))
        );
        for text in ["", "extip:", "extip:host", "extip:0.0.0.0", "ssdp"] {
            assert!(nat(text).is_err(), "{text}");
        }
        assert_eq!(relay_share_percent("60:40"), Ok(60));
        for text in ["60", "60:60", "101:-1", ":"] {
            assert!(relay_share_percent(text).is_err(), "{text}");
        }
    }
}
