//! By which names the page may be asked for. A web site that points its own name at the box's address (DNS rebinding)
//! makes a browser ask under that name, and is refused: an address, `localhost`, names of ours that only the link itself
//! can resolve, and configured names are all that is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::Request;
use hyper::header::HOST;

/// The host that a request asks for, without its port: from the request's own address where it has one, and from
/// exactly one `Host` header. Nothing when there is none or when they contradict each other.
pub(super) fn asked<B>(request: &Request<B>) -> Option<String> {
    let mut headers = request.headers().get_all(HOST).iter();
    let header = headers.next()?.to_str().ok()?;
    if headers.next().is_some() {
        return None;
    }
    if let Some(authority) = request.uri().authority()
        && authority.as_str() != header
    {
        return None;
    }
    without_port(header).map(str::to_ascii_lowercase)
}

/// `example:80` or `[::1]:80` without the port; nothing if that is not what it looks like.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            (&host[..end + 2], &rest[end + 1..])
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (port_ok && !name.is_empty()).then_some(name)
}

/// Whether the page answers to `host` (small letters, no port). `names` are the configured ones.
pub(super) fn answers_to(host: &str, names: &[String]) -> bool {
    let bare = host.strip_suffix('.').unwrap_or(host);
    is_address(bare)
        || bare == "localhost"
        || is_own_mdns_name(bare)
        || names.iter().any(|name| name.eq_ignore_ascii_case(bare))
}

fn is_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().map(IpAddr::V4).is_ok(),
    }
}

/// `pillarbox.local`, `pillarbox-1a2b.local`: `.local` is resolved on the link alone (RFC 6762, section 3).
fn is_own_mdns_name(host: &str) -> bool {
    host.strip_suffix(".local").is_some_and(|name| {
        name.starts_with("pillarbox") && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_answered_to() {
        let names = ["post.example.org".to_owned(), "kitchen.local".to_owned()];
        for (host, answered) in [
            ("192.168.1.20", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("[fe80::1]", true),
            ("localhost", true),
            ("pillarbox.local", true),
            ("pillarbox-1a2b.local", true),
            ("pillarbox-1a2b.local.", true),
            ("kitchen.local", true),
            ("post.example.org", true),
            ("", false),
            (".", false),
            ("local", false),
            ("evil.example", false),
            ("pillarbox.example", false),
            ("pillarbox.local.evil.example", false),
            ("evil.pillarbox.local", false),
            ("pillarbox.evil.local", false),
            ("xpillarbox.local", false),
            ("other.local", false),
            ("1.2.3", false),
            ("127.0.0.1.evil.example", false),
            ("[evil]", false),
            ("::1", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(answers_to(host, &names), answered, "{host:?}");
        }
    }

    #[test]
    fn the_host_that_is_asked() {
        let request = |uri: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(uri);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            asked(&request.body(()).unwrap())
        };
        let some = |host: &str| Some(host.to_owned());
        assert_eq!(request("/", &["localhost"]), some("localhost"));
        assert_eq!(request("/", &["LocalHost:8080"]), some("localhost"));
        assert_eq!(request("/", &["[::1]:8080"]), some("[::1]"));
        assert_eq!(request("/", &["[::1]"]), some("[::1]"));
        assert_eq!(request("http://localhost/", &["localhost"]), some("localhost"));
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &["localhost", "localhost"][..]),
            ("/", &[""][..]),
            ("/", &[":80"][..]),
            ("/", &["localhost:http"][..]),
            ("/", &["localhost:99999"][..]),
            ("/", &["[::1"][..]),
            ("/", &["[::1]x"][..]),
            ("http://evil.example/", &["localhost"][..]),
        ] {
            assert_eq!(request(uri, hosts), None, "{uri} {hosts:?}");
        }
    }
}
