//! discv5 with Waku's protocol id (RFC 33/WAKU2-DISCV5): looks for nodes, and says where this one is.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ::enr::NodeId;
use discv5::{ConfigBuilder, Discv5, Event, ListenConfig, ProtocolIdentity, RateLimiterBuilder};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, watch},
};

use super::{
    Counters, Error, Sink,
    own::{OwnRecord, Told},
};
use crate::{
    config::Discv5 as Settings,
    enr::{self, Enr},
    labels::count,
    ports::BindError,
    swarm::{Handle, Origin, Phase, Status},
};

/// nwaku `logos_delivery.nimble` and go-waku `discv5/discover.go`; Ethereum's is `discv5`.
const PROTOCOL: ProtocolIdentity = ProtocolIdentity {
    protocol_id: *b"d5waku",
    protocol_version: [0, 1],
};
/// Between lookups while peers are few, and when they are enough.
const LOOKUP_HUNGRY: Duration = Duration::from_secs(5);
const LOOKUP_FED: Duration = Duration::from_secs(60);
/// Unasked-for packets a second: of all, of one node, of one address. Beyond, they are dropped.
const PACKETS_ALL: u64 = 200;
const PACKETS_NODE: u64 = 30;
const PACKETS_IP: u64 = 60;
const BAN: Duration = Duration::from_secs(60);
const EVERY_SECOND: Duration = Duration::from_secs(1);

/// discv5's socket, taken, and the nodes to start from.
pub(super) struct Bound {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    bootstrap: Vec<Enr>,
    settings: Settings,
}

impl Bound {
    pub(super) async fn new(settings: &Settings, listen: IpAddr) -> Result<Self, Error> {
        let read = |text: &String| {
            enr::parse(text).map_err(|reason| Error::Bootstrap {
                text: text.chars().take(400).collect(),
                reason,
            })
        };
        let bootstrap = settings.bootstrap.iter().map(read).collect::<Result<_, _>>()?;
        let (flag, port) = ("discv5-udp-port", settings.udp_port);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse {
                flag,
                address: listen,
                port,
            },
            _ => BindError::Other {
                flag,
                address: listen,
                port,
                source,
            },
        };
        let socket = UdpSocket::bind(SocketAddr::new(listen, port)).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self {
            socket: Arc::new(socket),
            address,
            bootstrap,
            settings: settings.clone(),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) async fn start(
        self,
        own: OwnRecord,
        swarm: Handle,
        enr: watch::Sender<Told>,
        sink: Sink,
        counters: Counters,
    ) -> Result<Running, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Discv5(error.to_string());
        let mut discv5 = Discv5::new(own.record().clone(), own.key(), self.config()).map_err(|error| failed(&error))?;
        discv5.start().await.map_err(|error| failed(&format!("{error:?}")))?;
        let events = discv5
            .event_stream()
            .await
            .map_err(|error| failed(&format!("{error:?}")))?;
        tracing::info!(address = %self.address, bootstrap = self.bootstrap.len(), "discv5 listening");
        let running = Running {
            discv5,
            events,
            own,
            swarm,
            enr,
            sink,
            counters,
        };
        self.bootstrap.into_iter().for_each(|record| running.learn(record));
        Ok(running)
    }

    fn config(&self) -> discv5::Config {
        let socket = Some(self.socket.clone());
        let listen = match self.address {
            SocketAddr::V4(_) => ListenConfig::FromSockets {
                ipv4: socket,
                ipv6: None,
            },
            SocketAddr::V6(_) => ListenConfig::FromSockets {
                ipv4: None,
                ipv6: socket,
            },
        };
        let mut builder = ConfigBuilder::new(listen);
        builder
            .protocol_identity(PROTOCOL)
            .enable_packet_filter()
            .ban_duration(Some(BAN));
        let limiter = RateLimiterBuilder::new()
            .total_n_every(PACKETS_ALL, EVERY_SECOND)
            .node_n_every(PACKETS_NODE, EVERY_SECOND)
            .ip_n_every(PACKETS_IP, EVERY_SECOND)
            .build();
        // The limits are constants; a builder that refuses them leaves discv5's own, which are lower.
        if let Ok(limiter) = limiter {
            builder.filter_rate_limiter(Some(limiter));
        }
        if self.settings.limit_table || self.settings.limit_bucket {
            builder.ip_limit();
        }
        if !self.settings.enr_auto_update {
            builder.disable_enr_update();
        }
        builder.build()
    }
}

pub(super) struct Running {
    discv5: Discv5,
    events: mpsc::Receiver<Event>,
    own: OwnRecord,
    swarm: Handle,
    enr: watch::Sender<Told>,
    sink: Sink,
    counters: Counters,
}

impl Running {
    /// Runs until discv5 or the node ends. `records` are further nodes to start from.
    pub(super) async fn run(mut self, mut records: mpsc::Receiver<Enr>) {
        let mut status = self.swarm.status();
        let mut lookup = Box::pin(self.discv5.find_node(NodeId::random()));
        let mut wait = None;
        let mut records_open = true;
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::SocketUpdated(address)) => self.moved(address),
                    // Also what lookups see on their way counts as found.
                    Some(Event::Discovered(record) | Event::SessionEstablished(record, _)) => self.found(&[record]).await,
                    Some(_) => {}
                    None => break,
                },
                changed = status.changed() => match changed {
                    Ok(()) => self.follow(&mut status),
                    Err(_) => break,
                },
                record = records.recv(), if records_open => match record {
                    Some(record) => self.learn(record),
                    None => records_open = false,
                },
                // Between lookups there is a pause to be waited for instead.
                () = pause(wait), if wait.is_some() => {
                    wait = None;
                    lookup = Box::pin(self.discv5.find_node(NodeId::random()));
                }
                result = &mut lookup, if wait.is_none() => {
                    match result {
                        Ok(found) => self.found(&found).await,
                        Err(error) => {
                            tracing::debug!(?error, "discv5 lookup");
                            count(&self.counters.errors, "peer_disc_failure");
                        }
                    }
                    let table = self.discv5.table_entries_enr();
                    self.sink.offer(&table, Origin::Discv5).await;
                    self.counters.table_nodes.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
                    let pause = if self.sink.is_hungry() { LOOKUP_HUNGRY } else { LOOKUP_FED };
                    wait = Some(tokio::time::Instant::now() + pause);
                }
            }
        }
        self.discv5.shutdown();
    }

    /// A node to ask.
    fn learn(&self, record: Enr) {
        if record.public_key() == self.own.record().public_key() {
            return;
        }
        if let Err(reason) = self.discv5.add_enr(record) {
            tracing::debug!(reason, "node record not taken into the table");
        }
    }

    async fn found(&self, records: &[Enr]) {
        self.counters.discovered.inc_by(records.len() as u64);
        self.counters
            .usable
            .inc_by(self.sink.offer(records, Origin::Discv5).await as u64);
    }

    /// Peers see us at another address.
    fn moved(&mut self, address: SocketAddr) {
        tracing::info!(%address, "peers see this node");
        self.own.observe(address, self.discv5.local_enr());
        let now = self.swarm.status().borrow().clone();
        self.take_in(&now);
    }

    /// Takes what the node is on, and what it learnt of its addresses, into the record.
    fn follow(&mut self, status: &mut watch::Receiver<Status>) {
        let now = status.borrow_and_update().clone();
        self.take_in(&now);
    }

    fn take_in(&mut self, status: &Status) {
        if status.phase != Phase::Starting && self.own.update(status) {
            *self.discv5.external_enr().write() = self.own.record().clone();
        }
        self.enr.send_replace(self.own.told(status.revision));
    }
}

async fn pause(until: Option<tokio::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
