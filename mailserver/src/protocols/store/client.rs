//! Store as a client.

use libp2p::PeerId;

use super::wire::{STORE, StoreQueryRequest, StoreQueryResponse};
use crate::swarm::{Handle, RequestError};

/// What an answer may be longer than the envelopes in it.
const MAX_OVERHEAD_BYTES: usize = 64 * 1024;

/// Asks a connected peer's store.
pub async fn query(
    swarm: &Handle,
    peer: PeerId,
    request: &StoreQueryRequest,
) -> Result<StoreQueryResponse, RequestError> {
    // nwaku allows a page of the largest envelopes (`waku_store/rpc_codec.nim`).
    let max_bytes = archive::MAX_PAGE * swarm.info().max_message_bytes + MAX_OVERHEAD_BYTES;
    swarm.request(peer, STORE, request, max_bytes).await
}
