//! Store resume on a node that keeps running, and on one that was interrupted while it resumed.

use std::time::Duration;

use pillarbox_mailserver::clock;
use pillarbox_mailserver::node::Source;

use crate::support::{Node, TOPIC, eventually, message, within};

/// What relay offers again to a peer that comes back (six heartbeats of a second), with room.
const FORGOTTEN_BY_RELAY: Duration = Duration::from_secs(11);
const SECOND: i64 = 1_000_000_000;

async fn publish(node: &Node, payload: &[u8]) {
    within(node.handle.publish(TOPIC.into(), message(payload), Source::Local))
        .await
        .unwrap();
}

async fn has(node: &Node, count: u64) {
    eventually("everything is stored", || async {
        node.handle.store().unwrap().stats().unwrap().envelopes == count
    })
    .await;
}

/// Its only peer goes and comes back with what was published meanwhile; nobody stops the node itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_peers_fetches_what_it_missed() {
    let other = Node::start().await;
    let node = Node::start_with(|settings| settings.services.store_resume = true).await;
    node.join(&other).await;
    publish(&other, b"together").await;
    has(&node, 1).await;
    within(other.handle.disconnect(node.handle.info().peer_id, "test"))
        .await
        .unwrap();
    eventually("alone", || async { node.handle.status().borrow().connected_peers == 0 }).await;
    for payload in [b"one", b"two"] {
        publish(&other, payload).await;
    }
    tokio::time::sleep(FORGOTTEN_BY_RELAY).await;
    has(&node, 1).await;
    node.connect(&other).await;
    has(&node, 3).await;
}

/// The file says what an earlier run did not get to: the archive's newest envelope is younger than that.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_was_not_filled_is_filled_by_the_next_run() {
    let other = Node::start().await;
    let before = clock::now_nanos();
    publish(&other, b"missed").await;
    let node = Node::start().await;
    publish(&node, b"came later").await;
    let dir = node.stop().await;
    let archive = dir.path().join("archive");
    let gap = format!("{before} {}\n", before + 10 * SECOND);
    std::fs::write(archive.join("gaps"), gap).unwrap();
    tokio::time::sleep(FORGOTTEN_BY_RELAY).await;
    let node = Node::start_with(|settings| {
        settings.services.store_resume = true;
        settings.archive.as_mut().unwrap().dir.clone_from(&archive);
    })
    .await;
    node.connect(&other).await;
    has(&node, 2).await;
    eventually("and it is noted", || async {
        let kept = std::fs::read_to_string(archive.join("gaps")).unwrap();
        kept.is_empty()
    })
    .await;
}
