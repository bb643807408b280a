//! Filter as a client: asks other nodes for subscriptions, and takes their pushes.
//!
//! Pushes are believed only from peers that were asked. A push stream lives as long as the peer keeps it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use libp2p::{PeerId, Stream};
use prost::Message;
use tokio::sync::broadcast;

use super::wire::{
    FILTER_PUSH, FILTER_SUBSCRIBE, FilterSubscribeRequest, FilterSubscribeResponse, FilterSubscribeType, MessagePush,
};
use crate::intake::gate::{Gate, Way};
use crate::intake::received::{Received, Source};
use crate::protocols::router::Router;
use crate::swarm::{Handle, RequestError};
use crate::wire::framing::{FrameError, read_frame};

const MAX_RESPONSE_BYTES: usize = 4096;
/// What a push may be longer than the message in it: the pubsub topic and the framing.
const PUSH_OVERHEAD_BYTES: usize = 4096;
/// Pushed envelopes a slow reader may lag behind before it loses the oldest.
const PUSHED_QUEUE: usize = 256;

#[derive(Clone)]
pub struct Client {
    swarm: Handle,
    asked: Arc<Mutex<HashSet<PeerId>>>,
    pushed: broadcast::Sender<Arc<Received>>,
    gate: Gate,
}

impl Client {
    pub(crate) fn new(swarm: Handle, gate: Gate) -> Self {
        Self {
            swarm,
            asked: Arc::default(),
            pushed: broadcast::channel(PUSHED_QUEUE).0,
            gate,
        }
    }

    pub(crate) fn register(self, router: &mut Router) {
        router.accept(FILTER_PUSH, move |caller, stream| {
            self.clone().serve(caller.peer, stream)
        });
    }

    /// Envelopes that other nodes push from now on.
    pub fn pushed(&self) -> broadcast::Receiver<Arc<Received>> {
        self.pushed.subscribe()
    }

    /// Sends one request to a connected peer.
    pub async fn request(
        &self,
        peer: PeerId,
        request: &FilterSubscribeRequest,
    ) -> Result<FilterSubscribeResponse, RequestError> {
        let kind = request
            .filter_subscribe_type
            .and_then(|kind| FilterSubscribeType::try_from(kind).ok());
        if kind == Some(FilterSubscribeType::Subscribe) {
            // Before the answer: the first push may overtake it.
            self.asked().insert(peer);
        }
        let response = self
            .swarm
            .request(peer, FILTER_SUBSCRIBE, request, MAX_RESPONSE_BYTES)
            .await?;
        if kind == Some(FilterSubscribeType::UnsubscribeAll) {
            self.asked().remove(&peer);
        }
        Ok(response)
    }

    async fn serve(self, peer: PeerId, mut stream: Stream) -> Result<(), FrameError> {
        let max_bytes = self.swarm.info().max_message_bytes + PUSH_OVERHEAD_BYTES;
        while self.asked().contains(&peer) {
            let frame = match read_frame(&mut stream, max_bytes).await {
                Ok(frame) => frame,
                Err(FrameError::Eof) => return Ok(()),
                Err(error) => return Err(error),
            };
            let Some(received) = self.judge(peer, &frame) else {
                return Err(FrameError::Length);
            };
            let _ = self.pushed.send(Arc::new(received));
        }
        Ok(())
    }

    fn judge(&self, peer: PeerId, frame: &[u8]) -> Option<Received> {
        let push = MessagePush::decode(frame).ok()?;
        let (message, topic) = (push.waku_message?, push.pubsub_topic?);
        self.gate.judge(Way::FilterPush, &topic, &message).ok()?;
        let ephemeral = message.is_ephemeral();
        let envelope = message.into_envelope(topic);
        Some(Received {
            hash: envelope.hash(),
            envelope,
            ephemeral,
            source: Source::FilterPush(peer),
        })
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, HashSet<PeerId>> {
        self.asked.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
