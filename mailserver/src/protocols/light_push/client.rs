//! Light push as a client.

use libp2p::PeerId;

use super::wire::{LIGHT_PUSH, LIGHT_PUSH_LEGACY, LightPushRequest, LightPushResponse, PushRpc};
use crate::swarm::{Handle, RequestError};

/// An answer is a code and a sentence.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Has a connected peer publish.
pub async fn push(swarm: &Handle, peer: PeerId, request: &LightPushRequest) -> Result<LightPushResponse, RequestError> {
    swarm.request(peer, LIGHT_PUSH, request, MAX_ANSWER_BYTES).await
}

/// The same in 2.0.0-beta1.
pub async fn push_legacy(swarm: &Handle, peer: PeerId, request: &PushRpc) -> Result<PushRpc, RequestError> {
    swarm.request(peer, LIGHT_PUSH_LEGACY, request, MAX_ANSWER_BYTES).await
}
