//! Several connections to one peer: what happens on one of them is not held against the others, and what one carried
//! goes on by the next.

use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::swarm::Origin;
use pillarbox_mailserver::swarm::metrics::DialOutcome;
use test_support::peer::Raw;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, oneshot};

use crate::support::{Node, TOPIC, eventually, message, within};

/// Long enough for what would follow at once.
const AT_ONCE: Duration = Duration::from_secs(3);

async fn of_key(key: &Keypair) -> Node {
    Node::start_as(key, |_| {}).await
}

/// Publishes ten envelopes on one node and waits until the other has all of them.
async fn relays_ten(from: &Node, to: &Node) {
    let mut received = to.handle.received();
    for number in 0..10u8 {
        let message = message(&[b"of ten", &[number][..]].concat());
        let published = from.handle.publish(TOPIC.into(), message, Source::Local).await;
        assert!(published.unwrap().relay_peers > 0, "{number}");
    }
    let mut missing: Vec<u8> = (0..10).collect();
    let all = async {
        while !missing.is_empty() {
            let envelope = &received.recv().await.unwrap().envelope;
            missing.retain(|number| envelope.payload != [b"of ten", &[*number][..]].concat());
        }
    };
    let arrived = tokio::time::timeout(crate::support::DEADLINE, all).await;
    assert!(arrived.is_ok(), "{missing:?} of ten never came");
}

/// Waits until envelopes pass again, as they do once both ends know which connections are left.
async fn passes(from: &Node, to: &Node) {
    let mut received = to.handle.received();
    let sender = from.handle.swarm().info().peer_id;
    let probing = async {
        loop {
            let probe = message(&rand_bytes());
            let _ = from.handle.publish(TOPIC.into(), probe, Source::Local).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            while let Ok(next) = received.try_recv() {
                if next.source == Source::Relay(sender) {
                    return;
                }
            }
        }
    };
    within(probing).await;
}

fn rand_bytes() -> [u8; 16] {
    std::array::from_fn(|_| rand::random())
}

async fn is_connected(node: &Node, to: &Node) -> bool {
    let peer = to.handle.swarm().info().peer_id;
    let peers = node.handle.swarm().peers().await.unwrap();
    peers
        .iter()
        .any(|known| known.peer_id == peer && known.direction.is_some())
}

/// A peer was dialled twice, metadata was asked for on the connection that lost, and that one went away with the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_before_metadata_is_answered_costs_no_other() {
    let node = Node::start().await;
    let key = Keypair::generate_secp256k1();
    let mut loser = Raw::start(&key, vec![METADATA], Some(node.address(false))).await;
    let asked = within(loser.inbound.recv()).await.unwrap();
    assert_eq!(asked.protocol, METADATA);
    let peer = of_key(&key).await;
    peer.connect(&node).await;
    eventually("two connections", || is_connected(&peer, &node)).await;
    drop((asked, loser));
    let cut = async {
        while is_connected(&peer, &node).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(AT_ONCE, cut).await.is_err(),
        "the good connection was cut"
    );
    relays_ten(&peer, &node).await;
    relays_ten(&node, &peer).await;
    peer.stop().await;
    node.stop().await;
}

/// A peer that answers nothing keeps no place, by however many connections it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_answers_metadata_is_disconnected() {
    let node = Node::start().await;
    let key = Keypair::generate_secp256k1();
    let silent = [(); 2].map(|()| Raw::start(&key, vec![METADATA], Some(node.address(false))));
    let [mut one, mut two] = futures::future::join_all(silent).await.try_into().ok().unwrap();
    let _asked = (within(one.inbound.recv()).await, within(two.inbound.recv()).await);
    eventually("gone, and forgotten", || async {
        node.handle.swarm().peers().await.unwrap().is_empty()
    })
    .await;
    node.stop().await;
}

/// A peer started again while its old connection still stood, say after its plug was pulled: to this node it is a second
/// connection of a peer that has heard everything, to the peer it is the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_came_back_before_its_old_connection_ended_hears_the_subscriptions_again() {
    let node = Node::start().await;
    let key = Keypair::generate_secp256k1();
    let before = of_key(&key).await;
    before.join(&node).await;
    let after = of_key(&key).await;
    after.connect(&node).await;
    before.stop().await;
    eventually("it is told of the subscription", || async {
        let peers = after.handle.swarm().peers().await.unwrap();
        peers
            .iter()
            .any(|peer| peer.relay_topics.iter().any(|topic| topic == TOPIC))
    })
    .await;
    relays_ten(&after, &node).await;
    relays_ten(&node, &after).await;
    after.stop().await;
    node.stop().await;
}

/// Forwards one connection to `to` from the moment on that both of a pair were dialled, until it is told to end.
async fn gate(to: Multiaddr, both: Arc<Barrier>) -> (Multiaddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let mut target = 0;
    let address = to
        .iter()
        .map(|part| match part {
            Protocol::Tcp(port) => {
                target = port;
                Protocol::Tcp(own)
            }
            other => other,
        })
        .collect();
    let (cut, ended) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        both.wait().await;
        let mut far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => {}
            _ = ended => {}
        }
    });
    (address, cut)
}

fn dialled(node: &Node) -> u64 {
    let outcome = DialOutcome { outcome: "successful" };
    node.handle.metrics().swarm.dials.get_or_create(&outcome).get()
}

/// Each dials the other, one by tcp and one by ws, so that both connections stand; either may be the one that ends.
#[tokio::test(flavor = "multi_thread")]
async fn relay_goes_on_when_one_of_two_connections_ends() {
    for first in [true, false] {
        let [one, two] = [Node::start().await, Node::start().await];
        let both = Arc::new(Barrier::new(2));
        let (by_tcp, cut_tcp) = gate(two.address(false), both.clone()).await;
        let (by_ws, cut_ws) = gate(one.address(true), both).await;
        let (there, back) = tokio::join!(
            one.handle.swarm().connect(by_tcp, Origin::Admin),
            two.handle.swarm().connect(by_ws, Origin::Admin)
        );
        assert!(there.is_ok() && back.is_ok(), "{there:?} {back:?}");
        eventually("two connections", || async { dialled(&one) == 1 && dialled(&two) == 1 }).await;
        passes(&one, &two).await;
        passes(&two, &one).await;
        let (_kept, ends) = if first { (cut_ws, cut_tcp) } else { (cut_tcp, cut_ws) };
        ends.send(()).unwrap();
        passes(&one, &two).await;
        passes(&two, &one).await;
        relays_ten(&one, &two).await;
        relays_ten(&two, &one).await;
        one.stop().await;
        two.stop().await;
    }
}
