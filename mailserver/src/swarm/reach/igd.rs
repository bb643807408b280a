//! UPnP's Internet Gateway Device: what is asked of a router to map ports, and what it answers.
//!
//! UPnP Device Architecture 1.1 (section 1.3 for searching, 2.3 for descriptions, 3.2 for actions) and the service
//! templates WANIPConnection:1 and :2. Whoever answers is a stranger: texts are read within bounds that the caller sets.

use std::fmt;
use std::net::Ipv4Addr;

use roxmltree::{Document, Node};

const DEVICE: &str = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
/// Those that have the actions used here, as routers name them.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];
/// `OnlyPermanentLeasesSupported` (WANIPConnection:1, section 2.4.16).
pub const ONLY_PERMANENT: u16 = 725;
/// `ConflictInMappingEntry`: the port leads to another machine.
pub const CONFLICT: u16 = 718;

/// Asks all routers that hear it to answer within `seconds`.
pub fn search(seconds: u8) -> String {
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: {seconds}\r\nST: {DEVICE}\r\n\r\n"
    )
}

/// Where an answer to [`search`] says that the description is.
pub fn location(answer: &str) -> Option<&str> {
    let mut lines = answer.lines();
    let is_ok = lines.next()?.split_ascii_whitespace().nth(1) == Some("200");
    let location = lines.filter_map(|line| line.split_once(':'));
    let (_, url) = location
        .filter(|_| is_ok)
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("location"))?;
    Some(url.trim())
}

/// A service that maps ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub kind: &'static str,
    /// As the description has it: a path, or a whole URL.
    pub control: String,
}

/// What a router's description says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// What paths begin from, instead of the description's own URL.
    pub base: Option<String>,
    pub services: Vec<Service>,
}

/// `None` for what is no XML.
pub fn description(text: &str) -> Option<Description> {
    let document = Document::parse(text).ok()?;
    let elements = || document.descendants().filter(Node::is_element);
    let service = |node: Node<'_, '_>| {
        let named = child(node, "serviceType")?;
        let kind = SERVICES.into_iter().find(|kind| *kind == named)?;
        let control = child(node, "controlURL")?.to_owned();
        Some(Service { kind, control })
    };
    Some(Description {
        base: elements()
            .find(|node| node.tag_name().name() == "URLBase")
            .and_then(|node| node.text())
            .map(|base| base.trim().to_owned())
            .filter(|base| !base.is_empty()),
        services: elements()
            .filter(|node| node.tag_name().name() == "service")
            .filter_map(service)
            .collect(),
    })
}

fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let found = node.children().find(|child| child.tag_name().name() == name)?;
    Some(found.text().unwrap_or_default().trim())
}

/// What a service is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Address,
    /// Zero seconds are for ever.
    Map {
        external: u16,
        internal: u16,
        client: Ipv4Addr,
        seconds: u32,
    },
    Unmap {
        external: u16,
    },
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Address => "GetExternalIPAddress",
            Self::Map { .. } => "AddPortMapping",
            Self::Unmap { .. } => "DeletePortMapping",
        }
    }

    /// What the request's header `SOAPAction` says.
    pub fn header(self, kind: &str) -> String {
        format!("\"{kind}#{}\"", self.name())
    }

    /// The request's body. The templates' order of arguments: some routers take no other.
    pub fn body(self, kind: &str) -> String {
        let arguments = match self {
            Self::Address => String::new(),
            Self::Map {
                external,
                internal,
                client,
                seconds,
            } => format!(
                "<NewRemoteHost></NewRemoteHost><NewExternalPort>{external}</NewExternalPort><NewProtocol>TCP</NewProtocol>\
                 <NewInternalPort>{internal}</NewInternalPort><NewInternalClient>{client}</NewInternalClient>\
                 <NewEnabled>1</NewEnabled><NewPortMappingDescription>Pillarbox</NewPortMappingDescription>\
                 <NewLeaseDuration>{seconds}</NewLeaseDuration>"
            ),
            Self::Unmap { external } => format!(
                "<NewRemoteHost></NewRemoteHost><NewExternalPort>{external}</NewExternalPort><NewProtocol>TCP</NewProtocol>"
            ),
        };
        let name = self.name();
        format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{name} xmlns:u=\"{kind}\">\
             {arguments}</u:{name}></s:Body></s:Envelope>\r\n"
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Address(Ipv4Addr),
    /// The error's number and what the router says to it.
    Refused(u16, String),
}

/// `None` for what answers something else.
pub fn answer(text: &str, action: Action) -> Option<Answer> {
    let document = Document::parse(text).ok()?;
    let named = |name: &str| {
        let mut elements = document.descendants().filter(Node::is_element);
        elements.find(|node| node.tag_name().name() == name)
    };
    if let Some(error) = named("UPnPError") {
        let number = child(error, "errorCode")?.parse().ok()?;
        let words = child(error, "errorDescription").unwrap_or_default().to_owned();
        return Some(Answer::Refused(number, words));
    }
    let done = named(&format!("{}Response", action.name()))?;
    match action {
        Action::Address => {
            let address = child(done, "NewExternalIPAddress")?.parse();
            Some(Answer::Address(address.ok()?))
        }
        _ => Some(Answer::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searching() {
        assert!(search(2).ends_with("\r\nMX: 2\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"));
        let found = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nlocation:  http://192.0.2.1:5000/a.xml \r\n\r\n";
        assert_eq!(location(found), Some("http://192.0.2.1:5000/a.xml"));
        for other in [
            "",
            "NOTIFY * HTTP/1.1\r\nLocation: http://192.0.2.1/\r\n",
            "HTTP/1.1 200 OK\r\nST: x\r\n",
        ] {
            assert_eq!(location(other), None, "{other}");
        }
    }

    #[test]
    fn a_service_is_found_however_deep() {
        let text = "<root xmlns='urn:schemas-upnp-org:device-1-0'><URLBase> http://192.0.2.1:80/ </URLBase><device>\
            <serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>\
            <controlURL>/l3</controlURL></service></serviceList><deviceList><device><deviceList><device><serviceList>\
            <service><serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType><controlURL>/ppp\
            </controlURL></service><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
            <SCPDURL>/x</SCPDURL><controlURL>ip</controlURL></service></serviceList></device></deviceList></device>\
            </deviceList></device></root>";
        let found = description(text).unwrap();
        assert_eq!(found.base.as_deref(), Some("http://192.0.2.1:80/"));
        let controls: Vec<_> = found.services.iter().map(|service| service.control.as_str()).collect();
        assert_eq!(controls, ["/ppp", "ip"]);
        assert_eq!(description("<root/>"), Some(Description::default()));
        for bad in ["", "<root>", "<!DOCTYPE a [<!ENTITY x 'y'>]><root>&x;</root>", "\0"] {
            assert_eq!(description(bad), None, "{bad}");
        }
    }

    /// As deep as 64 KiB go.
    #[test]
    fn depth_is_no_danger() {
        let text = format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000));
        description(&text);
        answer(&text, Action::Address);
    }

    #[test]
    fn answers() {
        let within = |inner: &str| {
            format!(
                "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>{inner}</s:Body></s:Envelope>"
            )
        };
        let map = Action::Map {
            external: 1,
            internal: 2,
            client: Ipv4Addr::LOCALHOST,
            seconds: 3600,
        };
        let fault = "<s:Fault><detail><UPnPError xmlns='urn:schemas-upnp-org:control-1-0'><errorCode>718</errorCode>\
            <errorDescription>ConflictInMappingEntry</errorDescription></UPnPError></detail></s:Fault>";
        let address = |ip: &str| {
            format!(
                "<u:GetExternalIPAddressResponse xmlns:u='x'><NewExternalIPAddress>{ip}</NewExternalIPAddress></u:GetExternalIPAddressResponse>"
            )
        };
        for (inner, action, expected) in [
            (
                fault.to_owned(),
                map,
                Some(Answer::Refused(CONFLICT, "ConflictInMappingEntry".into())),
            ),
            (
                "<u:AddPortMappingResponse xmlns:u='x'/>".to_owned(),
                map,
                Some(Answer::Done),
            ),
            ("<u:DeletePortMappingResponse xmlns:u='x'/>".to_owned(), map, None),
            (
                address("203.0.113.7"),
                Action::Address,
                Some(Answer::Address(Ipv4Addr::new(203, 0, 113, 7))),
            ),
            (address(""), Action::Address, None),
        ] {
            assert_eq!(answer(&within(&inner), action), expected, "{inner}");
        }
        assert_eq!(answer("HTTP", Action::Address), None);
        let body = map.body(SERVICES[1]);
        assert!(Document::parse(&body).is_ok(), "{body}");
        assert_eq!(map.header("urn:x"), "\"urn:x#AddPortMapping\"");
    }
}
