//! How much the units of the image may do, by systemd's own measure (systemd-analyze(1), "security"), and whether files
//! that must say the same do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tenths of systemd's exposure level, at most. The daemon starts its services as other users and gives them their
/// directories, so it keeps capabilities that cost it points; what it starts has none (`tests/e2e` looks).
const LIMITS: &[(&str, u32)] = &[
    ("pillarboxd.service", 32),
    ("pillarbox-card.service", 32),
    ("pillarbox-address.service", 25),
    ("pillarbox-network.service", 32),
    ("pillarbox-wifi@.service", 32),
];

#[test]
fn units_stay_below_their_exposure() {
    let units = overlay("usr/lib/systemd/system");
    for (unit, limit) in LIMITS {
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager"])
            .arg(format!("--threshold={limit}"))
            .arg(units.join(unit))
            .output()
            .expect("systemd-analyze starts; it is in Debian's package systemd");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{unit} is above {limit} tenths:\n{said}");
        // A unit that cannot be read has no level at all.
        assert!(said.contains("Overall exposure level"), "{unit}: {said}");
    }
}

fn overlay(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("overlay/root").join(path)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every port that a service's file calls public, and no other of theirs, is let in from anywhere.
#[test]
fn the_firewall_opens_what_services_declare() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/services");
    let mut declared = BTreeSet::new();
    for entry in std::fs::read_dir(&services).unwrap() {
        let service: toml::Table = toml::from_str(&text(&entry.unwrap().path())).unwrap();
        for port in service["ports"].as_table().unwrap().values() {
            let protocol = port.get("protocol").and_then(toml::Value::as_str).unwrap_or("tcp");
            if port.get("public").and_then(toml::Value::as_bool) == Some(true) {
                declared.insert(format!("{protocol} {}", port["port"].as_integer().unwrap()));
            }
        }
    }
    let rules = text(&overlay("etc/nftables.conf"));
    let mut open = BTreeSet::new();
    for rule in rules.lines().map(str::trim).filter(|line| line.ends_with("accept")) {
        // A rule without a condition on the sender.
        let words: Vec<&str> = rule
            .split([' ', ',', '{', '}'])
            .filter(|word| !word.is_empty())
            .collect();
        if let [protocol, "dport", ports @ .., "accept"] = words.as_slice()
            && ports.iter().all(|port| port.parse::<u16>().is_ok())
        {
            open.extend(ports.iter().map(|port| format!("{protocol} {port}")));
        }
    }
    assert_eq!(open, declared);
    assert!(rules.contains("policy drop"), "{rules}");
}

/// The page compares what the hardware watchdog counts to with what the daemon's settings say.
#[test]
fn the_daemon_knows_what_the_watchdog_is_set_to() {
    let manager = text(&overlay("etc/systemd/system.conf.d/pillarbox.conf"));
    let set = manager
        .lines()
        .find_map(|line| line.strip_prefix("RuntimeWatchdogSec="))
        .unwrap();
    let daemon: toml::Table = toml::from_str(&text(&overlay("etc/pillarbox/pillarboxd.toml"))).unwrap();
    assert_eq!(daemon["health"]["watchdog"].as_str(), Some(set));
    let secs: u32 = set.trim_end_matches('s').parse().unwrap();
    assert!(secs <= 15, "a Raspberry Pi's counts to 15 s");
}

#[test]
fn every_sysctl_has_its_reason() {
    let file = text(&overlay("etc/sysctl.d/50-pillarbox.conf"));
    for paragraph in file.split("\n\n").filter(|paragraph| paragraph.contains('=')) {
        assert!(paragraph.starts_with('#'), "{paragraph}");
    }
}
