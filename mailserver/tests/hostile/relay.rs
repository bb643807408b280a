//! Attacks over relay's own streams.

use std::time::{Duration, Instant};

use futures::{AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::node::Handle;
use pillarbox_mailserver::protocols::light_push;
use pillarbox_mailserver::protocols::light_push::wire::LightPushRequest;
use pillarbox_mailserver::protocols::store;
use pillarbox_mailserver::protocols::store::wire::StoreQueryRequest;
use pillarbox_mailserver::swarm::Origin;
use pillarbox_mailserver::wire::WakuMessage;
use pillarbox_mailserver::{clock, node};
use prost::Message;

use crate::{
    honest::settings,
    member::{Attacker, Publish, RELAY, Rpc, send},
    victim::{BOUND_MIB, DEADLINE, Victim},
};

const SERVED: &str = "/waku/2/rs/16/32";
const UNSERVED: &str = "/waku/2/rs/16/999";
const CONTENT_TOPIC: &str = "/hostile/1/relay/proto";
/// The Status network's.
const LARGEST: &str = "--max-msg-size=1024KiB";

fn envelope(content_topic: &[u8], payload: Vec<u8>) -> WakuMessage {
    WakuMessage {
        payload: Some(payload),
        content_topic: Some(String::from_utf8_lossy(content_topic).into_owned()),
        timestamp: Some(clock::now_nanos()),
        ..Default::default()
    }
}

/// An honest node of our own, connected to the victim.
async fn honest(victim: &Victim) -> Handle {
    let mut settings = settings();
    settings.services.relay = true;
    settings.agent = "honest".into();
    let (handle, _) = node::start(&settings, &Keypair::generate_secp256k1()).await.unwrap();
    handle
        .swarm()
        .connect(victim.address().parse().unwrap(), Origin::Admin)
        .await
        .unwrap();
    let mut status = handle.swarm().status();
    let meshed = status.wait_for(|status| status.meshes.iter().any(|(_, peers)| *peers > 0));
    tokio::time::timeout(DEADLINE, meshed).await.unwrap().unwrap();
    handle
}

/// By light push: the victim hands it to every peer on the topic, not to the mesh alone.
async fn push(honest: &Handle, victim: &Victim, message: WakuMessage) {
    let request = LightPushRequest {
        request_id: Some("push".into()),
        pubsub_topic: Some(SERVED.into()),
        message: Some(message),
    };
    let answer = light_push::client::push(honest.swarm(), victim.peer_id().parse().unwrap(), &request)
        .await
        .unwrap();
    assert_eq!(answer.status_code, Some(200), "{:?}", answer.status_desc);
}

/// How many envelopes of a content topic the victim has.
async fn stored(asker: &Handle, victim: &Victim, content_topic: &str) -> usize {
    let mut count = 0;
    let mut cursor = None;
    loop {
        let request = StoreQueryRequest {
            request_id: Some("count".into()),
            pubsub_topic: Some(SERVED.into()),
            content_topics: vec![content_topic.to_owned()],
            pagination_forward: true,
            pagination_limit: Some(100),
            pagination_cursor: cursor.take(),
            ..Default::default()
        };
        let answer = store::client::query(asker.swarm(), victim.peer_id().parse().unwrap(), &request)
            .await
            .unwrap();
        assert_eq!(answer.status_code, Some(200), "{:?}", answer.status_desc);
        count += answer.messages.len();
        cursor = answer.pagination_cursor;
        if cursor.is_none() {
            return count;
        }
    }
}

async fn eventually_stored(asker: &Handle, victim: &Victim, content_topic: &str, wanted: usize) {
    let waiting = async {
        while stored(asker, victim, content_topic).await < wanted {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let came = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(
        came.is_ok(),
        "not all {wanted} envelopes of {content_topic} were stored"
    );
}

/// What comes on a topic that nobody serves costs no memory, and does not make the same bytes on a served one a duplicate.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_an_unserved_topic_is_neither_kept_nor_remembered() {
    let victim = Victim::start(&[LARGEST]).await;
    let honest = honest(&victim).await;
    let envelope = envelope(CONTENT_TOPIC.as_bytes(), b"seen there first".to_vec());
    let mut attacker = Attacker::connect(&victim).await;
    let mut stream = attacker.open(RELAY).await;
    assert!(send(&mut stream, &Rpc::publish(UNSERVED, envelope.encode_to_vec())).await);
    let mut sent: u64 = 1;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let mut payload = vec![0; 180 * 1024];
        payload[..8].copy_from_slice(&sent.to_be_bytes());
        assert!(send(&mut stream, &Rpc::publish(UNSERVED, payload)).await);
        sent += 1;
    }
    honest.publish(SERVED.into(), envelope, Source::Local).await.unwrap();
    eventually_stored(&honest, &victim, CONTENT_TOPIC, 1).await;
    let counted = async {
        while victim
            .metric("pillarbox_relay_rejected_total{type=\"unserved_topic\"}")
            .await
            < sent as f64
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(DEADLINE, counted)
        .await
        .expect("all of it is counted");
    let peak = victim.peak_mib();
    assert!(peak < BOUND_MIB / 2.0, "{peak} MiB after {sent} messages");
    victim.ended().await;
}

/// Thirty peers of one address take the mesh's large envelopes and read none of them.
#[tokio::test(flavor = "multi_thread")]
async fn peers_that_read_nothing_are_ended_and_hold_little() {
    let victim = Victim::start(&[LARGEST]).await;
    let honest = honest(&victim).await;
    let mut held = Vec::new();
    for _ in 0..30 {
        // Past the address's limit they are turned away.
        let Ok((mut attacker, incoming)) = tokio::time::timeout(Duration::from_secs(5), Attacker::deaf(&victim)).await
        else {
            break;
        };
        let mut stream = attacker.open(RELAY).await;
        if !send(&mut stream, &Rpc::join(SERVED)).await {
            break;
        }
        held.push((attacker, stream, incoming));
    }
    let mut unread = Vec::new();
    for (_, _, incoming) in &mut held {
        if let Ok(Some((_, stream))) = tokio::time::timeout(Duration::from_secs(5), incoming.next()).await {
            unread.push(stream);
        }
    }
    assert!(unread.len() >= 4, "{} peers", unread.len());
    // 300 KB ten times a second for 30 s: longer than a peer may leave what it is sent unread.
    let mut published = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let mut payload = vec![0; 300 * 1024];
        payload[..8].copy_from_slice(&u64::to_be_bytes(published));
        push(&honest, &victim, envelope(CONTENT_TOPIC.as_bytes(), payload)).await;
        published += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually_stored(&honest, &victim, CONTENT_TOPIC, published as usize).await;
    let ended = async {
        while victim
            .metric("pillarbox_peers_disconnected_total{type=\"relay_unread\"}")
            .await
            < unread.len() as f64
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ended)
        .await
        .expect("who reads nothing is ended");
    let peak = victim.peak_mib();
    assert!(peak < BOUND_MIB, "{peak} MiB with {} peers", unread.len());
    victim.ended().await;
}

/// A frame that is larger than any envelope may be is read past, and what follows on the same stream gets through.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_over_every_limit_is_read_past() {
    let victim = Victim::start(&[LARGEST]).await;
    let honest = honest(&victim).await;
    let mut attacker = Attacker::connect(&victim).await;
    let mut stream = attacker.open(RELAY).await;
    for round in 0..8 {
        assert!(send(&mut stream, &Rpc::publish(SERVED, vec![round; 3 << 20])).await);
        let message = envelope(CONTENT_TOPIC.as_bytes(), vec![round; 1000]);
        assert!(send(&mut stream, &Rpc::publish(SERVED, message.encode_to_vec())).await);
    }
    eventually_stored(&honest, &victim, CONTENT_TOPIC, 8).await;
    let read_past = victim
        .metric("pillarbox_relay_rejected_total{type=\"frame_too_large\"}")
        .await;
    assert!(read_past >= 8.0, "{read_past}");
    // A length that is announced and never sent holds nothing either.
    stream.write_all(&[0xff, 0xff, 0xff, 0xff, 0x7f]).await.unwrap();
    stream.flush().await.unwrap();
    let peak = victim.peak_mib();
    assert!(peak < BOUND_MIB / 2.0, "{peak} MiB");
    victim.ended().await;
}

/// Large frames whose last byte never comes.
#[tokio::test(flavor = "multi_thread")]
async fn frames_without_an_end_have_a_bound() {
    let victim = Victim::start(&[LARGEST]).await;
    let mut held = Vec::new();
    for _ in 0..30 {
        let Ok(mut attacker) = tokio::time::timeout(Duration::from_secs(5), Attacker::connect(&victim)).await else {
            break;
        };
        let mut stream = attacker.open(RELAY).await;
        let frame = Rpc::publish(SERVED, vec![1; 1 << 20]).encode_length_delimited_to_vec();
        let sent = stream.write_all(&frame[..frame.len() - 1]);
        let _ = tokio::time::timeout(Duration::from_secs(5), sent).await;
        held.push((attacker, stream));
    }
    let honest = honest(&victim).await;
    let message = envelope(CONTENT_TOPIC.as_bytes(), b"beside them".to_vec());
    honest.publish(SERVED.into(), message, Source::Local).await.unwrap();
    eventually_stored(&honest, &victim, CONTENT_TOPIC, 1).await;
    let peak = victim.peak_mib();
    assert!(peak < BOUND_MIB, "{peak} MiB with {} peers", held.len());
    victim.ended().await;
}

/// What a neighbour forwards in good faith, because nwaku takes it, costs it nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_forward_in_good_faith_costs_no_score() {
    let victim = Victim::start(&["--max-msg-size=150KiB"]).await;
    let honest = honest(&victim).await;
    let mut neighbour = Attacker::connect(&victim).await;
    let mut stream = neighbour.open(RELAY).await;
    assert!(send(&mut stream, &Rpc::join(SERVED)).await);
    for round in 0..40_u8 {
        // A content topic that is no text, one that is missing, and an envelope over the victim's own limit.
        let not_text = [0x0a, 0x01, round, 0x12, 0x02, 0xff, 0xfe];
        let no_topic = [0x0a, 0x02, round, 1];
        let large = envelope(CONTENT_TOPIC.as_bytes(), vec![round; 300 * 1024]).encode_to_vec();
        for data in [&not_text[..], &no_topic, &large] {
            assert!(send(&mut stream, &Rpc::publish(SERVED, data.to_vec())).await);
        }
        let good = envelope(b"/hostile/1/good/proto", vec![round; 100]).encode_to_vec();
        assert!(send(&mut stream, &Rpc::publish(SERVED, good)).await);
    }
    eventually_stored(&honest, &victim, "/hostile/1/good/proto", 40).await;
    let peers = victim.get("/admin/v1/peers/relay").await;
    let body = peers.split("\r\n\r\n").nth(1).unwrap();
    let shards: serde_json::Value = serde_json::from_str(body).unwrap();
    let id = neighbour.id.to_string();
    let shard = shards.as_array().unwrap().iter().find(|on| on["shard"] == 32);
    let peer = shard.unwrap()["peers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|peer| peer["multiaddr"].as_str().is_some_and(|address| address.ends_with(&id)));
    let score = peer.expect("the neighbour is still there")["score"].as_f64().unwrap();
    assert!(score >= 0.0, "{score}");
    victim.ended().await;
}

/// Tiny envelopes as fast as one peer can send them: what is remembered of each has a bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_tiny_envelopes_has_a_bound() {
    let victim = Victim::start(&[LARGEST]).await;
    let honest = honest(&victim).await;
    let mut attacker = Attacker::connect(&victim).await;
    let mut stream = attacker.open(RELAY).await;
    assert!(send(&mut stream, &Rpc::join(SERVED)).await);
    // Many to a frame, as an attacker would.
    for frame in 0..2000_u32 {
        let tiny = (0..100).map(|number| {
            let payload = (frame * 100 + number).to_be_bytes().to_vec();
            Publish {
                data: Some(envelope(b"/hostile/1/tiny/proto", payload).encode_to_vec()),
                topic: SERVED.to_owned(),
            }
        });
        let flood = Rpc {
            publish: tiny.collect(),
            ..Rpc::default()
        };
        assert!(send(&mut stream, &flood).await);
    }
    push(
        &honest,
        &victim,
        envelope(CONTENT_TOPIC.as_bytes(), b"beside them".to_vec()),
    )
    .await;
    let peak = victim.peak_mib();
    assert!(peak < BOUND_MIB / 2.0, "{peak} MiB");
    victim.ended().await;
}
