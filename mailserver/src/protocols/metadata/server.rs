//! Metadata as a server: it is answered to whoever asks.

use std::sync::{Arc, RwLock};

use libp2p::Stream;
use prost::Message;

use super::wire::{MAX_BYTES, METADATA, WakuMetadata};
use crate::protocols::answer::answer;
use crate::protocols::request::{Caller, read_request};
use crate::protocols::router::Router;
use crate::wire::framing::FrameError;

#[derive(Clone)]
pub(crate) struct Server {
    /// What we say of ourselves. Written by the node's task when subscriptions change, never held across an await.
    own: Arc<RwLock<WakuMetadata>>,
}

impl Server {
    pub(crate) fn new(cluster_id: u16, shards: &[u16]) -> Self {
        Self {
            own: Arc::new(RwLock::new(WakuMetadata::new(cluster_id, shards))),
        }
    }

    pub(crate) fn announce(&self, cluster_id: u16, shards: &[u16]) {
        *self.own.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = WakuMetadata::new(cluster_id, shards);
    }

    pub(super) fn own(&self) -> WakuMetadata {
        self.own.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(crate) fn register(self, router: &mut Router) {
        router.accept(METADATA, move |caller, stream| self.clone().serve(caller, stream));
    }

    async fn serve(self, caller: Caller, mut stream: Stream) -> Result<(), FrameError> {
        let Some(_request) = read_request(&mut stream, &caller, MAX_BYTES).await? else {
            return Ok(());
        };
        answer(&mut stream, &self.own().encode_to_vec()).await
    }
}
