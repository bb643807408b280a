//! REST as nwaku has it: paths, field names, status codes and texts, on top of the running node.
//!
//! Handlers read the node's status or ask its task; they hold nothing but the caches of received envelopes, which a task
//! of their own fills. A handler that waits for the node gives up in nwaku's time.

mod admin;
mod answer;
mod api;
mod cache;
mod filter;
mod health;
mod info;
mod light_push;
mod message;
mod origin;
mod relay;
mod store;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::Uri,
    middleware,
    response::Response,
    routing::{delete, get, post},
};

pub use self::api::{Api, PeerAddressError, SetLogLevel, peer_address};
pub use self::message::{MessageError, read_message};
pub use self::store::{QueryError, read_store_query};

/// Room for JSON around an envelope in base64.
const BODY_OVERHEAD_BYTES: usize = 64 * 1024;

/// All paths.
pub fn router(api: &Arc<Api>) -> Router {
    let info = api.node.swarm().info();
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
    if api.node.services().relay {
        router = router.merge(relay_paths());
    }
    if api.admin {
        router = router.merge(admin_paths());
    }
    let missing = Missing {
        relay: api.node.services().relay,
        admin: api.admin,
    };
    let nothing_here = move |uri: Uri| async move { missing.answer(uri.path()) };
    // nwaku answers a wrong method as it answers a wrong path.
    router
        .method_not_allowed_fallback(nothing_here)
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(api.origins.clone(), origin::check))
        .layer(DefaultBodyLimit::max(info.max_message_bytes * 2 + BODY_OVERHEAD_BYTES))
        .with_state(api.clone())
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
