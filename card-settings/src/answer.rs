//! What the box answers to `pillarbox.toml`, in a file beside it: what it uses, or why it uses nothing. The file was
//! made with the image and never changes its size, because it is written over in place ([`crate::fat`]).
//!
//! Nothing secret goes into it: SSH keys are named by their fingerprints.

use std::collections::BTreeSet;

use crate::settings::{Joins, Mistake, Settings, Waku};

/// The file's name on the card.
pub const FILE: &str = "pillarbox-answer.txt";

/// The answer's text: mistakes, what is used, and what of Imager's settings has no effect here.
pub fn text(version: &str, settings: &Settings, mistakes: &[Mistake], unused: &BTreeSet<&'static str>) -> String {
    let mut lines = Vec::new();
    for mistake in mistakes {
        let file = mistake.file.display();
        lines.push(format!(
            "Pillarbox {version} is not using {file}, because of a mistake in it:\n\n  {mistake}\n"
        ));
    }
    if *settings != Settings::default() {
        lines.push(format!("Pillarbox {version} is using:\n"));
        lines.extend(used(settings));
    } else if mistakes.is_empty() {
        lines.push(format!("Pillarbox {version} has read the card; nothing is set."));
    } else {
        lines.push("The box runs as if the file were empty.".to_owned());
    }
    if !unused.is_empty() {
        lines.push("\nNot used:\n".to_owned());
        lines.extend(unused.iter().map(|sentence| format!("  {sentence}")));
    }
    lines.join("\n") + "\n"
}

/// Where `shards` belongs since there is `[waku]`.
const HINT: &str = "shards now belongs in the section [waku]; it is read in both places";

fn joined(waku: &Waku) -> Option<String> {
    match &waku.joins {
        Joins::Preset(network) => Some(network.name.to_owned()),
        Joins::Nothing => Some("none; the box does not look for other nodes".to_owned()),
        Joins::Own { cluster, entry_nodes } => {
            let count = entry_nodes.len();
            Some(format!("your own, cluster {cluster}, entry nodes: {count}"))
        }
        Joins::AsShipped => None,
    }
}

fn used(settings: &Settings) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |key: &str, value: Option<String>| lines.extend(value.map(|value| format!("  {key}: {value}")));
    let address = |name: &String| format!("{name} (http://{name}.local)");
    say("name", settings.name.as_ref().map(address));
    say("time zone", settings.time_zone.clone());
    let hours = |hours| format!("{hours} hours");
    say("retention", settings.retention_hours.map(hours));
    say("quota", settings.quota_mib.map(|mib| format!("{mib} MiB")));
    let shards = |shards: &BTreeSet<u16>| shards.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    say("Waku network", settings.waku.as_ref().and_then(joined));
    say("shards", settings.served().map(shards));
    say("hint", settings.shards.as_ref().map(|_| HINT.to_owned()));
    let bandwidth = settings.bandwidth_kib_per_sec;
    say(
        "bandwidth",
        bandwidth.map(|kib| format!("{kib} KiB per second each way")),
    );
    if let Some(wifi) = &settings.wifi {
        let kind = if wifi.password.is_some() {
            "with its password"
        } else {
            "an open network"
        };
        say("Wi-Fi", Some(format!("{:?}, {kind}", wifi.name)));
        say("country", wifi.country.clone());
    }
    if let Some(network) = &settings.address {
        say("address", Some(format!("{}/{}", network.address, network.prefix)));
        say("gateway", network.gateway.map(|gateway| gateway.to_string()));
        for server in &network.dns {
            say("name server", Some(server.to_string()));
        }
    }
    let notify = &settings.notify;
    let told = |who: &str, there: bool| there.then(|| who.to_owned());
    say("notifications", told("a webhook", notify.webhook.is_some()));
    say("notifications", told("ntfy", notify.ntfy.is_some()));
    say("notifications", notify.email.as_ref().map(|email| email.to.join(", ")));
    for key in &settings.ssh_keys {
        say("SSH key", Some(key.fingerprint()));
    }
    lines
}

/// Exactly `bytes` long: cut, or filled with empty lines. Lines end as every computer's editor shows them.
pub fn fitted(text: &str, bytes: usize) -> Vec<u8> {
    let mut content = text.replace('\n', "\r\n").into_bytes();
    content.truncate(bytes);
    while std::str::from_utf8(&content).is_err() {
        content.pop();
    }
    while content.len() + 1 < bytes {
        content.extend(b"\r\n");
    }
    content.resize(bytes, b' ');
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;
    use proptest::prelude::*;

    #[test]
    fn answers() {
        for (text, wanted, absent) in [
            ("", "nothing is set", "using"),
            ("name = \"a\"\nshards = [64, 32]", "  shards: 32, 64", "mistake"),
            (
                "shards = [64]",
                "  hint: shards now belongs in the section [waku]",
                "Waku network",
            ),
            ("[waku]\nshards = [64]", "  shards: 64", "hint"),
            ("waku = \"status.staging\"", "  Waku network: status.staging", "shards"),
            (
                "[waku]\ncluster = 77\nshards = [5]",
                "  Waku network: your own, cluster 77, entry nodes: 0",
                "none",
            ),
            ("waku = \"none\"", "  Waku network: none; the box does not look", "own"),
            ("name = \"a\"", "http://a.local", "retention"),
            ("name = \"_\"", "not a host name", "is using:"),
            (
                "[wifi]\nname = \"b\"\npassword = \"longenough\"",
                "  Wi-Fi: \"b\"",
                "longenough",
            ),
            (
                "[notify.ntfy]\nurl = \"https://a.org/secret\"",
                "notifications: ntfy",
                "a.org",
            ),
            (
                "[network]\naddress = \"10.0.0.2/8\"\ndns = [\"10.0.0.3\"]",
                "  name server: 10.0.0.3",
                "gateway",
            ),
        ] {
            let (settings, mistakes) = match parse(text.as_bytes()) {
                Ok(settings) => (settings, Vec::new()),
                Err(mistake) => (Settings::default(), vec![mistake]),
            };
            let answer = super::text("1.2.3", &settings, &mistakes, &BTreeSet::new());
            assert!(answer.contains(wanted) && !answer.contains(absent), "{text}: {answer}");
            assert!(answer.contains("1.2.3"));
        }
        let unused = BTreeSet::from(["No keyboard."]);
        assert!(super::text("1", &Settings::default(), &[], &unused).contains("  No keyboard."));
    }

    proptest! {
        #[test]
        fn the_size_never_changes(text in "[a-zé\\n]{0,60}", bytes in 0_usize..80) {
            let content = fitted(&text, bytes);
            prop_assert_eq!(content.len(), bytes);
            let back = String::from_utf8(content).unwrap();
            let kept = back.replace("\r\n", "\n");
            let kept = kept.trim_end_matches(['\n', '\r', ' ']);
            prop_assert!(text.trim_end_matches('\n').starts_with(kept.trim_end_matches('\r')));
        }
    }
}
