//! Relay between nodes, metadata's verdicts, and what the archive makes of it.

use std::net::Ipv4Addr;

use k256::ecdsa::VerifyingKey;
use libp2p::PeerId;
use pillarbox_mailserver::intake::admission::NotKept;
use pillarbox_mailserver::intake::archivist::NotStored;
use pillarbox_mailserver::intake::metrics::Judgement;
use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::labels::Kind;
use pillarbox_mailserver::protocols::publish::PublishError;
use pillarbox_mailserver::settings::{Nat, ProtectedShard};
use pillarbox_mailserver::swarm::{Candidate, Origin, Status};
use pillarbox_mailserver::wire::WakuMessage;

use crate::support::{Node, TOPIC, eventually, message, within};

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_crosses_three_nodes_and_is_stored_on_each() {
    let [a, b, c] = [Node::start().await, Node::start().await, Node::start().await];
    a.join(&b).await;
    b.join(&c).await;
    let mut received = c.handle.received();
    let published = within(a.handle.publish(TOPIC.into(), message(b"across"), Source::Local))
        .await
        .unwrap();
    assert_eq!(published.relay_peers, 1);
    assert!(published.stored);
    let there = within(received.recv()).await.unwrap();
    assert_eq!(there.hash, published.hash);
    assert_eq!(there.source, Source::Relay(b.handle.swarm().info().peer_id));
    for node in [&a, &b, &c] {
        let store = node.handle.store().unwrap();
        eventually("stored", || async { store.stats().unwrap().envelopes == 1 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_relayed_but_not_kept() {
    let [a, b] = [Node::start().await, Node::start().await];
    a.join(&b).await;
    let mut received = b.handle.received();
    let ephemeral = WakuMessage {
        ephemeral: Some(true),
        ..message(b"ephemeral")
    };
    let old = WakuMessage {
        timestamp: Some(1),
        ..message(b"old")
    };
    for message in [ephemeral, old] {
        let published = within(a.handle.publish(TOPIC.into(), message.clone(), Source::Local))
            .await
            .unwrap();
        assert!(!published.stored);
        let there = within(received.recv()).await.unwrap();
        assert_eq!(there.envelope.payload, message.payload.unwrap());
    }
    let kept = within(a.handle.publish(TOPIC.into(), message(b"kept"), Source::Local))
        .await
        .unwrap();
    within(received.recv()).await.unwrap();
    let store = b.handle.store().unwrap();
    eventually("the third is stored", || async {
        store.stats().unwrap().envelopes == 1
    })
    .await;
    assert!(kept.stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_node_accepts_what_it_can_keep() {
    let node = Node::start().await;
    let published = within(node.handle.publish(TOPIC.into(), message(b"kept"), Source::Local))
        .await
        .unwrap();
    assert_eq!((published.relay_peers, published.stored), (0, true));
    let ephemeral = WakuMessage {
        ephemeral: Some(true),
        ..message(b"gone")
    };
    let refused = within(node.handle.publish(TOPIC.into(), ephemeral, Source::Local))
        .await
        .unwrap_err();
    assert_eq!(
        refused,
        PublishError::NoPeers {
            not_stored: NotStored::NotKept(NotKept::Ephemeral)
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_cluster_is_disconnected() {
    let here = Node::start().await;
    let elsewhere = Node::start_with(|settings| settings.cluster_id = 1).await;
    let id: PeerId = elsewhere.handle.swarm().info().peer_id;
    here.connect(&elsewhere).await;
    eventually("gone", || async {
        here.handle
            .swarm()
            .peers()
            .await
            .unwrap()
            .iter()
            .all(|peer| peer.peer_id != id || peer.direction.is_none())
    })
    .await;
    let counted = here.handle.metrics().swarm.disconnected.clone();
    let theirs = elsewhere.handle.metrics().swarm.disconnected.clone();
    let by = |family: &prometheus_client::metrics::family::Family<_, prometheus_client::metrics::counter::Counter>| {
        ["cluster", "metadata"]
            .iter()
            .map(|kind| {
                family
                    .get_or_create(&pillarbox_mailserver::labels::Kind { r#type: kind })
                    .get()
            })
            .sum::<u64>()
    };
    assert!(by(&counted) + by(&theirs) >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_has_what_it_stored() {
    let node = Node::start().await;
    let hash = within(node.handle.publish(TOPIC.into(), message(b"kept"), Source::Local))
        .await
        .unwrap()
        .hash;
    let dir = node.stop().await;
    let again = Node::start_with(|settings| settings.archive.as_mut().unwrap().dir = dir.path().join("archive")).await;
    let answer = again.handle.store().unwrap().answer(crate::services::query()).await;
    assert_eq!(answer.status_code, Some(200));
    assert_eq!(answer.messages[0].message_hash.as_deref(), Some(hash.0.as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_envelope_does_not_pass_a_protected_shard() {
    let key = "049c5fac802da41e07e6cdf51c3b9a6351ad5e65921527f2df5b7d59fd9b56ab02bab736cdcfc37f25095e78127500da371947217a8cd5186ab890ea866211c3f6";
    let outside = Node::start().await;
    let guarded = Node::start_with(|settings| {
        settings.protected_shards = vec![ProtectedShard {
            shard: 32,
            public_key: VerifyingKey::from_sec1_bytes(&hex::decode(key).unwrap()).unwrap(),
        }];
    })
    .await;
    outside.join(&guarded).await;
    let published = within(
        outside
            .handle
            .publish(TOPIC.into(), message(b"unsigned"), Source::Local),
    )
    .await
    .unwrap();
    assert_eq!(published.relay_peers, 1);
    let metrics = guarded.handle.metrics();
    eventually("rejected", || async {
        metrics
            .intake
            .signed_outcome
            .get_or_create(&Judgement { result: "Reject" })
            .get()
            == 1
            && metrics
                .swarm
                .relay_rejected
                .get_or_create(&Kind { r#type: "unsigned" })
                .get()
                == 1
    })
    .await;
    assert_eq!(guarded.handle.store().unwrap().stats().unwrap().envelopes, 0);
    let refused = within(guarded.handle.publish(TOPIC.into(), message(b"own"), Source::Local))
        .await
        .unwrap_err();
    assert!(matches!(refused, PublishError::Invalid(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_filled_from_another_store() {
    let full = Node::start().await;
    let hour_ago = pillarbox_mailserver::clock::now_nanos() - 3_600_000_000_000;
    let dir = {
        // A store that was there when the envelopes were new.
        let dir = full.stop().await;
        let archive = archive::Archive::open(&dir.path().join("archive"), archive::Options::default()).unwrap();
        for index in 0..250i64 {
            let envelope = message(&index.to_be_bytes()).into_envelope(TOPIC.into());
            let envelope = archive::Envelope {
                timestamp: hour_ago + index,
                ..envelope
            };
            archive
                .insert(&envelope, pillarbox_mailserver::clock::now_nanos())
                .unwrap();
        }
        archive.close().unwrap();
        dir
    };
    let full = Node::start_with(|settings| settings.archive.as_mut().unwrap().dir = dir.path().join("archive")).await;
    let address = full.address(false);
    let back = Node::start_with(|settings| {
        settings.services.store_resume = true;
        settings.static_nodes = vec![address];
    })
    .await;
    let mut received = back.handle.received();
    let store = back.handle.store().unwrap();
    eventually("filled", || async { store.stats().unwrap().envelopes == 250 }).await;
    assert!(received.try_recv().is_err(), "it is no news");
}

#[tokio::test(flavor = "multi_thread")]
async fn discovered_nodes_are_dialled_when_they_share_a_shard() {
    let here = Node::start().await;
    let [there, elsewhere] = [Node::start().await, Node::start().await];
    let candidate = |node: &Node, shards: &[u16]| Candidate {
        peer_id: node.handle.swarm().info().peer_id,
        addresses: vec![node.address(false)],
        shards: shards.to_vec(),
        origin: Origin::Discv5,
    };
    let found = vec![
        candidate(&there, &[1, 32]),
        candidate(&elsewhere, &[64]),
        candidate(&here, &[32]),
    ];
    here.handle.swarm().discovered(found).await.unwrap();
    let id = there.handle.swarm().info().peer_id;
    eventually("connected", || async {
        here.handle
            .swarm()
            .peers()
            .await
            .unwrap()
            .iter()
            .any(|peer| peer.peer_id == id && peer.direction.is_some())
    })
    .await;
    let peers = here.handle.swarm().peers().await.unwrap();
    assert!(
        peers
            .iter()
            .all(|peer| peer.peer_id != elsewhere.handle.swarm().info().peer_id)
    );
    assert_eq!(peers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_reached_through_a_circuit() {
    // The circuit relay knows its address; loopback stands for the world.
    let hop = Node::start_with(|settings| settings.nat = Nat::ExternalIp(Ipv4Addr::LOCALHOST.into())).await;
    let hidden = Node::start_with(|settings| settings.relay_client = true).await;
    let client = Node::start().await;
    hidden.connect(&hop).await;
    let mut status = hidden.handle.swarm().status();
    let circuit = |status: &Status| {
        status
            .listen_addresses
            .iter()
            .find(|address| address.to_string().contains("p2p-circuit"))
            .cloned()
    };
    within(status.wait_for(|status| circuit(status).is_some()))
        .await
        .unwrap();
    client.connect(&hop).await;
    let hidden_id = hidden.handle.swarm().info().peer_id;
    let address = format!("{}/p2p-circuit/p2p/{hidden_id}", hop.address(false))
        .parse()
        .unwrap();
    within(client.handle.swarm().connect(address, Origin::Admin))
        .await
        .unwrap();
    let answer = within(pillarbox_mailserver::protocols::store::client::query(
        client.handle.swarm(),
        hidden_id,
        &crate::services::query(),
    ))
    .await
    .unwrap();
    assert_eq!(answer.status_code, Some(200));
}

/// An envelope over one node's limit costs the link nothing: what both allow goes on.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_different_limits_go_on_exchanging_what_both_allow() {
    let large = Node::start_with(|settings| settings.max_message_bytes = 1 << 20).await;
    let small = Node::start_with(|settings| settings.max_message_bytes = 150 * 1024).await;
    large.join(&small).await;
    let mut received = small.handle.received();
    for round in 0..8_u8 {
        for bytes in [300 * 1024, 1000] {
            let mut payload = vec![0; bytes];
            payload[0] = round;
            large
                .handle
                .publish(TOPIC.into(), message(&payload), Source::Local)
                .await
                .unwrap();
        }
        let came = within(received.recv()).await.unwrap();
        assert_eq!((came.envelope.payload[0], came.envelope.payload.len()), (round, 1000));
    }
    let peers = small.handle.swarm().peers().await.unwrap();
    assert!(
        peers.iter().all(|peer| peer.score.is_none_or(|score| score >= 0.0)),
        "{peers:?}"
    );
    for node in [large, small] {
        node.stop().await;
    }
}
