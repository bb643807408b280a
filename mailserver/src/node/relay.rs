//! Waku relay (RFC 11/WAKU2-RELAY) as a configuration of gossipsub.
//!
//! Waku's own protocol id, anonymous messages without signature, and SHA-256 of the data as message id. Mesh sizes and
//! times are nwaku's (`waku_relay/protocol.nim`), which every node of the network shares.

use std::time::Duration;

use libp2p::gossipsub::{self, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, ValidationMode, Version};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub const PROTOCOL: &str = "/vac/waku/relay/2.0.0";

/// gossipsub holds the limit against its receive buffer, which reads ahead past the message, and an RPC carries topics
/// and control besides. The validator holds envelopes to the true limit.
const TRANSMIT_SLACK_BYTES: usize = 64 * 1024;
/// One IHAVE of 5,000 ids of 32 bytes is about 170 KB; gossipsub's default of 16 KiB calls that an error.
const MAX_CONTROL_BYTES: usize = 256 * 1024;
/// A peer of a large community sits on hundreds of shards; a cluster has at most 1,024.
const MAX_TOPICS_PER_PEER: usize = 1024;
/// Messages waiting for one peer; when full, gossipsub drops for that peer and reports it as slow.
const PEER_QUEUE_MESSAGES: usize = 1024;

pub type Gossipsub = gossipsub::Behaviour<gossipsub::IdentityTransform, MaxCountSubscriptionFilter<TopicFilter>>;
type TopicFilter = gossipsub::AllowAllSubscriptionFilter;

#[derive(Debug, Error)]
#[error("configuring relay: {0}")]
pub struct RelayError(String);

/// SHA-256 of the message's data (nwaku `waku_relay/message_id.nim`), not RFC 14's hash.
pub fn message_id(data: &[u8]) -> MessageId {
    MessageId::from(Sha256::digest(data).to_vec())
}

pub(super) fn behaviour(max_message_bytes: usize) -> Result<Gossipsub, RelayError> {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id(PROTOCOL, Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_id(&message.data))
        .max_transmit_size(max_message_bytes + TRANSMIT_SLACK_BYTES)
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
        .build()
        .map_err(|error| RelayError(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: TopicFilter::default(),
        max_subscribed_topics: MAX_TOPICS_PER_PEER,
        max_subscriptions_per_request: MAX_TOPICS_PER_PEER,
    };
    gossipsub::Behaviour::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|error| RelayError(error.to_string()))
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
