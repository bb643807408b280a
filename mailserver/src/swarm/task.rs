//! The task that owns the swarm: takes commands, and turns the swarm's events into peers, status and what the observer is
//! told.
//!
//! Nothing here waits: what must (asking a peer, the archive) runs in a task of its own and comes back as a command.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageId};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, autonat, identify, ping};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::behaviour::{Behaviour, BehaviourEvent};
use super::command::{Command, ConnectReply, RelayError};
use super::dial::{self, Dialler};
use super::gossip;
use super::metrics::Metrics;
use super::observer::{Event, Observer, Verdict};
use super::peers::Peers;
use super::reach::{self, Reach};
use super::status::{Candidate, Origin, PeerInfo, Phase, Status};
use crate::activity::Activity;
use crate::addresses::is_loopback;
use crate::labels::{Kind, count};
use crate::settings::Limits;
use crate::topics::{self, Shard};

/// How often status is refreshed and lost static nodes are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Between two attempts at a lost static node, in ticks.
const STATIC_REDIAL_TICKS: u64 = 15;
/// Between two looks for peers to dial and for circuits to reserve, in ticks.
const DISCOVERED_DIAL_TICKS: u64 = 5;
/// Between two looks at relay's scores, in ticks.
const BAD_PEER_TICKS: u64 = 12;
/// Three pings in a row without an answer: libp2p keeps the first to itself. With [`crate::settings::Ping`]'s defaults a
/// dead connection is closed after 70 to 100 s (the wait for the ping, 20 s, 30 s, then twice 10 s for a stream).
const REPORTED_MISSES: u32 = 2;
/// How long answers that are being made may take once the node is to end.
const DRAIN: Duration = Duration::from_secs(3);
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// What was answered is in a connection's hands until that connection's own task has run.
const DRAIN_SETTLE: Duration = Duration::from_millis(50);

/// What the task is given at its start.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) observer: Box<dyn Observer>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) status: watch::Sender<Status>,
    pub(super) metrics: Metrics,
    /// Ends before the node does.
    pub(super) activity: Activity,
    pub(super) cluster_id: u16,
    pub(super) limits: Limits,
    pub(super) static_nodes: Vec<Multiaddr>,
    pub(super) peers: Peers,
    pub(super) reach: Reach,
    /// Of the ports, and whether each has an address yet.
    pub(super) listeners: HashMap<ListenerId, bool>,
    pub(super) state: State,
}

/// What comes about while it runs.
#[derive(Default)]
pub(super) struct State {
    /// Pubsub topics that relay is subscribed to.
    topics: BTreeSet<String>,
    dialler: Dialler,
    /// Who waits until a peer has said what it is.
    identifying: HashMap<PeerId, Vec<oneshot::Sender<()>>>,
    ticks: u64,
    /// Messages on topics that are not served, as far as they were counted.
    unserved: u64,
}

impl Task {
    /// Subscribes to shards of our cluster and says so.
    pub(super) fn serve(&mut self, shards: &[u16]) {
        for &shard in shards {
            self.subscribe(Shard::new(self.cluster_id, shard).to_string());
        }
    }

    pub(super) async fn run(mut self) {
        let mut tick = interval(TICK);
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
            if !self.activity.is_idle() || self.reach.gives_back() {
                busy_at = Instant::now();
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Relay { topic, data, reply } => {
                let _ = reply.send(self.publish(&topic, data));
            }
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
                count(&self.metrics.disconnected, reason);
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
                for address in &gone {
                    self.swarm.remove_external_address(address);
                }
                for address in fresh {
                    reach::lead_in(&mut self.swarm, address);
                }
                self.refresh_status();
            }
            // The loop ends by it.
            Command::Stop => {}
        }
    }

    // A match over all events.
    fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.connected(peer_id, connection_id, &endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                self.peers.disconnected(peer_id, connection_id);
                if num_established == 0 {
                    self.state.identifying.remove(&peer_id);
                    self.refresh_status();
                }
            }
            SwarmEvent::Dialing { .. } => {
                self.metrics.dial_attempts.inc();
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                self.metrics.dialled("failed");
                if let Some(peer) = peer_id {
                    self.state.dialler.failed(&mut self.peers, peer, &error);
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
                self.reach.circuit_closed(listener_id);
                self.refresh_status();
            }
            SwarmEvent::ExternalAddrConfirmed { .. } | SwarmEvent::ExternalAddrExpired { .. } => self.refresh_status(),
            _ => {}
        }
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        if endpoint.is_dialer() {
            self.metrics.dialled("successful");
        }
        if self.peers.connected(peer, connection, endpoint) {
            tracing::debug!(%peer, "connected");
            self.refresh_status();
        }
        self.observer.happened(Event::Connected { peer, connection });
        self.state.dialler.connected(peer);
    }

    fn behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Relay(event) => self.relay_event(event),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.peers.identified(peer_id, info.agent_version, info.protocols);
                for reply in self.state.identifying.remove(&peer_id).unwrap_or_default() {
                    let _ = reply.send(());
                }
            }
            BehaviourEvent::Autonat(autonat::Event::StatusChanged { new, .. }) => {
                self.reach.changed(&mut self.swarm, &self.peers, &new);
            }
            BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result,
            }) => self.pinged(peer, connection, result),
            BehaviourEvent::Punch(event) => self.reach.punched(&event),
            _ => {}
        }
    }

    fn relay_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => self.relayed(propagation_source, &message_id, &message),
            gossipsub::Event::SlowPeer {
                peer_id,
                failed_messages,
            } => {
                tracing::debug!(peer = %peer_id, ?failed_messages, "slow peer");
            }
            gossipsub::Event::FrameTooLarge { peer_id, bytes } => {
                tracing::info!(peer = %peer_id, bytes, "a relay frame is larger than any envelope may be; read past it");
                count(&self.metrics.relay_rejected, "frame_too_large");
            }
            gossipsub::Event::Faulty { peer_id, fault } => {
                tracing::info!(peer = %peer_id, ?fault, "closing a connection that is of no use to relay");
                count(&self.metrics.disconnected, gossip::fault_label(fault));
            }
            _ => {}
        }
    }

    /// Relay forwards a message only when the observer accepts it.
    fn relayed(&mut self, peer: PeerId, id: &MessageId, message: &gossipsub::Message) {
        let topic = message.topic.as_str();
        self.metrics.relayed(topic, "in", message.data.len());
        let acceptance = match self.observer.relayed(peer, topic, &message.data) {
            Verdict::Accept => {
                self.metrics.validation_success.inc();
                MessageAcceptance::Accept
            }
            Verdict::Ignore(reason) => {
                count(&self.metrics.relay_rejected, reason);
                self.metrics.validation_ignore.inc();
                MessageAcceptance::Ignore
            }
            Verdict::Reject(reason) => {
                count(&self.metrics.relay_rejected, reason);
                self.metrics.validation_failure.inc();
                MessageAcceptance::Reject
            }
        };
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() {
            relay.report_message_validation_result(id, &message.topic, &peer, acceptance);
        }
    }

    fn publish(&mut self, topic: &str, data: Vec<u8>) -> Result<usize, RelayError> {
        let relay = self.swarm.behaviour_mut().relay.as_mut();
        let bytes = data.len();
        let peers = gossip::publish(relay.ok_or(RelayError::NotMounted)?, topic, data)?;
        if peers > 0 {
            self.metrics.relayed(topic, "out", bytes);
        }
        Ok(peers)
    }

    fn subscribe(&mut self, topic: String) {
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut()
            && let Err(error) = gossip::subscribe(relay, &topic)
        {
            tracing::error!(%topic, %error, "cannot subscribe");
            return;
        }
        if self.state.topics.insert(topic) {
            self.metrics.subscriptions.inc();
        }
        self.announce();
    }

    fn unsubscribe(&mut self, topic: &str) {
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() {
            relay.unsubscribe(&IdentTopic::new(topic));
        }
        if self.state.topics.remove(topic) {
            self.metrics.unsubscriptions.inc();
        }
        self.announce();
    }

    fn announce(&mut self) {
        let topics = self.state.topics.iter().cloned().collect();
        let shards = self.shards();
        self.observer.happened(Event::Serving { topics, shards });
    }

    fn shards(&self) -> Vec<u16> {
        topics::shards_of(self.cluster_id, self.state.topics.iter())
    }

    fn connect(&mut self, address: Multiaddr, origin: Origin, reply: ConnectReply) {
        let dialler = &mut self.state.dialler;
        dialler.connect(&mut self.swarm, &mut self.peers, address, origin, reply);
    }

    fn discovered(&mut self, candidates: Vec<Candidate>) {
        let (own, shards) = (*self.swarm.local_peer_id(), self.shards());
        dial::learn(&mut self.peers, own, &shards, candidates);
        dial::dial_discovered(&mut self.swarm, &mut self.peers, &self.limits);
    }

    /// Answers once the peer has said what it is, or is gone.
    fn identified(&mut self, peer: PeerId, reply: oneshot::Sender<()>) {
        if self.peers.is_connected(&peer) && !self.peers.is_identified(&peer) {
            let waiting = self.state.identifying.entry(peer).or_default();
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
        count(&self.metrics.disconnected, "metadata");
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
                count(&self.metrics.disconnected, "ping");
                self.swarm.close_connection(connection);
            }
        }
    }

    fn tick(&mut self) {
        let ticks = self.state.ticks;
        if ticks.is_multiple_of(DISCOVERED_DIAL_TICKS) {
            dial::dial_discovered(&mut self.swarm, &mut self.peers, &self.limits);
            self.reach.reserve(&mut self.swarm, &self.peers);
        }
        if ticks.is_multiple_of(STATIC_REDIAL_TICKS) {
            for address in self.static_nodes.clone() {
                let (reply, _) = oneshot::channel();
                self.connect(address, Origin::Static, reply);
            }
        }
        if ticks.is_multiple_of(BAD_PEER_TICKS) {
            self.disconnect_bad_peers();
        }
        self.state.ticks += 1;
        self.refresh_status();
        if self.status.borrow().phase == Phase::Listening {
            self.reach.map_ports(&self.swarm);
        }
        reach::offer_circuits(&mut self.swarm);
        self.reach.count(&self.swarm);
        self.count_unserved();
        self.swarm.behaviour_mut().streams.look_after_later();
    }

    fn count_unserved(&mut self) {
        if let Some(relay) = self.swarm.behaviour().relay.as_ref() {
            let label = Kind {
                r#type: "unserved_topic",
            };
            let rejected = self.metrics.relay_rejected.get_or_create(&label);
            rejected.inc_by(relay.unserved() - self.state.unserved);
            self.state.unserved = relay.unserved();
        }
    }

    fn disconnect_bad_peers(&mut self) {
        let relay = self.swarm.behaviour().relay.as_ref();
        for peer in relay.map(gossip::graylisted).unwrap_or_default() {
            tracing::info!(%peer, "disconnecting a graylisted peer");
            count(&self.metrics.disconnected, "score");
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn list_peers(&self) -> Vec<PeerInfo> {
        let mut peers = self.peers.list();
        if let Some(relay) = self.swarm.behaviour().relay.as_ref() {
            gossip::describe(relay, self.state.topics.iter(), &mut peers);
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
                .state
                .topics
                .iter()
                .map(|topic| (topic.clone(), gossip::mesh_size(relay, topic)))
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
