//! Store 2.0.0-beta4 as a server (`--legacy-store`), on top of the same archive and the same limits as 3.0.0.
//!
//! A cursor's digest is opaque to clients, which hand back what they were given; ours is the message hash.

use libp2p::Stream;
use prost::Message;

use super::legacy_wire::{
    HistoryError, HistoryQuery, HistoryResponse, HistoryRpc, Index, LEGACY_STORE, PagingDirection, PagingInfo,
};
use super::server::{self, MAX_REQUEST_BYTES};
use super::wire::{StoreQueryRequest, StoreQueryResponse, status};
use crate::protocols::answer::answer_in_parts;
use crate::protocols::request::{Caller, read_request};
use crate::protocols::router::Router;
use crate::wire::framing::FrameError;

#[derive(Clone)]
pub(crate) struct Server {
    store: server::Server,
}

impl Server {
    pub(crate) fn new(store: server::Server) -> Self {
        Self { store }
    }

    pub(crate) fn register(self, router: &mut Router) {
        router.accept(LEGACY_STORE, move |caller, stream| self.clone().serve(caller, stream));
    }

    async fn serve(self, caller: Caller, mut stream: Stream) -> Result<(), FrameError> {
        let Some(mut request) = read_request(&mut stream, &caller, MAX_REQUEST_BYTES).await? else {
            return Ok(());
        };
        // Nothing in 2.0.0-beta4 says "malformed": the stream ends.
        let rpc = HistoryRpc::decode(request.take().as_slice()).map_err(|_| FrameError::Length)?;
        let query = rpc.query.ok_or(FrameError::Length)?;
        let share = caller.answer_share();
        let (_, found) = self.store.answer_peer(&caller, &share, to_request(&query)).await;
        request.done();
        let response = HistoryRpc {
            request_id: rpc.request_id,
            query: None,
            response: Some(respond(&query, found)),
        };
        let length = response.encoded_len();
        answer_in_parts(&mut stream, &share, length, response.into_parts()).await
    }
}

/// The question in the terms of 3.0.0.
pub fn to_request(query: &HistoryQuery) -> StoreQueryRequest {
    let paging = query.paging_info.clone().unwrap_or_default();
    StoreQueryRequest {
        request_id: Some(String::new()),
        include_data: true,
        pubsub_topic: query.pubsub_topic.clone(),
        content_topics: query
            .content_filters
            .iter()
            .filter_map(|filter| filter.content_topic.clone())
            .collect(),
        time_start: query.start_time.filter(|&time| time != 0),
        time_end: query.end_time.filter(|&time| time != 0),
        message_hashes: Vec::new(),
        pagination_cursor: paging.cursor.map(|cursor| cursor.digest.unwrap_or_default()),
        pagination_forward: is_forward(query),
        pagination_limit: paging.page_size,
    }
}

/// Forward unless asked otherwise (nwaku's default).
fn is_forward(query: &HistoryQuery) -> bool {
    let direction = query.paging_info.as_ref().and_then(|paging| paging.direction);
    direction.is_none_or(|direction| direction != PagingDirection::Backward as i32)
}

fn respond(query: &HistoryQuery, found: StoreQueryResponse) -> HistoryResponse {
    // The only error there is.
    if found.status_code != Some(status::OK) {
        let error = Some(HistoryError::InvalidCursor as i32);
        return HistoryResponse {
            messages: Vec::new(),
            paging_info: None,
            error,
        };
    }
    let forward = is_forward(query);
    let edge = if forward {
        found.messages.last()
    } else {
        found.messages.first()
    };
    let cursor = found.pagination_cursor.map(|digest| {
        let time = edge
            .and_then(|entry| entry.message.as_ref())
            .and_then(|message| message.timestamp);
        Index {
            digest: Some(digest),
            receiver_time: time,
            sender_time: time,
            pubsub_topic: edge.and_then(|entry| entry.pubsub_topic.clone()),
        }
    });
    let direction = if forward {
        PagingDirection::Forward
    } else {
        PagingDirection::Backward
    };
    let page_size = found.messages.len() as u64;
    HistoryResponse {
        messages: found.messages.into_iter().filter_map(|entry| entry.message).collect(),
        paging_info: Some(PagingInfo {
            page_size: Some(page_size),
            cursor,
            direction: Some(direction as i32),
        }),
        error: Some(HistoryError::None as i32),
    }
}
