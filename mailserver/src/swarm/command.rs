//! What the swarm's task is asked to do. Each command has its reply, and the queue has its bound.

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use thiserror::Error;
use tokio::sync::oneshot;

use super::status::{Candidate, Origin, PeerInfo};
use super::streams::OpenError;

/// The node has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// Why relay sent a message to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RelayError {
    #[error("relay is not mounted")]
    NotMounted,
    #[error("relay queues to all peers are full")]
    Busy,
    #[error("larger than relay takes")]
    TooLarge,
    #[error("{0}")]
    Failed(String),
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

/// Who hears what came of a dial.
pub(super) type ConnectReply = oneshot::Sender<Result<PeerId, ConnectError>>;

#[derive(Debug)]
pub(crate) enum Command {
    /// Has relay send a message.
    Relay {
        topic: String,
        data: Vec<u8>,
        reply: oneshot::Sender<Result<usize, RelayError>>,
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
        reply: ConnectReply,
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
