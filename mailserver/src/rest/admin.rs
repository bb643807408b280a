//! `/admin/v1`: the node's peers and log level (nwaku `rest_api/endpoint/admin/handlers.nim`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use serde::Serialize;

use super::{
    answer::{self, Answer, Refusal, bad_request, unavailable},
    api::{Api, peer_address},
};
use crate::{
    config::values,
    protocols::{
        filter::wire::{FILTER_PUSH, FILTER_SUBSCRIBE},
        light_push::wire::{LIGHT_PUSH, LIGHT_PUSH_LEGACY},
        store::wire::STORE,
        sync::wire::{RECONCILIATION, TRANSFER},
    },
    swarm::{Origin, PeerInfo},
    topics::Shard,
};

/// How long a peer that was asked for may take to say what it is.
const IDENTIFY_PATIENCE: Duration = Duration::from_secs(3);

const RELAY: StreamProtocol = StreamProtocol::new("/vac/waku/relay/2.0.0");
const PEER_EXCHANGE: StreamProtocol = StreamProtocol::new("/vac/waku/peer-exchange/2.0.0-alpha1");

/// In the order in which nwaku lists them.
static SERVICES: [StreamProtocol; 8] = [
    RELAY,
    FILTER_SUBSCRIBE,
    STORE,
    LIGHT_PUSH_LEGACY,
    LIGHT_PUSH,
    PEER_EXCHANGE,
    RECONCILIATION,
    TRANSFER,
];
static COUNTED: [StreamProtocol; 8] = [
    RELAY,
    FILTER_SUBSCRIBE,
    FILTER_PUSH,
    STORE,
    LIGHT_PUSH,
    LIGHT_PUSH_LEGACY,
    PEER_EXCHANGE,
    RECONCILIATION,
];

/// nwaku's `Connectedness`, as far as this node tells peers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Connectedness {
    NotConnected,
    Connected,
}

/// A peer in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Shown {
    multiaddr: String,
    protocols: Vec<String>,
    shards: Vec<u16>,
    connected: Connectedness,
    agent: String,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

impl Shown {
    fn of(peer: &PeerInfo, score: Option<f64>) -> Self {
        let address = peer.addresses.last().cloned().unwrap_or_else(Multiaddr::empty);
        let address = address.with_p2p(peer.peer_id).unwrap_or_else(|address| address);
        Self {
            multiaddr: address.to_string(),
            protocols: peer.protocols.iter().map(ToString::to_string).collect(),
            shards: peer.shards.clone(),
            connected: if is_connected(peer) {
                Connectedness::Connected
            } else {
                Connectedness::NotConnected
            },
            agent: peer.agent.clone().unwrap_or_default(),
            origin: origin(peer.origin),
            score,
        }
    }
}

/// nwaku's `PeerOrigin`.
fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Unknown | Origin::Admin => "UnknownOrigin",
        Origin::Static => "Static",
        Origin::Discv5 => "Discv5",
        Origin::Dns => "Dns",
        Origin::PeerExchange => "PeerExchange",
    }
}

fn is_connected(peer: &PeerInfo) -> bool {
    peer.direction.is_some()
}

#[derive(Debug, Serialize)]
struct OnShard {
    shard: u16,
    peers: Vec<Shown>,
}

async fn peers_of(api: &Api) -> Result<Vec<PeerInfo>, Refusal> {
    let mut peers = api
        .node
        .swarm()
        .peers()
        .await
        .map_err(|_| unavailable("the node has stopped"))?;
    peers.sort_by_key(|peer| peer.peer_id);
    Ok(peers)
}

fn all(peers: &[PeerInfo]) -> Vec<Shown> {
    peers.iter().map(|peer| Shown::of(peer, None)).collect()
}

pub(super) async fn peers(State(api): State<Arc<Api>>) -> Answer {
    Ok(answer::json(StatusCode::OK, &all(&peers_of(&api).await?)))
}

pub(super) async fn connect(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    let given: Vec<String> =
        answer::decode(&headers, &bytes).map_err(|error| bad_request(format!("Failed to decode request: {error}")))?;
    for (index, text) in given.iter().enumerate() {
        let address =
            peer_address(text).map_err(|error| bad_request(format!("Couldn't parse remote peer info: {error}")))?;
        let peer = api
            .node
            .swarm()
            .connect(address, Origin::Admin)
            .await
            .map_err(|error| {
                tracing::debug!(%error, "connecting at request");
                bad_request(format!("Failed to connect to peer at index: {index} - {text}"))
            })?;
        // nwaku has a new peer say what it is before it calls it connected. One that doesn't is connected all the same.
        let _ = tokio::time::timeout(IDENTIFY_PATIENCE, api.node.swarm().identified(peer)).await;
    }
    Ok(answer::ok())
}

pub(super) async fn peer(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Answer {
    let wanted: PeerId = id
        .parse()
        .map_err(|error| bad_request(format!("Invalid argument:{error}")))?;
    let peers = peers_of(&api).await?;
    let peer = peers.iter().find(|peer| peer.peer_id == wanted);
    let peer = peer.ok_or_else(|| answer::not_found(format!("Peer with ID {id} not found")))?;
    Ok(answer::json(StatusCode::OK, &Shown::of(peer, None)))
}

/// Peers that offer a service, each with the services alone.
pub(super) async fn service_peers(State(api): State<Arc<Api>>) -> Answer {
    let peers = peers_of(&api).await?;
    let shown: Vec<Shown> = peers
        .iter()
        .filter_map(|peer| {
            let offered = SERVICES.iter().filter(|id| peer.protocols.contains(id));
            let protocols: Vec<String> = offered.map(ToString::to_string).collect();
            (!protocols.is_empty()).then(|| Shown {
                protocols,
                ..Shown::of(peer, None)
            })
        })
        .collect();
    Ok(answer::json(StatusCode::OK, &shown))
}

pub(super) async fn connected_peers(State(api): State<Arc<Api>>) -> Answer {
    let mut peers = peers_of(&api).await?;
    peers.retain(is_connected);
    Ok(answer::json(StatusCode::OK, &all(&peers)))
}

pub(super) async fn connected_on_shard(State(api): State<Arc<Api>>, Path(shard): Path<String>) -> Answer {
    let shard = shard_of(&shard)?;
    let mut peers = peers_of(&api).await?;
    peers.retain(|peer| is_connected(peer) && peer.shards.contains(&shard));
    Ok(answer::json(StatusCode::OK, &all(&peers)))
}

fn shard_of(text: &str) -> Result<u16, Refusal> {
    text.parse()
        .map_err(|error| bad_request(format!("Invalid shardId: {error}")))
}

/// Which of a peer's topics count.
#[derive(Debug, Clone, Copy)]
enum By {
    Relay,
    Mesh,
}

impl By {
    fn topics(self, peer: &PeerInfo) -> &[String] {
        match self {
            Self::Relay => &peer.relay_topics,
            Self::Mesh => &peer.mesh_topics,
        }
    }

    fn on_shard(self, api: &Api, peers: &[PeerInfo], shard: u16) -> OnShard {
        let topic = Shard::new(api.node.swarm().info().cluster_id, shard).to_string();
        let peers = peers.iter().filter(|peer| self.topics(peer).contains(&topic));
        OnShard {
            shard,
            peers: peers.map(|peer| Shown::of(peer, peer.score)).collect(),
        }
    }

    /// Every shard that the node is subscribed to.
    fn on_shards(self, api: &Api, peers: &[PeerInfo]) -> Vec<OnShard> {
        let shards: Vec<u16> = api
            .subscribed()
            .iter()
            .filter_map(|topic| topic.parse::<Shard>().ok())
            .map(|s| s.index)
            .collect();
        shards
            .into_iter()
            .map(|shard| self.on_shard(api, peers, shard))
            .collect()
    }

    async fn answer_all(self, api: &Api) -> Answer {
        relay_is_mounted(api)?;
        Ok(answer::json(
            StatusCode::OK,
            &self.on_shards(api, &peers_of(api).await?),
        ))
    }

    async fn answer_one(self, api: &Api, shard: &str) -> Answer {
        let shard = shard_of(shard)?;
        relay_is_mounted(api)?;
        Ok(answer::json(
            StatusCode::OK,
            &self.on_shard(api, &peers_of(api).await?, shard),
        ))
    }
}

fn relay_is_mounted(api: &Api) -> Result<(), Refusal> {
    if api.node.services().relay {
        Ok(())
    } else {
        Err(unavailable("Error: Relay Protocol is not mounted to the node"))
    }
}

pub(super) async fn relay_peers(State(api): State<Arc<Api>>) -> Answer {
    By::Relay.answer_all(&api).await
}

pub(super) async fn relay_on_shard(State(api): State<Arc<Api>>, Path(shard): Path<String>) -> Answer {
    By::Relay.answer_one(&api, &shard).await
}

pub(super) async fn mesh_peers(State(api): State<Arc<Api>>) -> Answer {
    By::Mesh.answer_all(&api).await
}

pub(super) async fn mesh_on_shard(State(api): State<Arc<Api>>, Path(shard): Path<String>) -> Answer {
    By::Mesh.answer_one(&api, &shard).await
}

pub(super) async fn stats(State(api): State<Arc<Api>>) -> Answer {
    type Group = BTreeMap<String, usize>;
    let peers = peers_of(&api).await?;
    let connected = peers.iter().filter(|peer| is_connected(peer)).count();
    let one = |name: &str, count| Group::from([(name.to_owned(), count)]);
    let by_shard = |by: By, total: &str| {
        let mut group: Group = by
            .on_shards(&api, &peers)
            .into_iter()
            .map(|on| (on.shard.to_string(), on.peers.len()))
            .collect();
        group.insert(total.to_owned(), group.values().sum());
        group
    };
    let offering = |id| peers.iter().filter(|peer| peer.protocols.contains(id)).count();
    let stats: BTreeMap<&str, Group> = BTreeMap::from([
        ("Sum", one("Total peers", peers.len())),
        (
            "By Connectedness",
            Group::from([
                ("Connected".to_owned(), connected),
                ("NotConnected".to_owned(), peers.len() - connected),
                ("CannotConnect".to_owned(), 0),
                ("CanConnect".to_owned(), 0),
            ]),
        ),
        ("Relay peers", by_shard(By::Relay, "Total relay peers")),
        ("Mesh peers", by_shard(By::Mesh, "Total mesh peers")),
        (
            "By Protocols",
            COUNTED.iter().map(|id| (id.to_string(), offering(id))).collect(),
        ),
    ]);
    Ok(answer::json(StatusCode::OK, &stats))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscriber {
    peer_id: String,
    filter_criteria: Vec<Criterion>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Criterion {
    pubsub_topic: String,
    content_topic: String,
}

/// Who is subscribed to this node's filter.
pub(super) async fn filter_subscriptions(State(api): State<Arc<Api>>) -> Answer {
    let registry = api
        .node
        .filter()
        .ok_or_else(|| bad_request("Error: Filter Protocol is not mounted to the node"))?;
    let subscribers: Vec<Subscriber> = registry
        .list()
        .into_iter()
        .map(|(peer, criteria)| Subscriber {
            peer_id: peer.to_string(),
            filter_criteria: criteria
                .into_iter()
                .map(|(pubsub_topic, content_topic)| Criterion {
                    pubsub_topic,
                    content_topic,
                })
                .collect(),
        })
        .collect();
    Ok(answer::json(StatusCode::OK, &subscribers))
}

pub(super) async fn log_level(State(api): State<Arc<Api>>, Path(text): Path<String>) -> Answer {
    if text.trim().is_empty() {
        return Err(bad_request("Invalid log-level, it can’t be empty"));
    }
    let level = values::log_level(&text).map_err(|_| {
        bad_request(format!(
            "Invalid log-level: {text}. Please specify one of TRACE, DEBUG, INFO, NOTICE, WARN, ERROR or FATAL"
        ))
    })?;
    (api.set_log_level)(level).map_err(unavailable)?;
    Ok(answer::ok())
}
