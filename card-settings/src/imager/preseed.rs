//! `rpi-preseed.toml` (raspberrypi/rpi-preseed, doc/rpi-preseed.5 and schema/rpi-preseed.schema, version 1).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{NO_COMMANDS, NO_CONNECT, NO_INTERFACES, NO_KEYBOARD, NO_PACKAGES, NO_PASSWORDS, NO_USERS, Wishes};
use crate::settings::{self, AddressSection, Mistake};

/// The file's name on the card.
pub const FILE: &str = "rpi-preseed.toml";

const NO_BOOT: &str = "config.txt and cmdline.txt stay as the image has them.";
const NO_TIME_SERVERS: &str = "Time comes from the network's own servers: ntp is not used.";
const NO_DISKS: &str = "Certificates and mounts are not used.";
const NO_IMPORT: &str = "Keys are taken from the card alone: ssh_import_id is not used.";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    config_version: Option<String>,
    system: System,
    user: Option<IgnoredAny>,
    ssh: Ssh,
    wlan: Option<Wlan>,
    ethernet: Option<Ethernet>,
    locale: Locale,
    time: Option<IgnoredAny>,
    ca_certificates: Option<IgnoredAny>,
    mounts: Option<IgnoredAny>,
    connect: Option<IgnoredAny>,
    interfaces: Option<IgnoredAny>,
    boot: Option<IgnoredAny>,
    packages: Option<IgnoredAny>,
    runcmd: Option<IgnoredAny>,
    #[serde(rename = "debug")]
    _debug: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct System {
    hostname: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ssh {
    enabled: Option<bool>,
    password_authentication: bool,
    ssh_import_id: Option<IgnoredAny>,
    authorized_keys: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wlan {
    ssid: Option<String>,
    ssid_hex: Option<String>,
    password: Option<String>,
    #[serde(rename = "password_encrypted")]
    _password_encrypted: bool,
    // Hidden networks are looked for always.
    #[serde(rename = "hidden")]
    _hidden: bool,
    country: Option<String>,
    key_mgmt: Option<KeyManagement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyManagement {
    None,
    Owe,
    WpaPsk,
    Sae,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ethernet {
    #[serde(default)]
    method: Method,
    address: Option<String>,
    gateway: Option<String>,
    #[serde(default)]
    dns: Vec<String>,
    #[serde(rename = "interface")]
    _interface: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    #[default]
    Dhcp,
    Static,
    Disabled,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Locale {
    keymap: Option<IgnoredAny>,
    timezone: Option<String>,
    locales: Option<IgnoredAny>,
    lang: Option<IgnoredAny>,
    lc_time: Option<IgnoredAny>,
    lc_measurement: Option<IgnoredAny>,
    keymap_model: Option<IgnoredAny>,
    keymap_variant: Option<IgnoredAny>,
    keymap_options: Option<IgnoredAny>,
}

impl Locale {
    fn says_more(&self) -> bool {
        let words = [&self.keymap, &self.locales, &self.lang, &self.lc_time];
        let more = [&self.lc_measurement, &self.keymap_model, &self.keymap_variant];
        words
            .into_iter()
            .chain(more)
            .chain([&self.keymap_options])
            .any(Option::is_some)
    }
}

fn wrong(key: &str, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
    Mistake::in_key(FILE, key, what, mend)
}

/// A file of comments alone wishes nothing.
pub fn parse(bytes: &[u8]) -> Result<Wishes, Mistake> {
    let text = settings::text(FILE, bytes)?;
    let file: File = settings::toml(FILE, text)?;
    let is_one = |version: &str| version == "1" || version.starts_with("1.");
    match &file.config_version {
        Some(version) if !is_one(version) => {
            let what = format!("{version:?} is a version that this box does not know");
            return Err(wrong("config_version", what, "use pillarbox.toml instead"));
        }
        None if !text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) =>
        {
            return Err(wrong("config_version", "is missing", "write config_version = \"1.0\""));
        }
        _ => {}
    }
    let mut wishes = Wishes::default();
    let unused = [
        (file.user.is_some(), NO_USERS),
        (file.ssh.password_authentication, NO_PASSWORDS),
        (file.ssh.ssh_import_id.is_some(), NO_IMPORT),
        (file.locale.says_more(), NO_KEYBOARD),
        (file.connect.is_some(), NO_CONNECT),
        (file.interfaces.is_some(), NO_INTERFACES),
        (file.boot.is_some(), NO_BOOT),
        (file.time.is_some(), NO_TIME_SERVERS),
        (file.packages.is_some(), NO_PACKAGES),
        (file.runcmd.is_some(), NO_COMMANDS),
        (file.mounts.is_some() || file.ca_certificates.is_some(), NO_DISKS),
    ];
    wishes
        .unused
        .extend(unused.iter().filter(|(said, _)| *said).map(|(_, why)| *why));
    let settings = &mut wishes.settings;
    let host = |text: &String| super::host(FILE, "system.hostname", text);
    settings.name = file.system.hostname.as_ref().map(host).transpose()?;
    let zone = |text: &String| super::zone(FILE, "locale.timezone", text);
    settings.time_zone = file.locale.timezone.as_ref().map(zone).transpose()?;
    // Keys of a server that is to stay off open nothing.
    if file.ssh.enabled != Some(false) {
        settings.ssh_keys = super::keys(FILE, "ssh.authorized_keys", &file.ssh.authorized_keys)?;
    }
    settings.wifi = file.wlan.map(wlan).transpose()?.flatten();
    settings.address = file.ethernet.map(ethernet).transpose()?.flatten();
    if settings.wifi.is_some() && settings.address.is_some() {
        let mend = "keep one of them; a static address of the cable needs no [wlan]";
        return Err(wrong("ethernet.method", "is static beside a [wlan]", mend));
    }
    Ok(wishes)
}

fn wlan(wlan: Wlan) -> Result<Option<settings::Wifi>, Mistake> {
    if wlan.ssid_hex.is_some() {
        let what = "names a network in characters that are no text";
        return Err(wrong("wlan.ssid_hex", what, "give the network a name of letters"));
    }
    let Some(ssid) = wlan.ssid else { return Ok(None) };
    let password = wlan.password.as_deref().filter(|password| !password.is_empty());
    let open = match wlan.key_mgmt {
        Some(KeyManagement::None | KeyManagement::Owe) => true,
        Some(KeyManagement::WpaPsk | KeyManagement::Sae) => false,
        None => password.is_none(),
    };
    if open != password.is_none() {
        let what = "and password do not fit";
        return Err(wrong(
            "wlan.key_mgmt",
            what,
            "an open network has no password, any other has one",
        ));
    }
    super::wifi(FILE, "wlan", &ssid, password, wlan.country.as_deref()).map(Some)
}

fn ethernet(ethernet: Ethernet) -> Result<Option<settings::StaticAddress>, Mistake> {
    match (ethernet.method, ethernet.address) {
        (Method::Disabled, _) => {
            let mend = "write \"dhcp\"";
            Err(wrong(
                "ethernet.method",
                "would leave the cable without an address",
                mend,
            ))
        }
        (Method::Dhcp, _) => Ok(None),
        (Method::Static, None) => {
            let mend = "write one such as \"192.168.1.50/24\"";
            Err(wrong("ethernet.address", "is missing", mend))
        }
        (Method::Static, Some(address)) => {
            let written = AddressSection {
                address,
                gateway: ethernet.gateway,
                dns: ethernet.dns,
            };
            super::address(FILE, "ethernet", written).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ5GbE0TuUjjvS7tLJZ3mSQ0Nqjb5nXYeDqOgRyJ5tF";

    #[test]
    fn what_imager_writes() {
        let text = include_bytes!("../../../fuzz/seeds/card-settings/preseed/imager");
        let wishes = parse(text).unwrap();
        let settings = wishes.settings;
        assert_eq!(settings.name.as_deref(), Some("kitchen"));
        assert_eq!(settings.time_zone.as_deref(), Some("Europe/Vienna"));
        assert_eq!(settings.ssh_keys.len(), 1);
        let wifi = settings.wifi.unwrap();
        assert_eq!(
            (wifi.name.as_str(), wifi.country.as_deref()),
            ("Home \"net\"", Some("AT"))
        );
        assert_eq!(wifi.password.unwrap().reveal().len(), 64);
        assert_eq!(
            wishes.unused,
            [NO_USERS, NO_KEYBOARD, NO_CONNECT, NO_INTERFACES].into_iter().collect()
        );
        assert_eq!(parse(b"# Taken.\n\n").unwrap(), Wishes::default());
    }

    #[test]
    fn an_address_and_an_open_network() {
        let text = "config_version = \"1.1\"\n[ethernet]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n";
        let address = parse(text.as_bytes()).unwrap().settings.address.unwrap();
        assert_eq!((address.prefix, address.gateway), (8, None));
        let text = "config_version = \"1\"\n[wlan]\nssid = \"Guests\"\ncountry = \"\"\n";
        let wifi = parse(text.as_bytes()).unwrap().settings.wifi.unwrap();
        assert_eq!((wifi.password, wifi.country), (None, None));
        let off = format!("config_version = \"1.0\"\n[ssh]\nenabled = false\nauthorized_keys = [\"{KEY}\"]\n");
        assert!(parse(off.as_bytes()).unwrap().settings.ssh_keys.is_empty());
    }

    #[test]
    fn each_mistake_names_key_and_mend() {
        for (text, key) in [
            ("[system]\nhostname = \"a\"", "config_version"),
            ("config_version = \"2.0\"", "config_version"),
            ("config_version = 1", "config_version"),
            ("config_version = \"1.0\"\ncolour = 1", "colour"),
            (
                "config_version = \"1.0\"\n[system]\nhostname = \"a b\"",
                "system.hostname",
            ),
            (
                "config_version = \"1.0\"\n[locale]\ntimezone = \"../x\"",
                "locale.timezone",
            ),
            (
                "config_version = \"1.0\"\n[ssh]\nauthorized_keys = [\"x\"]",
                "ssh.authorized_keys",
            ),
            (
                "config_version = \"1.0\"\n[wlan]\nssid = \"a\"\npassword = \"short\"",
                "wlan.password",
            ),
            (
                "config_version = \"1.0\"\n[wlan]\nssid = \"a\"\npassword = 12345678",
                "wlan.password",
            ),
            (
                "config_version = \"1.0\"\n[wlan]\nssid = \"a\"\ncountry = \"Austria\"",
                "wlan.country",
            ),
            ("config_version = \"1.0\"\n[wlan]\nssid = \"\"", "wlan.name"),
            (
                "config_version = \"1.0\"\n[wlan]\nssid = \"a\"\nkey_mgmt = \"sae\"",
                "wlan.key_mgmt",
            ),
            ("config_version = \"1.0\"\n[wlan]\nssid_hex = \"ff\"", "wlan.ssid_hex"),
            (
                "config_version = \"1.0\"\n[ethernet]\nmethod = \"static\"",
                "ethernet.address",
            ),
            (
                "config_version = \"1.0\"\n[ethernet]\nmethod = \"disabled\"",
                "ethernet.method",
            ),
            (
                "config_version = \"1.0\"\n[ethernet]\nmethod = \"static\"\naddress = \"x\"",
                "ethernet.address",
            ),
            (
                "config_version = \"1.0\"\n[wlan]\nssid = \"a\"\n[ethernet]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"",
                "ethernet.method",
            ),
        ] {
            let mistake = parse(text.as_bytes()).expect_err(text);
            assert_eq!(
                (mistake.file.to_str(), mistake.key.as_deref()),
                (Some(FILE), Some(key)),
                "{text}: {mistake}"
            );
            assert!(
                !mistake.fix().is_empty() && !mistake.to_string().contains("12345678"),
                "{mistake}"
            );
        }
    }
}
