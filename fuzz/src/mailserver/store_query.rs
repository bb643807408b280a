//! A store query from a peer, in 3.0.0 and in 2.0.0-beta4: what is accepted is within the archive's limits.

use pillarbox_mailserver::protocols::store::legacy::to_request;
use pillarbox_mailserver::protocols::store::legacy_wire::HistoryRpc;
use pillarbox_mailserver::protocols::store::server::to_query;
use pillarbox_mailserver::protocols::store::wire::StoreQueryRequest;
use prost::Message;

pub(crate) fn run(data: &[u8]) {
    if let Ok(request) = StoreQueryRequest::decode(data) {
        check(&request);
    }
    if let Some(query) = HistoryRpc::decode(data).ok().and_then(|rpc| rpc.query) {
        check(&to_request(&query));
    }
}

fn check(request: &StoreQueryRequest) {
    match to_query(request) {
        Ok(query) => {
            assert!((1..=archive::MAX_PAGE).contains(&query.limit));
            assert_eq!(query.hashes.len(), request.message_hashes.len());
            assert!(
                query
                    .time_start
                    .zip(query.time_end)
                    .is_none_or(|(start, end)| start <= end)
            );
        }
        Err(refused) => assert_eq!(refused.code, 400),
    }
}
