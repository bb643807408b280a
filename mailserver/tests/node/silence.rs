//! Peers that fall silent without a word: a cable pulled, a phone out of reach, a router that forgot the connection.

use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use pillarbox_mailserver::settings::Ping;
use pillarbox_mailserver::swarm::Origin;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::{Node, eventually};

/// Forwards one connection until it is told to keep all further bytes to itself, with both sockets left open.
async fn forwarder(to: Multiaddr) -> (Multiaddr, oneshot::Sender<()>) {
    let port = |address: &Multiaddr| {
        address.iter().find_map(|part| match part {
            Protocol::Tcp(port) => Some(port),
            _ => None,
        })
    };
    let target = port(&to).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let address = to
        .iter()
        .map(|part| match part {
            Protocol::Tcp(_) => Protocol::Tcp(own),
            other => other,
        })
        .collect();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => {}
            _ = stopped => {
                // What is written is still taken, as a router in between would.
                let (mut from_near, _near) = near.split();
                let (mut from_far, _far) = far.split();
                let mut sink = (tokio::io::sink(), tokio::io::sink());
                let _ = tokio::join!(
                    tokio::io::copy(&mut from_near, &mut sink.0),
                    tokio::io::copy(&mut from_far, &mut sink.1),
                );
            }
        }
    });
    (address, stop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_no_ping_is_disconnected() {
    let quick = Ping {
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
    };
    let one = Node::start_with(|settings| settings.limits.ping = quick).await;
    let two = Node::start_with(|settings| settings.limits.ping = quick).await;
    let three = Node::start_with(|settings| settings.limits.ping = quick).await;
    let (address, fall_silent) = forwarder(two.address(false)).await;
    one.handle.swarm().connect(address, Origin::Admin).await.unwrap();
    one.connect(&three).await;
    let connected = |node: &Node| node.handle.swarm().status().borrow().connected_peers;
    let answered = |node: &Node| {
        let handle = node.handle.clone();
        async move {
            handle
                .swarm()
                .peers()
                .await
                .unwrap()
                .iter()
                .filter(|peer| peer.latency.is_some())
                .count()
        }
    };
    eventually("both answer pings", || async { answered(&one).await == 2 }).await;
    eventually("so does the other way", || async { answered(&two).await == 1 }).await;

    fall_silent.send(()).unwrap();
    eventually("one knows", || async { connected(&one) == 1 }).await;
    eventually("the other, too", || async { connected(&two) == 0 }).await;
    let peers = one.handle.swarm().peers().await.unwrap();
    let left: Vec<_> = peers.iter().filter(|peer| peer.direction.is_some()).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].peer_id, three.handle.swarm().info().peer_id);
}

/// Who connects and says nothing takes no place from others for long.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_do_not_lock_others_out() {
    let node = Node::start().await;
    let address = node.address(false);
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let port = port.unwrap();
    // As many as may be under way at once.
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let other = Node::start().await;
    eventually("another is let in", || async {
        other
            .handle
            .swarm()
            .connect(address.clone(), Origin::Admin)
            .await
            .is_ok()
    })
    .await;
    // The silent ones were shown the door: their sockets come to an end.
    let mut ended = 0;
    for mut stream in silent {
        let _ = stream.write_all(b"?").await;
        let mut rest = Vec::new();
        ended += usize::from(
            tokio::time::timeout(crate::support::DEADLINE, stream.read_to_end(&mut rest))
                .await
                .is_ok(),
        );
    }
    assert_eq!(ended, 64);
}
