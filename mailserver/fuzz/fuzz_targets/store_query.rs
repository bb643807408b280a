//! A store query from a peer: what is accepted is within the archive's limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_mailserver::protocols::store::to_query;
use pillarbox_mailserver::wire::store::StoreQueryRequest;
use prost::Message;

fuzz_target!(|data: &[u8]| {
    let Ok(request) = StoreQueryRequest::decode(data) else {
        return;
    };
    match to_query(&request) {
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
});
