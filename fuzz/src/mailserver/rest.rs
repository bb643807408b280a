//! What REST reads from a request: the store's query string, an envelope in JSON, a peer's address.

use pillarbox_mailserver::protocols::store::server::to_query;
use pillarbox_mailserver::rest;

/// nwaku's largest page, which a larger one is cut to.
const MAX_PAGE: u64 = 100;

pub(crate) fn run(data: &[u8]) {
    if let Ok(message) = rest::read_message(data) {
        assert!(message.payload.is_some() && message.content_topic.is_some());
        assert_ne!(message.timestamp, Some(0), "0 stands for the time of publication");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(request) = rest::read_store_query(text) {
        assert!(request.pagination_limit.is_some_and(|limit| limit <= MAX_PAGE));
        assert!(request.message_hashes.iter().all(|hash| hash.len() == 32));
        let _ = to_query(&request);
    }
    let _ = rest::peer_address(text);
}
