//! What the box answers to `pillarbox.toml`, in a file beside it: what it uses, or why it uses nothing. The file was
//! made with the image and never changes its size, because it is written over in place ([`crate::fat`]).
//!
//! Nothing secret goes into it: SSH keys are named by their fingerprints.

use crate::settings::{Mistake, Settings};

pub const FILE: &str = "pillarbox-answer.txt";

/// The answer's text.
pub fn text(version: &str, outcome: &Result<Settings, Mistake>) -> String {
    let settings = match outcome {
        Err(mistake) => {
            return format!(
                "Pillarbox {version} does not use pillarbox.toml, because of a mistake in it:\n\n  {mistake}\n\n\
                 The box runs as if the file said nothing.\n"
            );
        }
        Ok(settings) if *settings == Settings::default() => {
            return format!("Pillarbox {version} has read pillarbox.toml, which wishes nothing.\n");
        }
        Ok(settings) => settings,
    };
    let mut lines = vec![format!("Pillarbox {version} uses pillarbox.toml:"), String::new()];
    let mut say = |key: &str, value: Option<String>| lines.extend(value.map(|value| format!("  {key}: {value}")));
    say(
        "name",
        settings
            .name
            .as_ref()
            .map(|name| format!("{name} (http://{name}.local)")),
    );
    say("time zone", settings.time_zone.clone());
    say(
        "retention",
        settings.retention_hours.map(|hours| format!("{hours} hours")),
    );
    say("quota", settings.quota_mib.map(|mib| format!("{mib} MiB")));
    let shards =
        |shards: &std::collections::BTreeSet<u16>| shards.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    say("shards", settings.shards.as_ref().map(shards));
    if let Some(network) = &settings.address {
        say("address", Some(format!("{}/{}", network.address, network.prefix)));
        say("gateway", network.gateway.map(|gateway| gateway.to_string()));
        for server in &network.dns {
            say("name server", Some(server.to_string()));
        }
    }
    for key in &settings.ssh_keys {
        say("SSH key", Some(key.fingerprint()));
    }
    lines.join("\n") + "\n"
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
            ("", "wishes nothing", "uses"),
            ("name = \"a\"\nshards = [64, 32]", "  shards: 32, 64", "mistake"),
            ("name = \"a\"", "http://a.local", "retention"),
            ("name = \"_\"", "no host name", "uses pillarbox.toml"),
            (
                "[network]\naddress = \"10.0.0.2/8\"\ndns = [\"10.0.0.3\"]",
                "  name server: 10.0.0.3",
                "gateway",
            ),
        ] {
            let answer = super::text("1.2.3", &parse(text.as_bytes()));
            assert!(answer.contains(wanted) && !answer.contains(absent), "{text}: {answer}");
            assert!(answer.contains("1.2.3"));
        }
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
