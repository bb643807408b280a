//! Envelopes on their way to subscribers: the node's task finds them, and one task for each has its own queue and its own
//! long-lived stream (js-waku takes a hundred streams of a protocol on a connection, and never closes one).
//!
//! A subscriber that reads slowly fills its queue and loses the newest, counted as `push_queue_full`. One that takes longer
//! than [`PUSH_TIMEOUT`] for an envelope (`push_timeout`), or that stalls while others need the room (`stalled`), is no
//! subscriber any more: it learns so by its next ping. Nobody else waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::MessageHash;
use libp2p::{PeerId, Stream};
use prost::Message;
use tokio::time::timeout;

use super::metrics::Metrics;
use super::queue::{Frame, Queue};
use super::registry::Registry;
use super::wire::{FILTER_PUSH, FILTER_PUSH_ID, MessagePush};
use crate::intake::received::Received;
use crate::labels::count;
use crate::protocols::metrics::Metrics as ServiceMetrics;
use crate::swarm::Handle;
use crate::wire::WakuMessage;
use crate::wire::framing::write_frame;

/// nwaku's `MessagePushTimeout`.
const PUSH_TIMEOUT: Duration = Duration::from_secs(20);
/// The same envelope is not pushed again within one to two of these (nwaku's `MessageCacheTTL` is two minutes).
const REMEMBER: Duration = Duration::from_secs(120);
/// Envelopes remembered at most in one period; beyond it the older period is forgotten early.
const MAX_REMEMBERED: usize = 100_000;
/// Subscriptions are swept once a minute, as in nwaku.
const SWEEP: Duration = Duration::from_secs(60);

/// What was pushed lately, in two generations.
struct Recent {
    turned: Instant,
    young: HashSet<MessageHash>,
    old: HashSet<MessageHash>,
}

impl Recent {
    fn new(now: Instant) -> Self {
        Self {
            turned: now,
            young: HashSet::new(),
            old: HashSet::new(),
        }
    }

    /// Whether it is seen for the first time.
    fn first(&mut self, hash: MessageHash, now: Instant) -> bool {
        if now.duration_since(self.turned) >= REMEMBER || self.young.len() >= MAX_REMEMBERED {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
        !self.old.contains(&hash) && self.young.insert(hash)
    }
}

/// Hands every envelope to those who want it. It belongs to the node's task and never waits: the queues are bounded,
/// and nothing is encoded for nobody.
pub(crate) struct Distributor {
    registry: Registry,
    recent: Recent,
    metrics: Metrics,
}

impl Distributor {
    pub(crate) fn new(registry: Registry, metrics: Metrics) -> Self {
        Self {
            registry,
            recent: Recent::new(Instant::now()),
            metrics,
        }
    }

    pub(crate) fn distribute(&mut self, received: &Received) {
        let now = Instant::now();
        let envelope = &received.envelope;
        let queues = self.registry.find(&envelope.pubsub_topic, &envelope.content_topic, now);
        if queues.is_empty() || !self.recent.first(received.hash, now) {
            return;
        }
        let push = MessagePush {
            waku_message: Some(WakuMessage::from_envelope(envelope.clone(), received.ephemeral)),
            pubsub_topic: Some(envelope.pubsub_topic.clone()),
        };
        let frame = self.frame(push.encode_to_vec(), now);
        drop(push);
        for queue in queues {
            let taken = frame.as_ref().is_some_and(|frame| queue.push(frame.clone()));
            if !taken {
                count(&self.metrics.errors, "push_queue_full");
            }
        }
        self.metrics.message_seconds.observe(now.elapsed().as_secs_f64());
    }
}

impl Distributor {
    /// Makes room by ending who has stalled longest: one for an envelope, since what an ended one is just being sent is
    /// free only when its task has ended, and nobody else is to pay for that.
    fn frame(&self, bytes: Vec<u8>, now: Instant) -> Option<Arc<Frame>> {
        let queues = &self.registry.queues;
        let bytes = match queues.frame(bytes) {
            Ok(frame) => return Some(frame),
            Err(bytes) => bytes,
        };
        if !queues.end_stalled(now) {
            return None;
        }
        count(&self.metrics.errors, "stalled");
        queues.frame(bytes).ok()
    }
}

/// Forgets silent subscribers, until the node ends.
pub(super) async fn sweep(swarm: Handle, registry: Registry, metrics: Metrics) {
    let mut sweep = tokio::time::interval(SWEEP);
    while !swarm.is_stopped() {
        sweep.tick().await;
        metrics.subscribers(registry.sweep());
    }
}

/// Writes one subscriber's envelopes until its subscription ends, or it stalls.
pub(super) async fn deliver(
    swarm: Handle,
    registry: Registry,
    peer: PeerId,
    queue: Arc<Queue>,
    (service, metrics): (ServiceMetrics, Metrics),
) {
    let mut stream: Option<Stream> = None;
    while let Some(frame) = queue.next().await {
        let write = timeout(PUSH_TIMEOUT, write(&swarm, peer, &mut stream, frame.bytes()));
        let sent = tokio::select! {
            sent = write => sent.unwrap_or(Err("push_timeout")),
            () = queue.ended() => break,
        };
        let bytes = frame.bytes().len();
        queue.written(frame);
        match sent {
            Ok(()) => service.traffic(FILTER_PUSH_ID, "out", bytes),
            Err(reason) => {
                count(&metrics.errors, reason);
                stream = None;
                if reason == "push_timeout" {
                    break;
                }
            }
        }
    }
    queue.end();
    metrics.subscribers(registry.forget(peer, &queue));
}

/// On the stream that is open, or else on a new one: a peer that came back has none of the old ones.
async fn write(swarm: &Handle, peer: PeerId, open: &mut Option<Stream>, frame: &[u8]) -> Result<(), &'static str> {
    if let Some(stream) = open {
        if write_frame(stream, frame).await.is_ok() {
            return Ok(());
        }
        *open = None;
    }
    let mut stream = swarm.open(peer, FILTER_PUSH).await.map_err(|_| "peer_not_reachable")?;
    write_frame(&mut stream, frame).await.map_err(|_| "push_failed")?;
    *open = Some(stream);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_pushed_once_in_two_minutes() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut recent = Recent::new(start);
        let hash = |byte| MessageHash([byte; 32]);
        assert!(recent.first(hash(1), start));
        assert!(!recent.first(hash(1), at(119)));
        assert!(!recent.first(hash(1), at(121)), "the older generation still knows it");
        assert!(recent.first(hash(2), at(121)));
        assert!(recent.first(hash(1), at(241)));
        assert!(!recent.first(hash(2), at(241)));
    }
}
