//! Waku relay (RFC 11/WAKU2-RELAY) as a configuration of gossipsub.
//!
//! Waku's own protocol id, anonymous messages without signature, and SHA-256 of the data as message id. Mesh sizes and
//! times are nwaku's (`waku_relay/protocol.nim`), which every node of the network shares.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::{
    self, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds,
    RoomLimits, TopicHash, TopicScoreParams, TopicSubscriptionFilter, ValidationMode, Version,
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::command::RelayError;
use super::status::PeerInfo;
use crate::settings::Settings;

pub(super) const PROTOCOL: &str = "/vac/waku/relay/2.0.0";

/// The network's largest envelope (status-go and its fleets, `max-msg-size`). Frames that carry one are read whatever this
/// node's own limit is: what is over that is judged envelope by envelope, and ends no link.
const NETWORK_MESSAGE_BYTES: usize = 1024 * 1024;
/// An RPC carries topics and control besides its message. The validator holds envelopes to the true limit.
const TRANSMIT_SLACK_BYTES: usize = 64 * 1024;
/// The longest name of a topic that a peer can be on: a shard's is 24 bytes, and nwaku's named topics are not much longer.
const MAX_TOPIC_BYTES: usize = 256;
/// One IHAVE of 5,000 ids of 32 bytes is about 170 KB; gossipsub's default of 16 KiB calls that an error.
const MAX_CONTROL_BYTES: usize = 256 * 1024;
/// A peer of a large community sits on hundreds of shards; a cluster has at most 1,024.
const MAX_TOPICS_PER_PEER: usize = 1024;
/// Messages waiting for one peer; when full, gossipsub drops for that peer and reports it as slow.
const PEER_QUEUE_MESSAGES: usize = 1024;
/// What may wait to be sent: two of the largest envelopes for one peer, so that a slow link loses none of the small ones
/// behind a large one; a quarter of the service's memory on a board would be 64 MiB for all. Waiting bytes are shared by
/// the peers that they wait for, and counted for each.
const QUEUE_ROOM: RoomLimits = RoomLimits {
    per_peer: 2 * (NETWORK_MESSAGE_BYTES + TRANSMIT_SLACK_BYTES),
    total: 48 << 20,
    share: 64 * 1024,
};
/// How long something may wait for its turn: on a line of 1 Mbit/s two of the largest envelopes are before it. What waits
/// is bounded in bytes, and a peer that reads nothing for as long is disconnected.
const QUEUE_PATIENCE: Duration = Duration::from_secs(20);
/// Messages in one RPC. go-libp2p answers an IWANT by size, not by number: thousands of small ones in one RPC are honest.
const MAX_PUBLISH_MESSAGES: usize = 5000;
/// What peers may have sent of frames that are not whole yet. One peer's limit is that of a frame.
const FRAME_ROOM: RoomLimits = RoomLimits {
    per_peer: usize::MAX,
    total: 32 << 20,
    share: 64 * 1024,
};
/// What gossip may be asked for again. At 1,000 envelopes of 2 KB a second it is all of the six heartbeats.
const HISTORY_BYTES: usize = 16 << 20;

/// Below it nothing is taken from a peer (nwaku disconnects it: `disconnectBadPeers`).
const GRAYLIST_THRESHOLD: f64 = -10_000.0;

pub(super) type Gossipsub = gossipsub::Behaviour<gossipsub::IdentityTransform, MaxCountSubscriptionFilter<TopicFilter>>;

/// Lets peers be on any topic whose name is no burden.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TopicFilter;

impl TopicSubscriptionFilter for TopicFilter {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        topic.as_str().len() <= MAX_TOPIC_BYTES
    }
}

#[derive(Debug, Error)]
#[error("configuring relay: {0}")]
pub struct GossipError(String);

/// SHA-256 of the message's data (nwaku `waku_relay/message_id.nim`), not RFC 14's hash.
pub(super) fn message_id(data: &[u8]) -> MessageId {
    MessageId::from(Sha256::digest(data).to_vec())
}

pub(super) fn behaviour(settings: &Settings) -> Result<Gossipsub, GossipError> {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id(PROTOCOL, Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_id(&message.data))
        .max_transmit_size(settings.max_message_bytes.max(NETWORK_MESSAGE_BYTES) + TRANSMIT_SLACK_BYTES)
        .max_control_message_size(MAX_CONTROL_BYTES)
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(8)
        .mesh_outbound_min(3)
        .gossip_lazy(6)
        .gossip_factor(0.25)
        .heartbeat_interval(Duration::from_secs(1))
        .heartbeat_initial_delay(Duration::from_secs(1))
        .history_length(6)
        .history_gossip(3)
        .fanout_ttl(Duration::from_secs(60))
        .duplicate_cache_time(Duration::from_secs(120))
        .prune_backoff(Duration::from_secs(60))
        .unsubscribe_backoff(Duration::from_secs(5))
        .retain_scores(6)
        .flood_publish(true)
        .connection_handler_queue_len(PEER_QUEUE_MESSAGES)
        .queue_room(QUEUE_ROOM)
        .frame_room(FRAME_ROOM)
        .history_bytes(HISTORY_BYTES)
        // Peers for a mesh come from discovery, as in nwaku: a stranger's list of them is neither dialled nor kept.
        .prune_peers(0)
        .forward_queue_duration(QUEUE_PATIENCE)
        .publish_queue_duration(QUEUE_PATIENCE)
        .max_publish_messages(MAX_PUBLISH_MESSAGES)
        .build()
        .map_err(|error| GossipError(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: TopicFilter,
        max_subscribed_topics: MAX_TOPICS_PER_PEER,
        max_subscriptions_per_request: MAX_TOPICS_PER_PEER,
    };
    let failed = |error: &str| GossipError(error.to_owned());
    let mut relay =
        Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter).map_err(failed)?;
    relay
        .with_peer_score(score_params(), thresholds())
        .map_err(|error| failed(&error))?;
    Ok(relay)
}

/// Peers are judged as nwaku judges them (`waku_relay/protocol.nim`; go-waku's are the same).
fn score_params() -> PeerScoreParams {
    PeerScoreParams {
        // Each topic's are set when it is subscribed to.
        topics: HashMap::new(),
        topic_score_cap: 0.0,
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: -50.0,
        ip_colocation_factor_threshold: 5.0,
        // Programs of this machine, and tests.
        ip_colocation_factor_whitelist: HashSet::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 0.0,
        behaviour_penalty_decay: 0.986,
        decay_interval: Duration::from_secs(12),
        decay_to_zero: 0.01,
        retain_score: Duration::from_secs(600),
        // A notion of rust-libp2p alone; a slow phone is not a bad one.
        slow_peer_weight: 0.0,
        slow_peer_threshold: 0.0,
        slow_peer_decay: 0.2,
    }
}

/// Subscribes and says how the topic's peers are judged; done already is no error.
pub(super) fn subscribe(relay: &mut Gossipsub, topic: &str) -> Result<(), GossipError> {
    let topic = IdentTopic::new(topic);
    relay
        .set_topic_params(topic.clone(), topic_score_params())
        .map_err(|error| GossipError(error.to_owned()))?;
    relay
        .subscribe(&topic)
        .map_err(|error| GossipError(error.to_string()))?;
    Ok(())
}

/// Returns how many connected peers are subscribed to the topic: all of them get it (flood publish).
pub(super) fn publish(relay: &mut Gossipsub, topic: &str, data: Vec<u8>) -> Result<usize, RelayError> {
    let hash = IdentTopic::new(topic).hash();
    match relay.publish(hash.clone(), data) {
        // A duplicate was relayed before: it is where its publisher wants it.
        Ok(_) | Err(gossipsub::PublishError::Duplicate) => {
            Ok(relay.all_peers().filter(|(_, topics)| topics.contains(&&hash)).count())
        }
        Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Ok(0),
        Err(gossipsub::PublishError::MessageTooLarge) => Err(RelayError::TooLarge),
        Err(gossipsub::PublishError::AllQueuesFull(_)) => Err(RelayError::Busy),
        Err(error) => Err(RelayError::Failed(error.to_string())),
    }
}

/// Whom relay takes nothing from any more: of no use to anyone here.
pub(super) fn graylisted(relay: &Gossipsub) -> Vec<PeerId> {
    let graylisted = |peer: &PeerId| relay.peer_score(peer).is_some_and(|score| score < GRAYLIST_THRESHOLD);
    relay.all_peers().map(|(peer, _)| *peer).filter(graylisted).collect()
}

pub(super) fn mesh_size(relay: &Gossipsub, topic: &str) -> usize {
    relay.mesh_peers(&IdentTopic::new(topic).hash()).count()
}

/// Adds what relay knows of these peers.
pub(super) fn describe<'a>(relay: &Gossipsub, topics: impl Iterator<Item = &'a String>, peers: &mut [PeerInfo]) {
    let mut subscribed: HashMap<PeerId, Vec<String>> = relay
        .all_peers()
        .map(|(peer, topics)| (*peer, topics.iter().map(ToString::to_string).collect()))
        .collect();
    for peer in peers.iter_mut() {
        peer.relay_topics = subscribed.remove(&peer.peer_id).unwrap_or_default();
        peer.score = relay.peer_score(&peer.peer_id);
    }
    for topic in topics {
        let mesh: HashSet<&PeerId> = relay.mesh_peers(&IdentTopic::new(topic).hash()).collect();
        for peer in peers.iter_mut().filter(|peer| mesh.contains(&peer.peer_id)) {
            peer.mesh_topics.push(topic.clone());
        }
    }
}

/// What a connection that relay gave up is counted under.
pub(super) fn fault_label(fault: gossipsub::Fault) -> &'static str {
    match fault {
        gossipsub::Fault::Malformed => "relay_malformed",
        gossipsub::Fault::Unread => "relay_unread",
        gossipsub::Fault::Unfinished => "relay_unfinished",
        gossipsub::Fault::Streams => "relay_streams",
    }
}

fn topic_score_params() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 10.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: 0.5,
        first_message_deliveries_cap: 10.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: 0.5,
        ..TopicScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -1000.0,
        graylist_threshold: GRAYLIST_THRESHOLD,
        accept_px_threshold: 0.0,
        opportunistic_graft_threshold: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nwaku `tests/waku_relay/test_message_id.nim`.
    #[test]
    fn message_id_vectors() {
        for (data, expected) in [
            (
                "Hello, world!",
                "315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3",
            ),
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            assert_eq!(hex::encode(message_id(data.as_bytes()).0), expected);
        }
    }
}
