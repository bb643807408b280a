//! Peer exchange as a client.

use libp2p::PeerId;

use super::wire::{PEER_EXCHANGE, PeerExchangeQuery, PeerExchangeResponse, PeerExchangeRpc};
use crate::swarm::{Handle, RequestError};

/// Sixty records of 300 bytes and some more.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Asks a connected peer for node records (RLP).
pub async fn ask(swarm: &Handle, peer: PeerId, num_peers: u64) -> Result<PeerExchangeResponse, RequestError> {
    let query = Some(PeerExchangeQuery {
        num_peers: Some(num_peers),
    });
    let rpc = PeerExchangeRpc { query, response: None };
    let answer: PeerExchangeRpc = swarm.request(peer, PEER_EXCHANGE, &rpc, MAX_ANSWER_BYTES).await?;
    Ok(answer.response.unwrap_or_default())
}
