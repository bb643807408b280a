//! The own node record: built from the configuration, from the shards that the node is on and from what it learns of its
//! addresses, numbered so that peers take the newer one.
//!
//! A record's sequence number must not fall behind one that was ever given out, or peers keep the old record. So the
//! record is kept beside the node's key, and a new number is at least the time in seconds: even a lost file or a clock
//! set back leaves a larger one.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ::enr::CombinedKey;
use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::runtime::RuntimeFlavor;
use tokio::sync::watch;

use super::without_peer;
use crate::{
    addresses::{is_circuit, is_websocket, tcp_port, websocket as websocket_protocol},
    clock,
    config::Config,
    enr::{self, Capabilities, Enr, Own, Shards},
    settings::{Listen, Nat},
    swarm::{Handle, Phase, Status},
};

/// The record is told to everybody.
const MODE: u32 = 0o644;

/// What the record says besides what the node learns of its addresses.
pub(super) struct Fixed {
    listen: Listen,
    nat: Nat,
    external_addresses: Vec<Multiaddr>,
    external_only: bool,
    /// Where peers see discv5's packets come from (`--discv5-enr-auto-update`).
    observed: Option<SocketAddr>,
    udp_port: Option<u16>,
    shards: Shards,
    capabilities: Capabilities,
}

/// The own record as text, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub text: String,
    /// The [`Status::revision`] that it takes into account.
    pub revision: u64,
}

pub(super) struct OwnRecord {
    key: CombinedKey,
    fixed: Fixed,
    path: Option<PathBuf>,
    record: Enr,
}

impl OwnRecord {
    /// Builds the record as far as it is known before the node listens, or takes up the kept one if it says the same.
    pub(super) fn new(key: CombinedKey, fixed: Fixed, path: Option<PathBuf>) -> Result<Self, enr::Error> {
        let kept = path
            .as_ref()
            .and_then(|path| fs::read_to_string(path).ok())
            .and_then(|text| enr::parse(&text).ok());
        let kept = kept.filter(|record| enr::is_of(record, &key));
        let before = kept.as_ref().map_or(0, Enr::seq);
        let fresh = enr::build(&key, next(before), &fixed.own(None))?;
        let record = kept.filter(|record| enr::same_content(record, &fresh)).unwrap_or(fresh);
        Ok(Self {
            key,
            fixed,
            path,
            record,
        })
    }

    pub(super) fn record(&self) -> &Enr {
        &self.record
    }

    /// The record as text, which takes the status of that revision into account.
    pub(super) fn told(&self, revision: u64) -> Told {
        Told {
            text: self.record.to_base64(),
            revision,
        }
    }

    /// A copy of the key, for discv5, which signs with it.
    pub(super) fn key(&self) -> CombinedKey {
        let mut bytes = self.key.encode();
        CombinedKey::secp256k1_from_bytes(&mut bytes).expect("a secp256k1 key decodes from its own encoding")
    }

    /// Takes in what the node knows of itself now; true if the record is another one.
    pub(super) fn update(&mut self, status: &Status) -> bool {
        let own = self.fixed.own(Some(status));
        match enr::build(&self.key, next(self.record.seq()), &own) {
            Ok(record) if !enr::same_content(&record, &self.record) => {
                self.replace(record);
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "own node record");
                false
            }
        }
    }

    /// Takes in where peers see this node, which discv5 has put into `record` already.
    pub(super) fn observe(&mut self, address: SocketAddr, record: Enr) {
        self.fixed.observed = Some(address);
        self.replace(record);
    }

    fn replace(&mut self, record: Enr) {
        self.record = record;
        if let Err(error) = self.keep() {
            tracing::warn!(%error, "keeping the own node record");
        }
    }

    fn keep(&self) -> Result<(), durable_file::Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let write = || durable_file::replace(path, self.record.to_base64().as_bytes(), MODE);
        // A slow card takes seconds to sync; where there are other threads, other tasks go on there.
        match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(write),
            _ => write(),
        }
    }

    /// Keeps the record up to date where there is no discv5 to do so.
    pub(super) async fn follow(mut self, swarm: Handle, enr: watch::Sender<Told>) {
        let mut status = swarm.status();
        loop {
            let now = status.borrow_and_update().clone();
            if now.phase != Phase::Starting {
                self.update(&now);
            }
            enr.send_replace(self.told(now.revision));
            if status.changed().await.is_err() {
                break;
            }
        }
    }
}

fn next(before: u64) -> u64 {
    let seconds = u64::try_from(clock::now_nanos() / 1_000_000_000).unwrap_or(0);
    seconds.max(before + 1)
}

impl Fixed {
    /// As the configuration has it; `udp_port` is discv5's, if it has one.
    pub(super) fn of(config: &Config, udp_port: Option<u16>) -> Self {
        let node = &config.node;
        Self {
            listen: node.listen.clone(),
            nat: node.nat,
            external_addresses: node.external_addresses.clone(),
            external_only: config.external_only,
            observed: None,
            udp_port,
            shards: Shards {
                cluster: node.cluster_id,
                indices: node.shards.clone(),
            },
            capabilities: Capabilities {
                relay: node.services.relay,
                store: node.services.store,
                filter: node.services.filter,
                light_push: node.services.light_push,
                sync: node.sync.is_some(),
            },
        }
    }

    /// What to say about the node. Before it listens, that is what the configuration says.
    fn own(&self, status: Option<&Status>) -> Own {
        let listening: Vec<Multiaddr> = status
            .iter()
            .flat_map(|status| &status.listen_addresses)
            .map(without_peer)
            .collect();
        let external: Vec<Multiaddr> = match status {
            Some(status) => status.external_addresses.iter().map(without_peer).collect(),
            None => self.external_addresses.clone(),
        };
        let listened_port = |websocket| {
            listening
                .iter()
                .find(|a| is_websocket(a) == websocket)
                .and_then(tcp_port)
        };
        let tcp = listened_port(false).or(Some(self.listen.tcp_port));
        let websocket = self
            .listen
            .websocket_port
            .and_then(|port| listened_port(true).or(Some(port)));
        let (ip, tcp) = self.best(&external, tcp.filter(|port| *port != 0));
        Own {
            ip,
            tcp_port: tcp,
            udp_port: self.observed.map(|observed| observed.port()).or(self.udp_port),
            shards: Shards {
                cluster: self.shards.cluster,
                indices: status.map_or_else(|| self.shards.indices.clone(), |status| status.shards.clone()),
            },
            capabilities: self.capabilities,
            addresses: self.others(external, ip.zip(tcp), ip.zip(websocket)),
        }
    }

    /// The one address that every reader of a record knows to read. What others confirmed or the operator said goes before
    /// what the node listens on.
    fn best(&self, external: &[Multiaddr], tcp: Option<u16>) -> (Option<IpAddr>, Option<u16>) {
        let confirmed = external
            .iter()
            .filter(|address| !is_websocket(address) && !is_circuit(address))
            .find_map(|a| Some((ip(a)?, tcp_port(a)?)));
        match (confirmed, self.nat, self.observed, self.listen.address) {
            (Some((ip, port)), ..) => (Some(ip), Some(port)),
            (None, Nat::ExternalIp(ip), ..) => (Some(ip), tcp),
            (None, _, Some(observed), _) => (Some(observed.ip()), tcp),
            (None, _, None, listen) if !listen.is_unspecified() && !self.external_only => (Some(listen), tcp),
            (None, ..) => (None, tcp),
        }
    }

    /// What is said besides the best address: the other external ones, and the WebSocket port.
    fn others(
        &self,
        external: Vec<Multiaddr>,
        best: Option<(IpAddr, u16)>,
        websocket: Option<(IpAddr, u16)>,
    ) -> Vec<Multiaddr> {
        let tcp = |(ip, port)| Multiaddr::from(ip).with(Protocol::Tcp(port));
        let best = best.map(tcp);
        let mut addresses: Vec<Multiaddr> = external
            .into_iter()
            .filter(|address| Some(address) != best.as_ref())
            .collect();
        if let Some(listened) = websocket.filter(|_| !self.external_only) {
            let address = tcp(listened).with(websocket_protocol(self.listen.websocket_tls.is_some()));
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, enr::WakuNode};

    fn fixed(line: &str) -> Fixed {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Ok(config::Request::Run(config)) = config::read(&args) else {
            panic!("{line}")
        };
        Fixed {
            shards: Shards {
                cluster: 16,
                indices: vec![32],
            },
            capabilities: Capabilities::from_bits(1),
            ..Fixed::of(&config, Some(9000))
        }
    }

    fn status(listen: &[&str], external: &[&str]) -> Status {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Status {
            revision: 1,
            phase: Phase::Listening,
            listen_addresses: read(listen),
            external_addresses: read(external),
            connected_peers: 0,
            meshes: vec![],
            shards: vec![32],
        }
    }

    fn texts(record: &Enr) -> Vec<String> {
        let node = WakuNode::of(record).unwrap();
        node.addresses
            .iter()
            .map(|address| without_peer(address).to_string())
            .collect()
    }

    #[test]
    fn the_address_is_what_is_known_best() {
        let listen = ["/ip4/192.0.2.1/tcp/1234", "/ip4/192.0.2.1/tcp/8001/ws"];
        for (line, external, expected) in [
            ("", vec![], vec![]),
            ("--listen-address=192.0.2.1", vec![], vec!["/ip4/192.0.2.1/tcp/1234"]),
            (
                "--nat=extip:203.0.113.7 --websocket-support",
                vec![],
                vec!["/ip4/203.0.113.7/tcp/1234", "/ip4/203.0.113.7/tcp/8001/ws"],
            ),
            (
                "--nat=extip:203.0.113.7 --websocket-support --websocket-secure-support \
                 --websocket-secure-key-path=k --websocket-secure-cert-path=c",
                vec![],
                vec!["/ip4/203.0.113.7/tcp/1234", "/ip4/203.0.113.7/tcp/8001/wss"],
            ),
            (
                "",
                vec![
                    "/ip4/198.51.100.1/tcp/60000/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31/p2p-circuit",
                ],
                vec![
                    "/ip4/198.51.100.1/tcp/60000/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31/p2p-circuit",
                ],
            ),
            (
                "--listen-address=192.0.2.1",
                vec!["/dns4/box.example.org/tcp/443/wss", "/ip4/203.0.113.9/tcp/61000"],
                vec!["/ip4/203.0.113.9/tcp/61000", "/dns4/box.example.org/tcp/443/wss"],
            ),
        ] {
            let mut own = OwnRecord::new(CombinedKey::generate_secp256k1(), fixed(line), None).unwrap();
            own.update(&status(&listen, &external));
            assert_eq!(texts(own.record()), expected, "{line}");
            assert_eq!(own.record().udp4(), Some(9000));
        }
    }

    #[test]
    fn the_shards_are_those_that_the_node_is_on() {
        let mut own = OwnRecord::new(CombinedKey::generate_secp256k1(), fixed(""), None).unwrap();
        let shards = |own: &OwnRecord| WakuNode::of(own.record()).unwrap().shards.unwrap().indices;
        assert_eq!(shards(&own), [32], "before the node has said anything");
        let on = |shards: &[u16]| Status {
            shards: shards.to_vec(),
            ..status(&["/ip4/192.0.2.1/tcp/1"], &[])
        };
        for now in [vec![7, 32], vec![7], vec![], (0..100).collect()] {
            own.update(&on(&now));
            assert_eq!(shards(&own), now);
        }
    }

    #[test]
    fn a_record_is_kept_and_its_number_only_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.enr");
        let key = CombinedKey::generate_secp256k1();
        let again = |key: &CombinedKey| CombinedKey::secp256k1_from_bytes(&mut key.encode()).unwrap();
        let listen = status(&["/ip4/192.0.2.1/tcp/1"], &[]);
        let mut own = OwnRecord::new(again(&key), fixed("--nat=extip:203.0.113.7"), Some(path.clone())).unwrap();
        assert!(own.update(&listen));
        let first = own.record().clone();
        assert!(!own.update(&listen), "nothing is new");
        // A kept record far ahead of the clock still counts.
        let ahead = enr::build(&key, first.seq() + 1_000_000, &Own::default()).unwrap();
        fs::write(&path, ahead.to_base64()).unwrap();
        let mut own = OwnRecord::new(again(&key), fixed("--nat=extip:203.0.113.7"), Some(path.clone())).unwrap();
        own.update(&listen);
        assert!(own.record().seq() > ahead.seq());
        assert_eq!(enr::parse(&fs::read_to_string(&path).unwrap()).unwrap(), *own.record());
        // Another node's record, or none, is no matter.
        for text in [
            "",
            "enr:xyz",
            &enr::build(&CombinedKey::generate_secp256k1(), u64::MAX / 2, &Own::default())
                .unwrap()
                .to_base64(),
        ] {
            fs::write(&path, text).unwrap();
            let own = OwnRecord::new(again(&key), fixed(""), Some(path.clone())).unwrap();
            assert!(own.record().seq() < u64::MAX / 4);
        }
    }
}
