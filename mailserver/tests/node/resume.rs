//! Store resume on a node that keeps running, and on one that was interrupted while it resumed.

use std::time::Duration;

use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};
use pillarbox_mailserver::clock;
use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::labels::Kind;
use pillarbox_mailserver::settings::ProtectedShard;
use pillarbox_mailserver::wire::WakuMessage;
use sha2::{Digest, Sha256};

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
    within(
        other
            .handle
            .swarm()
            .disconnect(node.handle.swarm().info().peer_id, "test"),
    )
    .await
    .unwrap();
    eventually("alone", || async {
        node.handle.swarm().status().borrow().connected_peers == 0
    })
    .await;
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

/// On a protected shard what nobody signed is kept from nowhere; the store that has it may not know of the protection.
#[tokio::test(flavor = "multi_thread")]
async fn resume_keeps_nothing_unsigned_of_a_protected_shard() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let other = Node::start().await;
    publish(&other, b"nobody signed this").await;
    let published = other
        .handle
        .publish(TOPIC.into(), signed(&key, b"signed"), Source::Local);
    let wanted = within(published).await.unwrap().hash;
    tokio::time::sleep(FORGOTTEN_BY_RELAY).await;
    let node = Node::start_with(|settings| {
        settings.services.store_resume = true;
        settings.protected_shards = vec![ProtectedShard {
            shard: 32,
            public_key: *key.verifying_key(),
        }];
    })
    .await;
    node.connect(&other).await;
    has(&node, 1).await;
    eventually("the other one was passed over", || async {
        let errors = &node.handle.metrics().intake.archive_errors;
        errors.get_or_create(&Kind { r#type: "unsigned" }).get() == 1
    })
    .await;
    let answer = node.handle.store().unwrap().answer(crate::services::query()).await;
    assert_eq!(answer.messages[0].message_hash.as_deref(), Some(&wanted.0[..]));
}

/// Signed as `crate::signed` of the mailserver says.
fn signed(key: &SigningKey, payload: &[u8]) -> WakuMessage {
    let message = message(payload);
    let mut digest = Sha256::new();
    digest.update(TOPIC);
    digest.update(payload);
    digest.update(message.content_topic.as_deref().unwrap());
    digest.update(message.timestamp.unwrap().to_le_bytes());
    digest.update([0]);
    let signature: Signature = key.sign_prehash(&digest.finalize()).unwrap();
    WakuMessage {
        meta: Some(signature.to_bytes().to_vec()),
        ..message
    }
}
