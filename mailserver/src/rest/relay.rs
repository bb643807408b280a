//! `/relay/v1`: subscribe, publish, and collect what came (nwaku `rest_api/endpoint/relay/handlers.nim`).

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    answer::{self, Answer, Refusal, bad_request, internal_error},
    api::Api,
    cache::Full,
    message::{GivenMessage, ShownMessage},
};
use crate::{
    intake::received::{Received, Source},
    protocols::publish::PublishError,
    swarm::Stopped,
    topics::{self, ContentTopic, Shard},
    wire::WakuMessage,
};

/// nwaku's `futTimeout`.
const TIMEOUT: Duration = Duration::from_secs(5);

fn pubsub_topics(headers: &HeaderMap, bytes: &Bytes) -> Result<Vec<String>, Refusal> {
    let topics: Vec<String> = answer::body(headers, bytes)?;
    let bad: Vec<&String> = topics.iter().filter(|topic| topic.parse::<Shard>().is_err()).collect();
    // nwaku prints a list of its language's: @["a", "b"].
    if bad.is_empty() {
        Ok(topics)
    } else {
        Err(bad_request(format!("Invalid pubsub topic(s): @{bad:?}")))
    }
}

fn full(_: Full) -> Refusal {
    internal_error("Subscribe failed:too many topics")
}

fn stopped(Stopped: Stopped) -> Refusal {
    internal_error("Subscribe failed:the node has stopped")
}

pub(super) async fn subscribe(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    for topic in pubsub_topics(&headers, &bytes)? {
        api.relay_cache().subscribe_pubsub(&topic).map_err(full)?;
        api.node.swarm().subscribe(topic).await.map_err(stopped)?;
    }
    Ok(answer::ok())
}

pub(super) async fn unsubscribe(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    for topic in pubsub_topics(&headers, &bytes)? {
        api.relay_cache().unsubscribe_pubsub(&topic);
        api.node.swarm().unsubscribe(topic).await.map_err(stopped)?;
    }
    Ok(answer::ok())
}

pub(super) async fn messages(State(api): State<Arc<Api>>, Path(topic): Path<String>) -> Answer {
    let taken = api
        .relay_cache()
        .take_pubsub(&topic)
        .ok_or_else(|| answer::not_found(""))?;
    Ok(shown(&taken))
}

fn shown(taken: &[Arc<Received>]) -> Response {
    let shown: Vec<ShownMessage> = taken.iter().map(|received| ShownMessage::relayed(received)).collect();
    answer::json(StatusCode::OK, &shown)
}

pub(super) async fn publish(
    State(api): State<Arc<Api>>,
    Path(topic): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    if !api.is_subscribed(&topic) {
        return Err(bad_request(format!(
            "Failed to publish: Node not subscribed to topic: {topic}"
        )));
    }
    let given: GivenMessage = answer::body(&headers, &bytes)?;
    let message = given.into_message().map_err(bad_request)?;
    match hand_over(&api, topic, message).await? {
        // nwaku waits for this publication but doesn't look at what became of it.
        Ok(()) | Err(PublishError::NoPeers { .. }) => Ok(answer::ok()),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &PublishError) -> Refusal {
    bad_request(match error {
        PublishError::TooLarge { max_bytes, .. } => {
            format!("Failed to publish: Message size exceeded maximum of {max_bytes} bytes")
        }
        other => format!("Failed to publish: {other}"),
    })
}

/// Publishes within nwaku's time.
async fn hand_over(api: &Api, topic: String, message: WakuMessage) -> Result<Result<(), PublishError>, Refusal> {
    tokio::time::timeout(TIMEOUT, api.node.publish(topic, message, Source::Local))
        .await
        .map(|published| published.map(|_| ()))
        .map_err(|_| internal_error("Failed to publish: timedout"))
}

/// Why a content topic has no shard of its own, in nwaku's words.
#[derive(Debug, thiserror::Error)]
enum AutoshardingError {
    #[error("Autosharding error: {0}")]
    Topic(#[from] topics::Error),
    #[error("Autosharding is disabled")]
    Disabled,
}

/// The shard that autosharding gives a content topic, as a pubsub topic.
fn auto_topic(api: &Api, content_topic: &str) -> Result<String, AutoshardingError> {
    let topic: ContentTopic = content_topic.parse()?;
    let shard = api.sharding.shard_of(api.node.swarm().info().cluster_id, &topic);
    shard.map(|shard| shard.to_string()).ok_or(AutoshardingError::Disabled)
}

pub(super) async fn auto_subscribe(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    for topic in answer::body::<Vec<String>>(&headers, &bytes)? {
        let pubsub_topic =
            auto_topic(&api, &topic).map_err(|error| internal_error(format!("Subscribe failed:{error}")))?;
        api.relay_cache().subscribe_content(&topic).map_err(full)?;
        api.node.swarm().subscribe(pubsub_topic).await.map_err(stopped)?;
    }
    Ok(answer::ok())
}

pub(super) async fn auto_unsubscribe(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    for topic in answer::body::<Vec<String>>(&headers, &bytes)? {
        let pubsub_topic =
            auto_topic(&api, &topic).map_err(|error| internal_error(format!("Unsubscribe failed:{error}")))?;
        let still_wanted = {
            let mut cache = api.relay_cache();
            cache.unsubscribe_content(&topic);
            cache.has_pubsub(&pubsub_topic)
                || cache
                    .content_topics()
                    .any(|other| auto_topic(&api, other).is_ok_and(|topic| topic == pubsub_topic))
        };
        if !still_wanted {
            api.node.swarm().unsubscribe(pubsub_topic).await.map_err(stopped)?;
        }
    }
    Ok(answer::ok())
}

pub(super) async fn auto_messages(State(api): State<Arc<Api>>, Path(topic): Path<String>) -> Answer {
    let taken = api
        .relay_cache()
        .take_content(&topic)
        .ok_or_else(|| answer::not_found(topic))?;
    Ok(shown(&taken))
}

pub(super) async fn auto_publish(State(api): State<Arc<Api>>, headers: HeaderMap, bytes: Bytes) -> Answer {
    let given: GivenMessage = answer::body(&headers, &bytes)?;
    let message = given.into_message().map_err(bad_request)?;
    let content_topic = message.content_topic.clone().unwrap_or_default();
    let topic = auto_topic(&api, &content_topic).map_err(|error| bad_request(format!("Failed to publish. {error}")))?;
    match hand_over(&api, topic, message).await? {
        Ok(()) => Ok(answer::ok()),
        Err(error) => Err(refused(&error)),
    }
}
