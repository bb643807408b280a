//! hostile.md 6: light pushes without their last byte, on as many streams as there are.

use futures::AsyncWriteExt;
use libp2p::Stream;
use pillarbox_mailserver::protocols::light_push::wire::LIGHT_PUSH;

use crate::{
    peer::{LARGE, LIMIT, Peer, payload, within},
    victim::{BOUND_MIB, Victim},
};

/// Of an announced light push.
const BODY: usize = 214 << 10;
const STREAMS: usize = 110;
const PEERS_AN_ADDRESS: usize = 5;

/// Everything but the last byte; `None` once the victim has had enough.
async fn half(peer: Peer, body: &[u8]) -> Option<Stream> {
    let mut stream = peer.open(LIGHT_PUSH).await;
    let mut length = unsigned_varint::encode::usize_buffer();
    let length = unsigned_varint::encode::usize(body.len() + 1, &mut length);
    stream.write_all(length).await.ok()?;
    stream.write_all(body).await.ok()?;
    stream.flush().await.ok()?;
    Some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_their_end_hold_a_bounded_part_and_eight_clients_of_one_address_push() {
    let victim = Victim::start(&[LIMIT]).await;
    let mut honest = Vec::new();
    for _ in 0..8 {
        honest.push(Peer::connect(&victim, 9).await);
    }
    let mut attacks = Vec::new();
    for host in [2, 3] {
        for _ in 0..PEERS_AN_ADDRESS {
            let peer = Peer::connect(&victim, host).await;
            attacks.push(tokio::spawn(async move {
                let body = vec![7; BODY];
                let mut held = Vec::new();
                for _ in 0..STREAMS {
                    held.push(half(peer.clone(), &body).await);
                }
                held
            }));
        }
    }
    let mut held = Vec::new();
    for attack in attacks {
        held.extend(within(attack).await.unwrap());
    }
    // All at once, each the largest there is, on its first try.
    let pushes = honest
        .iter()
        .enumerate()
        .map(|(number, peer)| peer.push(payload(number, LARGE)));
    let answers = futures::future::join_all(pushes).await;
    assert!(answers.iter().all(|answer| *answer == Ok(200)), "{answers:?}");
    let gave_way = victim
        .metric("pillarbox_streams_refused_total{type=\"gave_way\"}")
        .await;
    assert!(victim.peak_mib() < BOUND_MIB, "{} MiB", victim.peak_mib());
    assert!(
        gave_way >= (held.len() / 2) as f64,
        "{gave_way} of {} gave way",
        held.len()
    );
    drop(held);
    println!("{:.0} MiB at most", victim.peak_mib());
    victim.ended().await;
}
