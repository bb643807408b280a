//! The one way to the task that owns the swarm, cheap to clone: bounded commands, each with a reply, and the node's status.
//!
//! When the command queue is full the caller waits; when the node has stopped it gets [`Stopped`].

use std::sync::Arc;

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use prost::Message;
use tokio::sync::{mpsc, oneshot, watch};

use super::command::{Command, ConnectError, RelayError, Stopped};
use super::exchange::{RequestError, exchange};
use super::status::{Candidate, Info, Origin, PeerInfo, Phase, Status};

#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
    info: Arc<Info>,
}

impl Handle {
    pub(super) fn new(commands: mpsc::Sender<Command>, status: watch::Receiver<Status>, info: Arc<Info>) -> Self {
        Self { commands, status, info }
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The latest status; clone the receiver to wait for changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Has relay send a message to every connected peer that is subscribed to the topic (flood publish). Returns how many
    /// these are.
    pub(crate) async fn relay(&self, topic: String, data: Vec<u8>) -> Result<usize, RelayError> {
        self.ask(|reply| Command::Relay { topic, data, reply }).await?
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

    /// Ends the node; [`crate::node::Running::stopped`] says when it is done.
    pub async fn stop(&self) {
        let _ = self.commands.send(Command::Stop).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
