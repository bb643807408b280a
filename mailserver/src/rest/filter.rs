//! `/filter/v2`: subscribe at another node's filter and collect what it pushes (nwaku
//! `rest_api/endpoint/filter/handlers.nim`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use libp2p::PeerId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    answer::{self, Answer, bad_request},
    api::{Api, request_id},
    message::ShownMessage,
};
use crate::{
    protocols::filter::wire::{FILTER_SUBSCRIBE, FilterSubscribeRequest, FilterSubscribeType},
    topics::ContentTopic,
};

/// nwaku's `futTimeoutForSubscriptionProcessing`.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The id that an answer has when the request's could not be read.
const UNKNOWN: &str = "unknown";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    request_id: String,
    pubsub_topic: Option<String>,
    content_filters: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenAll {
    request_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    request_id: String,
    status_desc: String,
}

/// Why a request to a filter failed: its code (RFC 12, and 504 for a peer that cannot be reached), and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failed {
    code: u32,
    reason: String,
}

impl Failed {
    fn new(code: u32, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// With its kind in front, as nwaku shows what it finds wrong by itself.
    fn named(self) -> Self {
        let name = match self.code {
            400 => "BAD_REQUEST",
            503 => "SERVICE_UNAVAILABLE",
            _ => return self,
        };
        Self {
            reason: format!("{name}: {}", self.reason),
            ..self
        }
    }

    fn http(&self) -> StatusCode {
        match self.code {
            300 => StatusCode::INTERNAL_SERVER_ERROR,
            400 => StatusCode::BAD_REQUEST,
            404 => StatusCode::NOT_FOUND,
            429 => StatusCode::TOO_MANY_REQUESTS,
            503 => StatusCode::SERVICE_UNAVAILABLE,
            504 => StatusCode::GATEWAY_TIMEOUT,
            // nwaku's UNKNOWN.
            _ => StatusCode::OK,
        }
    }
}

fn shown(request_id: String, done: Result<(), Failed>) -> Response {
    match done {
        Ok(()) => answer::json(
            StatusCode::OK,
            &Shown {
                request_id,
                status_desc: "OK".into(),
            },
        ),
        Err(failed) => answer::json(
            failed.http(),
            &Shown {
                request_id,
                status_desc: failed.reason,
            },
        ),
    }
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<T, Failed> {
    answer::decode(headers, bytes)
        .map_err(|error| Failed::new(400, format!("Failed to decode request: {error}")).named())
}

fn read_given(headers: &HeaderMap, bytes: &Bytes) -> Result<Given, Failed> {
    let given: Given = read(headers, bytes)?;
    if given.content_filters.is_empty() {
        return Err(Failed::new(400, "Failed to decode request: Field `contentFilters` is empty").named());
    }
    Ok(given)
}

async fn peer(api: &Api) -> Result<PeerId, Failed> {
    let peer = api.service_peer(api.services.filter.as_ref(), &FILTER_SUBSCRIBE).await;
    peer.ok_or_else(|| Failed::new(503, "No suitable service peer & no discovery method").named())
}

/// Content topics by the pubsub topic that carries them.
fn by_pubsub_topic(api: &Api, given: &Given) -> Result<BTreeMap<String, Vec<String>>, Failed> {
    if let Some(topic) = given.pubsub_topic.as_ref().filter(|topic| !topic.is_empty()) {
        return Ok(BTreeMap::from([(topic.clone(), given.content_filters.clone())]));
    }
    let mut by_topic: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in &given.content_filters {
        let topic: ContentTopic = text
            .parse()
            .map_err(|error| Failed::new(400, format!("Invalid content-topic: {error}")))?;
        let shard = api.sharding.shard_of(api.node.swarm().info().cluster_id, &topic);
        let shard =
            shard.ok_or_else(|| Failed::new(400, "Pubsub topic must be specified when static sharding is enabled"))?;
        by_topic.entry(shard.to_string()).or_default().push(text.clone());
    }
    Ok(by_topic)
}

async fn send(
    api: &Api,
    peer: PeerId,
    kind: FilterSubscribeType,
    pubsub_topic: Option<String>,
    content_topics: Vec<String>,
) -> Result<(), Failed> {
    let request = FilterSubscribeRequest {
        request_id: Some(request_id()),
        filter_subscribe_type: Some(kind.into()),
        pubsub_topic,
        content_topics,
    };
    let response = match tokio::time::timeout(TIMEOUT, api.node.filter_client().request(peer, &request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(Failed::new(300, error.to_string())),
        Err(_) => {
            let reason = match kind {
                FilterSubscribeType::SubscriberPing => "Ping timed out",
                FilterSubscribeType::Subscribe => "Subscription request timed out",
                FilterSubscribeType::Unsubscribe => "Failed to unsubscribe from contentFilters due to timeout!",
                FilterSubscribeType::UnsubscribeAll => "Failed to unsubscribe from all contentFilters due to timeout!",
            };
            return Err(Failed::new(503, reason).named());
        }
    };
    match response.status_code.unwrap_or_default() {
        200 => Ok(()),
        code => Err(Failed::new(code, response.status_desc.unwrap_or_default())),
    }
}

async fn send_each(api: &Api, kind: FilterSubscribeType, given: &Given) -> Result<(), Failed> {
    let peer = peer(api).await?;
    for (topic, contents) in by_pubsub_topic(api, given)? {
        send(api, peer, kind, Some(topic), contents).await?;
    }
    Ok(())
}

pub(super) async fn subscribe(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let given = match read_given(&headers, &bytes) {
        Ok(given) => given,
        Err(failed) => return shown(UNKNOWN.into(), Err(failed)),
    };
    // Before the answer: the first push may overtake it.
    for topic in &given.content_filters {
        if api.filter_cache().subscribe_content(topic).is_err() {
            return shown(given.request_id, Err(Failed::new(503, "too many topics").named()));
        }
    }
    let done = send_each(&api, FilterSubscribeType::Subscribe, &given).await;
    if done.is_err() {
        given
            .content_filters
            .iter()
            .for_each(|topic| api.filter_cache().unsubscribe_content(topic));
    }
    shown(given.request_id, done)
}

pub(super) async fn unsubscribe(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let given = match read_given(&headers, &bytes) {
        Ok(given) => given,
        Err(failed) => return shown(UNKNOWN.into(), Err(failed)),
    };
    let done = send_each(&api, FilterSubscribeType::Unsubscribe, &given).await;
    if done.is_ok() {
        given
            .content_filters
            .iter()
            .for_each(|topic| api.filter_cache().unsubscribe_content(topic));
    }
    shown(given.request_id, done)
}

pub(super) async fn unsubscribe_all(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let given: GivenAll = match read(&headers, &bytes) {
        Ok(given) => given,
        Err(failed) => return shown(UNKNOWN.into(), Err(failed)),
    };
    let done = async {
        let peer = peer(&api).await?;
        send(&api, peer, FilterSubscribeType::UnsubscribeAll, None, Vec::new()).await
    };
    let done = done.await;
    if done.is_ok() {
        api.filter_cache().clear();
    }
    shown(given.request_id, done)
}

pub(super) async fn ping(State(api): State<Arc<Api>>, Path(request_id): Path<String>) -> Response {
    let done = async {
        let peer = peer(&api).await?;
        send(&api, peer, FilterSubscribeType::SubscriberPing, None, Vec::new()).await
    };
    shown(request_id, done.await)
}

pub(super) async fn messages(State(api): State<Arc<Api>>, Path(topic): Path<String>) -> Answer {
    let taken = api.filter_cache().take_content(&topic);
    let taken = taken.ok_or_else(|| bad_request(format!("Not subscribed to topic: {topic}")))?;
    let shown: Vec<ShownMessage> = taken.iter().map(|received| ShownMessage::filtered(received)).collect();
    Ok(answer::json(StatusCode::OK, &shown))
}
