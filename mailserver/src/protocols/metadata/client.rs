//! Metadata as a client: it is asked on every new connection.

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;

use super::server::Server;
use super::wire::{MAX_BYTES, METADATA, WakuMetadata};
use crate::swarm::{Handle, RequestError};

/// Asks on a new connection and tells the swarm what came of it.
pub(crate) async fn ask(server: Server, swarm: Handle, peer: PeerId, connection: ConnectionId) {
    let own = server.own();
    let theirs: Result<WakuMetadata, RequestError> =
        swarm.request_on((peer, connection), METADATA, &own, MAX_BYTES).await;
    match theirs {
        Ok(theirs) if theirs.cluster_id == own.cluster_id => swarm.shards(peer, theirs.shard_indices()).await,
        Ok(_) => {
            let _ = swarm.disconnect(peer, "cluster").await;
        }
        Err(RequestError::Stopped(_)) => {}
        Err(error) => {
            tracing::debug!(%peer, %error, "no metadata");
            swarm.unanswered(peer, connection).await;
        }
    }
}
