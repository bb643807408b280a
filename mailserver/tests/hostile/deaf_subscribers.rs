//! hostile.md 2, in part: filter subscribers that never read what is pushed to them.

use std::time::Duration;

use libp2p::{Stream, SwarmBuilder, futures::StreamExt, multiaddr::Protocol, noise, swarm::SwarmEvent, tcp, yamux};
use pillarbox_mailserver::protocols::filter::wire::{
    FILTER_PUSH, FILTER_SUBSCRIBE, FilterSubscribeRequest, FilterSubscribeResponse, FilterSubscribeType,
};
use pillarbox_mailserver::protocols::metadata::wire::{METADATA, WakuMetadata};
use pillarbox_mailserver::settings::Streams as Limits;
use pillarbox_mailserver::swarm::metrics::Metrics;
use pillarbox_mailserver::swarm::streams;
use pillarbox_mailserver::swarm::streams::Inbound;
use pillarbox_mailserver::wire::framing::{read_frame, write_frame};
use prost::Message;
use tokio::sync::{mpsc, oneshot};

use crate::{
    peer::{CONTENT_TOPIC, LARGE, LIMIT, Peer, TOPIC, door, payload, within},
    victim::{BOUND_MIB, Victim},
};

const DEAF: usize = 10;
/// More than the bound, if all of them wait.
const ENVELOPES: usize = 230;

fn subscribe() -> FilterSubscribeRequest {
    FilterSubscribeRequest {
        request_id: Some("id".into()),
        filter_subscribe_type: Some(FilterSubscribeType::Subscribe.into()),
        pubsub_topic: Some(TOPIC.into()),
        content_topics: vec![CONTENT_TOPIC.into()],
    }
}

/// Says that it is of the network, and keeps every stream that is opened to it without reading from it.
async fn keep(mut inbound: mpsc::Receiver<Inbound>) {
    let mut kept: Vec<Stream> = Vec::new();
    while let Some(Inbound {
        protocol, mut stream, ..
    }) = inbound.recv().await
    {
        if protocol == METADATA {
            let _ = read_frame(&mut stream, 4096).await;
            let _ = write_frame(&mut stream, &WakuMetadata::new(16, &[32]).encode_to_vec()).await;
        }
        kept.push(stream);
    }
}

/// A subscriber at `127.0.0.host`, until the test's runtime ends.
async fn deaf(victim: &Victim, host: u8) {
    let (behaviour, inbound) =
        streams::Behaviour::new(vec![METADATA, FILTER_PUSH], Limits::default(), Metrics::default());
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| behaviour)
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build();
    tokio::spawn(keep(inbound));
    let there = door(victim, host).await;
    swarm.dial(there.clone()).unwrap();
    let Some(Protocol::P2p(peer)) = there.iter().last() else {
        panic!("no peer in {there}")
    };
    let (connected, is_connected) = oneshot::channel();
    let (asking, mut asked) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut connected = Some(connected);
        loop {
            tokio::select! {
                event = swarm.select_next_some() => if let SwarmEvent::ConnectionEstablished { .. } = event {
                    connected.take().map(|connected| connected.send(()));
                },
                Some(reply) = asked.recv() => swarm.behaviour_mut().open(peer, FILTER_SUBSCRIBE, reply),
            }
        }
    });
    within(is_connected).await.unwrap();
    let (reply, opened) = oneshot::channel();
    asking.send(reply).await.unwrap();
    let mut stream = within(opened).await.unwrap().unwrap();
    within(write_frame(&mut stream, &subscribe().encode_to_vec()))
        .await
        .unwrap();
    let answer = within(read_frame(&mut stream, 4096)).await.unwrap();
    let answer = FilterSubscribeResponse::decode(answer.as_slice()).unwrap();
    assert_eq!(answer.status_code, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_that_do_not_read_end_and_one_that_reads_gets_everything() {
    let victim = Victim::start(&[LIMIT]).await;
    let (reader, publisher) = (Peer::connect(&victim, 9).await, Peer::connect(&victim, 8).await);
    let mut pushed = reader.handle.filter_client().pushed();
    let answer = within(reader.handle.filter_client().request(reader.victim, &subscribe()))
        .await
        .unwrap();
    assert_eq!(answer.status_code, Some(200));
    for number in 0..DEAF {
        deaf(&victim, 2 + (number % 2) as u8).await;
    }
    let subscribers = victim.metric("waku_filter_subscriptions").await;
    assert!(subscribers as usize == DEAF + 1, "{subscribers} subscribers");
    for number in 0..ENVELOPES {
        let sent = payload(number, LARGE);
        assert_eq!(publisher.push(sent.clone()).await, Ok(200));
        let got = within(pushed.recv()).await.unwrap();
        assert!(got.envelope.payload == sent, "envelope {number}");
    }
    assert!(victim.peak_mib() < BOUND_MIB, "{} MiB", victim.peak_mib());
    println!("{:.0} MiB at most", victim.peak_mib());
    victim.ended().await;
}
