//! cloud-init's three files as Imager writes them (raspberrypi/rpi-imager, src/customization_generator.cpp; cloud-init's
//! reference of modules; netplan's reference of YAML, version 2).
//!
//! The YAML is bounded before it is read: aliases, which let a few lines stand for millions, are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::{Budget, Options};

use super::{NO_COMMANDS, NO_INTERFACES, NO_KEYBOARD, NO_PACKAGES, NO_PASSWORDS, NO_USERS, Wishes};
use crate::settings::{self, AddressSection, Mistake, Settings};

/// The file's name on the card: accounts, name, time zone.
pub const USER_DATA: &str = "user-data";
/// The file's name on the card: the network.
pub const NETWORK_CONFIG: &str = "network-config";

/// Far more than Imager writes with everything chosen.
const MAX_EVENTS: usize = 4096;
const MAX_DEPTH: usize = 16;

const ETHERNETS: &str = "network.ethernets";
const WIFIS: &str = "network.wifis";
const NO_MORE: &str = "Name servers and routes beside the gateway's are not used.";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UserData {
    hostname: Option<String>,
    timezone: Option<String>,
    user: Option<User>,
    users: Vec<User>,
    ssh_authorized_keys: Vec<String>,
    ssh_pwauth: Option<IgnoredAny>,
    keyboard: Option<IgnoredAny>,
    locale: Option<IgnoredAny>,
    packages: Option<IgnoredAny>,
    apt: Option<IgnoredAny>,
    runcmd: Option<IgnoredAny>,
    rpi: Option<IgnoredAny>,
    // A box does as much by itself: it announces its name, finds its name servers, and has SSH where there is a key.
    #[serde(rename = "manage_etc_hosts")]
    _manage_etc_hosts: Option<IgnoredAny>,
    #[serde(rename = "manage_resolv_conf")]
    _manage_resolv_conf: Option<IgnoredAny>,
    #[serde(rename = "preserve_hostname")]
    _preserve_hostname: Option<IgnoredAny>,
    #[serde(rename = "enable_ssh")]
    _enable_ssh: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct User {
    ssh_authorized_keys: Vec<String>,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "groups")]
    _groups: Option<IgnoredAny>,
    #[serde(rename = "shell")]
    _shell: Option<IgnoredAny>,
    #[serde(rename = "lock_passwd")]
    _lock_passwd: Option<IgnoredAny>,
    #[serde(rename = "passwd")]
    _passwd: Option<IgnoredAny>,
    #[serde(rename = "sudo")]
    _sudo: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NetworkConfig {
    network: Option<Network>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    version: u32,
    #[serde(rename = "renderer")]
    _renderer: Option<IgnoredAny>,
    #[serde(default)]
    ethernets: BTreeMap<String, Interface>,
    #[serde(default)]
    wifis: BTreeMap<String, Interface>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Interface {
    addresses: Vec<String>,
    gateway4: Option<String>,
    routes: Vec<Route>,
    nameservers: Nameservers,
    // Of a Wi-Fi alone.
    regulatory_domain: Option<String>,
    access_points: Option<BTreeMap<String, AccessPoint>>,
    // All three are what a box does without being asked.
    #[serde(rename = "dhcp4")]
    _dhcp4: Option<IgnoredAny>,
    #[serde(rename = "dhcp6")]
    _dhcp6: Option<IgnoredAny>,
    #[serde(rename = "optional")]
    _optional: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Nameservers {
    addresses: Vec<String>,
    search: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    to: String,
    via: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AccessPoint {
    password: Option<String>,
    auth: Option<Auth>,
    // Hidden networks are looked for always.
    #[serde(rename = "hidden")]
    _hidden: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Auth {
    key_management: String,
}

fn wrong(file: &'static str, key: &str, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
    Mistake::in_key(file, key, what, mend)
}

/// An empty file, or one of comments alone, says nothing.
fn yaml<T: DeserializeOwned + Default>(file: &'static str, bytes: &[u8]) -> Result<T, Mistake> {
    let text = settings::text(file, bytes)?;
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !text.lines().any(says) {
        return Ok(T::default());
    }
    let mut budget = Budget::default();
    (budget.max_events, budget.max_nodes, budget.max_depth) = (MAX_EVENTS, MAX_EVENTS, MAX_DEPTH);
    (budget.max_aliases, budget.max_anchors, budget.max_merge_keys) = (0, 0, 0);
    budget.max_documents = 1;
    let mut options = Options::default();
    (options.budget, options.with_snippet) = (Some(budget), false);
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map(|place| usize::try_from(place.line()).unwrap_or(0));
        let said = error.without_snippet().to_string();
        // The first sentence; a value that follows may be a secret.
        let what = said.lines().next().unwrap_or_default();
        let what = match what.find("unknown field") {
            Some(at) => what[at..].split(',').next().unwrap_or_default().to_owned(),
            None => "is not what Raspberry Pi Imager writes".to_owned(),
        };
        Mistake {
            line,
            ..Mistake::in_file(file, what, "say it in pillarbox.toml instead, and empty this file")
        }
    })
}

/// `user-data`: who the box is.
pub fn user_data(bytes: &[u8]) -> Result<Wishes, Mistake> {
    // A script, an archive or a list of addresses is told from settings by its first line.
    let first = settings::text(USER_DATA, bytes)?.lines().next().unwrap_or_default();
    if first.starts_with("#!")
        || (first.starts_with('#') && first.trim_end() != "#cloud-config") && !first.starts_with("# ")
    {
        let what = format!("begins with {:?}", first.chars().take(40).collect::<String>());
        let mend = "only #cloud-config is understood; say it in pillarbox.toml instead";
        return Err(Mistake {
            line: Some(1),
            ..Mistake::in_file(USER_DATA, what, mend)
        });
    }
    let file: UserData = yaml(USER_DATA, bytes)?;
    let mut wishes = Wishes::default();
    let users: Vec<&User> = file.user.iter().chain(&file.users).collect();
    let unused = [
        (!users.is_empty(), NO_USERS),
        (file.ssh_pwauth.is_some() && users.is_empty(), NO_PASSWORDS),
        (file.keyboard.is_some() || file.locale.is_some(), NO_KEYBOARD),
        (file.rpi.is_some(), NO_INTERFACES),
        (file.runcmd.is_some(), NO_COMMANDS),
        (file.packages.is_some() || file.apt.is_some(), NO_PACKAGES),
    ];
    wishes
        .unused
        .extend(unused.iter().filter(|(said, _)| *said).map(|(_, why)| *why));
    let host = |text: &String| super::host(USER_DATA, "hostname", text);
    wishes.settings.name = file.hostname.as_ref().map(host).transpose()?;
    let zone = |text: &String| super::zone(USER_DATA, "timezone", text);
    wishes.settings.time_zone = file.timezone.as_ref().map(zone).transpose()?;
    let of_users = users.iter().flat_map(|user| user.ssh_authorized_keys.iter());
    let lines: Vec<String> = of_users.chain(&file.ssh_authorized_keys).cloned().collect();
    wishes.settings.ssh_keys = super::keys(USER_DATA, "ssh_authorized_keys", &lines)?;
    Ok(wishes)
}

/// `network-config`: how the box is reached.
pub fn network_config(bytes: &[u8]) -> Result<Wishes, Mistake> {
    let file: NetworkConfig = yaml(NETWORK_CONFIG, bytes)?;
    let Some(network) = file.network else {
        return Ok(Wishes::default());
    };
    if network.version != 2 {
        return Err(wrong(NETWORK_CONFIG, "network.version", "is not 2", "write version: 2"));
    }
    if network.ethernets.len() > 1 || network.wifis.len() > 1 {
        let what = "names several interfaces of a kind";
        let mend = "keep one, whatever its name: a box has one";
        return Err(wrong(NETWORK_CONFIG, "network", what, mend));
    }
    let mut wishes = Wishes::default();
    let settings = &mut wishes.settings;
    if let Some(cable) = network.ethernets.into_values().next() {
        if cable.access_points.is_some() || cable.regulatory_domain.is_some() {
            let what = "has access points or a country";
            return Err(wrong(NETWORK_CONFIG, ETHERNETS, what, "write them under wifis"));
        }
        settings.address = static_address(&mut wishes.unused, ETHERNETS, cable)?;
    }
    if let Some(interface) = network.wifis.into_values().next() {
        if settings.address.is_some() {
            let mend = "keep one of them; a static address of the cable needs no wifis";
            return Err(wrong(NETWORK_CONFIG, ETHERNETS, "is static beside a Wi-Fi", mend));
        }
        settings.wifi = Some(wifi(&interface)?);
        settings.address = static_address(&mut wishes.unused, WIFIS, interface)?;
    }
    Ok(wishes)
}

fn wifi(interface: &Interface) -> Result<settings::Wifi, Mistake> {
    let mut points = interface.access_points.iter().flatten();
    let (Some((name, point)), None) = (points.next(), points.next()) else {
        let key = format!("{WIFIS}.access-points");
        return Err(wrong(
            NETWORK_CONFIG,
            &key,
            "names none or several networks",
            "keep one",
        ));
    };
    let password = match point.auth.as_ref().map(|auth| auth.key_management.as_str()) {
        None => point.password.as_deref(),
        Some("none") => None,
        Some(_) => {
            let mend = "write only password: for a network with one";
            let what = "is a kind that a box does not know";
            return Err(wrong(NETWORK_CONFIG, &format!("{WIFIS}.auth"), what, mend));
        }
    };
    let country = interface.regulatory_domain.as_deref();
    super::wifi(NETWORK_CONFIG, WIFIS, &network_name(name), password, country)
}

/// Imager writes the bytes of a name that is not plain as `\xHH` each, which YAML reads as one character a byte.
fn network_name(name: &str) -> String {
    let bytes: Option<Vec<u8>> = name
        .chars()
        .map(|letter| u8::try_from(u32::from(letter)).ok())
        .collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| name.to_owned())
}

fn static_address(
    unused: &mut BTreeSet<&'static str>,
    section: &str,
    interface: Interface,
) -> Result<Option<settings::StaticAddress>, Mistake> {
    let Interface {
        mut addresses,
        gateway4,
        routes,
        nameservers,
        ..
    } = interface;
    let Some(address) = addresses.pop() else {
        if gateway4.is_some() || !routes.is_empty() || !nameservers.addresses.is_empty() {
            unused.insert(NO_MORE);
        }
        return Ok(None);
    };
    if !addresses.is_empty() {
        let key = format!("{section}.addresses");
        return Err(wrong(NETWORK_CONFIG, &key, "has several addresses", "keep one"));
    }
    let is_default = |route: &&Route| ["default", "0.0.0.0/0", "::/0"].contains(&route.to.as_str());
    if routes.iter().any(|route| !is_default(&route)) || nameservers.search.is_some() {
        unused.insert(NO_MORE);
    }
    let via = routes.iter().find(is_default).map(|route| route.via.clone());
    let written = AddressSection {
        address,
        gateway: gateway4.or(via),
        dns: nameservers.addresses,
    };
    super::address(NETWORK_CONFIG, section, written).map(Some)
}

/// Both files together; `meta-data` holds nothing but the number of this flashing.
pub fn parse(user: &[u8], network: &[u8]) -> Result<Wishes, Mistake> {
    let mut wishes = user_data(user)?;
    let network = network_config(network)?;
    wishes.unused.extend(network.unused);
    wishes.settings = Settings {
        wifi: network.settings.wifi,
        address: network.settings.address,
        ..wishes.settings
    };
    Ok(wishes)
}

#[cfg(test)]
mod tests;
