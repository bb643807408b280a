//! The task that owns the swarm: takes commands, turns swarm events into peers, status and envelopes.
//!
//! Nothing here waits: what must (asking a peer, the archive) runs in a task of its own and comes back as a command.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::{self, IdentTopic};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, autonat, identify, ping};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::behaviour::{Behaviour, BehaviourEvent};
use super::dial::ConnectReply;
use super::handle::{Command, Handle, Origin, PeerInfo, Phase, Status};
use super::nat::Reach;
use super::peers::Peers;
use super::relay::{self, GRAYLIST_THRESHOLD};
use super::settings::Settings;
use crate::counters::{Counters, Kind};
use crate::intake::gate::Gate;
use crate::protocols::{filter, metadata};
use crate::topics::Shard;

/// How often status is refreshed and lost static nodes are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Between two attempts at a lost static node, in ticks.
const STATIC_REDIAL_TICKS: u64 = 15;

/// Between two looks for peers to dial and for circuits to reserve, in ticks.
const DISCOVERED_DIAL_TICKS: u64 = 5;
/// Between two looks at relay's scores, in ticks.
const BAD_PEER_TICKS: u64 = 12;
/// Three pings in a row without an answer: libp2p keeps the first to itself. With [`super::settings::Ping`]'s defaults a
/// dead connection is closed after 70 to 100 s (the wait for the ping, 20 s, 30 s, then twice 10 s for a stream).
const REPORTED_MISSES: u32 = 2;
/// How long answers that are being made may take once the node is to end.
const DRAIN: Duration = Duration::from_secs(3);
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// What was answered is in a connection's hands until that connection's own task has run.
const DRAIN_SETTLE: Duration = Duration::from_millis(50);

pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<Status>,
    pub(super) handle: Handle,
    metadata: metadata::Server,
    pub(super) gate: Gate,
    pub(super) distributor: Option<filter::Distributor>,
    pub(super) settings: Settings,
    /// Pubsub topics that relay is subscribed to.
    pub(super) topics: BTreeSet<String>,
    pub(super) peers: Peers,
    pub(super) reach: Reach,
    pub(super) dialling: HashMap<PeerId, Vec<(Multiaddr, ConnectReply)>>,
    /// Who waits until a peer has said what it is.
    identifying: HashMap<PeerId, Vec<oneshot::Sender<()>>>,
    /// Of the ports, and whether each has an address yet.
    listeners: HashMap<ListenerId, bool>,
    ticks: u64,
    /// Messages on topics that are not served, as far as they were counted.
    unserved: u64,
}

impl Task {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        listeners: Vec<ListenerId>,
        commands: mpsc::Receiver<Command>,
        status: watch::Sender<Status>,
        handle: Handle,
        (metadata, gate): (metadata::Server, Gate),
        settings: Settings,
    ) -> Self {
        let counters = handle.counters.clone();
        let distributor = handle
            .filter
            .clone()
            .map(|registry| filter::Distributor::new(registry, counters));
        let peers = Peers::new(settings.limits.known_peers);
        let mut task = Self {
            swarm,
            commands,
            status,
            handle,
            metadata,
            gate,
            distributor,
            settings,
            topics: BTreeSet::new(),
            peers,
            reach: Reach::default(),
            dialling: HashMap::new(),
            identifying: HashMap::new(),
            listeners: listeners.into_iter().map(|listener| (listener, false)).collect(),
            ticks: 0,
            unserved: 0,
        };
        for shard in task.settings.shards.clone() {
            task.subscribe(Shard::new(task.settings.cluster_id, shard).to_string());
        }
        task
    }

    pub(super) async fn run(mut self) {
        let mut tick: Interval = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Stop) | None => break,
                    Some(command) => self.command(command),
                },
                event = self.swarm.select_next_some() => self.event(event),
                _ = tick.tick() => self.tick(),
            }
        }
        self.drain().await;
        tracing::info!(peers = self.peers.connected_count(), "node stopped");
    }

    /// Takes nobody new, waits for the answers that are being made, and lets the router forget its mappings.
    async fn drain(&mut self) {
        self.status.send_modify(|status| status.phase = Phase::Draining);
        for listener in std::mem::take(&mut self.listeners).into_keys() {
            self.swarm.remove_listener(listener);
        }
        let begun = Instant::now();
        let mut busy_at = begun;
        while busy_at.elapsed() < DRAIN_SETTLE && begun.elapsed() < DRAIN {
            tokio::select! {
                Some(command) = self.commands.recv() => self.command(command),
                event = self.swarm.select_next_some() => self.event(event),
                () = tokio::time::sleep(DRAIN_POLL) => {}
            }
            if self.handle.counters.busy() || self.gives_back() {
                busy_at = Instant::now();
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Publish {
                topic,
                message,
                source,
                reply,
            } => self.publish(topic, message, source, reply),
            Command::Subscribe { topic, reply } => {
                self.subscribe(topic);
                self.refresh_status();
                let _ = reply.send(());
            }
            Command::Unsubscribe { topic, reply } => {
                self.unsubscribe(&topic);
                self.refresh_status();
                let _ = reply.send(());
            }
            Command::Connect { address, origin, reply } => self.connect(address, origin, reply),
            Command::Disconnect { peer, reason } => {
                tracing::debug!(%peer, reason, "disconnecting");
                self.peers.unwanted(peer);
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::Identified { peer, reply } => self.identified(peer, reply),
            Command::Unanswered { peer, connection } => self.unanswered(peer, connection),
            Command::OpenOn {
                peer,
                connection,
                protocol,
                reply,
            } => {
                let streams = &mut self.swarm.behaviour_mut().streams;
                streams.open_on(peer, connection, protocol, reply);
            }
            Command::Open { peer, protocol, reply } => self.swarm.behaviour_mut().streams.open(peer, protocol, reply),
            Command::Peers { reply } => {
                let _ = reply.send(self.list_peers());
            }
            Command::Discovered { candidates } => self.discovered(candidates),
            Command::Shards { peer, shards } => self.peers.shards(peer, shards),
            Command::Mapped { fresh, gone } => {
                gone.iter()
                    .for_each(|address| self.swarm.remove_external_address(address));
                fresh.into_iter().for_each(|address| self.lead_in(address));
                self.refresh_status();
            }
            Command::Stop => {}
        }
    }

    fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => self.relay_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                self.peers.identified(peer_id, info.agent_version, info.protocols);
                for reply in self.identifying.remove(&peer_id).unwrap_or_default() {
                    let _ = reply.send(());
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Autonat(autonat::Event::StatusChanged { new, .. })) => {
                self.nat_changed(&new);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result,
            })) => self.pinged(peer, connection, result),
            SwarmEvent::Behaviour(BehaviourEvent::Punch(event)) => self.punched(&event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                if endpoint.is_dialer() {
                    self.handle.counters.dialled("successful");
                }
                if self.peers.connected(peer_id, connection_id, &endpoint) {
                    tracing::debug!(peer = %peer_id, "connected");
                    self.refresh_status();
                }
                tokio::spawn(self.metadata.clone().ask(self.handle.clone(), peer_id, connection_id));
                for (_, reply) in self.dialling.remove(&peer_id).unwrap_or_default() {
                    let _ = reply.send(Ok(peer_id));
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                self.peers.disconnected(peer_id, connection_id);
                if num_established == 0 {
                    self.identifying.remove(&peer_id);
                    self.refresh_status();
                }
            }
            SwarmEvent::Dialing { .. } => {
                self.handle.counters.dial_attempts.inc();
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                self.handle.counters.dialled("failed");
                if let Some(peer) = peer_id {
                    self.dial_failed(peer, &error);
                }
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                tracing::info!(%address, "listening");
                // Circuits are listened on too.
                self.listeners.entry(listener_id).and_modify(|listens| *listens = true);
                self.refresh_status();
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                addresses,
                reason,
            } => {
                if self.listeners.contains_key(&listener_id) {
                    tracing::error!(?addresses, ?reason, "listener closed");
                }
                self.circuit_closed(listener_id);
                self.refresh_status();
            }
            SwarmEvent::ExternalAddrConfirmed { .. } | SwarmEvent::ExternalAddrExpired { .. } => self.refresh_status(),
            _ => {}
        }
    }

    /// Answers once the peer has said what it is, or is gone.
    fn identified(&mut self, peer: PeerId, reply: oneshot::Sender<()>) {
        if self.peers.is_connected(&peer) && !self.peers.is_identified(&peer) {
            let waiting = self.identifying.entry(peer).or_default();
            waiting.retain(|waiting| !waiting.is_closed());
            waiting.push(reply);
        } else {
            let _ = reply.send(());
        }
    }

    /// A connection on which metadata was not answered is of no use. One that is gone says nothing of the peer's others.
    fn unanswered(&mut self, peer: PeerId, connection: ConnectionId) {
        if !self.peers.condemn(peer, connection) {
            return;
        }
        tracing::debug!(%peer, "closing a connection on which metadata was not answered");
        Counters::count(&self.handle.counters.disconnected, "metadata");
        self.swarm.close_connection(connection);
    }

    /// A connection that is dead stays open for a quarter of an hour by TCP's own measure; its pings tell it sooner.
    fn pinged(&mut self, peer: PeerId, connection: ConnectionId, result: Result<Duration, ping::Failure>) {
        match result {
            Ok(latency) => self.peers.answered(peer, connection, latency),
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                if self.peers.missed(peer, connection) < REPORTED_MISSES {
                    return;
                }
                tracing::info!(%peer, %error, "disconnecting a peer that answers no ping");
                Counters::count(&self.handle.counters.disconnected, "ping");
                self.swarm.close_connection(connection);
            }
        }
    }

    fn relay_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                self.relayed(propagation_source, &message_id, message);
            }
            gossipsub::Event::SlowPeer {
                peer_id,
                failed_messages,
            } => {
                tracing::debug!(peer = %peer_id, ?failed_messages, "slow peer");
            }
            gossipsub::Event::FrameTooLarge { peer_id, bytes } => {
                tracing::info!(peer = %peer_id, bytes, "a relay frame is larger than any envelope may be; read past it");
                Counters::count(&self.handle.counters.relay_rejected, "frame_too_large");
            }
            gossipsub::Event::Faulty { peer_id, fault } => {
                tracing::info!(peer = %peer_id, ?fault, "closing a connection that is of no use to relay");
                Counters::count(&self.handle.counters.disconnected, relay::fault_label(fault));
            }
            _ => {}
        }
    }

    fn subscribe(&mut self, topic: String) {
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() {
            let ident = IdentTopic::new(&topic);
            let subscribed = relay
                .set_topic_params(ident.clone(), relay::topic_score_params())
                .map_err(str::to_owned)
                .and_then(|()| relay.subscribe(&ident).map_err(|error| error.to_string()));
            if let Err(error) = subscribed {
                tracing::error!(%topic, %error, "cannot subscribe");
                return;
            }
        }
        if self.topics.insert(topic) {
            self.handle.counters.subscriptions.inc();
        }
        self.announce();
    }

    fn unsubscribe(&mut self, topic: &str) {
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() {
            relay.unsubscribe(&IdentTopic::new(topic));
        }
        if self.topics.remove(topic) {
            self.handle.counters.unsubscriptions.inc();
        }
        self.announce();
    }

    /// The gate and metadata know what is served at this moment.
    fn announce(&mut self) {
        self.gate.serve(&self.topics);
        self.metadata.announce(self.settings.cluster_id, &self.shards());
    }

    /// The shards of our cluster that we are on, ascending.
    fn shards(&self) -> Vec<u16> {
        let served = self.topics.iter().filter_map(|topic| topic.parse::<Shard>().ok());
        let mut shards: Vec<u16> = served
            .filter(|shard| shard.cluster == self.settings.cluster_id)
            .map(|shard| shard.index)
            .collect();
        shards.sort_unstable();
        shards
    }

    fn tick(&mut self) {
        if self.ticks.is_multiple_of(DISCOVERED_DIAL_TICKS) {
            self.dial_discovered();
            self.reserve();
        }
        if self.ticks.is_multiple_of(STATIC_REDIAL_TICKS) {
            for address in self.settings.static_nodes.clone() {
                let (reply, _) = oneshot::channel();
                self.connect(address, Origin::Static, reply);
            }
        }
        if self.ticks.is_multiple_of(BAD_PEER_TICKS) {
            self.disconnect_bad_peers();
        }
        self.ticks += 1;
        self.refresh_status();
        self.map_ports();
        self.offer_circuits();
        self.count_reachability();
        self.count_unserved();
        self.swarm.behaviour_mut().streams.look_after_later();
    }

    fn count_unserved(&mut self) {
        if let Some(relay) = self.swarm.behaviour().relay.as_ref() {
            let label = Kind {
                r#type: "unserved_topic",
            };
            let rejected = self.handle.counters.relay_rejected.get_or_create(&label);
            rejected.inc_by(relay.unserved() - self.unserved);
            self.unserved = relay.unserved();
        }
    }

    /// Whom relay graylists is of no use to anyone here.
    fn disconnect_bad_peers(&mut self) {
        let Some(relay) = self.swarm.behaviour().relay.as_ref() else {
            return;
        };
        let graylisted = |peer: &PeerId| relay.peer_score(peer).is_some_and(|score| score < GRAYLIST_THRESHOLD);
        let bad: Vec<PeerId> = relay.all_peers().map(|(peer, _)| *peer).filter(graylisted).collect();
        for peer in bad {
            tracing::info!(%peer, "disconnecting a graylisted peer");
            Counters::count(&self.handle.counters.disconnected, "score");
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn list_peers(&self) -> Vec<PeerInfo> {
        let mut peers = self.peers.list();
        let Some(relay) = self.swarm.behaviour().relay.as_ref() else {
            return peers;
        };
        let mut topics: HashMap<PeerId, Vec<String>> = relay
            .all_peers()
            .map(|(peer, topics)| (*peer, topics.iter().map(ToString::to_string).collect()))
            .collect();
        for peer in &mut peers {
            peer.relay_topics = topics.remove(&peer.peer_id).unwrap_or_default();
            peer.score = relay.peer_score(&peer.peer_id);
            for topic in &self.topics {
                if relay
                    .mesh_peers(&IdentTopic::new(topic).hash())
                    .any(|member| *member == peer.peer_id)
                {
                    peer.mesh_topics.push(topic.clone());
                }
            }
        }
        peers
    }

    fn refresh_status(&mut self) {
        let peer_id = *self.swarm.local_peer_id();
        let with_peer = |address: &Multiaddr| address.clone().with_p2p(peer_id).unwrap_or_else(|address| address);
        let mut listen_addresses: Vec<Multiaddr> = self.swarm.listeners().map(with_peer).collect();
        listen_addresses.sort_by_key(is_loopback);
        let meshes = match self.swarm.behaviour().relay.as_ref() {
            Some(relay) => self
                .topics
                .iter()
                .map(|topic| (topic.clone(), relay.mesh_peers(&IdentTopic::new(topic).hash()).count()))
                .collect(),
            None => Vec::new(),
        };
        // A port has as many addresses as the machine: those of one say nothing of the other.
        let all_listen = self.listeners.values().all(|listens| *listens);
        let fresh = Status {
            revision: self.status.borrow().revision,
            phase: if self.status.borrow().phase == Phase::Draining {
                Phase::Draining
            } else if all_listen {
                Phase::Listening
            } else {
                Phase::Starting
            },
            listen_addresses,
            external_addresses: self.swarm.external_addresses().map(with_peer).collect(),
            connected_peers: self.peers.connected_count(),
            meshes,
            shards: self.shards(),
        };
        self.status.send_if_modified(|status| {
            let changed = *status != fresh;
            *status = fresh;
            status.revision += u64::from(changed);
            changed
        });
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_loopback(),
        Protocol::Ip6(ip) => ip.is_loopback(),
        _ => false,
    })
}
