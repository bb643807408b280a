//! How an envelope enters the node: by relay from a peer, or published by light push and REST.
//!
//! Both ways meet in `take_in`: readers of envelopes get it, and so does the archive when admission lets it.

use std::sync::Arc;
use std::time::Duration;

use archive::MessageHash;
use libp2p::PeerId;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageId};
use prost::Message;
use tokio::sync::oneshot;

use super::handle::{PublishError, Published, Received, Source};
use super::task::Task;
use crate::admission::{self, Refused};
use crate::archivist::Outcome;
use crate::clock;
use crate::counters::{Counters, Traffic};
use crate::intake::gate::Way;
use crate::wire::WakuMessage;

/// How long a publisher waits to hear from the archive; a client gives up after ten seconds.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(5);

impl Task {
    /// Judges a message that a peer relayed: relay forwards it only when accepted.
    pub(super) fn relayed(&mut self, peer: PeerId, id: &MessageId, message: gossipsub::Message) {
        let topic_hash = message.topic.clone();
        let topic = message.topic.into_string();
        self.count_traffic(&topic, "in", message.data.len());
        let judged = self.gate.judge_relayed(&topic, &message.data);
        let counters = &self.handle.counters;
        let acceptance = match &judged {
            Ok(_) => {
                counters.validation_success.inc();
                MessageAcceptance::Accept
            }
            Err(refused) => {
                Counters::count(&counters.relay_rejected, refused.reason());
                if refused.is_peers_fault() {
                    counters.validation_failure.inc();
                    MessageAcceptance::Reject
                } else {
                    counters.validation_ignore.inc();
                    MessageAcceptance::Ignore
                }
            }
        };
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() {
            relay.report_message_validation_result(id, &topic_hash, &peer, acceptance);
        }
        if let Ok(message) = judged {
            Counters::count(&self.handle.counters.node_messages, "relay");
            self.take_in(topic, message, Source::Relay(peer), None);
        }
    }

    /// Publishes what a client or an operator hands in.
    pub(super) fn publish(
        &mut self,
        topic: String,
        mut message: WakuMessage,
        source: Source,
        reply: oneshot::Sender<Result<Published, PublishError>>,
    ) {
        if message.timestamp.unwrap_or(0) == 0 {
            message.timestamp = Some(clock::now_nanos());
        }
        match self.hand_to_relay(&topic, &message) {
            Ok(relay_peers) => {
                Counters::count(&self.handle.counters.node_messages, "publish");
                let (done, kept) = oneshot::channel();
                let received = self.take_in(topic, message, source, Some(done));
                tokio::spawn(acknowledge(received.hash, relay_peers, kept, reply));
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Returns how many connected peers are subscribed to the topic: all of them get it (flood publish).
    fn hand_to_relay(&mut self, topic: &str, message: &WakuMessage) -> Result<usize, PublishError> {
        let data = message.encode_to_vec();
        let max_bytes = self.settings.max_message_bytes;
        let judged = self.gate.judge(Way::Publish, topic, message);
        judged.map_err(|refused| match refused {
            Refused::TooLarge { bytes, max_bytes } => PublishError::TooLarge { bytes, max_bytes },
            Refused::NotServed => PublishError::UnknownTopic(topic.to_owned()),
            other => PublishError::Invalid(other.to_string()),
        })?;
        let relay = self.swarm.behaviour_mut().relay.as_mut().ok_or(PublishError::NoRelay)?;
        let bytes = data.len();
        let hash = IdentTopic::new(topic).hash();
        match relay.publish(hash.clone(), data) {
            // A duplicate was relayed before: it is where its publisher wants it.
            Ok(_) | Err(gossipsub::PublishError::Duplicate) => {
                let peers = relay.all_peers().filter(|(_, topics)| topics.contains(&&hash)).count();
                self.count_traffic(topic, "out", bytes);
                Ok(peers)
            }
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Ok(0),
            Err(gossipsub::PublishError::MessageTooLarge) => Err(PublishError::TooLarge { bytes, max_bytes }),
            Err(gossipsub::PublishError::AllQueuesFull(_)) => Err(PublishError::Busy),
            Err(error) => Err(PublishError::Invalid(error.to_string())),
        }
    }

    /// `done` hears whether the archive keeps it.
    fn take_in(
        &mut self,
        topic: String,
        message: WakuMessage,
        source: Source,
        done: Option<oneshot::Sender<Outcome>>,
    ) -> Arc<Received> {
        let ephemeral = message.is_ephemeral();
        let admitted = match &self.handle.archivist {
            Some(archivist) => admission::may_keep(&message, clock::now_nanos(), archivist.clock_trusted())
                .map(|()| archivist)
                .map_err(|not_kept| Some(not_kept.reason())),
            None => Err(None),
        };
        let envelope = message.into_envelope(topic);
        let bytes = envelope.payload.len();
        // nwaku counts payloads in units of 1,000 bytes.
        let counters = &self.handle.counters;
        counters.message_kilobytes.observe(bytes as f64 / 1000.0);
        counters.sizes.observe(&envelope.pubsub_topic, bytes);
        let hash = envelope.hash();
        let received = Arc::new(Received {
            envelope,
            hash,
            ephemeral,
            source,
        });
        match admitted {
            Ok(archivist) => archivist.offer(received.clone(), done),
            Err(reason) => {
                if let Some(reason) = reason {
                    Counters::count(&self.handle.counters.archive_errors, reason);
                }
                if let Some(done) = done {
                    let _ = done.send(Outcome::NotStored(reason.unwrap_or("no archive")));
                }
            }
        }
        if let Some(distributor) = &mut self.distributor {
            distributor.distribute(&received);
        }
        // Nobody listening is no error.
        let _ = self.handle.received.send(received.clone());
        received
    }

    fn count_traffic(&self, topic: &str, direction: &'static str, bytes: usize) {
        let label = Traffic {
            topic: topic.to_owned(),
            r#type: "net",
            direction,
        };
        self.handle
            .counters
            .relay_bytes
            .get_or_create(&label)
            .inc_by(bytes as u64);
    }
}

/// Tells the publisher once the archive has answered.
async fn acknowledge(
    hash: MessageHash,
    relay_peers: usize,
    kept: oneshot::Receiver<Outcome>,
    reply: oneshot::Sender<Result<Published, PublishError>>,
) {
    let outcome = match tokio::time::timeout(ARCHIVE_PATIENCE, kept).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::NotStored("the archive is closed"),
        Err(_) => Outcome::NotStored("the archive did not answer in time"),
    };
    let published = match outcome {
        Outcome::NotStored(not_stored) if relay_peers == 0 => Err(PublishError::NoPeers { not_stored }),
        outcome => Ok(Published {
            hash,
            relay_peers,
            stored: outcome.is_kept(),
        }),
    };
    let _ = reply.send(published);
}
