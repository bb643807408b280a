//! Finding peers: lists of nodes in DNS and discv5 on the way in, the own node record on the way out.
//!
//! ```text
//! dns ──┐              ┌─▶ the node, which dials those it has room for
//! dht ──┼──▶ sink ─────┤
//! px ───┘              └─▶ the records that peer exchange hands out
//! ```
//!
//! `dht` owns discv5 and the own record. Who is on another network, or has no shard in common with this node, goes no
//! further than the sink.

mod dht;
mod dns;
mod exchange;
mod known;
mod own;
pub mod tree;

pub use own::Told;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use libp2p::{Multiaddr, multiaddr::Protocol};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    config::Config,
    enr::{self, WakuNode},
    key::Identity,
    labels::Kind,
    ports::BindError,
    protocols::peer_exchange::Records,
    swarm::{Candidate, Handle, Origin},
};
use known::Known;

/// Records from DNS that wait for discv5 to start from; more are not needed.
const RECORDS_QUEUE: usize = 256;
/// From so many peers on the node looks for others at leisure: nwaku's Dhigh.
const ENOUGH_PEERS: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Record(#[from] enr::Error),
    #[error("--discv5-bootstrap-node {text:?} is invalid: {reason}")]
    Bootstrap { text: String, reason: enr::Error },
    #[error("--dns-discovery-url is invalid: {0}")]
    Tree(#[from] tree::Error),
    #[error("discv5: {0}")]
    Discv5(String),
    #[error("the node's key is not a secp256k1 key")]
    Key,
}

impl Error {
    /// Whether another configuration is what mends it.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Bootstrap { .. } | Self::Tree(_))
    }
}

/// What discovery counts.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Nodes in discv5's table (nwaku `routing_table_nodes`).
    pub table_nodes: Gauge,
    /// Records that lookups returned (nwaku `waku_discv5_discovered`).
    pub discovered: Counter,
    /// Of them, those on this network (nwaku `waku_discv5_discovered` filtered by shard).
    pub usable: Counter,
    /// Failures by kind (nwaku `waku_discv5_errors`).
    pub errors: Family<Kind, Counter>,
    /// DNS lists read, and not (nwaku `waku_dnsdisc_…`).
    pub dns_discovered: Counter,
    pub dns_errors: Family<Kind, Counter>,
}

/// Which nodes are of use to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    cluster: u16,
    shards: Vec<u16>,
}

impl Wanted {
    /// On this cluster, with a shard in common and something to offer. A node without shards itself takes anybody of
    /// its cluster.
    fn wants(&self, node: &WakuNode) -> bool {
        let shards = node.shards.as_ref();
        node.capabilities.any()
            && shards.is_some_and(|shards| {
                shards.cluster == self.cluster
                    && (self.shards.is_empty() || shards.indices.iter().any(|shard| self.shards.contains(shard)))
            })
    }
}

/// Running discovery. Dropping it ends it.
pub struct Discovery {
    enr: watch::Receiver<Told>,
    _tasks: JoinSet<()>,
}

/// What must exist before the node starts: ports, checked records and URLs.
pub struct Prepared {
    dht: Option<dht::Bound>,
    trees: Vec<tree::Url>,
    own: own::OwnRecord,
    wanted: Wanted,
}

/// Takes discv5's port and checks everything that can be wrong in the configuration.
pub async fn prepare(config: &Config, keypair: &libp2p::identity::Keypair) -> Result<Prepared, Error> {
    let secret = keypair
        .clone()
        .try_into_secp256k1()
        .map_err(|_| Error::Key)?
        .secret()
        .to_bytes();
    let secret = k256::ecdsa::SigningKey::from_slice(&secret).map_err(|_| Error::Key)?;
    let dht = match &config.discv5 {
        Some(discv5) => Some(dht::Bound::new(discv5, config.node.listen.address).await?),
        None => None,
    };
    let trees = config
        .dns_discovery
        .trees
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let fixed = own::Fixed::of(config, dht.as_ref().map(dht::Bound::port));
    let path = match &config.identity {
        Identity::File(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".enr");
            Some(PathBuf::from(name))
        }
        Identity::Given(_) | Identity::Fresh => None,
    };
    let own = own::OwnRecord::new(enr::combined_key(&secret), fixed, path)?;
    let wanted = Wanted {
        cluster: config.node.cluster_id,
        shards: config.node.shards.clone(),
    };
    Ok(Prepared {
        dht,
        trees,
        own,
        wanted,
    })
}

impl Prepared {
    /// Starts looking for peers for the swarm, and for `records` to hand on.
    pub async fn start(
        self,
        config: &Config,
        swarm: Handle,
        records: Records,
        counters: Counters,
    ) -> Result<Discovery, Error> {
        let mut tasks = JoinSet::new();
        let (found, to_start_from) = mpsc::channel(RECORDS_QUEUE);
        let enr_sender = watch::Sender::new(self.own.told(0));
        let enr = enr_sender.subscribe();
        let sink = Sink {
            swarm: swarm.clone(),
            records,
            known: Arc::default(),
            wanted: Arc::new(self.wanted),
        };
        if !self.trees.is_empty() {
            let resolver = dns::Resolver::new(&config.dns_discovery.name_servers)?;
            tasks.spawn(dns::run(resolver, self.trees, sink.clone(), found, counters.clone()));
        }
        if let Some(address) = config.service_peers.peer_exchange.clone() {
            tasks.spawn(exchange::run(swarm.clone(), address, sink.clone()));
        }
        match self.dht {
            Some(bound) => {
                let running = bound.start(self.own, swarm, enr_sender, sink, counters).await?;
                tasks.spawn(running.run(to_start_from));
            }
            // The own record is told to operators all the same.
            None => {
                tasks.spawn(self.own.follow(swarm, enr_sender));
            }
        }
        Ok(Discovery { enr, _tasks: tasks })
    }
}

impl Discovery {
    /// The own record as text.
    pub fn enr(&self) -> watch::Receiver<Told> {
        self.enr.clone()
    }
}

/// Where what was found goes.
#[derive(Clone)]
struct Sink {
    swarm: Handle,
    records: Records,
    known: Arc<Mutex<Known>>,
    wanted: Arc<Wanted>,
}

impl Sink {
    /// Passes on those records that are of use and returns how many that are.
    async fn offer(&self, records: &[enr::Enr], origin: Origin) -> usize {
        let own = self.swarm.info().peer_id;
        let useful: Vec<(&enr::Enr, WakuNode)> = records
            .iter()
            .filter_map(|record| Some((record, WakuNode::of(record).ok()?)))
            .filter(|(_, node)| node.peer != own && self.wanted.wants(node))
            .collect();
        if useful.is_empty() {
            return 0;
        }
        let encoded = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let news = useful.iter().filter(|(record, _)| known.insert(record)).count();
            (news > 0).then(|| known.encoded())
        };
        if let Some(encoded) = encoded {
            self.records.set(encoded);
        }
        let count = useful.len();
        let candidates = useful.into_iter().map(|(_, node)| Candidate {
            peer_id: node.peer,
            addresses: node.addresses.into_iter().filter(is_dialable).collect(),
            shards: node.shards.map(|shards| shards.indices).unwrap_or_default(),
            origin,
        });
        // A node that has stopped has no use for them.
        let _ = self.swarm.discovered(candidates.collect()).await;
        count
    }

    /// Whether the node has few peers.
    fn is_hungry(&self) -> bool {
        self.swarm.status().borrow().connected_peers < ENOUGH_PEERS
    }
}

/// Whether this node has a transport for an address: TCP, plain or with WebSocket or wss, straight to the peer.
fn is_dialable(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    let host = matches!(
        parts.next(),
        Some(Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_))
    );
    let tcp = matches!(parts.next(), Some(Protocol::Tcp(_)));
    let rest: Vec<Protocol<'_>> = parts.collect();
    let transport = matches!(
        rest[..],
        [Protocol::P2p(_)]
            | [Protocol::Ws(_) | Protocol::Wss(_), Protocol::P2p(_)]
            | [Protocol::Tls, Protocol::Ws(_), Protocol::P2p(_)]
    );
    host && tcp && transport
}

/// An address without the `/p2p/` at its end; a circuit's keeps that of the node it goes through.
fn without_peer(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::*;
    use crate::enr::{Capabilities, Shards};

    #[test]
    fn wanted_are_those_with_a_shard_in_common() {
        let node = |cluster, indices: &[u16], bits| WakuNode {
            peer: PeerId::random(),
            addresses: vec![],
            shards: Some(Shards {
                cluster,
                indices: indices.to_vec(),
            }),
            capabilities: Capabilities::from_bits(bits),
        };
        let wanted = Wanted {
            cluster: 16,
            shards: vec![32, 64],
        };
        assert!(wanted.wants(&node(16, &[1, 64], 1)));
        assert!(!wanted.wants(&node(16, &[1], 1)));
        assert!(!wanted.wants(&node(1, &[32], 1)));
        assert!(!wanted.wants(&node(16, &[32], 0)));
        assert!(!wanted.wants(&WakuNode {
            shards: None,
            ..node(16, &[], 1)
        }));
        assert!(
            Wanted {
                cluster: 16,
                shards: vec![]
            }
            .wants(&node(16, &[1], 1))
        );
    }

    #[test]
    fn dialable_is_what_there_is_a_transport_for() {
        let peer = PeerId::random();
        for (address, expected) in [
            ("/ip4/192.0.2.1/tcp/1", true),
            ("/dns4/example.org/tcp/8000/ws", true),
            ("/ip6/::1/tcp/1", true),
            ("/dns4/example.org/tcp/443/wss", true),
            ("/dns4/example.org/tcp/443/tls/ws", true),
            ("/dns4/example.org/tcp/443/tls", false),
            ("/ip4/192.0.2.1/udp/1/quic-v1", false),
            ("/ip4/192.0.2.1/udp/9000", false),
        ] {
            let address: Multiaddr = address.parse().unwrap();
            assert_eq!(is_dialable(&address.with_p2p(peer).unwrap()), expected);
        }
    }
}
