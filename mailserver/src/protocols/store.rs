//! Store 3.0.0 as a server (RFC 13/WAKU2-STORE), answered from the archive.
//!
//! Few queries run at once, on threads of their own; more wait a moment and then get 503. An answer of many large
//! envelopes is memory until it is written, so writing counts as running.

use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::{Direction, Entry, MAX_PAGE, MessageHash, Query};
use libp2p::{PeerId, Stream};
use prost::Message;

use super::rate::Limiter;
use super::turnstile::{Passage, Turnstile};
use super::{answer, id, read_request};
use crate::archivist::{Archivist, QueryError};
use crate::counters::Counters;
use crate::node::settings::RateLimit;
use crate::wire::WakuMessage;
use crate::wire::framing::FrameError;
use crate::wire::store::{StoreQueryRequest, StoreQueryResponse, WakuMessageKeyValue};

/// nwaku's `DefaultPageSize`.
const DEFAULT_PAGE: u64 = 20;
/// Ten content topics are what clients send, fifty hashes; several times that is still an honest question.
const MAX_CONTENT_TOPICS: usize = 100;
const MAX_HASHES: usize = 500;
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// Answers in the making or being written, for all peers and for one.
const MAX_ANSWERS: usize = 16;
const MAX_ANSWERS_PER_PEER: usize = 4;
/// Longest wait for a place; clients give up after 30 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Status codes of RFC 13/WAKU2-STORE.
pub mod status {
    pub const OK: u32 = 200;
    pub const BAD_RESPONSE: u32 = 300;
    pub const BAD_REQUEST: u32 = 400;
    pub const TOO_MANY_REQUESTS: u32 = 429;
    pub const SERVICE_UNAVAILABLE: u32 = 503;
}

/// An answer other than 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: u32,
    pub reason: String,
}

impl Refused {
    fn new(code: u32, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(status::BAD_REQUEST, reason)
    }

    fn label(&self) -> &'static str {
        match self.code {
            status::BAD_REQUEST => "BAD_REQUEST",
            status::TOO_MANY_REQUESTS => "TOO_MANY_REQUESTS",
            status::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
            _ => "BAD_RESPONSE",
        }
    }
}

#[derive(Clone)]
pub struct Server {
    archive: Archivist,
    limiter: Limiter,
    turnstile: Arc<Turnstile>,
    counters: Counters,
}

impl Server {
    pub(crate) fn new(archive: Archivist, limit: Option<RateLimit>, counters: Counters) -> Self {
        Self {
            archive,
            limiter: Limiter::new(limit, id::STORE, &counters),
            turnstile: Arc::new(Turnstile::new(MAX_ANSWERS, MAX_ANSWERS_PER_PEER)),
            counters,
        }
    }

    /// The archive's figures; `None` once it is closed.
    pub fn stats(&self) -> Option<archive::Stats> {
        self.archive.stats()
    }

    pub(crate) async fn serve(&self, peer: PeerId, mut stream: Stream) -> Result<(), FrameError> {
        let Some(request) = read_request(&mut stream, MAX_REQUEST_BYTES, &self.counters).await? else {
            return Ok(());
        };
        let counters = &self.counters;
        counters.service_traffic(id::STORE, "in", request.bytes.len());
        let began = Instant::now();
        let (place, response) = match StoreQueryRequest::decode(request.bytes.as_slice()) {
            Ok(request) => {
                counters.store_queries.inc();
                self.answer_peer(peer, request).await
            }
            Err(error) => (None, self.undecodable(&error)),
        };
        let queried = began.elapsed();
        let body = response.encode_to_vec();
        drop(response);
        counters.service_traffic(id::STORE, "out", body.len());
        answer(&mut stream, &body).await?;
        if place.is_some() {
            counters.store_phase("query-db-time", queried);
            counters.store_phase("send-store-resp-time", began.elapsed().saturating_sub(queried));
            counters.served(id::STORE, began.elapsed());
        }
        Ok(())
    }

    /// Answers one peer's query within the limits; the passage is to be kept until the answer is written.
    pub(super) async fn answer_peer(
        &self,
        peer: PeerId,
        request: StoreQueryRequest,
    ) -> (Option<Passage>, StoreQueryResponse) {
        if !self.limiter.allows(peer) {
            self.counters.rejected(id::STORE);
            return (
                None,
                self.refuse(None, Refused::new(status::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS")),
            );
        }
        let place = self.turnstile.enter(peer, PATIENCE).await;
        let response = match &place {
            Some(_) => self.answer(request).await,
            None => {
                self.counters.rejected(id::STORE);
                let busy = Refused::new(status::SERVICE_UNAVAILABLE, "too many queries at once");
                self.refuse(request.request_id, busy)
            }
        };
        (place, response)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Answers one query; never fails, the status code says what happened.
    pub async fn answer(&self, request: StoreQueryRequest) -> StoreQueryResponse {
        let request_id = request.request_id.clone();
        let query = match to_query(&request) {
            Ok(query) => query,
            Err(refused) => return self.refuse(request_id, refused),
        };
        let archive = self.archive.clone();
        let page = match tokio::task::spawn_blocking(move || archive.query(&query)).await {
            Ok(Ok(page)) => page,
            Ok(Err(QueryError::Archive(archive::Error::UnknownCursor(_)))) => {
                return self.refuse(request_id, Refused::bad_request("cursor not found"));
            }
            Ok(Err(QueryError::Closed)) | Err(_) => {
                return self.refuse(
                    request_id,
                    Refused::new(status::SERVICE_UNAVAILABLE, "the archive is closed"),
                );
            }
            Ok(Err(QueryError::Archive(error))) => {
                tracing::warn!(%error, "query failed");
                return self.refuse(
                    request_id,
                    Refused::new(status::BAD_RESPONSE, "the archive cannot be read"),
                );
            }
        };
        StoreQueryResponse {
            request_id,
            status_code: Some(status::OK),
            status_desc: Some("OK".into()),
            messages: page.entries.into_iter().map(key_value).collect(),
            pagination_cursor: page.cursor.map(|hash| hash.0.to_vec()),
        }
    }

    fn undecodable(&self, error: &prost::DecodeError) -> StoreQueryResponse {
        Counters::count(&self.counters.store_errors, "decode_rpc_failure");
        let refused = Refused::bad_request(format!("decoding rpc failed: {error}"));
        response_of(None, refused)
    }

    fn refuse(&self, request_id: Option<String>, refused: Refused) -> StoreQueryResponse {
        Counters::count(&self.counters.store_errors, refused.label());
        response_of(request_id, refused)
    }
}

fn response_of(request_id: Option<String>, refused: Refused) -> StoreQueryResponse {
    StoreQueryResponse {
        request_id: Some(request_id.unwrap_or_else(|| "N/A".into())),
        status_code: Some(refused.code),
        status_desc: Some(refused.reason),
        messages: Vec::new(),
        pagination_cursor: None,
    }
}

/// The question in the archive's terms.
pub fn to_query(request: &StoreQueryRequest) -> Result<Query, Refused> {
    if request.request_id.is_none() {
        return Err(Refused::bad_request("request_id is missing"));
    }
    if request.content_topics.len() > MAX_CONTENT_TOPICS {
        return Err(Refused::bad_request("too many content topics"));
    }
    if request.message_hashes.len() > MAX_HASHES {
        return Err(Refused::bad_request("too many message hashes"));
    }
    if let (Some(start), Some(end)) = (request.time_start, request.time_end)
        && start > end
    {
        return Err(Refused::bad_request("time_start is after time_end"));
    }
    let hash = |bytes: &Vec<u8>, what: &str| {
        let hash = <[u8; 32]>::try_from(bytes.as_slice());
        hash.map(MessageHash)
            .map_err(|_| Refused::bad_request(format!("{what} of {} bytes, 32 are needed", bytes.len())))
    };
    let hashes = request
        .message_hashes
        .iter()
        .map(|bytes| hash(bytes, "message hash"))
        .collect::<Result<_, _>>()?;
    let cursor = request.pagination_cursor.as_ref().filter(|cursor| !cursor.is_empty());
    let limit = match request.pagination_limit.unwrap_or(0) {
        0 => DEFAULT_PAGE,
        limit => limit.min(MAX_PAGE as u64),
    };
    Ok(Query {
        pubsub_topic: request.pubsub_topic.clone().filter(|topic| !topic.is_empty()),
        content_topics: request.content_topics.clone(),
        time_start: request.time_start,
        time_end: request.time_end,
        hashes,
        cursor: cursor.map(|cursor| hash(cursor, "cursor")).transpose()?,
        direction: if request.pagination_forward {
            Direction::Forward
        } else {
            Direction::Backward
        },
        limit: usize::try_from(limit).unwrap_or(MAX_PAGE),
        include_data: request.include_data,
    })
}

fn key_value(entry: Entry) -> WakuMessageKeyValue {
    let (message, pubsub_topic) = match entry.envelope {
        Some(mut envelope) => {
            let topic = std::mem::take(&mut envelope.pubsub_topic);
            (Some(WakuMessage::from_envelope(envelope, false)), Some(topic))
        }
        None => (None, None),
    };
    WakuMessageKeyValue {
        message_hash: Some(entry.hash.0.to_vec()),
        message,
        pubsub_topic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> StoreQueryRequest {
        StoreQueryRequest {
            request_id: Some("1".into()),
            ..Default::default()
        }
    }

    #[test]
    fn defaults_are_nwakus() {
        let query = to_query(&request()).unwrap();
        assert_eq!(query.limit, 20);
        assert_eq!(query.direction, Direction::Backward);
        assert_eq!(
            query,
            Query {
                limit: 20,
                ..Query::default()
            }
        );
        for (asked, limit) in [(1, 1), (100, 100), (101, 100), (u64::MAX, 100)] {
            let query = to_query(&StoreQueryRequest {
                pagination_limit: Some(asked),
                ..request()
            })
            .unwrap();
            assert_eq!(query.limit, limit);
        }
    }

    #[test]
    fn bad_questions_get_400() {
        for (name, bad) in [
            (
                "no id",
                StoreQueryRequest {
                    request_id: None,
                    ..request()
                },
            ),
            (
                "short cursor",
                StoreQueryRequest {
                    pagination_cursor: Some(vec![1; 31]),
                    ..request()
                },
            ),
            (
                "long cursor",
                StoreQueryRequest {
                    pagination_cursor: Some(vec![1; 10_000]),
                    ..request()
                },
            ),
            (
                "short hash",
                StoreQueryRequest {
                    message_hashes: vec![vec![1; 32], vec![]],
                    ..request()
                },
            ),
            (
                "many hashes",
                StoreQueryRequest {
                    message_hashes: vec![vec![1; 32]; 501],
                    ..request()
                },
            ),
            (
                "many topics",
                StoreQueryRequest {
                    content_topics: vec!["/a/1/b/c".into(); 101],
                    ..request()
                },
            ),
            (
                "backwards",
                StoreQueryRequest {
                    time_start: Some(2),
                    time_end: Some(1),
                    ..request()
                },
            ),
        ] {
            assert_eq!(to_query(&bad).unwrap_err().code, 400, "{name}");
        }
    }
}
