//! The one way into the running node, cheap to clone: bounded commands to the task that owns the swarm, each with a
//! reply, and two outlets, the node's status and every envelope it takes in.
//!
//! When the command queue is full the caller waits; when the node has stopped it gets [`Stopped`]. A reader of
//! envelopes that falls behind loses the oldest and is told how many (`broadcast::error::RecvError::Lagged`).

use std::sync::Arc;
use std::time::Duration;

use archive::{Envelope, MessageHash};
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use prost::Message;
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::exchange::{RequestError, exchange};
use crate::archivist::Archivist;
use crate::counters::Counters;
use crate::protocols::{LIGHT_PUSH, LIGHT_PUSH_LEGACY, PEER_EXCHANGE, STORE, filter, peer_exchange, store};
use crate::streams::OpenError;
use crate::topics::Sharding;
use crate::wire::WakuMessage;
use crate::wire::filter::{FilterSubscribeRequest, FilterSubscribeResponse};
use crate::wire::light_push::{LightPushRequest, LightPushResponse, PushRpc};
use crate::wire::peer_exchange::{PeerExchangeQuery, PeerExchangeResponse, PeerExchangeRpc};
use crate::wire::store::{StoreQueryRequest, StoreQueryResponse};

/// What an answer may be longer than the envelopes in it.
const MAX_OVERHEAD_BYTES: usize = 64 * 1024;

/// An envelope the node took in, by whatever way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub envelope: Envelope,
    pub hash: MessageHash,
    pub ephemeral: bool,
    pub source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Relay(PeerId),
    LightPush(PeerId),
    /// A filter service this node is subscribed to.
    FilterPush(PeerId),
    /// Another node's store, after downtime.
    Resume(PeerId),
    /// Another node's store, by comparison.
    Sync(PeerId),
    /// REST on this machine.
    Local,
}

/// What an operator or a health check asks first. It is as it was left by whatever was asked of the node and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Grows with every change.
    pub revision: u64,
    pub phase: Phase,
    /// With `/p2p/ID`, loopback last.
    pub listen_addresses: Vec<Multiaddr>,
    /// Confirmed or configured as reachable from outside.
    pub external_addresses: Vec<Multiaddr>,
    pub connected_peers: usize,
    /// Subscribed pubsub topics and the peers in each one's mesh.
    pub meshes: Vec<(String, usize)>,
    /// The shards of its cluster that the node is on, ascending.
    pub shards: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Listening,
    Draining,
}

/// What never changes while the node runs.
#[derive(Clone, Debug)]
pub struct Info {
    pub peer_id: PeerId,
    pub agent: String,
    pub cluster_id: u16,
    pub sharding: Sharding,
    pub services: crate::node::settings::Services,
    pub max_message_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// How the node came to know a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It connected to us.
    Unknown,
    Static,
    /// By `connect`, that is by REST.
    Admin,
    Discv5,
    Dns,
    PeerExchange,
}

/// A peer the node is connected to or knows how to reach.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    pub peer_id: PeerId,
    pub addresses: Vec<Multiaddr>,
    /// Absent when not connected.
    pub direction: Option<Direction>,
    pub origin: Origin,
    /// From identify.
    pub agent: Option<String>,
    pub protocols: Vec<StreamProtocol>,
    /// From metadata.
    pub shards: Vec<u16>,
    /// Pubsub topics the peer is subscribed to.
    pub relay_topics: Vec<String>,
    /// Pubsub topics in whose mesh the peer is.
    pub mesh_topics: Vec<String>,
    pub score: Option<f64>,
    /// The last ping.
    pub latency: Option<Duration>,
}

/// A node that discovery found and this one might connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub peer_id: PeerId,
    pub addresses: Vec<Multiaddr>,
    /// Empty when not known.
    pub shards: Vec<u16>,
    pub origin: Origin,
}

/// The node has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// An envelope that was taken: by so many relay peers, into the archive, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    pub hash: MessageHash,
    /// Peers subscribed to the topic when it was handed to relay; 0 when there were none.
    pub relay_peers: usize,
    pub stored: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    #[error("not subscribed to pubsub topic {0}")]
    UnknownTopic(String),
    #[error("message size exceeded maximum of {max_bytes} bytes")]
    TooLarge { bytes: usize, max_bytes: usize },
    #[error("invalid message: {0}")]
    Invalid(String),
    /// Neither a relay peer nor the archive took it.
    #[error("no peers for topic, and not stored: {not_stored}")]
    NoPeers { not_stored: &'static str },
    #[error("relay is not mounted")]
    NoRelay,
    #[error("relay queues to all peers are full")]
    Busy,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("{0} names no peer: /p2p/ID is missing")]
    NoPeerId(Multiaddr),
    #[error("dialling {address}: {reason}")]
    Dial { address: Multiaddr, reason: String },
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

#[derive(Debug)]
pub(crate) enum Command {
    Publish {
        topic: String,
        message: WakuMessage,
        source: Source,
        reply: oneshot::Sender<Result<Published, PublishError>>,
    },
    Subscribe {
        topic: String,
        reply: oneshot::Sender<()>,
    },
    Unsubscribe {
        topic: String,
        reply: oneshot::Sender<()>,
    },
    Connect {
        address: Multiaddr,
        origin: Origin,
        reply: oneshot::Sender<Result<PeerId, ConnectError>>,
    },
    Disconnect {
        peer: PeerId,
        reason: &'static str,
    },
    Open {
        peer: PeerId,
        protocol: StreamProtocol,
        reply: oneshot::Sender<Result<Stream, OpenError>>,
    },
    /// The same on one of its connections.
    OpenOn {
        peer: PeerId,
        connection: ConnectionId,
        protocol: StreamProtocol,
        reply: oneshot::Sender<Result<Stream, OpenError>>,
    },
    Peers {
        reply: oneshot::Sender<Vec<PeerInfo>>,
    },
    /// Answered when the peer has said what it is and speaks.
    Identified {
        peer: PeerId,
        reply: oneshot::Sender<()>,
    },
    /// What discovery found.
    Discovered {
        candidates: Vec<Candidate>,
    },
    /// A peer's shards, from metadata.
    Shards {
        peer: PeerId,
        shards: Vec<u16>,
    },
    /// Metadata was not answered on this connection.
    Unanswered {
        peer: PeerId,
        connection: ConnectionId,
    },
    /// Addresses that the router leads to us from now on, and that it no longer does.
    Mapped {
        fresh: Vec<Multiaddr>,
        gone: Vec<Multiaddr>,
    },
    Stop,
}

#[derive(Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) received: broadcast::Sender<Arc<Received>>,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) info: Arc<Info>,
    pub(crate) store: Option<store::Server>,
    pub(crate) filter: Option<filter::Registry>,
    pub(crate) filter_client: filter::client::Client,
    pub(crate) archivist: Option<Archivist>,
    pub(crate) records: peer_exchange::Records,
    pub(crate) counters: Counters,
}

/// An archive has nothing to show.
impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Handle {
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The latest status; clone the receiver to wait for changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Every envelope from now on.
    pub fn received(&self) -> broadcast::Receiver<Arc<Received>> {
        self.received.subscribe()
    }

    /// This node's own store, when it keeps an archive.
    pub fn store(&self) -> Option<&store::Server> {
        self.store.as_ref()
    }

    /// Who is subscribed to this node's filter, when it serves one.
    pub fn filter(&self) -> Option<&filter::Registry> {
        self.filter.as_ref()
    }

    /// The node records that peer exchange hands on.
    pub fn records(&self) -> &peer_exchange::Records {
        &self.records
    }

    /// Asks a connected peer for node records (RLP).
    pub async fn peer_exchange(&self, peer: PeerId, num_peers: u64) -> Result<PeerExchangeResponse, RequestError> {
        let query = Some(PeerExchangeQuery {
            num_peers: Some(num_peers),
        });
        let rpc = PeerExchangeRpc { query, response: None };
        let answer: PeerExchangeRpc = self.request(peer, PEER_EXCHANGE, &rpc, MAX_OVERHEAD_BYTES).await?;
        Ok(answer.response.unwrap_or_default())
    }

    /// What other nodes' filters push to this one.
    pub fn pushed(&self) -> broadcast::Receiver<Arc<Received>> {
        self.filter_client.pushed()
    }

    /// Asks a connected peer for its filter's service.
    pub async fn filter_request(
        &self,
        peer: PeerId,
        request: &FilterSubscribeRequest,
    ) -> Result<FilterSubscribeResponse, RequestError> {
        self.filter_client.request(self, peer, request).await
    }

    /// Asks a connected peer's store.
    pub async fn store_query(
        &self,
        peer: PeerId,
        request: &StoreQueryRequest,
    ) -> Result<StoreQueryResponse, RequestError> {
        // nwaku allows a page of the largest envelopes (`waku_store/rpc_codec.nim`).
        let max_bytes = archive::MAX_PAGE * self.info.max_message_bytes + MAX_OVERHEAD_BYTES;
        self.request(peer, STORE, request, max_bytes).await
    }

    /// Has a connected peer publish.
    pub async fn light_push(
        &self,
        peer: PeerId,
        request: &LightPushRequest,
    ) -> Result<LightPushResponse, RequestError> {
        self.request(peer, LIGHT_PUSH, request, MAX_OVERHEAD_BYTES).await
    }

    /// The same in 2.0.0-beta1.
    pub async fn light_push_legacy(&self, peer: PeerId, request: &PushRpc) -> Result<PushRpc, RequestError> {
        self.request(peer, LIGHT_PUSH_LEGACY, request, MAX_OVERHEAD_BYTES).await
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Publishes on relay and stores. A `timestamp` that is absent or 0 is set to now.
    pub async fn publish(
        &self,
        topic: String,
        message: WakuMessage,
        source: Source,
    ) -> Result<Published, PublishError> {
        self.ask(|reply| Command::Publish {
            topic,
            message,
            source,
            reply,
        })
        .await?
    }

    /// Subscribes relay to a pubsub topic; done already is no error.
    pub async fn subscribe(&self, topic: String) -> Result<(), Stopped> {
        self.ask(|reply| Command::Subscribe { topic, reply }).await
    }

    pub async fn unsubscribe(&self, topic: String) -> Result<(), Stopped> {
        self.ask(|reply| Command::Unsubscribe { topic, reply }).await
    }

    /// Dials `address`, which ends in `/p2p/ID`, unless the peer is connected.
    pub async fn connect(&self, address: Multiaddr, origin: Origin) -> Result<PeerId, ConnectError> {
        self.ask(|reply| Command::Connect { address, origin, reply }).await?
    }

    /// Waits until a connected peer has said what it is and which protocols it speaks, or is gone.
    pub async fn identified(&self, peer: PeerId) {
        // Who drops the reply says that the peer is gone, or the node.
        let _ = self.ask(|reply| Command::Identified { peer, reply }).await;
    }

    /// Connected peers and those whose addresses are known.
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Stopped> {
        self.ask(|reply| Command::Peers { reply }).await
    }

    /// Hands over what discovery found: the node dials from it until it has enough peers of its own choosing.
    pub async fn discovered(&self, candidates: Vec<Candidate>) -> Result<(), Stopped> {
        self.commands
            .send(Command::Discovered { candidates })
            .await
            .map_err(|_| Stopped)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.commands.is_closed()
    }

    pub(crate) async fn mapped(&self, fresh: Vec<Multiaddr>, gone: Vec<Multiaddr>) -> Result<(), Stopped> {
        let command = Command::Mapped { fresh, gone };
        self.commands.send(command).await.map_err(|_| Stopped)
    }

    /// Waits until the node is told to end.
    pub(crate) async fn draining(&self) {
        let mut status = self.status.clone();
        // An error is the end itself.
        let _ = status.wait_for(|status| status.phase == Phase::Draining).await;
    }

    pub async fn disconnect(&self, peer: PeerId, reason: &'static str) -> Result<(), Stopped> {
        self.commands
            .send(Command::Disconnect { peer, reason })
            .await
            .map_err(|_| Stopped)
    }

    /// Says that a connection's other end did not answer metadata.
    pub(crate) async fn unanswered(&self, peer: PeerId, connection: ConnectionId) {
        let _ = self.commands.send(Command::Unanswered { peer, connection }).await;
    }

    /// What a peer's metadata said.
    pub(crate) async fn shards(&self, peer: PeerId, shards: Vec<u16>) {
        let _ = self.commands.send(Command::Shards { peer, shards }).await;
    }

    /// Opens a stream to a connected peer.
    pub async fn open(&self, peer: PeerId, protocol: StreamProtocol) -> Result<Stream, RequestError> {
        Ok(self.ask(|reply| Command::Open { peer, protocol, reply }).await??)
    }

    /// One request and its answer on a stream of its own, within ten seconds.
    pub async fn request<Request, Response>(
        &self,
        peer: PeerId,
        protocol: StreamProtocol,
        request: &Request,
        max_response_bytes: usize,
    ) -> Result<Response, RequestError>
    where
        Request: Message,
        Response: Message + Default,
    {
        exchange(self.open(peer, protocol), request, max_response_bytes).await
    }

    /// The same on one of the peer's connections.
    pub(crate) async fn request_on<Request, Response>(
        &self,
        (peer, connection): (PeerId, ConnectionId),
        protocol: StreamProtocol,
        request: &Request,
        max_response_bytes: usize,
    ) -> Result<Response, RequestError>
    where
        Request: Message,
        Response: Message + Default,
    {
        let opening = async {
            let open = |reply| Command::OpenOn {
                peer,
                connection,
                protocol,
                reply,
            };
            Ok(self.ask(open).await??)
        };
        exchange(opening, request, max_response_bytes).await
    }

    /// Ends the node; [`super::Running::stopped`] says when it is done.
    pub async fn stop(&self) {
        let _ = self.commands.send(Command::Stop).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
