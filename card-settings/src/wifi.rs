//! The one file that wpa_supplicant reads (wpa_supplicant.conf(5)).

use crate::settings::Wifi;

/// Neither the network's name nor its password can end a line: the name is written as digits, and a password has no
/// control characters ([`crate::settings`] refuses them).
pub fn configuration(wifi: &Wifi) -> String {
    let mut text = String::from("# Written by pillarbox-card at every start.\n");
    if let Some(country) = &wifi.country {
        text.push_str(&format!("country={country}\n"));
    }
    let name: String = wifi.name.bytes().map(|byte| format!("{byte:02x}")).collect();
    // Asked for by name, so that a hidden network answers, too.
    text.push_str(&format!("network={{\n\tssid={name}\n\tscan_ssid=1\n"));
    match wifi.password.as_ref().map(|password| password.reveal()) {
        None => text.push_str("\tkey_mgmt=NONE\n"),
        // The key itself is WPA2's; WPA3 wants the passphrase.
        Some(key) if key.len() == 64 => text.push_str(&format!("\tkey_mgmt=WPA-PSK WPA-PSK-SHA256\n\tpsk={key}\n")),
        // Both, and protected management frames where the access point has them, which WPA3 demands.
        Some(passphrase) => text.push_str(&format!(
            "\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n\tpsk=\"{passphrase}\"\n\tieee80211w=1\n"
        )),
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let with = |password| configuration(&Wifi::new("a\"b\n", password, Some("at")).unwrap());
        let open = with(None);
        assert!(
            open.contains("country=AT\n") && open.contains("ssid=6122620a\n"),
            "{open}"
        );
        assert!(open.contains("key_mgmt=NONE") && !open.contains("psk"), "{open}");
        assert!(with(Some("pass\"word }")).contains("\tpsk=\"pass\"word }\"\n"));
        let key = "0123456789abcdef".repeat(4);
        assert!(with(Some(&key)).contains(&format!("\tpsk={key}\n")));
        for text in [open, with(Some("longenough"))] {
            assert_eq!(text.matches('{').count(), 1, "{text}");
            assert_eq!(text.lines().last(), Some("}"));
        }
    }
}
