//! Who the node is, where it listens, and which addresses it tells its peers.

use std::path::PathBuf;

use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::addresses::websocket;
use crate::config::{error::Error, source::Given, values};
use crate::key::Identity;
use crate::settings::{Listen, TlsFiles};

pub(super) fn identity(given: &Given) -> Result<Identity, Error> {
    match (given.optional("nodekey", values::node_key)?, given.text("nodekey-file")) {
        (Some(_), Some(_)) => Err(Error::Contradiction {
            flag: given.spelling("nodekey"),
            other: given.spelling("nodekey-file"),
            reason: "a node has one key; leave one of the two out".into(),
        }),
        (Some(key), None) => Ok(Identity::Given(key)),
        (None, Some(path)) => Ok(Identity::File(path.into())),
        (None, None) => Ok(Identity::Fresh),
    }
}

/// A port with `--ports-shift` added; 0 stays 0, which lets the system choose.
pub(super) fn port(given: &Given, name: &'static str) -> Result<u16, Error> {
    let shift = given.number("ports-shift", 0, u16::MAX)?;
    let port: u16 = given.number(name, 0, u16::MAX)?;
    if port == 0 {
        return Ok(0);
    }
    port.checked_add(shift).ok_or_else(|| Error::Contradiction {
        flag: given.spelling("ports-shift"),
        other: given.spelling(name),
        reason: format!("{port} + {shift} is beyond the last port, 65535; give a smaller shift"),
    })
}

pub(super) fn listen(given: &Given, warnings: &mut Vec<String>) -> Result<Listen, Error> {
    let websocket = given.switch("websocket-support")?;
    let secure = given.switch("websocket-secure-support")?;
    if secure && !websocket {
        warnings.push(format!(
            "{} without --websocket-support has no effect, as in nwaku",
            given.spelling("websocket-secure-support")
        ));
    }
    let websocket_port = port(given, "websocket-port")?;
    Ok(Listen {
        address: given.value("listen-address", values::address)?,
        tcp_port: port(given, "tcp-port")?,
        websocket_port: websocket.then_some(websocket_port),
        websocket_tls: (websocket && secure).then(|| tls_files(given)).transpose()?,
    })
}

/// Read when the node starts.
fn tls_files(given: &Given) -> Result<TlsFiles, Error> {
    let path = |name: &'static str| {
        given.text(name).map(PathBuf::from).ok_or_else(|| Error::Needs {
            flag: given.spelling("websocket-secure-support"),
            needed: name,
            reason: "give the paths of two PEM files, the private key's and the certificate's",
        })
    };
    Ok(TlsFiles {
        key: path("websocket-secure-key-path")?,
        certificate: path("websocket-secure-cert-path")?,
    })
}

/// `--ext-multiaddr`, and the domain name with each port unless there is to be nothing else.
pub(super) fn external(given: &Given, listen: &Listen, external_only: bool) -> Result<Vec<Multiaddr>, Error> {
    let mut addresses = given.many("ext-multiaddr", values::multiaddr)?;
    if let Some(domain) = given.text("dns4-domain-name").filter(|_| !external_only) {
        let at = |port| Multiaddr::from(Protocol::Dns4(domain.into())).with(Protocol::Tcp(port));
        addresses.push(at(listen.tcp_port));
        let secure = listen.websocket_tls.is_some();
        addresses.extend(listen.websocket_port.map(|port| at(port).with(websocket(secure))));
    }
    Ok(addresses)
}
