//! A network that was changed on the card has to prove itself, because a box that is cut off cannot be asked what is
//! wrong: an address whose gateway does not answer, or a Wi-Fi that leads to none, gives way to what worked last.
//!
//! Time counts only while something could work: without a cable nothing is decided.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::settings::Settings;

/// A router that starts together with the box needs this long.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the network.
pub const BETWEEN: Duration = Duration::from_secs(5);
/// The kernel asks for a neighbour three times, a second apart (tcp(7), arp(7)).
const ANSWER: Duration = Duration::from_secs(5);
/// The router's name server: any port would do, because a refusal is an answer, too.
const PORT: u16 = 53;

/// What a look at the network shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It needs no going back.
    Works,
    /// It may yet.
    NotYet,
    /// No cable in any socket, where only a cable can work.
    NoCable,
}

/// The interfaces by name, each with its kind and whether it has a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links(BTreeMap<String, Link>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    wireless: bool,
    up: bool,
}

impl Links {
    /// Of `/sys/class/net` (kernel, Documentation/ABI/testing/sysfs-class-net).
    pub fn read(class: &Path) -> Links {
        let entries = std::fs::read_dir(class).into_iter().flatten().flatten();
        let links = entries.filter_map(|entry| {
            let path = entry.path();
            // Only hardware has a device.
            path.join("device").exists().then_some(())?;
            let carrier = std::fs::read_to_string(path.join("carrier")).unwrap_or_default();
            let link = Link {
                wireless: path.join("phy80211").exists(),
                up: carrier.trim() == "1",
            };
            Some((entry.file_name().to_string_lossy().into_owned(), link))
        });
        Links(links.collect())
    }

    fn up(&self, wireless: bool) -> impl Iterator<Item = &str> {
        let wanted = move |link: &Link| link.wireless == wireless && link.up;
        self.0
            .iter()
            .filter(move |(_, link)| wanted(link))
            .map(|(name, _)| name.as_str())
    }
}

/// The gateway that a default route of this interface leads to, in `/proc/net/route` (proc_net(5)).
fn gateway_of(routes: &str, interface: &str) -> Option<IpAddr> {
    routes.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        (fields.next()? == interface && fields.next()? == "00000000").then_some(())?;
        let gateway = u32::from_str_radix(fields.next()?, 16).ok()?;
        // As the kernel has it in memory.
        (gateway != 0).then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())))
    })
}

/// Whether what the card asks for has proved itself. `reaches` asks one gateway.
pub fn prove(wanted: &Settings, links: &Links, routes: &str, reaches: impl Fn(IpAddr) -> bool) -> Proof {
    let wireless = wanted.wifi.is_some();
    let mut up = links.up(wireless).peekable();
    if up.peek().is_none() {
        return if wireless { Proof::NotYet } else { Proof::NoCable };
    }
    let works = match &wanted.address {
        // Nothing is asked for beyond the link.
        Some(address) if address.gateway.is_none() => true,
        Some(address) => address.gateway.is_some_and(&reaches),
        None => up.any(|name| gateway_of(routes, name).is_some_and(&reaches)),
    };
    if works { Proof::Works } else { Proof::NotYet }
}

/// A neighbour that is there answers or refuses; one that is not is found out by the kernel within seconds.
pub fn reaches(gateway: IpAddr) -> bool {
    match TcpStream::connect_timeout(&SocketAddr::new(gateway, PORT), ANSWER) {
        Ok(_) => true,
        // Its silence came after the neighbour was found.
        Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut),
    }
}

/// The sentence for the page when a trial has failed.
pub fn sentence(wanted: &Settings, fallback: Option<&Settings>) -> String {
    let what = match (&wanted.wifi, &wanted.address) {
        (Some(wifi), None) => format!("the Wi-Fi {:?} cannot be joined or leads to no router", wifi.name),
        (_, Some(address)) => {
            let gateway = address.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
            format!(
                "with the address {}/{} the gateway {gateway} is not responding",
                address.address, address.prefix
            )
        }
        (None, None) => "the network does not work".to_owned(),
    };
    let instead = match fallback {
        Some(_) => "the network that worked last is used instead",
        None => "the address comes from the router instead",
    };
    format!("pillarbox.toml: {what}; {instead}. Correct it on the card")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\nwlan0\t0000000A\t00000000\t0001\n\
                          wlan0\t00000000\t0101A8C0\t0003\neth0\t00000000\t0100000A\t0003\n";

    fn links(names: &[(&str, bool, bool)]) -> Links {
        let link = |wireless, up| Link { wireless, up };
        Links(
            names
                .iter()
                .map(|(name, wireless, up)| ((*name).to_owned(), link(*wireless, *up)))
                .collect(),
        )
    }

    #[test]
    fn proofs() {
        let fixed = "[network]\naddress = \"10.0.0.2/8\"\ngateway = \"10.0.0.1\"";
        let wifi = "[wifi]\nname = \"a\"";
        let plugged = links(&[("eth0", false, true), ("wlan0", true, false)]);
        let joined = links(&[("eth0", false, false), ("wlan0", true, true)]);
        let both = format!("{wifi}\n[network]\naddress = \"10.0.0.2/8\"");
        for (wishes, links, answers, wanted) in [
            (fixed, &plugged, Some("10.0.0.1"), Proof::Works),
            (fixed, &plugged, None, Proof::NotYet),
            (fixed, &joined, Some("10.0.0.1"), Proof::NoCable),
            ("[network]\naddress = \"10.0.0.2/8\"", &plugged, None, Proof::Works),
            (wifi, &plugged, Some("192.168.1.1"), Proof::NotYet),
            (wifi, &joined, Some("192.168.1.1"), Proof::Works),
            (wifi, &joined, Some("10.0.0.1"), Proof::NotYet),
            (&both, &joined, None, Proof::Works),
            (&both, &plugged, None, Proof::NotYet),
        ] {
            let answers: Option<IpAddr> = answers.map(|text| text.parse().unwrap());
            let proof = prove(&parse(wishes.as_bytes()).unwrap(), links, ROUTES, |gateway| {
                Some(gateway) == answers
            });
            assert_eq!(proof, wanted, "{wishes} {links:?} {answers:?}");
        }
    }

    #[test]
    fn links_of_a_machine() {
        let class = tempfile::tempdir().unwrap();
        for (name, marks) in [
            ("eth0", &["device"][..]),
            ("wlan0", &["device", "phy80211"]),
            ("lo", &[]),
        ] {
            for mark in marks {
                std::fs::create_dir_all(class.path().join(name).join(mark)).unwrap();
            }
            std::fs::create_dir_all(class.path().join(name)).unwrap();
            std::fs::write(class.path().join(name).join("carrier"), "1\n").unwrap();
        }
        std::fs::write(class.path().join("eth0/carrier"), "0\n").unwrap();
        let found = Links::read(class.path());
        assert_eq!(found, links(&[("eth0", false, false), ("wlan0", true, true)]));
    }

    /// The loop answers for itself; nobody is asked outside of this machine.
    #[test]
    fn a_refusal_is_an_answer() {
        assert!(reaches("127.0.0.9".parse().unwrap()));
    }

    #[test]
    fn sentences_name_the_mend() {
        for (text, fallback, words) in [
            ("[wifi]\nname = \"Home\"", None, ["Home", "from the router"]),
            (
                "[network]\naddress = \"10.0.0.2/8\"\ngateway = \"10.0.0.1\"",
                Some(Settings::default()),
                ["10.0.0.1", "worked last"],
            ),
        ] {
            let said = sentence(&parse(text.as_bytes()).unwrap(), fallback.as_ref());
            assert!(
                words.iter().all(|word| said.contains(word)) && !said.contains('\n'),
                "{said}"
            );
        }
    }
}
