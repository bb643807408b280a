//! REST as nwaku has it: paths, field names, status codes and texts, on top of the running node.
//!
//! Handlers read the node's status or ask its task; they hold nothing but the caches of received envelopes, which a task
//! of their own fills. A handler that waits for the node gives up in nwaku's time.

mod admin;
mod answer;
mod cache;
mod filter;
mod health;
mod info;
mod light_push;
mod message;
mod origin;
mod relay;
mod store;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::Uri,
    middleware,
    response::Response,
    routing::{delete, get, post},
};
use libp2p::{Multiaddr, PeerId, StreamProtocol, multiaddr::Protocol};
use tokio::sync::{broadcast, watch};

use crate::{
    config::{Config, LogLevel, Rest, ServicePeers},
    discovery::Told,
    logging::LogError,
    node::Handle,
    swarm::{ConnectError, Origin},
    topics::Sharding,
};
use cache::Cache;
pub use message::{MessageError, read_message};
use origin::Origins;
pub use store::{QueryError, read_store_query};

/// Room for JSON around an envelope in base64.
const BODY_OVERHEAD_BYTES: usize = 64 * 1024;

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
enum Unreachable {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("not connected within {} s", .0.as_secs())]
    TooLate(Duration),
}

/// What handlers work with.
pub struct Api {
    node: Handle,
    sharding: Sharding,
    /// The peers whose services are asked for, where they were given.
    services: ServicePeers,
    admin: bool,
    origins: Arc<Origins>,
    enr: watch::Receiver<Told>,
    set_log_level: SetLogLevel,
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
            services: config.services.clone(),
            admin: settings.admin,
            origins: Arc::new(Origins::new(&settings.allowed_origins)),
            enr,
            set_log_level,
            relay_cache: Mutex::new(relay_cache),
            filter_cache: Mutex::new(Cache::new(FILTER_CACHE_CAPACITY)),
        })
    }

    fn relay_cache(&self) -> MutexGuard<'_, Cache> {
        // A cache is whole after every step, even one that panicked.
        self.relay_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn filter_cache(&self) -> MutexGuard<'_, Cache> {
        self.filter_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pubsub topics that the node is subscribed to.
    fn subscribed(&self) -> Vec<String> {
        self.node
            .swarm()
            .status()
            .borrow()
            .meshes
            .iter()
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    fn is_subscribed(&self, topic: &str) -> bool {
        self.node
            .swarm()
            .status()
            .borrow()
            .meshes
            .iter()
            .any(|(known, _)| known == topic)
    }

    /// The own record as text, no older than what the node was asked before.
    async fn record(&self) -> String {
        let now = self.node.swarm().status().borrow().revision;
        let mut enr = self.enr.clone();
        // Whoever writes it ends with the node, and the last record stays.
        let _ = tokio::time::timeout(RECORD_PATIENCE, enr.wait_for(|told| told.revision >= now)).await;
        enr.borrow().text.clone()
    }

    /// Connects to a peer unless it is connected, and says why it could not.
    async fn reach(&self, address: Multiaddr, patience: Duration) -> Result<PeerId, Unreachable> {
        let connected = tokio::time::timeout(patience, self.node.swarm().connect(address, Origin::Admin)).await;
        Ok(connected.map_err(|_| Unreachable::TooLate(patience))??)
    }

    /// The peer that was given for a service, or a connected one that offers it.
    async fn service_peer(&self, given: Option<&Multiaddr>, protocol: &StreamProtocol) -> Option<PeerId> {
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

    /// All paths.
    pub fn router(self: &Arc<Self>) -> Router {
        let info = self.node.swarm().info();
        let mut router = Router::new()
            .route("/health", get(health::get))
            .route("/info", get(info::info))
            .route("/debug/v1/info", get(info::info))
            .route("/version", get(info::version))
            .route("/debug/v1/version", get(info::version))
            .route(
                "/filter/v2/subscriptions",
                post(filter::subscribe)
                    .put(filter::subscribe)
                    .delete(filter::unsubscribe),
            )
            .route("/filter/v2/subscriptions/all", delete(filter::unsubscribe_all))
            .route("/filter/v2/subscriptions/{id}", get(filter::ping))
            .route("/filter/v2/messages/{topic}", get(filter::messages))
            .route("/store/v3/messages", get(store::messages))
            .route("/lightpush/v3/message", post(light_push::push))
            .route("/lightpush/v1/message", post(light_push::push_legacy));
        if self.node.services().relay {
            router = router.merge(relay_paths());
        }
        if self.admin {
            router = router.merge(admin_paths());
        }
        let missing = Missing {
            relay: self.node.services().relay,
            admin: self.admin,
        };
        let nothing_here = move |uri: Uri| async move { missing.answer(uri.path()) };
        // nwaku answers a wrong method as it answers a wrong path.
        router
            .method_not_allowed_fallback(nothing_here)
            .fallback(nothing_here)
            .layer(middleware::from_fn_with_state(self.origins.clone(), origin::check))
            .layer(DefaultBodyLimit::max(info.max_message_bytes * 2 + BODY_OVERHEAD_BYTES))
            .with_state(self.clone())
    }
}

fn relay_paths() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/relay/v1/subscriptions",
            post(relay::subscribe).delete(relay::unsubscribe).options(allow),
        )
        .route(
            "/relay/v1/messages/{topic}",
            get(relay::messages).post(relay::publish).options(allow),
        )
        .route(
            "/relay/v1/auto/subscriptions",
            post(relay::auto_subscribe)
                .delete(relay::auto_unsubscribe)
                .options(allow),
        )
        .route(
            "/relay/v1/auto/messages/{topic}",
            get(relay::auto_messages).options(allow),
        )
        .route("/relay/v1/auto/messages", post(relay::auto_publish).options(allow))
}

fn admin_paths() -> Router<Arc<Api>> {
    Router::new()
        .route("/admin/v1/peers", get(admin::peers).post(admin::connect))
        .route("/admin/v1/peer/{id}", get(admin::peer))
        .route("/admin/v1/peers/service", get(admin::service_peers))
        .route("/admin/v1/peers/connected", get(admin::connected_peers))
        .route("/admin/v1/peers/connected/on/{shard}", get(admin::connected_on_shard))
        .route("/admin/v1/peers/relay", get(admin::relay_peers))
        .route("/admin/v1/peers/relay/on/{shard}", get(admin::relay_on_shard))
        .route("/admin/v1/peers/mesh", get(admin::mesh_peers))
        .route("/admin/v1/peers/mesh/on/{shard}", get(admin::mesh_on_shard))
        .route("/admin/v1/peers/stats", get(admin::stats))
        .route("/admin/v1/filter/subscriptions", get(admin::filter_subscriptions))
        .route("/admin/v1/log-level/{level}", post(admin::log_level))
}

/// A browser asking whether it may ask.
async fn allow() -> Response {
    answer::ok()
}

/// What is said about a path that is not there, by its first part (nwaku `rest_api/endpoint/builder.nim`).
#[derive(Debug, Clone, Copy)]
struct Missing {
    relay: bool,
    admin: bool,
}

impl Missing {
    fn answer(self, path: &str) -> answer::Refusal {
        answer::not_found(match path.split('/').nth(1).unwrap_or_default() {
            "admin" if !self.admin => {
                "/admin endpoints are not available. Please check your configuration: --rest-admin=true"
            }
            "relay" if !self.relay => "/relay endpoints are not available. Please check your configuration: --relay",
            _ => "Not found: invalid path or method used.",
        })
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
fn request_id() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}
