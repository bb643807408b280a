//! Store 3.0.0 as a server (RFC 13/WAKU2-STORE), answered from the archive.
//!
//! Few queries run at once, on threads of their own; more wait a moment and then get 503. An answer is memory until it is
//! written: its bytes are counted for the caller's address from before the query until they are on their way, and one
//! that is not read gives way to those that are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::{Direction, Entry, MAX_PAGE, MAX_PAGE_BYTES, MessageHash, Query};
use libp2p::Stream;
use prost::Message;

use super::metrics::Metrics;
use super::wire::{STORE, STORE_ID, StoreQueryRequest, StoreQueryResponse, WakuMessageKeyValue, status};
use crate::budget::Share;
use crate::host::Host;
use crate::intake::archivist::{Archivist, QueryError};
use crate::labels::count;
use crate::protocols::answer::answer_in_parts;
use crate::protocols::limits::concurrency::Places;
use crate::protocols::limits::rate::Limiter;
use crate::protocols::metrics::Metrics as ServiceMetrics;
use crate::protocols::request::{Caller, read_request};
use crate::protocols::router::Router;
use crate::settings::RateLimit;
use crate::wire::WakuMessage;
use crate::wire::framing::FrameError;

/// nwaku's `DefaultPageSize`.
const DEFAULT_PAGE: u64 = 20;
/// Ten content topics are what clients send, fifty hashes; several times that is still an honest question.
const MAX_CONTENT_TOPICS: usize = 100;
const MAX_HASHES: usize = 500;
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// Queries that run at once, for all and for one address: eight clients may be behind it.
const MAX_QUERIES: usize = 16;
const MAX_QUERIES_PER_HOST: usize = 8;
/// What an answer may be longer than the envelopes in it: the hashes of a page, and a request's id.
const OVERHEAD_BYTES: usize = 64 * 1024;
/// Longest wait for a place, and again for room; clients give up after 30 s.
const PATIENCE: Duration = Duration::from_secs(5);

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
    places: Arc<Places<Host>>,
    service: ServiceMetrics,
    metrics: Metrics,
}

impl Server {
    pub(crate) fn new(archive: Archivist, limit: Option<RateLimit>, service: ServiceMetrics, metrics: Metrics) -> Self {
        Self {
            archive,
            limiter: Limiter::new(limit, STORE_ID, &service),
            places: Arc::new(Places::new(MAX_QUERIES, MAX_QUERIES_PER_HOST)),
            service,
            metrics,
        }
    }

    pub(crate) fn register(self, router: &mut Router) {
        router.accept(STORE, move |caller, stream| self.clone().serve(caller, stream));
    }

    /// The archive's figures; `None` once it is closed.
    pub fn stats(&self) -> Option<archive::Stats> {
        self.archive.stats()
    }

    async fn serve(self, caller: Caller, mut stream: Stream) -> Result<(), FrameError> {
        let Some(mut request) = read_request(&mut stream, &caller, MAX_REQUEST_BYTES).await? else {
            return Ok(());
        };
        self.service.traffic(STORE_ID, "in", request.bytes().len());
        let began = Instant::now();
        let share = caller.answer_share();
        let (looked_at, response) = match StoreQueryRequest::decode(request.take().as_slice()) {
            Ok(asked) => {
                self.metrics.queries.inc();
                self.answer_peer(&caller, &share, asked).await
            }
            Err(error) => (false, self.undecodable(&error)),
        };
        request.done();
        let queried = began.elapsed();
        let length = response.encoded_len();
        self.service.traffic(STORE_ID, "out", length);
        answer_in_parts(&mut stream, &share, length, response.into_parts()).await?;
        if looked_at {
            self.metrics.phase("query-db-time", queried);
            self.metrics
                .phase("send-store-resp-time", began.elapsed().saturating_sub(queried));
            self.service.served(STORE_ID, began.elapsed());
        }
        Ok(())
    }

    /// Answers one peer's query within the limits, and says whether it was looked at. The share holds the answer's bytes.
    pub(super) async fn answer_peer(
        &self,
        caller: &Caller,
        share: &Share,
        request: StoreQueryRequest,
    ) -> (bool, StoreQueryResponse) {
        if !self.limiter.allows(caller.peer) {
            self.service.rejected(STORE_ID);
            let refused = Refused::new(status::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS");
            return (false, self.refuse(None, refused));
        }
        // What is no query waits for nothing: 64 KiB of empty topics are more than a megabyte once decoded.
        let request_id = request.request_id.clone();
        let query = match to_query(&request) {
            Ok(query) => query,
            Err(refused) => return (true, self.refuse(request_id, refused)),
        };
        drop(request);
        let bodies = if query.include_data { MAX_PAGE_BYTES } else { 0 };
        let room = async {
            let place = self.places.enter(caller.host, PATIENCE).await?;
            let held = tokio::time::timeout(PATIENCE, share.hold(bodies + OVERHEAD_BYTES));
            held.await.ok()?.ok()?;
            share.stays(true);
            Some(place)
        };
        let Some(_place) = room.await else {
            self.service.rejected(STORE_ID);
            let busy = Refused::new(status::SERVICE_UNAVAILABLE, "too many queries at once");
            return (false, self.refuse(request_id, busy));
        };
        let response = self.look_up(request_id, query).await;
        share.stays(false);
        (true, response)
    }

    /// Answers one query; never fails, the status code says what happened.
    pub async fn answer(&self, request: StoreQueryRequest) -> StoreQueryResponse {
        let request_id = request.request_id.clone();
        match to_query(&request) {
            Ok(query) => self.look_up(request_id, query).await,
            Err(refused) => self.refuse(request_id, refused),
        }
    }

    async fn look_up(&self, request_id: Option<String>, query: Query) -> StoreQueryResponse {
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
        count(&self.metrics.errors, "decode_rpc_failure");
        let refused = Refused::bad_request(format!("decoding rpc failed: {error}"));
        response_of(None, refused)
    }

    fn refuse(&self, request_id: Option<String>, refused: Refused) -> StoreQueryResponse {
        count(&self.metrics.errors, refused.label());
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
