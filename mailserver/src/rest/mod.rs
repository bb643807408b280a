//! REST as nwaku has it: paths, field names, status codes and texts, on top of the running node.
//!
//! Handlers read the node's status or ask its task; they hold nothing but the caches of received envelopes, which a task
//! of their own fills. A handler that waits for the node gives up in nwaku's time.

mod admin;
mod answer;
mod cache;
mod health;
mod info;
mod message;
mod origin;
mod relay;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::Uri,
    middleware,
    response::Response,
    routing::{get, post},
};
use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::sync::{broadcast, watch};

use crate::{
    config::{LogLevel, Network, Rest},
    node::{Handle, Received},
    topics::Sharding,
};
use cache::Cache;
use origin::Origins;

const RELAY: &str = "/vac/waku/relay/2.0.0";
const STORE: &str = "/vac/waku/store-query/3.0.0";
const FILTER_SUBSCRIBE: &str = "/vac/waku/filter-subscribe/2.0.0-beta1";
const FILTER_PUSH: &str = "/vac/waku/filter-push/2.0.0-beta1";
const LIGHT_PUSH: &str = "/vac/waku/lightpush/3.0.0";
const LEGACY_LIGHT_PUSH: &str = "/vac/waku/lightpush/2.0.0-beta1";
const PEER_EXCHANGE: &str = "/vac/waku/peer-exchange/2.0.0-alpha1";

/// Room for JSON around an envelope in base64.
const BODY_OVERHEAD_BYTES: usize = 64 * 1024;

/// Changes what is logged from now on.
pub type SetLogLevel = Box<dyn Fn(LogLevel) -> Result<(), String> + Send + Sync>;

/// What handlers work with.
pub struct Api {
    node: Handle,
    sharding: Sharding,
    admin: bool,
    origins: Arc<Origins>,
    /// The own node record as text; empty until there is one.
    enr: watch::Receiver<String>,
    set_log_level: SetLogLevel,
    relay_cache: Mutex<Cache>,
}

impl Api {
    pub fn new(
        node: Handle,
        network: &Network,
        settings: &Rest,
        enr: watch::Receiver<String>,
        set_log_level: SetLogLevel,
    ) -> Arc<Self> {
        let mut relay_cache = Cache::new(settings.relay_cache_capacity);
        for topic in network.pubsub_topics() {
            // More shards than the cache takes are served all the same, but not collected here.
            let _ = relay_cache.subscribe_pubsub(&topic.to_string());
        }
        for topic in &network.content_topics {
            let _ = relay_cache.subscribe_content(&topic.to_string());
        }
        Arc::new(Self {
            node,
            sharding: network.sharding,
            admin: settings.admin,
            origins: Arc::new(Origins::new(&settings.allowed_origins)),
            enr,
            set_log_level,
            relay_cache: Mutex::new(relay_cache),
        })
    }

    fn relay_cache(&self) -> MutexGuard<'_, Cache> {
        // A cache is whole after every step, even one that panicked.
        self.relay_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pubsub topics that the node is subscribed to.
    fn subscribed(&self) -> Vec<String> {
        self.node
            .status()
            .borrow()
            .meshes
            .iter()
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    fn is_subscribed(&self, topic: &str) -> bool {
        self.node
            .status()
            .borrow()
            .meshes
            .iter()
            .any(|(known, _)| known == topic)
    }

    /// Fills the caches until the node ends.
    pub async fn collect(self: Arc<Self>) {
        let mut received: broadcast::Receiver<Arc<Received>> = self.node.received();
        loop {
            match received.recv().await {
                Ok(received) => self.relay_cache().add(&received),
                // The caches forget the oldest when they are full; falling behind is the same.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            }
        }
    }

    /// All paths.
    pub fn router(self: &Arc<Self>) -> Router {
        let info = self.node.info();
        let mut router = Router::new()
            .route("/health", get(health::get))
            .route("/info", get(info::info))
            .route("/debug/v1/info", get(info::info))
            .route("/version", get(info::version))
            .route("/debug/v1/version", get(info::version));
        if info.services.relay {
            router = router
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
                .route("/relay/v1/auto/messages", post(relay::auto_publish).options(allow));
        }
        if self.admin {
            router = router
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
                .route("/admin/v1/log-level/{level}", post(admin::log_level));
        }
        let missing = Missing {
            relay: info.services.relay,
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

/// A multiaddr that names a peer, with nwaku's words where it does not.
fn peer_address(text: &str) -> Result<Multiaddr, String> {
    let address: Multiaddr = text.parse().map_err(|error| format!("MultiAddress.init [{error}]"))?;
    match address.iter().last() {
        Some(Protocol::P2p(_)) => Ok(address),
        _ => Err("Invalid multiaddress: /p2p/ and the peer's id are missing".to_owned()),
    }
}
