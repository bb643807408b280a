//! Connections, streams and relay: one task owns the swarm, and a [`Handle`] asks it for things.
//!
//! It knows no protocol but relay. What it is to accept is named at the start, what it learns goes to its [`Observer`], and
//! inbound streams come out of a channel. [`Prepared::bind`] finds a port in use before anything else is started.

mod bandwidth;
mod behaviour;
mod colocation;
pub(crate) mod command;
mod dial;
mod exchange;
mod gossip;
mod handle;
mod held;
pub mod metrics;
mod muxers;
pub(crate) mod observer;
mod peers;
pub mod reach;
pub(crate) mod status;
pub mod streams;
mod task;
mod tls;
mod transport;
mod websocket;
mod yamux;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, ListenerId};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, identity};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use self::command::{ConnectError, RelayError, Stopped};
pub use self::exchange::RequestError;
pub use self::gossip::GossipError;
pub use self::handle::Handle;
pub use self::status::{Candidate, Direction, Info, Origin, PeerInfo, Phase, Status};
pub use self::tls::TlsError;
pub use self::transport::TransportError;

use self::bandwidth::metered::Meter;
use self::behaviour::Behaviour;
use self::command::Command;
use self::metrics::Metrics;
use self::observer::Observer;
use self::peers::Peers;
use self::reach::Reach;
use self::streams::Inbound;
use self::task::{State, Task};
use crate::activity::Activity;
use crate::addresses::websocket;
use crate::ports::BindError;
use crate::settings::{Listen, Nat, Settings};

/// Commands that wait for the swarm's task; when full, callers wait.
const COMMAND_QUEUE: usize = 1024;
/// Phones fall silent for minutes; nwaku closes no idle connection at all.
const IDLE_CONNECTION: Duration = Duration::from_secs(600);

#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Port(#[from] BindError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Relay(#[from] GossipError),
}

/// One of the ports that are listened on.
#[derive(Clone, Copy)]
enum Port {
    Tcp,
    WebSocket,
}

impl Port {
    fn flag(self) -> &'static str {
        match self {
            Self::Tcp => "tcp-port",
            Self::WebSocket => "websocket-port",
        }
    }
}

/// A swarm whose ports are free and whose certificate is good, and that runs when it is started.
pub(crate) struct Prepared {
    transport: Boxed<(PeerId, StreamMuxerBox)>,
    circuit: libp2p::relay::client::Behaviour,
    public_key: identity::PublicKey,
    handle: Handle,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<Status>,
    metrics: Metrics,
    activity: Activity,
}

impl Prepared {
    /// Checks what can go wrong before anything is started.
    pub(crate) fn bind(
        settings: &Settings,
        keypair: &identity::Keypair,
        metrics: Metrics,
        activity: Activity,
    ) -> Result<Self, StartError> {
        drop(probes(&settings.listen)?);
        let meter = Meter::new(&metrics, &activity, settings.limits.bandwidth_kib_per_sec);
        let tls = settings.listen.websocket_tls.as_ref();
        let (transport, circuit) = transport::build(keypair, tls, meter)?;
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let (status, status_receiver) = watch::channel(Status {
            revision: 0,
            phase: Phase::Starting,
            listen_addresses: Vec::new(),
            external_addresses: settings.external_addresses.clone(),
            connected_peers: 0,
            meshes: Vec::new(),
            shards: settings.shards.clone(),
        });
        let info = Info {
            peer_id: keypair.public().to_peer_id(),
            agent: settings.agent.clone(),
            cluster_id: settings.cluster_id,
            sharding: settings.sharding,
            max_message_bytes: settings.max_message_bytes,
        };
        Ok(Self {
            transport,
            circuit,
            public_key: keypair.public(),
            handle: Handle::new(commands, status_receiver, Arc::new(info)),
            commands: receiver,
            status,
            metrics,
            activity,
        })
    }

    /// For those who ask; answers come once it is started.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Listens, and runs until [`Handle::stop`]. Streams of the protocols that are accepted come out of the channel.
    pub(crate) fn start(
        self,
        settings: &Settings,
        accepted: Vec<StreamProtocol>,
        observer: Box<dyn Observer>,
    ) -> Result<(JoinHandle<()>, mpsc::Receiver<Inbound>), StartError> {
        let info = self.handle.info();
        let (streams, inbound) = streams::Behaviour::new(accepted, settings.limits.streams, self.metrics.clone());
        let behaviour = Behaviour::new(settings, self.public_key, streams, self.circuit, &self.metrics)?;
        let config = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_CONNECTION);
        let mut swarm = Swarm::new(self.transport, behaviour, info.peer_id, config);
        let listeners = listen(&mut swarm, &settings.listen)?;
        let known = external_ip_addresses(settings);
        for address in settings.external_addresses.iter().chain(&known) {
            swarm.add_external_address(address.clone());
        }
        let mut task = Task {
            swarm,
            observer,
            commands: self.commands,
            status: self.status,
            cluster_id: settings.cluster_id,
            limits: settings.limits,
            static_nodes: settings.static_nodes.clone(),
            peers: Peers::new(settings.limits.known_peers),
            reach: Reach::new(settings.nat, settings.relay_client, self.handle, self.metrics.clone()),
            metrics: self.metrics,
            activity: self.activity,
            listeners: listeners
                .into_iter()
                .map(|listener| (listener, false))
                .collect::<HashMap<_, _>>(),
            state: State::default(),
        };
        // Before anybody can publish.
        task.serve(&settings.shards);
        Ok((tokio::spawn(task.run()), inbound))
    }
}

/// Where a known outside address leads to: the same ports.
fn external_ip_addresses(settings: &Settings) -> Vec<Multiaddr> {
    let Nat::ExternalIp(ip) = settings.nat else {
        return Vec::new();
    };
    let secure = settings.listen.websocket_tls.is_some();
    ports(&settings.listen)
        .map(|(port, address)| multiaddr(port, SocketAddr::new(ip, address.port()), secure))
        .collect()
}

fn ports(listen: &Listen) -> impl Iterator<Item = (Port, SocketAddr)> {
    let at = |port| SocketAddr::new(listen.address, port);
    let websocket = listen.websocket_port.map(|port| (Port::WebSocket, at(port)));
    std::iter::once((Port::Tcp, at(listen.tcp_port))).chain(websocket)
}

fn multiaddr(port: Port, address: SocketAddr, secure: bool) -> Multiaddr {
    let tcp = Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()));
    match port {
        Port::Tcp => tcp,
        Port::WebSocket => tcp.with(websocket(secure)),
    }
}

/// libp2p listens with SO_REUSEPORT and would share a port with another node, or with our other port; plain binds, all at
/// once, find it taken.
fn probes(listen: &Listen) -> Result<Vec<TcpListener>, BindError> {
    ports(listen)
        .map(|(port, address)| {
            TcpListener::bind(address).map_err(|source| BindError::new(port.flag(), address, source))
        })
        .collect()
}

fn listen(swarm: &mut Swarm<Behaviour>, listen: &Listen) -> Result<Vec<ListenerId>, BindError> {
    let secure = listen.websocket_tls.is_some();
    // The archive was opened since the ports were looked at first.
    drop(probes(listen)?);
    ports(listen)
        .map(|(port, address)| {
            swarm
                .listen_on(multiaddr(port, address, secure))
                .map_err(|error| BindError::new(port.flag(), address, io::Error::other(error)))
        })
        .collect()
}
