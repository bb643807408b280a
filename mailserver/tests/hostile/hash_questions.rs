//! hostile.md 4: questions by known hashes and a content topic that none of them has.

use pillarbox_mailserver::protocols::store::wire::{STORE, StoreQueryRequest, StoreQueryResponse};

use crate::{
    peer::{CONTENT_TOPIC, LIMIT, Peer, fill, within},
    victim::{BOUND_MIB, Victim},
};

/// Together they are more than the bound, if somebody reads them all at once.
const ENVELOPES: usize = 100;
const PEERS: usize = 5;
const QUESTIONS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_compared_without_reading_envelopes() {
    let mut hashes = Vec::new();
    let victim = Victim::start_with_archive(&[LIMIT], |dir| {
        hashes = fill(dir, ENVELOPES).iter().map(|sent| sent.hash().0.to_vec()).collect();
    })
    .await;
    let ask = |topic: &str| StoreQueryRequest {
        request_id: Some("id".into()),
        content_topics: vec![topic.to_owned()],
        message_hashes: hashes.clone(),
        pagination_limit: Some(100),
        ..Default::default()
    };
    let mut attacks = Vec::new();
    for number in 0..PEERS {
        let peer = Peer::connect(&victim, 2 + (number % 2) as u8).await;
        for _ in 0..QUESTIONS {
            let (peer, question) = (peer.clone(), ask("/none/1/has/this"));
            attacks.push(tokio::spawn(async move {
                let answer: StoreQueryResponse = peer.ask(STORE, &question).await.unwrap();
                assert_eq!((answer.status_code, answer.messages.len()), (Some(200), 0));
            }));
        }
    }
    let honest = Peer::connect(&victim, 9).await;
    let answer: StoreQueryResponse = honest.ask(STORE, &ask(CONTENT_TOPIC)).await.unwrap();
    assert_eq!((answer.status_code, answer.messages.len()), (Some(200), ENVELOPES));
    for attack in attacks {
        within(attack).await.unwrap();
    }
    assert!(victim.peak_mib() < BOUND_MIB, "{} MiB", victim.peak_mib());
    println!("{:.0} MiB at most", victim.peak_mib());
    victim.ended().await;
}
