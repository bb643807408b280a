//! The text of `pillarbox.toml` as values that are known to be good.
//!
//! Strict: a key that is not known, a value that cannot be, or a file that is too large is one [`Mistake`] with its
//! line, its key and its mend. A person edits this file on another computer and cannot see the box while doing so.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::Deserialize;

use crate::ssh::Key;

/// Far more than the shipped file with every key in use; keys of the SSH server are the longest values.
pub const MAX_BYTES: u64 = 64 * 1024;
/// A label of a host name (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = 63;
/// Waku RELAY-SHARDING: a cluster has 1024 shards. The mailserver takes part in few.
const MAX_SHARD: u16 = 1023;
const MAX_SHARDS: usize = 16;
const MIN_QUOTA_MIB: u32 = 64;
const MAX_QUOTA_MIB: u32 = 4 << 20;
const RETENTION_HOURS: std::ops::RangeInclusive<u32> = 1..=720;
const MAX_DNS: usize = 3;
const MAX_KEYS: usize = 8;

/// Why the file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    pub line: Option<usize>,
    pub key: Option<String>,
    pub what: String,
    pub mend: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pillarbox.toml")?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}; {}", self.what, self.mend)
    }
}

/// What the file may say; what it leaves out stays as the image has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The host name, in small letters, without `.local`.
    pub name: Option<String>,
    /// A name of the time zone database.
    pub time_zone: Option<String>,
    pub retention_hours: Option<u32>,
    pub quota_mib: Option<NonZeroU32>,
    pub shards: Option<BTreeSet<u16>>,
    pub address: Option<StaticAddress>,
    pub ssh_keys: Vec<Key>,
}

/// An address that the router does not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    pub address: IpAddr,
    /// Leading bits of the address that name the network.
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    pub dns: Vec<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    name: Option<String>,
    time_zone: Option<String>,
    retention_hours: Option<u32>,
    quota_mib: Option<u32>,
    shards: Option<Vec<u16>>,
    network: Option<Network>,
    ssh: Option<Ssh>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    address: String,
    gateway: Option<String>,
    #[serde(default)]
    dns: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ssh {
    keys: Vec<String>,
}

/// Reads the whole text; an empty one, or one of comments alone, leaves everything as it is.
pub fn parse(bytes: &[u8]) -> Result<Settings, Mistake> {
    if bytes.len() as u64 > MAX_BYTES {
        let what = format!("has {} bytes", bytes.len());
        return Err(mistake(None, what, format!("keep it under {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Mistake {
        line: Some(
            1 + bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count(),
        ),
        key: None,
        what: "is not UTF-8 text".to_owned(),
        mend: "save it as UTF-8".to_owned(),
    })?;
    // Windows' editor marks UTF-8 files so.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: File = toml(text)?;
    Ok(Settings {
        name: file.name.as_deref().map(name).transpose()?,
        time_zone: file.time_zone.as_deref().map(time_zone).transpose()?,
        retention_hours: file.retention_hours.map(retention_hours).transpose()?,
        quota_mib: file.quota_mib.map(quota_mib).transpose()?,
        shards: file.shards.map(shards).transpose()?,
        address: file.network.map(static_address).transpose()?,
        ssh_keys: file.ssh.map_or(Ok(Vec::new()), ssh_keys)?,
    })
}

fn toml(text: &str) -> Result<File, Mistake> {
    let at = |error: &toml::de::Error| {
        let start = error.span()?.start.min(text.len());
        Some(1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count())
    };
    let explain = |error: &toml::de::Error, key: Option<String>| {
        let message = error.message().replace('\n', " ");
        let (what, mend) = match message.split_once(", expected ") {
            Some((what, expected)) => (
                what.to_owned(),
                format!("use {}", expected.trim_start_matches("one of ")),
            ),
            None if message.starts_with("missing field") => (message, "add it, or remove the section".to_owned()),
            None => (message, "correct it there".to_owned()),
        };
        Mistake {
            line: at(error),
            key,
            what,
            mend,
        }
    };
    let document = toml::Deserializer::parse(text).map_err(|error| explain(&error, None))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let key = error.path().to_string();
        explain(error.inner(), (key != ".").then_some(key))
    })
}

fn mistake(key: Option<&str>, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
    Mistake {
        line: None,
        key: key.map(str::to_owned),
        what: what.into(),
        mend: mend.into(),
    }
}

fn name(value: &str) -> Result<String, Mistake> {
    let name = value.to_ascii_lowercase();
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let edges = !name.starts_with('-') && !name.ends_with('-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !letters || !edges || name == "localhost" {
        let mend = "use 1 to 63 letters, digits and hyphens, such as \"kitchen\"; .local is added by itself";
        return Err(mistake(Some("name"), format!("{value:?} is no host name"), mend));
    }
    Ok(name)
}

fn time_zone(value: &str) -> Result<String, Mistake> {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    if value.len() > 64 || !value.split('/').all(part) {
        return Err(mistake(
            Some("time_zone"),
            format!("{value:?} is no time zone"),
            "write one such as \"Europe/Vienna\"",
        ));
    }
    Ok(value.to_owned())
}

fn retention_hours(value: u32) -> Result<u32, Mistake> {
    if RETENTION_HOURS.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (RETENTION_HOURS.start(), RETENTION_HOURS.end());
    Err(mistake(
        Some("retention_hours"),
        format!("{value} is out of bounds"),
        format!("use {low} to {high}"),
    ))
}

fn quota_mib(value: u32) -> Result<NonZeroU32, Mistake> {
    NonZeroU32::new(value)
        .filter(|mib| (MIN_QUOTA_MIB..=MAX_QUOTA_MIB).contains(&mib.get()))
        .ok_or_else(|| {
            mistake(
                Some("quota_mib"),
                format!("{value} is out of bounds"),
                format!("use {MIN_QUOTA_MIB} to {MAX_QUOTA_MIB}"),
            )
        })
}

fn shards(values: Vec<u16>) -> Result<BTreeSet<u16>, Mistake> {
    let count = values.len();
    let set: BTreeSet<u16> = values.into_iter().collect();
    let problem = if count == 0 {
        "is empty".to_owned()
    } else if count > MAX_SHARDS {
        format!("has {count} shards")
    } else if set.len() != count {
        "names a shard twice".to_owned()
    } else if let Some(shard) = set.iter().find(|shard| **shard > MAX_SHARD) {
        format!("{shard} is no shard")
    } else {
        return Ok(set);
    };
    let mend = format!("list 1 to {MAX_SHARDS} different shards from 0 to {MAX_SHARD}");
    Err(mistake(Some("shards"), problem, mend))
}

fn static_address(network: Network) -> Result<StaticAddress, Mistake> {
    let wanted = "write an address with its prefix, such as \"192.168.1.50/24\"";
    let wrong = || {
        mistake(
            Some("network.address"),
            format!("{:?} is no address", network.address),
            wanted,
        )
    };
    let (address, prefix) = network.address.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    // "+8" and "08" parse as numbers, too.
    let prefix: u8 = prefix
        .parse()
        .ok()
        .filter(|number: &u8| number.to_string() == prefix)
        .ok_or_else(wrong)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if prefix == 0 || prefix > bits || address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return Err(wrong());
    }
    let other = |key: &'static str, value: &str| {
        let problem = || {
            mistake(
                Some(key),
                format!("{value:?} is no address"),
                "write one such as \"192.168.1.1\"",
            )
        };
        let parsed: IpAddr = value.parse().map_err(|_| problem())?;
        if parsed.is_unspecified() || parsed.is_multicast() {
            return Err(problem());
        }
        Ok(parsed)
    };
    let gateway = match &network.gateway {
        None => None,
        Some(text) => Some(other("network.gateway", text)?),
    };
    if let Some(gateway) = gateway
        && gateway.is_ipv4() != address.is_ipv4()
    {
        return Err(mistake(
            Some("network.gateway"),
            "is of the other IP version than the address",
            "use one of the same",
        ));
    }
    if gateway == Some(address) {
        return Err(mistake(
            Some("network.gateway"),
            "is the box's own address",
            "write the router's",
        ));
    }
    if network.dns.len() > MAX_DNS {
        return Err(mistake(
            Some("network.dns"),
            format!("has {} servers", network.dns.len()),
            format!("list at most {MAX_DNS}"),
        ));
    }
    let dns = network.dns.iter().map(|text| other("network.dns", text));
    Ok(StaticAddress {
        address,
        prefix,
        gateway,
        dns: dns.collect::<Result<_, _>>()?,
    })
}

fn ssh_keys(ssh: Ssh) -> Result<Vec<Key>, Mistake> {
    let mend = "paste the one line of your .pub file, such as \"ssh-ed25519 AAAA… me\"";
    if ssh.keys.len() > MAX_KEYS {
        return Err(mistake(
            Some("ssh.keys"),
            "has too many keys",
            format!("list at most {MAX_KEYS}"),
        ));
    }
    let keys = ssh.keys.iter().enumerate().map(|(number, text)| {
        Key::parse(text).ok_or_else(|| {
            let which = format!("key {} is no public key of SSH", number + 1);
            mistake(Some("ssh.keys"), which, mend)
        })
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ5GbE0TuUjjvS7tLJZ3mSQ0Nqjb5nXYeDqOgRyJ5tF";

    #[test]
    fn nothing_said_leaves_everything() {
        for text in ["", "# a comment\n", "\u{feff}# from Windows\r\n", "[ssh]\nkeys = []\n"] {
            assert_eq!(parse(text.as_bytes()), Ok(Settings::default()), "{text:?}");
        }
    }

    #[test]
    fn everything_said() {
        let text = format!(
            "name = \"Kitchen\"\ntime_zone = \"America/Argentina/Ushuaia\"\nretention_hours = 48\nquota_mib = 2048\n\
             shards = [64, 32]\n[network]\naddress = \"192.168.1.50/24\"\ngateway = \"192.168.1.1\"\n\
             dns = [\"192.168.1.1\", \"fd00::1\"]\n[ssh]\nkeys = [\"{KEY} me@home\"]\n"
        );
        let settings = parse(text.as_bytes()).unwrap();
        assert_eq!(settings.name.as_deref(), Some("kitchen"));
        assert_eq!(settings.time_zone.as_deref(), Some("America/Argentina/Ushuaia"));
        assert_eq!(settings.retention_hours, Some(48));
        assert_eq!(settings.quota_mib.map(NonZeroU32::get), Some(2048));
        assert_eq!(settings.shards, Some(BTreeSet::from([32, 64])));
        let address = settings.address.unwrap();
        assert_eq!(
            (address.address.to_string().as_str(), address.prefix),
            ("192.168.1.50", 24)
        );
        assert_eq!(address.dns.len(), 2);
        assert_eq!(settings.ssh_keys.len(), 1);
    }

    #[test]
    fn each_mistake_names_key_and_mend() {
        for (text, line, key, what) in [
            ("name = ", Some(1), None, ""),
            ("\nname = 5", Some(2), Some("name"), "integer `5`"),
            ("colour = 1", Some(1), Some("colour"), "unknown field `colour`"),
            ("name = \"a\"\nname = \"b\"", Some(2), None, "duplicate"),
            ("name = \"\"", None, Some("name"), "no host name"),
            ("name = \"-a\"", None, Some("name"), "no host name"),
            ("name = \"kitchen.local\"", None, Some("name"), "no host name"),
            ("name = \"localhost\"", None, Some("name"), "no host name"),
            (
                "time_zone = \"../../etc/shadow\"",
                None,
                Some("time_zone"),
                "no time zone",
            ),
            ("time_zone = \"/etc\"", None, Some("time_zone"), "no time zone"),
            ("time_zone = \"\"", None, Some("time_zone"), "no time zone"),
            ("retention_hours = 0", None, Some("retention_hours"), "out of bounds"),
            ("retention_hours = 721", None, Some("retention_hours"), "out of bounds"),
            ("retention_hours = -1", Some(1), Some("retention_hours"), "-1"),
            ("quota_mib = 63", None, Some("quota_mib"), "out of bounds"),
            ("quota_mib = 4194305", None, Some("quota_mib"), "out of bounds"),
            ("shards = []", None, Some("shards"), "empty"),
            ("shards = [1024]", None, Some("shards"), "1024"),
            ("shards = [1, 1]", None, Some("shards"), "twice"),
            (
                "shards = [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]",
                None,
                Some("shards"),
                "17",
            ),
            (
                "[network]\ngateway = \"10.0.0.1\"",
                Some(1),
                Some("network"),
                "missing field",
            ),
            (
                "[network]\naddress = \"10.0.0.2\"",
                None,
                Some("network.address"),
                "no address",
            ),
            (
                "[network]\naddress = \"10.0.0.2/33\"",
                None,
                Some("network.address"),
                "no address",
            ),
            (
                "[network]\naddress = \"10.0.0.2/08\"",
                None,
                Some("network.address"),
                "no address",
            ),
            (
                "[network]\naddress = \"10.0.0.2/0\"",
                None,
                Some("network.address"),
                "no address",
            ),
            (
                "[network]\naddress = \"127.0.0.1/8\"",
                None,
                Some("network.address"),
                "no address",
            ),
            (
                "[network]\naddress = \"224.0.0.1/8\"",
                None,
                Some("network.address"),
                "no address",
            ),
            (
                "[network]\naddress = \"10.0.0.2/8\"\ngateway = \"fe80::1\"",
                None,
                Some("network.gateway"),
                "other IP version",
            ),
            (
                "[network]\naddress = \"10.0.0.2/8\"\ngateway = \"10.0.0.2\"",
                None,
                Some("network.gateway"),
                "own address",
            ),
            (
                "[network]\naddress = \"10.0.0.2/8\"\ndns = [\"dns.example\"]",
                None,
                Some("network.dns"),
                "no address",
            ),
            (
                "[network]\naddress = \"10.0.0.2/8\"\ndns = [\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\"]",
                None,
                Some("network.dns"),
                "4 servers",
            ),
            ("[ssh]\nkeys = [\"ssh-ed25519 AAAA\"]", None, Some("ssh.keys"), "key 1"),
            (
                "[ssh]\npassword = \"x\"",
                Some(2),
                Some("ssh.password"),
                "unknown field",
            ),
        ] {
            let mistake = parse(text.as_bytes()).expect_err(text);
            assert_eq!((mistake.line, mistake.key.as_deref()), (line, key), "{text}: {mistake}");
            assert!(mistake.what.contains(what), "{text}: {mistake}");
            assert!(!mistake.mend.is_empty(), "{text}: {mistake}");
            assert!(!mistake.to_string().contains('\n'), "{mistake}");
        }
    }

    #[test]
    fn what_is_no_text_or_too_much_of_it() {
        assert_eq!(parse(b"# fine\nname = \"\xff\"\n").unwrap_err().line, Some(2));
        assert!(parse(&vec![b'#'; 65_537]).unwrap_err().what.contains("65537"));
    }

    /// The file that ships must be usable as it is, and with every comment sign in front of a key taken away.
    #[test]
    fn the_shipped_file_is_right_in_both_forms() {
        let shipped = include_str!("../../image-builder/overlay/firmware/pillarbox.toml");
        assert_eq!(parse(shipped.as_bytes()), Ok(Settings::default()));
        let used: String = shipped
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|rest| !rest.starts_with([' ', '#']))
                    .unwrap_or(line)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let settings = parse(used.as_bytes()).unwrap();
        assert!(settings.name.is_some() && settings.time_zone.is_some() && settings.retention_hours.is_some());
        assert!(settings.quota_mib.is_some() && settings.shards.is_some() && settings.address.is_some());
        assert!(!settings.ssh_keys.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        /// Values from here go into files that others read line by line.
        #[test]
        fn what_is_accepted_fits_a_line(
            name in "[ -~\\n]{0,20}", zone in "[ -~\\n/]{0,20}", key in "[ -~\\n]{0,40}"
        ) {
            let text = format!("name = {name:?}\ntime_zone = {zone:?}\n[ssh]\nkeys = [{key:?}]\n");
            if let Ok(settings) = parse(text.as_bytes()) {
                for value in settings.name.iter().chain(&settings.time_zone) {
                    prop_assert!(!value.contains(['\n', ' ', '"', '[', ';']));
                }
            }
        }
    }
}
