//! `POST /lightpush/v3/message` and `/v1`: publish through this node's light push service, or through another's (nwaku
//! `rest_api/endpoint/lightpush/handlers.nim`, `legacy_lightpush/handlers.nim`).

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use libp2p::PeerId;
use serde::{Deserialize, Serialize};

use super::{
    answer::{self, Answer, BodyError, bad_request, unavailable},
    api::{Api, request_id},
    message::GivenMessage,
};
use crate::{
    intake::received::Source,
    protocols::light_push::{
        client,
        server::{autoshard, publish},
        wire::{LIGHT_PUSH, LIGHT_PUSH_LEGACY, LightPushRequest, LightPushResponse, PushRequest, PushRpc, status},
    },
    wire::WakuMessage,
};

/// nwaku's `FutTimeoutForPushRequestProcessing`.
const TIMEOUT: Duration = Duration::from_secs(5);
const NO_PEER: &str = "No suitable service peer & no discovery method";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    pubsub_topic: Option<String>,
    message: GivenMessage,
}

impl Given {
    fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<(Option<String>, GivenMessage), BodyError> {
        let given: Self = answer::decode(headers, bytes)?;
        Ok((given.pubsub_topic.filter(|topic| !topic.is_empty()), given.message))
    }
}

/// What became of a push: relay's peers, or code and reason.
type Pushed = Result<u32, (u32, String)>;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    status_desc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay_peer_count: Option<u32>,
}

/// Light push's codes are HTTP's as far as HTTP has them.
fn shown(pushed: Pushed) -> Response {
    let (code, shown) = match pushed {
        Ok(peers) => (
            status::SUCCESS,
            Shown {
                status_desc: None,
                relay_peer_count: Some(peers),
            },
        ),
        Err((code, reason)) => (
            code,
            Shown {
                status_desc: Some(reason),
                relay_peer_count: None,
            },
        ),
    };
    let http = u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    answer::json(http.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &shown)
}

pub(super) async fn push(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let refused = |reason: String| shown(Err((status::BAD_REQUEST, reason)));
    let (topic, message) = match Given::read(&headers, &bytes) {
        Ok(given) => given,
        Err(error) => return refused(format!("Invalid push request! {error}")),
    };
    let message = match message.into_message() {
        Ok(message) => message,
        Err(error) => return refused(format!("Invalid message! {error}")),
    };
    let pushed = async {
        if serves_itself(&api) {
            return push_here(&api, topic, message).await;
        }
        match api.service_peer(api.services.light_push.as_ref(), &LIGHT_PUSH).await {
            Some(peer) => push_there(&api, peer, topic, message).await,
            None => Err((status::SERVICE_NOT_AVAILABLE, NO_PEER.to_owned())),
        }
    };
    let timed_out = |_| Err((status::SERVICE_NOT_AVAILABLE, "Push request timed out".to_owned()));
    shown(tokio::time::timeout(TIMEOUT, pushed).await.unwrap_or_else(timed_out))
}

/// A node that serves light push answers itself, unless it was told whom to ask.
fn serves_itself(api: &Api) -> bool {
    api.node.services().light_push && api.services.light_push.is_none()
}

async fn push_here(api: &Api, topic: Option<String>, message: WakuMessage) -> Pushed {
    match publish(api.node.publisher(), topic, Some(message), Source::Local).await {
        Ok(published) => Ok(u32::try_from(published.relay_peers).unwrap_or(u32::MAX)),
        Err(refused) => Err((refused.code, refused.reason)),
    }
}

async fn push_there(api: &Api, peer: PeerId, topic: Option<String>, message: WakuMessage) -> Pushed {
    let request = LightPushRequest {
        request_id: Some(request_id()),
        pubsub_topic: topic,
        message: Some(message),
    };
    let response: LightPushResponse = client::push(api.node.swarm(), peer, &request)
        .await
        .map_err(|error| (status::SERVICE_NOT_AVAILABLE, error.to_string()))?;
    match response.status_code.unwrap_or_default() {
        status::SUCCESS => Ok(response.relay_peer_count.unwrap_or_default()),
        code => Err((code, response.status_desc.unwrap_or_default())),
    }
}

pub(super) async fn push_legacy(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    let (topic, message) = Given::read(&headers, &bytes).map_err(bad_request)?;
    let message = message
        .into_message()
        .map_err(|error| bad_request(format!("Invalid message: {error}")))?;
    let pushed = async {
        if serves_itself(&api) {
            return Ok(push_here(&api, topic, message).await.map(|_| ()));
        }
        let peer = api
            .service_peer(api.services.light_push.as_ref(), &LIGHT_PUSH_LEGACY)
            .await;
        let peer = peer.ok_or_else(|| unavailable(NO_PEER))?;
        Ok(push_there_legacy(&api, peer, topic, message).await)
    };
    let timed_out = |_| Err(unavailable("Push request timed out"));
    match tokio::time::timeout(TIMEOUT, pushed).await.unwrap_or_else(timed_out)? {
        Ok(()) => Ok(answer::ok()),
        // The misspelling is nwaku's.
        Err((status::TOO_MANY_REQUESTS, _)) => Err(answer::too_many("Request rate limmit reached")),
        Err((_, reason)) => Err(unavailable(format!("Failed to request a message push: {reason}"))),
    }
}

async fn push_there_legacy(
    api: &Api,
    peer: PeerId,
    topic: Option<String>,
    message: WakuMessage,
) -> Result<(), (u32, String)> {
    let failed = |reason: String| (status::SERVICE_NOT_AVAILABLE, reason);
    // 2.0.0-beta1 knows no autosharding: nwaku refuses a request without a pubsub topic.
    let topic = match topic {
        Some(topic) => topic,
        None => autoshard(api.node.swarm().info(), &message).map_err(|refused| failed(refused.reason))?,
    };
    let request = PushRpc {
        request_id: Some(request_id()),
        request: Some(PushRequest {
            pubsub_topic: Some(topic),
            message: Some(message),
        }),
        response: None,
    };
    let answered: PushRpc = client::push_legacy(api.node.swarm(), peer, &request)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let response = answered
        .response
        .ok_or_else(|| failed("the answer has no response".to_owned()))?;
    if response.is_success == Some(true) {
        Ok(())
    } else {
        Err(failed(response.info.unwrap_or_default()))
    }
}
