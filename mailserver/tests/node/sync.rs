//! Store sync between nodes of ours, and against a peer that misuses it. Relay is off on one side, so that nothing but
//! sync can have brought an envelope.

use std::time::Duration;

use archive::{Archive, Envelope, Options};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::StreamProtocol;
use pillarbox_mailserver::clock;
use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::labels::Kind;
use pillarbox_mailserver::protocols::sync::metrics::{RECEIVED, SENT, Way};
use pillarbox_mailserver::protocols::sync::ranges::{Content, Fingerprint, Id, MAX_PAYLOAD_BYTES, Payload, Range};
use pillarbox_mailserver::protocols::sync::wire::WakuMessageAndTopic;
use pillarbox_mailserver::protocols::sync::wire::{RECONCILIATION, TRANSFER};
use pillarbox_mailserver::settings::{Settings, SyncSettings};
use pillarbox_mailserver::wire::WakuMessage;
use pillarbox_mailserver::wire::framing::{read_frame, write_frame};
use prost::Message;

use crate::support::{CONTENT_TOPIC, Node, TOPIC, eventually, message, within};

const SECOND: i64 = 1_000_000_000;

fn sync(interval_ms: u64) -> SyncSettings {
    SyncSettings {
        interval: (interval_ms > 0).then(|| Duration::from_millis(interval_ms)),
        range: Duration::from_secs(3600),
        jitter: Duration::ZERO,
    }
}

/// One of a minute's envelopes; the same number is the same envelope everywhere.
fn envelope(base: i64, n: usize) -> Envelope {
    Envelope {
        pubsub_topic: TOPIC.into(),
        content_topic: CONTENT_TOPIC.into(),
        payload: vec![u8::try_from(n % 256).unwrap(); 100 + n % 7],
        version: None,
        timestamp: base + i64::try_from(n).unwrap() * SECOND / 100,
        meta: None,
        rate_limit_proof: None,
    }
}

/// A node whose archive holds these already.
async fn holding(envelopes: &[Envelope], change: impl FnOnce(&mut Settings)) -> Node {
    Node::start_with(|settings| {
        let dir = &settings.archive.as_ref().unwrap().dir;
        let archive = Archive::open(dir, Options::default()).unwrap();
        for envelope in envelopes {
            archive.insert(envelope, clock::now_nanos()).unwrap();
        }
        archive.close().unwrap();
        change(settings);
    })
    .await
}

fn stored(node: &Node) -> u64 {
    node.handle.store().unwrap().stats().unwrap().envelopes
}

fn transferred(node: &Node, direction: &'static str) -> u64 {
    let envelopes = &node.handle.metrics().sync.envelopes;
    envelopes.get_or_create(&Way { direction }).get()
}

fn refused(node: &Node, kind: &'static str) -> u64 {
    let refused = &node.handle.metrics().sync.refused;
    refused.get_or_create(&Kind { r#type: kind }).get()
}

fn sessions(node: &Node, kind: &'static str) -> u64 {
    let sessions = &node.handle.metrics().sync.sessions;
    sessions.get_or_create(&Kind { r#type: kind }).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_what_it_missed_and_nothing_else() {
    let base = clock::now_nanos() - 120 * SECOND;
    let all: Vec<Envelope> = (0..1000).map(|n| envelope(base, n)).collect();
    let part = |wanted: fn(usize) -> bool| -> Vec<Envelope> {
        let chosen = all.iter().enumerate().filter(|(n, _)| wanted(*n));
        chosen.map(|(_, envelope)| envelope.clone()).collect()
    };
    let first = part(|n| n % 50 != 0);
    let second = part(|n| n % 40 != 1);
    let answering = holding(&first, |settings| settings.sync = Some(sync(0))).await;
    let starting = holding(&second, |settings| {
        settings.sync = Some(sync(300));
        settings.services.relay = false;
    })
    .await;
    starting.connect(&answering).await;
    eventually("both have all", || async {
        stored(&starting) == 1000 && stored(&answering) == 1000
    })
    .await;
    assert_eq!(
        (transferred(&starting, SENT), transferred(&starting, RECEIVED)),
        (20, 25)
    );
    assert_eq!(
        (transferred(&answering, SENT), transferred(&answering, RECEIVED)),
        (25, 20)
    );
    // What comes later crosses with a later session.
    within(answering.handle.publish(TOPIC.into(), message(b"later"), Source::Local))
        .await
        .unwrap();
    eventually("the later one", || async { stored(&starting) == 1001 }).await;
    let done = sessions(&starting, "done");
    eventually("equal sets agree", || async { sessions(&starting, "done") > done + 1 }).await;
    for node in [&starting, &answering] {
        assert_eq!(node.handle.metrics().intake.archive_duplicates.get(), 0);
        assert_eq!(sessions(node, "failed") + sessions(node, "refused"), 0);
    }
    assert_eq!(transferred(&answering, SENT), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_range_is_compared_and_only_common_shards() {
    let now = clock::now_nanos();
    let old = envelope(now - 2 * 3600 * SECOND, 0);
    let recent = envelope(now - 60 * SECOND, 1);
    let young = envelope(now - SECOND, 2);
    let elsewhere = Envelope {
        pubsub_topic: "/waku/2/rs/16/64".into(),
        ..envelope(now - 60 * SECOND, 3)
    };
    let answering = holding(&[old, recent, young, elsewhere], |settings| {
        settings.shards = vec![32, 64];
        settings.sync = Some(sync(0));
    })
    .await;
    let starting = holding(&[], |settings| {
        settings.services.relay = false;
        // What is younger than this may still come by relay.
        settings.sync = Some(SyncSettings {
            jitter: Duration::from_secs(30),
            ..sync(200)
        });
    })
    .await;
    starting.connect(&answering).await;
    eventually("the recent one", || async { stored(&starting) == 1 }).await;
    eventually("agreed", || async { sessions(&starting, "done") >= 3 }).await;
    assert_eq!((stored(&starting), transferred(&answering, SENT)), (1, 1));
}

/// A peer without sync of its own, connected to a node that answers, which holds ten envelopes.
async fn hostile_pair() -> (Node, Node) {
    let base = clock::now_nanos() - 60 * SECOND;
    let held: Vec<Envelope> = (0..10).map(|n| envelope(base, n)).collect();
    let victim = holding(&held, |settings| settings.sync = Some(sync(0))).await;
    let peer = Node::start_with(|settings| settings.services.relay = false).await;
    peer.connect(&victim).await;
    (peer, victim)
}

/// Opens a session until one is answered: the victim first fills its set, and serves one of a peer at a time.
async fn ask(peer: &Node, victim: &Node, payload: &Payload) -> (libp2p::Stream, Payload) {
    let attempts = async {
        loop {
            let mut stream = peer.open(victim, RECONCILIATION).await;
            let asked = write_frame(&mut stream, &payload.encode()).await;
            if asked.is_ok()
                && let Ok(answer) = read_frame(&mut stream, MAX_PAYLOAD_BYTES).await
            {
                return (stream, Payload::decode(&answer).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(attempts).await
}

fn everything(content: Content) -> Payload {
    let now = clock::now_nanos();
    Payload {
        pubsub_topics: vec![TOPIC.into()],
        content_topics: Vec::new(),
        start: now - 3000 * SECOND,
        ranges: vec![Range {
            end: Id::at(now),
            content,
        }],
    }
}

fn disagreeing() -> Payload {
    everything(Content::Fingerprint(Fingerprint([9; 32])))
}

async fn send_raw(peer: &Node, victim: &Node, protocol: StreamProtocol, bytes: &[u8]) {
    let mut stream = peer.open(victim, protocol).await;
    // The other side may reset at any time.
    let _ = stream.write_all(bytes).await;
    let _ = stream.close().await;
    let _ = within(stream.read_to_end(&mut Vec::new())).await;
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_oversized_payloads_end_their_session_alone() {
    let (peer, victim) = hostile_pair().await;
    let (stream, answer) = ask(&peer, &victim, &disagreeing()).await;
    assert!(matches!(&answer.ranges[..], [Range { content: Content::Items { ids, .. }, .. }] if ids.len() == 10));
    drop(stream);
    let many_ids = [&[0, 0, 5, 1, 2][..], &[0xff; 8], &[0x7f, 0]].concat();
    let framed = |body: &[u8]| [&[u8::try_from(body.len()).unwrap()][..], body].concat();
    let streams_refused = |kind| {
        let refused = &victim.handle.metrics().swarm.streams_refused;
        refused.get_or_create(&Kind { r#type: kind }).get()
    };
    for (bytes, kind) in [
        (framed(&[0xff; 100]), "malformed"),
        (framed(&many_ids), "malformed"),
        (vec![0xff; 16], "malformed"),
        (vec![0xff, 0xff, 0xff, 0xff, 0x07], "oversized"),
    ] {
        // Each may first have to wait for the session before it to end.
        let before = streams_refused(kind);
        eventually("counted", || async {
            send_raw(&peer, &victim, RECONCILIATION, &bytes).await;
            streams_refused(kind) > before
        })
        .await;
    }
    let (_stream, answer) = ask(&peer, &victim, &disagreeing()).await;
    assert!(!answer.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_agrees_is_left_after_some_rounds() {
    let (peer, victim) = hostile_pair().await;
    let (mut stream, _) = ask(&peer, &victim, &disagreeing()).await;
    let mut rounds = 1;
    let last = loop {
        write_frame(&mut stream, &disagreeing().encode()).await.unwrap();
        let answer = within(read_frame(&mut stream, MAX_PAYLOAD_BYTES)).await.unwrap();
        let answer = Payload::decode(&answer).unwrap();
        if answer.is_finished() {
            break answer;
        }
        rounds += 1;
        assert!(rounds < 100);
    };
    assert!(last.ranges.is_empty());
    eventually("counted", || async { sessions(&victim, "cut_short") == 1 }).await;
}

/// Payloads of the largest size, full of ids that do not exist or of ranges, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn large_payloads_cost_bounded_memory() {
    let (peer, victim) = hostile_pair().await;
    let start = clock::now_nanos() - 3000 * SECOND;
    let made_up = |n: i64| {
        let mut id = Id::at(start + n);
        id.hash.0[0] = 1;
        id
    };
    let ids = everything(Content::Items {
        ids: (1..60_000).map(made_up).collect(),
        resolved: false,
    });
    let narrow = |n| Range {
        end: Id::at(start + n * SECOND / 10),
        content: Content::Fingerprint(Fingerprint([5; 32])),
    };
    let ranges = Payload {
        start,
        ranges: (1..16_000).map(narrow).collect(),
        ..disagreeing()
    };
    let mut resident = 0;
    for turn in 0..40 {
        let payload = if turn % 2 == 0 { &ids } else { &ranges };
        let (_stream, answer) = ask(&peer, &victim, payload).await;
        assert!(answer.encode().len() <= MAX_PAYLOAD_BYTES);
        if turn == 4 {
            resident = resident_bytes();
        }
    }
    let grown = resident_bytes().saturating_sub(resident);
    // 60 MB came in since; client and node are one process.
    assert!(grown < 40 << 20, "{grown} bytes more");
    assert_eq!(stored(&victim), 10);
}

fn framed(topic: &str, message: WakuMessage) -> Vec<u8> {
    let frame = WakuMessageAndTopic {
        pubsub_topic: Some(topic.to_owned()),
        message: Some(message),
    };
    frame.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_by_transfer_are_judged() {
    let (peer, victim) = hostile_pair().await;
    let send = async |frames: &[Vec<u8>]| {
        let mut stream = peer.open(&victim, TRANSFER).await;
        for frame in frames {
            let _ = write_frame(&mut stream, frame).await;
        }
        let _ = stream.close().await;
        let _ = within(stream.read_to_end(&mut Vec::new())).await;
    };
    // Without a session nothing is taken.
    send(&[framed(TOPIC, message(b"unasked"))]).await;
    eventually("counted", || async { refused(&victim, "no_session") == 1 }).await;
    drop(ask(&peer, &victim, &disagreeing()).await);
    let at = |timestamp| WakuMessage {
        timestamp: Some(timestamp),
        ..message(b"another time")
    };
    let now = clock::now_nanos();
    let ephemeral = WakuMessage {
        ephemeral: Some(true),
        ..message(b"ephemeral")
    };
    let large = WakuMessage {
        payload: Some(vec![0; 150 * 1024]),
        ..message(b"")
    };
    let no_topic = WakuMessage {
        content_topic: None,
        ..message(b"no topic")
    };
    let incomplete = WakuMessageAndTopic {
        pubsub_topic: None,
        message: Some(message(b"incomplete")),
    };
    send(&[
        framed("/waku/2/rs/16/64", message(b"other shard")),
        framed("/waku/2/rs/1/32", message(b"other cluster")),
        framed(TOPIC, at(now - 2 * 3600 * SECOND)),
        framed(TOPIC, at(now - 48 * 3600 * SECOND)),
        framed(TOPIC, at(now + 3600 * SECOND)),
        framed(TOPIC, ephemeral),
        framed(TOPIC, large),
        framed(TOPIC, no_topic),
        incomplete.encode_to_vec(),
        framed(TOPIC, message(b"good")),
    ])
    .await;
    eventually("the good one is stored", || async { stored(&victim) == 11 }).await;
    for (reason, count) in [
        ("other_shard", 2),
        ("invalid_message_too_old", 2),
        ("invalid_message_future_timestamp", 1),
        ("ephemeral", 1),
        ("too_large", 1),
        ("no_content_topic", 1),
        ("incomplete", 1),
    ] {
        assert_eq!(refused(&victim, reason), count, "{reason}");
    }
    // Too many of them, and what is no protobuf, end the stream.
    let bad = framed("/waku/2/rs/16/64", message(b"again"));
    let mut frames = vec![bad; 200];
    frames.push(framed(TOPIC, message(b"behind too many")));
    send(&frames).await;
    eventually("cut off", || async { refused(&victim, "other_shard") == 2 + 101 }).await;
    send(&[vec![0xff; 30], framed(TOPIC, message(b"behind nonsense"))]).await;
    send(&[framed(TOPIC, message(b"on a new stream"))]).await;
    eventually("the last is stored", || async { stored(&victim) == 12 }).await;
}
