//! Metadata 1.0.0 (RFC 66/WAKU2-METADATA): which cluster and shards a node is on.
//!
//! It is answered to whoever asks, and asked on every new connection. As in nwaku (`peer_manager.nim`,
//! refreshPeerMetadata) a peer that names no cluster, or another one, is disconnected. A connection on which there is no
//! answer is closed, and the peer's others are judged by their own.

use std::sync::{Arc, RwLock};

use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream};
use prost::Message;

use super::{Caller, METADATA, answer, read_request};
use crate::counters::Counters;
use crate::node::{Handle, RequestError};
use crate::wire::framing::FrameError;
use crate::wire::metadata::WakuMetadata;

/// nwaku reads at most so much (`waku_metadata/protocol.nim`).
const MAX_BYTES: usize = 1024;

#[derive(Clone)]
pub(crate) struct Server {
    /// What we say of ourselves. Written by the node's task when subscriptions change, never held across an await.
    own: Arc<RwLock<WakuMetadata>>,
    counters: Counters,
}

impl Server {
    pub(crate) fn new(cluster_id: u16, shards: &[u16], counters: Counters) -> Self {
        Self {
            own: Arc::new(RwLock::new(WakuMetadata::new(cluster_id, shards))),
            counters,
        }
    }

    pub(crate) fn announce(&self, cluster_id: u16, shards: &[u16]) {
        *self.own.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = WakuMetadata::new(cluster_id, shards);
    }

    fn own(&self) -> WakuMetadata {
        self.own.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(crate) async fn serve(&self, caller: &Caller, mut stream: Stream) -> Result<(), FrameError> {
        let Some(_request) = read_request(&mut stream, caller, MAX_BYTES, &self.counters).await? else {
            return Ok(());
        };
        answer(&mut stream, &self.own().encode_to_vec()).await
    }

    /// Asks on a new connection and tells the node what came of it.
    pub(crate) async fn ask(self, handle: Handle, peer: PeerId, connection: ConnectionId) {
        let own = self.own();
        let theirs: Result<WakuMetadata, RequestError> =
            handle.request_on((peer, connection), METADATA, &own, MAX_BYTES).await;
        match theirs {
            Ok(theirs) if theirs.cluster_id == own.cluster_id => handle.shards(peer, theirs.shard_indices()).await,
            Ok(_) => {
                Counters::count(&handle.counters().disconnected, "cluster");
                let _ = handle.disconnect(peer, "cluster").await;
            }
            Err(RequestError::Stopped(_)) => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "no metadata");
                handle.unanswered(peer, connection).await;
            }
        }
    }
}
