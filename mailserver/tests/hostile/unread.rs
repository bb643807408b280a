//! Bytes that nobody reads: WebSocket frames without end before any handshake, and streams full of what the node has no
//! use for, behind answers that the attacker does not take.

use std::{io, time::Duration};

use pillarbox_mailserver::protocols::light_push::wire::LIGHT_PUSH;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    attacker::{Attacker, Muxer, negotiation, page},
    honest::Honest,
    victim::{BOUND_MIB, DEADLINE, Victim},
};

/// What a node may take for connections that have not said who they are.
const UNKNOWN_MIB: f64 = 64.0;
/// A frame's length that the WebSocket library's default takes.
const FRAME: u64 = 250_000_000;
/// Of which 60 are more than [`UNKNOWN_MIB`].
const PROMISED: u64 = 4 << 20;
/// Pages that fill a socket; of five peers not all of the store's turns.
const UNTAKEN: u32 = 2;
/// How long an attack goes on: longer than a set-up or a stream may stand still.
const ATTACK: Duration = Duration::from_secs(14);

/// A WebSocket connection as far as its first frame's header, which promises so many bytes.
async fn promise(victim: &Victim, bytes: u64) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(victim.websocket).await?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        victim.websocket
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    // Final, binary, masked with zeros, eight bytes of length.
    let header = [&[0x82, 0xff][..], &bytes.to_be_bytes(), &[0; 4]].concat();
    stream.write_all(&header).await?;
    Ok(stream)
}

/// A frame that begins as Noise's negotiation does, and goes on as `rest` says.
async fn frame(victim: &Victim, begin: &[u8], rest: u64) -> io::Result<()> {
    let mut stream = promise(victim, begin.len() as u64 + rest).await?;
    stream.write_all(begin).await?;
    let zeros = vec![0; 1 << 20];
    let mut left = rest;
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        stream.write_all(&zeros[..usize::try_from(part).unwrap()]).await?;
        left -= part;
    }
    // Held until the node ends it.
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

async fn honest_meanwhile(victim: &Victim, address: String, attack: impl Future<Output = ()>) {
    let honest = Honest::start().await;
    let address = address.parse().unwrap();
    let asking = async {
        loop {
            honest.is_served(&address).await.unwrap();
            sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = attack => {}
        () = asking => unreachable!(),
    }
    honest.is_served(&address).await.unwrap();
    let health = victim.get("/health").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}

async fn frames(count: usize) {
    let victim = Victim::start(&[]).await;
    let attack = async {
        let begin = negotiation("/noise");
        let sent = (0..count).map(|_| frame(&victim, &begin, FRAME - begin.len() as u64));
        // The node ends each; how is its own affair.
        let all = timeout(DEADLINE, futures::future::join_all(sent)).await;
        assert_eq!(all.expect("the node ends them").len(), count);
    };
    let address = victim.address();
    honest_meanwhile(&victim, address, attack).await;
    let peak = victim.peak_mib();
    eprintln!("{peak:.0} MiB for {count} frames");
    assert!(peak < UNKNOWN_MIB, "{peak} MiB for {count} frames");
    victim.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_frame_before_the_handshake_costs_little() {
    frames(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_websocket_frames_before_the_handshake_cost_little() {
    frames(4).await;
}

/// As many set-ups at once as there may be, each with a frame whose end does not come.
#[tokio::test(flavor = "multi_thread")]
async fn promises_of_frames_cost_little() {
    let victim = Victim::start(&[]).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        if let Ok(stream) = promise(&victim, PROMISED).await {
            held.push(stream);
        }
    }
    assert!(held.len() > 5, "{} came in", held.len());
    sleep(Duration::from_secs(1)).await;
    let peak = victim.peak_mib();
    assert!(peak < UNKNOWN_MIB, "{peak} MiB for {} promises", held.len());
    drop(held);
    victim.ended().await;
}

/// Envelopes enough that a few pages of them fill any socket.
async fn fill_archive(victim: &Victim) {
    let payload = "A".repeat(140_000);
    for _ in 0..24 {
        let body = format!("{{\"payload\": \"{payload}\", \"contentTopic\": \"/app/1/chat/proto\"}}");
        let answer = victim
            .post("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F32", &body)
            .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let asked = async {
        while victim
            .get("/store/v3/messages?includeData=false&pageSize=100")
            .await
            .matches("messageHash")
            .count()
            < 24
        {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, asked).await.expect("they are kept");
}

/// One connection: answers that it does not take, so that the node can't write, then streams that the node doesn't read.
async fn unread(victim: std::net::SocketAddr, muxer: Muxer, streams: u32, frames: usize) -> io::Result<()> {
    let mut attacker = Attacker::connect(victim, muxer).await?;
    for number in 0..UNTAKEN {
        attacker.send(&muxer.open(number, &page())).await?;
        attacker.send(&muxer.allow(number)).await?;
    }
    sleep(Duration::from_secs(1)).await;
    let filler = vec![0; muxer.frame_bytes()];
    for number in UNTAKEN..UNTAKEN + streams {
        let begin = negotiation(LIGHT_PUSH.as_ref());
        attacker.send(&muxer.open(number, &begin)).await?;
        let mut left = frames * filler.len() - begin.len();
        while left > 0 {
            let part = left.min(filler.len());
            attacker.send(&muxer.data(number, &filler[..part])).await?;
            left -= part;
        }
    }
    sleep(ATTACK).await;
    Ok(())
}

async fn peers_that_fill_streams(peers: usize, muxer: Muxer, streams: u32, frames: usize) {
    let victim = Victim::start(&[]).await;
    fill_archive(&victim).await;
    let tcp = victim.tcp;
    let attack = async {
        let mut attacks = JoinSet::new();
        for _ in 0..peers {
            attacks.spawn(async move { timeout(ATTACK, unread(tcp, muxer, streams, frames)).await });
        }
        attacks.join_all().await;
    };
    let address = victim.address();
    honest_meanwhile(&victim, address, attack).await;
    let peak = victim.peak_mib();
    eprintln!("{peak:.0} MiB for {peers} peers with {muxer:?}");
    assert!(peak < BOUND_MIB, "{peak} MiB for {peers} peers with {muxer:?}");
    victim.ended().await;
}

/// 7 MiB for each of 120 streams of one peer.
#[tokio::test(flavor = "multi_thread")]
async fn mplex_streams_that_nobody_reads_are_bounded() {
    peers_that_fill_streams(1, Muxer::Mplex, 120, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mplex_streams_of_five_peers_that_nobody_reads_are_bounded() {
    peers_that_fill_streams(5, Muxer::Mplex, 120, 7).await;
}

/// The window of each of 240 streams of five peers: the node drops the streams, but can't write that it does.
#[tokio::test(flavor = "multi_thread")]
async fn yamux_streams_of_five_peers_filled_to_their_window_are_bounded() {
    peers_that_fill_streams(5, Muxer::Yamux, 240, 1).await;
}

/// What a WebSocket server does to those who dial it.
#[derive(Clone, Copy, Debug)]
enum Host {
    /// Answers the handshake, and sends a frame of [`FRAME`].
    LongFrame,
    /// Answers the handshake without end.
    LongAnswer,
}

async fn host(listener: TcpListener, manner: Host) -> io::Result<()> {
    let (stream, _) = listener.accept().await?;
    let mut server = soketto::handshake::Server::new(libp2p::tcp::tokio::TcpStream(stream));
    let request = server.receive_request().await.map_err(io::Error::other)?;
    let key = request.key();
    let zeros = vec![b'0'; 1 << 20];
    let mut stream = match manner {
        Host::LongFrame => {
            let accept = soketto::handshake::server::Response::Accept { key, protocol: None };
            server.send_response(&accept).await.map_err(io::Error::other)?;
            let mut stream = server.into_inner().0;
            stream
                .write_all(&[&[0x82, 0x7f][..], &FRAME.to_be_bytes()].concat())
                .await?;
            stream.write_all(&negotiation("/noise")).await?;
            stream
        }
        Host::LongAnswer => {
            let mut stream = server.into_inner().0;
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nX: ").await?;
            stream
        }
    };
    for _ in 0..200 {
        stream.write_all(&zeros).await?;
    }
    Ok(())
}

/// Addresses of such hosts come from anybody, by discovery.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_server_that_is_dialled_costs_little() {
    for manner in [Host::LongFrame, Host::LongAnswer] {
        let victim = Victim::start(&[]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(host(listener, manner));
        let peer = libp2p::PeerId::random();
        let body = format!("[\"/ip4/127.0.0.1/tcp/{port}/ws/p2p/{peer}\"]");
        let answer = victim.post("/admin/v1/peers", &body).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        let ended = timeout(DEADLINE, serving).await.expect("the node ends it").unwrap();
        assert!(ended.is_err(), "{manner:?}: all of it was taken");
        let peak = victim.peak_mib();
        eprintln!("{peak:.0} MiB for {manner:?}");
        assert!(peak < UNKNOWN_MIB, "{peak} MiB for {manner:?}");
        victim.ended().await;
    }
}
