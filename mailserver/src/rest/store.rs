//! `GET /store/v3/messages`: a store query, to this node's archive or to another store (nwaku
//! `rest_api/endpoint/store/handlers.nim`).

use std::{num::ParseIntError, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, Uri},
};
use libp2p::PeerId;
use serde::{Deserialize, Serialize};

use super::{
    answer::{self, Answer, Refusal, bad_request, internal_error},
    api::{Api, peer_address, request_id},
    message::ShownMessage,
};
use crate::protocols::store::{
    client,
    wire::{STORE, StoreQueryRequest, StoreQueryResponse, WakuMessageKeyValue, status},
};

/// nwaku's `futTimeout`.
const TIMEOUT: Duration = Duration::from_secs(5);
/// nwaku's `DefaultPageSize` and `MaxPageSize`.
const DEFAULT_PAGE: u64 = 20;
const MAX_PAGE: u64 = 100;

/// All as text: an empty value is none, and what is wrong has nwaku's words.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    peer_addr: String,
    include_data: String,
    pubsub_topic: String,
    content_topics: String,
    start_time: String,
    end_time: String,
    hashes: String,
    cursor: String,
    ascending: String,
    page_size: String,
}

/// What is wrong with a query string, in nwaku's words.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Uri(#[from] axum::http::Error),
    #[error(transparent)]
    Parameters(#[from] QueryRejection),
    #[error("page size parsing error: {error}: {text}")]
    PageSize { text: String, error: ParseIntError },
    #[error("include data parsing error: cannot interpret as a bool: {0}")]
    IncludeData(String),
    #[error("time parsing error: invalid integer: {0}")]
    Time(String),
    #[error("Exception converting hex string to bytes: {0}")]
    Hex(#[from] hex::FromHexError),
    #[error("waku message hash parsing error: invalid hash length: {0}")]
    HashLength(usize),
}

impl Parameters {
    fn request(&self) -> Result<StoreQueryRequest, QueryError> {
        let list = |text: &str| -> Vec<String> {
            if text.is_empty() {
                Vec::new()
            } else {
                text.split(',').map(str::to_owned).collect()
            }
        };
        let hashes: Vec<Option<Vec<u8>>> = self.hashes.split(',').map(hash).collect::<Result<_, _>>()?;
        let page_size = match self.page_size.as_str() {
            "" => DEFAULT_PAGE,
            text => text.parse().map_err(|error| QueryError::PageSize {
                text: text.to_owned(),
                error,
            })?,
        };
        Ok(StoreQueryRequest {
            // nwaku's own node is asked with an empty id.
            request_id: Some(String::new()),
            include_data: include_data(&self.include_data)?,
            pubsub_topic: Some(self.pubsub_topic.clone()).filter(|topic| !topic.is_empty()),
            content_topics: list(&self.content_topics),
            time_start: time(&self.start_time)?,
            time_end: time(&self.end_time)?,
            message_hashes: hashes.into_iter().flatten().collect(),
            pagination_cursor: hash(&self.cursor)?,
            pagination_forward: matches!(self.ascending.as_str(), "" | "true"),
            pagination_limit: Some(page_size.min(MAX_PAGE)),
        })
    }
}

/// Reads what the query string of `/store/v3/messages` asks for.
pub fn read_store_query(query: &str) -> Result<StoreQueryRequest, QueryError> {
    let uri = Uri::builder().path_and_query(format!("/?{query}")).build()?;
    Query::<Parameters>::try_from_uri(&uri)?.request()
}

fn include_data(text: &str) -> Result<bool, QueryError> {
    if text.is_empty() {
        return Ok(false);
    }
    crate::config::values::switch(text).ok_or_else(|| QueryError::IncludeData(text.to_owned()))
}

/// Only a positive time is one.
fn time(text: &str) -> Result<Option<i64>, QueryError> {
    if text.is_empty() {
        return Ok(None);
    }
    let time: i64 = text.parse().map_err(|_| QueryError::Time(text.to_owned()))?;
    Ok(Some(time).filter(|time| *time > 0))
}

/// 32 bytes in hexadecimal digits, with `0x` or without.
fn hash(text: &str) -> Result<Option<Vec<u8>>, QueryError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text))?;
    match bytes.len() {
        32 => Ok(Some(bytes)),
        length => Err(QueryError::HashLength(length)),
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    request_id: String,
    status_code: u32,
    status_desc: String,
    messages: Vec<ShownEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination_cursor: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownEntry {
    message_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<ShownMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubsub_topic: Option<String>,
}

impl Shown {
    fn of(response: StoreQueryResponse) -> Self {
        Self {
            request_id: response.request_id.unwrap_or_default(),
            status_code: response.status_code.unwrap_or_default(),
            status_desc: response.status_desc.unwrap_or_default(),
            messages: response.messages.into_iter().map(ShownEntry::of).collect(),
            pagination_cursor: response.pagination_cursor.map(|hash| shown_hash(&hash)),
        }
    }
}

impl ShownEntry {
    fn of(entry: WakuMessageKeyValue) -> Self {
        let pubsub_topic = entry.pubsub_topic.clone().unwrap_or_default();
        Self {
            message_hash: shown_hash(&entry.message_hash.unwrap_or_default()),
            message: entry.message.map(|message| {
                let ephemeral = message.is_ephemeral();
                ShownMessage::of(&message.into_envelope(pubsub_topic), ephemeral)
            }),
            pubsub_topic: entry.pubsub_topic,
        }
    }
}

fn shown_hash(hash: &[u8]) -> String {
    format!("0x{}", hex::encode(hash))
}

pub(super) async fn messages(State(api): State<Arc<Api>>, Query(parameters): Query<Parameters>) -> Answer {
    let request = parameters.request().map_err(bad_request)?;
    let own = api.node.store().filter(|_| parameters.peer_addr.is_empty());
    let response = match own {
        Some(store) => {
            let response = store.answer(request).await;
            let code = response.status_code.unwrap_or_default();
            if code != status::OK && code != status::TOO_MANY_REQUESTS {
                let reason = response.status_desc.unwrap_or_default();
                return Err(internal_error(format!(
                    "error in handleSelfStoreRequest: {}",
                    named(code, &reason)
                )));
            }
            response
        }
        None => {
            let peer = choose(&api, &parameters.peer_addr).await?;
            ask(&api, peer, request).await?
        }
    };
    if response.status_code == Some(status::TOO_MANY_REQUESTS) {
        return Err(answer::too_many("Request rate limit reached"));
    }
    Ok(answer::json(StatusCode::OK, &Shown::of(response)))
}

/// The peer that was named, that the node was configured with, or that offers store.
async fn choose(api: &Api, address: &str) -> Result<PeerId, Refusal> {
    if !address.is_empty() {
        let address =
            peer_address(address).map_err(|error| bad_request(format!("Failed parsing remote peer info [{error}]")))?;
        return api.reach(address, TIMEOUT).await.map_err(|error| {
            internal_error(format!(
                "Error occurred in queryFut.read() [PEER_DIAL_FAILURE: {error}]"
            ))
        });
    }
    api.service_peer(api.services.store.as_ref(), &STORE)
        .await
        .ok_or_else(|| answer::precondition_failed("No suitable service peer & no discovery method"))
}

async fn ask(api: &Api, peer: PeerId, request: StoreQueryRequest) -> Result<StoreQueryResponse, Refusal> {
    let request = StoreQueryRequest {
        request_id: Some(request_id()),
        ..request
    };
    let failed = |error: String| internal_error(format!("Error occurred in queryFut.read() [{error}]"));
    let asked = client::query(api.node.swarm(), peer, &request);
    let response: StoreQueryResponse = tokio::time::timeout(TIMEOUT, asked)
        .await
        .map_err(|_| internal_error("No history response received (timeout)"))?
        .map_err(|error| failed(format!("BAD_RESPONSE: {error}")))?;
    match response.status_code.unwrap_or_default() {
        status::OK | status::TOO_MANY_REQUESTS => Ok(response),
        code => Err(failed(named(code, response.status_desc.as_deref().unwrap_or_default()))),
    }
}

/// A store's error as nwaku prints it.
fn named(code: u32, reason: &str) -> String {
    match code {
        300 => format!("BAD_RESPONSE: {reason}"),
        400 => format!("BAD_REQUEST: {reason}"),
        503 => "SERVICE_UNAVAILABLE".to_owned(),
        504 => format!("PEER_DIAL_FAILURE: {reason}"),
        _ => "UNKNOWN".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_nwakus_defaults() {
        let request = read_store_query("").unwrap();
        assert_eq!(
            request,
            StoreQueryRequest {
                request_id: Some(String::new()),
                pagination_forward: true,
                pagination_limit: Some(20),
                ..StoreQueryRequest::default()
            }
        );
        let hash = "ab".repeat(32);
        let request = read_store_query(&format!(
            "includeData=true&pubsubTopic=%2Fwaku%2F2%2Frs%2F16%2F32&contentTopics=%2Fa%2F1%2Fb%2Fc,%2Fd%2F1%2Fe%2Ff&startTime=5\
             &endTime=-1&hashes=0x{hash},{hash}&cursor={hash}&ascending=false&pageSize=1000"
        ))
        .unwrap();
        assert!(request.include_data && !request.pagination_forward);
        assert_eq!(request.pubsub_topic.as_deref(), Some("/waku/2/rs/16/32"));
        assert_eq!(request.content_topics, ["/a/1/b/c", "/d/1/e/f"]);
        assert_eq!((request.time_start, request.time_end), (Some(5), None));
        assert_eq!((request.message_hashes.len(), request.pagination_limit), (2, Some(100)));
    }

    #[test]
    fn what_is_wrong_has_nwakus_words() {
        for (query, text) in [
            ("startTime=x", "time parsing error: "),
            ("endTime=1.5", "time parsing error: "),
            ("includeData=perhaps", "include data parsing error: "),
            ("pageSize=-1", "page size parsing error: "),
            ("hashes=zz", "Exception converting hex string to bytes: "),
            (
                "cursor=0xabcd",
                "waku message hash parsing error: invalid hash length: 2",
            ),
        ] {
            let error = read_store_query(query).unwrap_err().to_string();
            assert!(error.starts_with(text), "{query}: {error}");
        }
    }
}
