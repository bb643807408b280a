//! hostile.md 5: pages of the largest envelopes, asked for and never read.

use archive::{Envelope, MAX_PAGE_BYTES};
use pillarbox_mailserver::protocols::store::legacy_wire::{HistoryQuery, HistoryRpc, LEGACY_STORE, PagingInfo};
use pillarbox_mailserver::protocols::store::wire::{STORE, StoreQueryRequest, StoreQueryResponse};
use pillarbox_mailserver::wire::framing::write_frame;
use prost::Message;

use crate::{
    peer::{LIMIT, Peer, fill, until_metric, within},
    victim::{BOUND_MIB, Victim},
};

const ENVELOPES: usize = 30;
const PEERS_AN_ADDRESS: usize = 4;
const QUESTIONS: usize = 6;

fn page(cursor: Option<Vec<u8>>) -> StoreQueryRequest {
    StoreQueryRequest {
        request_id: Some("id".into()),
        include_data: true,
        pagination_limit: Some(100),
        pagination_cursor: cursor,
        ..Default::default()
    }
}

/// All pages, newest first: how many envelopes there were, and pages.
async fn walk(peer: &Peer) -> (usize, usize) {
    let (mut found, mut pages, mut cursor) = (0, 0, None);
    loop {
        let answer: StoreQueryResponse = peer.ask(STORE, &page(cursor)).await.unwrap();
        assert_eq!(answer.status_code, Some(200), "{:?}", answer.status_desc);
        let bytes: usize = answer.messages.iter().map(Message::encoded_len).sum();
        assert!(bytes <= MAX_PAGE_BYTES, "{bytes} bytes in a page");
        found += answer.messages.len();
        pages += 1;
        cursor = answer.pagination_cursor;
        if cursor.is_none() {
            return (found, pages);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_hold_a_bounded_part_and_a_client_gets_all_pages() {
    let more = [LIMIT, "--legacy-store=true"];
    let mut sent: Vec<Envelope> = Vec::new();
    let victim = Victim::start_with_archive(&more, |dir| sent = fill(dir, ENVELOPES)).await;
    let legacy = HistoryRpc {
        request_id: Some("id".into()),
        query: Some(HistoryQuery {
            paging_info: Some(PagingInfo {
                page_size: Some(100),
                ..Default::default()
            }),
            ..Default::default()
        }),
        response: None,
    };
    let honest = Peer::connect(&victim, 9).await;
    let mut unread = Vec::new();
    for host in [2, 3] {
        for _ in 0..PEERS_AN_ADDRESS {
            let peer = Peer::connect(&victim, host).await;
            for number in 0..QUESTIONS {
                let mut stream = if number % 2 == 0 {
                    let mut stream = peer.open(STORE).await;
                    within(write_frame(&mut stream, &page(None).encode_to_vec()))
                        .await
                        .unwrap();
                    stream
                } else {
                    let mut stream = peer.open(LEGACY_STORE).await;
                    within(write_frame(&mut stream, &legacy.encode_to_vec())).await.unwrap();
                    stream
                };
                futures::AsyncWriteExt::flush(&mut stream).await.unwrap();
                unread.push((peer.clone(), stream));
            }
        }
    }
    until_metric(&victim, "waku_store_queries_total", unread.len() as f64 / 2.0).await;
    assert!(victim.peak_mib() < BOUND_MIB, "{} MiB", victim.peak_mib());
    assert_eq!(walk(&honest).await, (sent.len(), sent.len().div_ceil(3)));
    assert!(victim.peak_mib() < BOUND_MIB, "{} MiB", victim.peak_mib());
    drop(unread);
    println!("{:.0} MiB at most", victim.peak_mib());
    victim.ended().await;
}
