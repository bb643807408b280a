//! What handlers work with: the running node, what the configuration says, and the caches of received envelopes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use libp2p::{Multiaddr, PeerId, StreamProtocol, multiaddr::Protocol};
use tokio::sync::{broadcast, watch};

use super::{cache::Cache, origin::Origins};
use crate::{
    config::{Config, LogLevel, Rest, ServicePeers},
    discovery::Told,
    logging::LogError,
    node::Handle,
    swarm::{ConnectError, Origin},
    topics::Sharding,
};

/// nwaku's `DefaultMessageCacheCapacity`, which has no flag for the filter.
const FILTER_CACHE_CAPACITY: usize = 50;
/// How long a service's peer may take to be connected; requests end soon after.
const DIAL_PATIENCE: Duration = Duration::from_secs(4);

/// How long the own record may take to say what the node says of itself; whoever asks is told the older one then.
const RECORD_PATIENCE: Duration = Duration::from_secs(1);

/// Changes what is logged from now on.
pub type SetLogLevel = Box<dyn Fn(LogLevel) -> Result<(), LogError> + Send + Sync>;

/// Why a peer could not be connected to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("not connected within {} s", .0.as_secs())]
    TooLate(Duration),
}

/// One for all requests.
pub struct Api {
    pub(super) node: Handle,
    pub(super) sharding: Sharding,
    /// The peers whose services are asked for, where they were given.
    pub(super) services: ServicePeers,
    pub(super) admin: bool,
    pub(super) origins: Arc<Origins>,
    enr: watch::Receiver<Told>,
    pub(super) set_log_level: SetLogLevel,
    relay_cache: Mutex<Cache>,
    filter_cache: Mutex<Cache>,
}

impl Api {
    pub fn new(
        node: Handle,
        config: &Config,
        settings: &Rest,
        enr: watch::Receiver<Told>,
        set_log_level: SetLogLevel,
    ) -> Arc<Self> {
        let mut relay_cache = Cache::new(settings.relay_cache_capacity);
        for topic in config.node.pubsub_topics() {
            // More shards than the cache takes are served all the same, but not collected here.
            let _ = relay_cache.subscribe_pubsub(&topic.to_string());
        }
        for topic in &config.content_topics {
            let _ = relay_cache.subscribe_content(&topic.to_string());
        }
        Arc::new(Self {
            node,
            sharding: config.node.sharding,
            services: config.service_peers.clone(),
            admin: settings.admin,
            origins: Arc::new(Origins::new(&settings.allowed_origins)),
            enr,
            set_log_level,
            relay_cache: Mutex::new(relay_cache),
            filter_cache: Mutex::new(Cache::new(FILTER_CACHE_CAPACITY)),
        })
    }

    pub(super) fn relay_cache(&self) -> MutexGuard<'_, Cache> {
        // A cache is whole after every step, even one that panicked.
        self.relay_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn filter_cache(&self) -> MutexGuard<'_, Cache> {
        self.filter_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pubsub topics that the node is subscribed to.
    pub(super) fn subscribed(&self) -> Vec<String> {
        self.node
            .swarm()
            .status()
            .borrow()
            .meshes
            .iter()
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        self.node
            .swarm()
            .status()
            .borrow()
            .meshes
            .iter()
            .any(|(known, _)| known == topic)
    }

    /// The own record as text, no older than what the node was asked before.
    pub(super) async fn record(&self) -> String {
        let now = self.node.swarm().status().borrow().revision;
        let mut enr = self.enr.clone();
        // Whoever writes it ends with the node, and the last record stays.
        let _ = tokio::time::timeout(RECORD_PATIENCE, enr.wait_for(|told| told.revision >= now)).await;
        enr.borrow().text.clone()
    }

    /// Connects to a peer unless it is connected, and says why it could not.
    pub(super) async fn reach(&self, address: Multiaddr, patience: Duration) -> Result<PeerId, Unreachable> {
        let connected = tokio::time::timeout(patience, self.node.swarm().connect(address, Origin::Admin)).await;
        Ok(connected.map_err(|_| Unreachable::TooLate(patience))??)
    }

    /// The peer that was given for a service, or a connected one that offers it.
    pub(super) async fn service_peer(&self, given: Option<&Multiaddr>, protocol: &StreamProtocol) -> Option<PeerId> {
        if let Some(address) = given {
            return self.reach(address.clone(), DIAL_PATIENCE).await.ok();
        }
        let peers = self.node.swarm().peers().await.ok()?;
        let mut offering = peers
            .iter()
            .filter(|peer| peer.direction.is_some() && peer.protocols.contains(protocol));
        offering.next().map(|peer| peer.peer_id)
    }

    /// Fills the caches until the node ends.
    pub async fn collect(self: Arc<Self>) {
        let (mut received, mut pushed) = (self.node.received(), self.node.filter_client().pushed());
        loop {
            let (cache, next) = tokio::select! {
                next = received.recv() => (&self.relay_cache, next),
                next = pushed.recv() => (&self.filter_cache, next),
            };
            match next {
                Ok(received) => cache.lock().unwrap_or_else(PoisonError::into_inner).add(&received),
                // The caches forget the oldest when they are full; falling behind is the same.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            }
        }
    }
}

/// Why a text is no peer's address, in nwaku's words.
#[derive(Debug, thiserror::Error)]
pub enum PeerAddressError {
    #[error("MultiAddress.init [{0}]")]
    NotAMultiaddr(#[from] libp2p::multiaddr::Error),
    #[error("Invalid multiaddress: /p2p/ and the peer's id are missing")]
    NoPeer,
}

/// A multiaddr that names a peer.
pub fn peer_address(text: &str) -> Result<Multiaddr, PeerAddressError> {
    let address: Multiaddr = text.parse()?;
    match address.iter().last() {
        Some(Protocol::P2p(_)) => Ok(address),
        _ => Err(PeerAddressError::NoPeer),
    }
}

/// An id for a request to another node; it only has to differ from others on the same stream, of which there are none.
pub(super) fn request_id() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}
