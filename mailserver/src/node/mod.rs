//! The node: one task owns the swarm and everything that must not be shared; a [`Handle`] asks it for things.
//!
//! `start` returns once the ports are bound, so that a port in use is an error of the start and not a surprise later.

mod behaviour;
mod colocation;
mod dial;
mod exchange;
pub mod gaps;
mod handle;
mod held;
mod ingest;
pub mod key;
mod metered;
mod muxers;
mod nat;
mod peers;
mod pmp;
pub mod relay;
pub(crate) mod resume;
pub mod settings;
mod sync;
mod task;
mod throttle;
pub mod tls;
mod transport;
mod upnp;
mod websocket;
mod yamux;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Swarm, swarm};
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

pub use self::exchange::RequestError;
pub use self::handle::{
    Candidate, ConnectError, Direction, Handle, Info, Origin, PeerInfo, Phase, PublishError, Published, Received,
    Source, Status, Stopped,
};
pub use self::settings::Settings;

use self::behaviour::Behaviour;
use self::metered::Meter;
use self::resume::Resume;
use self::task::Task;
pub use self::transport::TransportError;
use crate::archivist::{Archivist, Writer};
use crate::counters::Counters;
use crate::intake::gate::Gate;
use crate::protocols::{self, Servers, filter, legacy_store, light_push, metadata, peer_exchange, store};
use crate::topics::Shard;
use crate::{signed, streams};

/// Commands that wait for the swarm's task; when full, callers wait.
const COMMAND_QUEUE: usize = 1024;
/// Envelopes a slow reader may lag behind before it loses the oldest.
const RECEIVED_QUEUE: usize = 1024;
/// Phones fall silent for minutes; nwaku closes no idle connection at all.
const IDLE_CONNECTION: Duration = Duration::from_secs(600);

#[derive(Debug, Error)]
pub enum StartError {
    #[error("port {port} ({flag}) on {address} is in use: stop the program that has it, or choose another --{flag}")]
    PortInUse {
        flag: &'static str,
        address: IpAddr,
        port: u16,
    },
    #[error("cannot listen on {address} port {port} ({flag}): {source}")]
    Listen {
        flag: &'static str,
        address: IpAddr,
        port: u16,
        source: io::Error,
    },
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Relay(#[from] relay::RelayError),
    #[error(transparent)]
    ProtectedShard(#[from] signed::BadKey),
    #[error("opening the archive: {0}")]
    Archive(#[from] archive::Error),
}

/// A started node. Dropping it does not stop the node.
pub struct Running {
    task: JoinHandle<()>,
    archive: Option<(Archivist, Writer)>,
}

impl Running {
    /// Waits until the node has ended after [`Handle::stop`] and the archive is closed.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "node task failed");
        }
        if let Some((archivist, writer)) = self.archive {
            let closed = tokio::task::spawn_blocking(move || {
                archivist.close();
                writer.join();
            });
            if let Err(error) = closed.await {
                tracing::error!(%error, "closing the archive failed");
            }
        }
    }
}

/// Binds the ports, starts the node and returns the way to talk to it.
pub async fn start(settings: Settings, agent: String) -> Result<(Handle, Running), StartError> {
    let peer_id = settings.keypair.public().to_peer_id();
    let counters = Counters::new();
    let (streams, inbound) =
        streams::Behaviour::new(protocols::offered(&settings), settings.limits.streams, counters.clone());
    let (transport, circuit) = transport::build(
        &settings.keypair,
        settings.listen.websocket_tls.as_ref(),
        Meter::new(&counters, settings.limits.bandwidth_kib_per_sec),
    )?;
    let behaviour = Behaviour::new(&settings, &agent, streams, circuit, &counters)?;
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_CONNECTION);
    let mut swarm = Swarm::new(transport, behaviour, peer_id, config);
    let listeners = listen(&mut swarm, &settings.listen)?;
    let known = external_ip_addresses(&settings);
    for address in settings.external_addresses.iter().chain(&known) {
        swarm.add_external_address(address.clone());
    }

    let topics: Vec<String> = settings
        .shards
        .iter()
        .map(|&shard| Shard::new(settings.cluster_id, shard).to_string())
        .collect();
    let ids = settings.sync.map(|_| protocols::sync::Ids::new(topics.clone()));
    let archive = match &settings.archive {
        Some(archive) => Some(Archivist::start(
            archive.dir.clone(),
            archive.retention,
            counters.clone(),
            ids.clone(),
        )?),
        None => None,
    };
    let archivist = archive.as_ref().map(|(archivist, _)| archivist.clone());
    let store = archivist
        .clone()
        .map(|archivist| store::Server::new(archivist, settings.rate_limits.store, counters.clone()));
    let signed = signed::Validator::new(settings.cluster_id, &settings.protected_shards)?;
    let gate = Gate::new(settings.max_message_bytes, signed, archivist.clone(), counters.clone());
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
    let handle = Handle {
        commands,
        received: broadcast::channel(RECEIVED_QUEUE).0,
        status: status_receiver,
        info: Arc::new(Info {
            peer_id,
            agent,
            cluster_id: settings.cluster_id,
            sharding: settings.sharding,
            services: settings.services,
            max_message_bytes: settings.max_message_bytes,
        }),
        store,
        filter: settings
            .services
            .filter
            .then(|| filter::Registry::new(settings.limits.filter)),
        filter_client: filter::client::Client::new(settings.max_message_bytes, gate.clone()),
        archivist,
        records: peer_exchange::Records::default(),
        counters,
    };
    let sync = match (settings.sync, &archive, ids) {
        (Some(sync), Some((archivist, _)), Some(ids)) => {
            let server = protocols::sync::Server::new(handle.clone(), archivist.clone(), ids, sync, gate.clone());
            let archivist = archivist.clone();
            let (handle, topics) = (handle.clone(), topics.clone());
            tokio::spawn(sync::run(handle, archivist, server.clone(), topics, sync.interval));
            Some(server)
        }
        _ => None,
    };
    let metadata = metadata::Server::new(settings.cluster_id, &settings.shards, handle.counters.clone());
    let servers = Servers {
        counters: handle.counters.clone(),
        budgets: protocols::Budgets::default(),
        metadata: metadata.clone(),
        filter_client: handle.filter_client.clone(),
        legacy_store: handle
            .store
            .clone()
            .filter(|_| settings.services.legacy_store)
            .map(legacy_store::Server::new),
        peer_exchange: settings.services.peer_exchange.then(|| {
            let limit = settings.rate_limits.peer_exchange;
            peer_exchange::Server::new(handle.records.clone(), limit, handle.counters.clone())
        }),
        store: handle.store.clone().filter(|_| settings.services.store),
        light_push: settings
            .services
            .light_push
            .then(|| light_push::Server::new(handle.clone(), settings.rate_limits.light_push)),
        filter: handle
            .filter
            .clone()
            .map(|registry| filter::Server::start(handle.clone(), registry, settings.rate_limits.filter)),
        sync,
    };
    tokio::spawn(protocols::serve_all(servers, inbound));
    if let (true, Some((archivist, _)), Some(archive)) = (settings.services.store_resume, &archive, &settings.archive) {
        // Before the first envelope of this run is in it.
        let newest = archivist.stats().and_then(|stats| stats.newest).map(i64::from);
        let (handle, archivist) = (handle.clone(), archivist.clone());
        tokio::spawn(
            Resume::new(
                handle,
                archivist,
                gate.clone(),
                topics,
                (&archive.dir, archive.retention),
            )
            .run(newest),
        );
    }
    let task = Task::new(
        swarm,
        listeners,
        receiver,
        status,
        handle.clone(),
        (metadata, gate),
        settings,
    );
    Ok((
        handle,
        Running {
            task: tokio::spawn(task.run()),
            archive,
        },
    ))
}

/// Where a known outside address leads to: the same ports.
fn external_ip_addresses(settings: &Settings) -> Vec<Multiaddr> {
    let settings::Nat::ExternalIp(ip) = settings.nat else {
        return Vec::new();
    };
    let at = |port| Multiaddr::from(ip).with(Protocol::Tcp(port));
    let listen = &settings.listen;
    let websocket = listen
        .websocket_port
        .map(|port| at(port).with(settings::websocket(listen.websocket_tls.is_some())));
    std::iter::once(at(listen.tcp_port)).chain(websocket).collect()
}

fn listen(swarm: &mut Swarm<Behaviour>, listen: &settings::Listen) -> Result<Vec<ListenerId>, StartError> {
    let mut listeners = Vec::new();
    let ports = [
        ("tcp-port", Some(listen.tcp_port)),
        ("websocket-port", listen.websocket_port),
    ];
    for (flag, port) in ports {
        let Some(port) = port else { continue };
        let address = listen.address;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortInUse { flag, address, port },
            _ => StartError::Listen {
                flag,
                address,
                port,
                source,
            },
        };
        // libp2p listens with SO_REUSEPORT and would share the port with another node; a plain bind finds it taken.
        drop(TcpListener::bind(SocketAddr::new(address, port)).map_err(failed)?);
        let mut multiaddr = Multiaddr::from(address).with(Protocol::Tcp(port));
        if flag == "websocket-port" {
            multiaddr.push(settings::websocket(listen.websocket_tls.is_some()));
        }
        listeners.push(
            swarm
                .listen_on(multiaddr)
                .map_err(|error| failed(io::Error::other(error)))?,
        );
    }
    Ok(listeners)
}
