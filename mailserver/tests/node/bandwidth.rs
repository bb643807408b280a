//! `--bandwidth-limit` over real sockets. Times are lower bounds alone: what a slow machine does to them fails nothing.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::protocols::light_push::wire::LIGHT_PUSH;
use pillarbox_mailserver::protocols::light_push::wire::{LightPushRequest, LightPushResponse};
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::protocols::metadata::wire::WakuMetadata;
use pillarbox_mailserver::protocols::store::wire::STORE;
use pillarbox_mailserver::protocols::store::wire::{StoreQueryRequest, StoreQueryResponse};
use pillarbox_mailserver::swarm::metrics::ByDirection;

use crate::services::query;
use crate::support::{Node, TOPIC, message, within};

const KIB_PER_SEC: usize = 64;
/// What a bucket at this rate saves up while nothing moves.
const SAVED_KIB: usize = KIB_PER_SEC / 4;
const MAX_ANSWER: usize = 1 << 20;

/// A node with a cap and `envelopes` of 32 KiB, and clients of it.
async fn capped(envelopes: u8, clients: usize) -> (Node, Vec<Node>) {
    let server = Node::start_with(|settings| {
        settings.limits.bandwidth_kib_per_sec = NonZeroU32::new(KIB_PER_SEC as u32);
    })
    .await;
    for index in 0..envelopes {
        let published = server
            .handle
            .publish(TOPIC.into(), message(&[index; 32 * 1024]), Source::Local);
        within(published).await.unwrap();
    }
    let mut connected = Vec::new();
    for _ in 0..clients {
        let client = Node::start_with(|settings| {
            settings.services.relay = false;
            settings.services.store = false;
            settings.archive = None;
        })
        .await;
        client.connect(&server).await;
        connected.push(client);
    }
    (server, connected)
}

fn waits(server: &Node, direction: &'static str) -> u64 {
    let waits = &server.handle.metrics().swarm.bandwidth_waits;
    waits.get_or_create(&ByDirection { direction }).get()
}

/// The least that `kib` through the cap can take.
fn least(kib: usize) -> Duration {
    Duration::from_millis(((kib - SAVED_KIB) * 1000 / KIB_PER_SEC) as u64)
}

async fn page(client: &Node, server: &Node) -> StoreQueryResponse {
    let request = StoreQueryRequest {
        include_data: true,
        ..query()
    };
    let peer = server.handle.swarm().info().peer_id;
    within(client.handle.swarm().request(peer, STORE, &request, MAX_ANSWER))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_are_capped_and_nothing_is_lost() {
    let (server, clients) = capped(8, 1).await;
    let begun = Instant::now();
    assert_eq!(page(&clients[0], &server).await.messages.len(), 8);
    let took = begun.elapsed();
    assert!(took >= least(8 * 32), "{took:?} for 256 KiB");
    assert!(waits(&server, "out") > 0);

    let push = LightPushRequest {
        request_id: Some("id".into()),
        pubsub_topic: Some(TOPIC.into()),
        message: Some(message(&[7; 128 * 1024])),
    };
    let before = waits(&server, "in");
    let begun = Instant::now();
    let peer = server.handle.swarm().info().peer_id;
    let answer: LightPushResponse = within(clients[0].handle.swarm().request(peer, LIGHT_PUSH, &push, MAX_ANSWER))
        .await
        .unwrap();
    assert_eq!(answer.status_code, Some(200), "{:?}", answer.status_desc);
    let took = begun.elapsed();
    assert!(took >= least(128), "{took:?} for 128 KiB");
    assert!(waits(&server, "in") > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_all_it_can_leaves_the_others_their_turn() {
    let (server, clients) = capped(20, 2).await;
    let [greedy, modest] = clients.as_slice() else {
        unreachable!()
    };
    let peer = server.handle.swarm().info().peer_id;
    let asked = WakuMetadata::new(16, &[32]);
    let small = async {
        // The page is on its way: it has begun to wait for turns.
        while waits(&server, "out") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answer: WakuMetadata = within(modest.handle.swarm().request(peer, METADATA, &asked, 1024))
            .await
            .unwrap();
        assert_eq!(answer.cluster_id, Some(16));
        "the small answer"
    };
    let large = async {
        assert_eq!(page(greedy, &server).await.messages.len(), 20);
        "the page"
    };
    let first = tokio::select! {
        first = large => first,
        first = small => first,
    };
    assert_eq!(first, "the small answer", "640 KiB at 64 KiB/s take 10 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_for_the_cap_is_finished_before_the_end() {
    let (server, clients) = capped(4, 1).await;
    let answer = async {
        let page = page(&clients[0], &server).await;
        (page.messages.len(), page.status_code)
    };
    let stop = async {
        while waits(&server, "out") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.handle.swarm().stop().await;
    };
    assert_eq!(tokio::join!(answer, stop).0, (4, Some(200)));
}
