//! Inbound and outbound streams of the request/response protocols, as one libp2p behaviour.
//!
//! libp2p-stream hands inbound streams over a channel without room and resets what does not fit, which ends js-waku's
//! parallel openings. Here a stream is taken when both its peer and the node as a whole have room for one more, and the
//! channel has as many places as the node has streams, so a taken stream always finds a place. Beyond a limit the
//! stream is reset and counted; the connection lives on.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::behaviour::ConnectionEstablished;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{PeerId, Stream, StreamProtocol};
use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::metrics::{Metrics, OpenStreams};
use crate::host::Host;
use crate::labels::count;
use crate::settings::Streams as Limits;

/// Outbound openings that may wait on one connection; more are refused with [`OpenError::Busy`].
const MAX_PENDING_OPENINGS: usize = 64;

/// An inbound stream that has found room.
#[derive(Debug)]
pub struct Inbound {
    pub peer: PeerId,
    pub host: Host,
    pub protocol: StreamProtocol,
    pub stream: Stream,
    pub room: Room,
}

/// The stream's place under its peer's limit and the node's.
#[derive(Debug)]
pub struct Room {
    _mine: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
    /// Of the protocol's open streams.
    open: Gauge,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.open.dec();
    }
}

#[derive(Debug, Error)]
pub enum OpenError {
    #[error("peer is not connected")]
    NotConnected,
    #[error("peer does not speak the protocol")]
    Unsupported,
    #[error("too many streams are being opened to the peer")]
    Busy,
    #[error("connection closed while the stream was opened")]
    Closed,
    #[error("opening the stream: {0}")]
    Io(#[from] io::Error),
}

pub type Opened = oneshot::Sender<Result<Stream, OpenError>>;

#[derive(Debug)]
pub struct Open {
    protocol: StreamProtocol,
    reply: Opened,
}

/// What the handler of a connection is told.
#[derive(Debug)]
pub enum Order {
    Open(Open),
    /// Be polled, and the other protocols' handlers of the connection with it.
    LookAfter,
}

pub struct Behaviour {
    protocols: Arc<[StreamProtocol]>,
    inbound: mpsc::Sender<Inbound>,
    limits: Limits,
    total: Arc<Semaphore>,
    per_peer: HashMap<PeerId, Weak<Semaphore>>,
    connections: HashMap<PeerId, Vec<ConnectionId>>,
    orders: VecDeque<(PeerId, ConnectionId, Order)>,
    /// Connections to peers that had another one already.
    later: Vec<(PeerId, ConnectionId)>,
    waker: Option<Waker>,
    metrics: Metrics,
}

impl Behaviour {
    /// A behaviour that accepts `protocols` and the receiver of what peers open.
    pub fn new(protocols: Vec<StreamProtocol>, limits: Limits, metrics: Metrics) -> (Self, mpsc::Receiver<Inbound>) {
        let (inbound, receiver) = mpsc::channel(limits.total.max(1));
        let behaviour = Self {
            protocols: protocols.into(),
            inbound,
            limits,
            total: Arc::new(Semaphore::new(limits.total)),
            per_peer: HashMap::new(),
            connections: HashMap::new(),
            orders: VecDeque::new(),
            later: Vec::new(),
            waker: None,
            metrics,
        };
        (behaviour, receiver)
    }

    /// Opens a stream on the newest connection to `peer`.
    pub fn open(&mut self, peer: PeerId, protocol: StreamProtocol, reply: Opened) {
        let Some(&connection) = self.connections.get(&peer).and_then(|connections| connections.last()) else {
            let _ = reply.send(Err(OpenError::NotConnected));
            return;
        };
        self.order(peer, connection, Order::Open(Open { protocol, reply }));
    }

    /// Opens a stream on one connection to `peer`.
    pub fn open_on(&mut self, peer: PeerId, connection: ConnectionId, protocol: StreamProtocol, reply: Opened) {
        let known = self.connections.get(&peer);
        if known.is_some_and(|connections| connections.contains(&connection)) {
            self.order(peer, connection, Order::Open(Open { protocol, reply }));
        } else {
            let _ = reply.send(Err(OpenError::NotConnected));
        }
    }

    /// Has every handler of a later connection looked after. gossipsub's (0.50.1) needs it: all connections of a peer share
    /// one queue, and a handler waits for it only once its stream is open, which it opens when it happens to be polled
    /// while something waits. When the first connection ends, say a circuit after its hole was punched, envelopes would
    /// wait for the next ping, and are dropped after 5 s.
    pub fn look_after_later(&mut self) {
        for (peer, connection) in self.later.clone() {
            self.order(peer, connection, Order::LookAfter);
        }
    }

    fn order(&mut self, peer: PeerId, connection: ConnectionId, order: Order) {
        self.orders.push_back((peer, connection, order));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn handler(&mut self, peer: PeerId, host: Host) -> Handler {
        let known = self.per_peer.get(&peer).and_then(Weak::upgrade);
        let room = known.unwrap_or_else(|| {
            let room = Arc::new(Semaphore::new(self.limits.per_peer));
            self.per_peer.insert(peer, Arc::downgrade(&room));
            room
        });
        Handler {
            peer,
            host,
            protocols: self.protocols.clone(),
            inbound: self.inbound.clone(),
            room,
            total: self.total.clone(),
            open: VecDeque::new(),
            metrics: self.metrics.clone(),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer, Host::of(remote, Some(local))))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer, Host::of(remote, None)))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                other_established,
                ..
            }) => {
                if other_established > 0 {
                    self.later.push((peer_id, connection_id));
                }
                self.connections.entry(peer_id).or_default().push(connection_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id, connection_id, ..
            }) => {
                self.later.retain(|&(_, known)| known != connection_id);
                if let Some(connections) = self.connections.get_mut(&peer_id) {
                    connections.retain(|&known| known != connection_id);
                    if connections.is_empty() {
                        self.connections.remove(&peer_id);
                    }
                }
                // A stream in service holds its semaphore by a permit, so a live peer's entry stays.
                self.per_peer.retain(|_, room| room.strong_count() > 0);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((peer_id, connection, event)) = self.orders.pop_front() {
            return Poll::Ready(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::One(connection),
                event,
            });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

pub struct Handler {
    peer: PeerId,
    host: Host,
    protocols: Arc<[StreamProtocol]>,
    inbound: mpsc::Sender<Inbound>,
    room: Arc<Semaphore>,
    total: Arc<Semaphore>,
    open: VecDeque<Open>,
    metrics: Metrics,
}

impl Handler {
    fn take(&self, stream: Stream, protocol: StreamProtocol) {
        let Ok(mine) = self.room.clone().try_acquire_owned() else {
            return count(&self.metrics.streams_refused, "peer_limit");
        };
        let Ok(shared) = self.total.clone().try_acquire_owned() else {
            return count(&self.metrics.streams_refused, "total_limit");
        };
        let label = OpenStreams {
            direction: "In",
            protocol: protocol.as_ref().to_owned(),
        };
        let open = self.metrics.open_streams.get_or_create(&label).clone();
        open.inc();
        let inbound = Inbound {
            peer: self.peer,
            host: self.host,
            protocol,
            stream,
            room: Room {
                _mine: mine,
                _shared: shared,
                open,
            },
        };
        if self.inbound.try_send(inbound).is_err() {
            // Only when the node is going down: the channel has a place for every permit.
            count(&self.metrics.streams_refused, "closing");
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Order;
    type ToBehaviour = Infallible;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Opened;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, ()> {
        SubstreamProtocol::new(
            Upgrade {
                protocols: self.protocols.clone(),
            },
            (),
        )
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        match self.open.pop_front() {
            Some(Open { protocol, reply }) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(
                    Upgrade {
                        protocols: Arc::new([protocol]),
                    },
                    reply,
                ),
            }),
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, order: Order) {
        // That it came is all there is to the other.
        let Order::Open(open) = order else { return };
        if self.open.len() >= MAX_PENDING_OPENINGS {
            let _ = open.reply.send(Err(OpenError::Busy));
        } else {
            self.open.push_back(open);
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) => {
                self.take(stream, protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info,
            }) => {
                let _ = info.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => OpenError::Io(io::ErrorKind::TimedOut.into()),
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Io(error) => OpenError::Io(error),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                let _ = info.send(Err(error));
            }
            _ => {}
        }
    }
}

/// Takes the negotiated stream as it is.
#[derive(Clone, Debug)]
pub struct Upgrade {
    protocols: Arc<[StreamProtocol]>,
}

impl UpgradeInfo for Upgrade {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        Vec::from(self.protocols.as_ref()).into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
