//! Clients of the victim, honest or not: nodes in the test's process, each coming from the loopback address that it is
//! given, for what is scarce is shared by addresses.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use archive::{Archive, Envelope, Inserted, Options};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, identity::Keypair};
use pillarbox_mailserver::node::Handle;
use pillarbox_mailserver::protocols::light_push::wire::{LIGHT_PUSH, LightPushRequest, LightPushResponse};
use pillarbox_mailserver::settings::Settings;
use pillarbox_mailserver::swarm::{Origin, Phase};
use pillarbox_mailserver::wire::WakuMessage;
use pillarbox_mailserver::wire::framing::{read_frame, write_frame};
use pillarbox_mailserver::{clock, node};
use prost::Message;
use tokio::net::TcpSocket;

use crate::{
    honest::settings,
    victim::{DEADLINE, Victim},
};

pub(crate) const TOPIC: &str = "/waku/2/rs/16/32";
pub(crate) const CONTENT_TOPIC: &str = "/hostile/1/test/proto";
/// The largest envelope of the Status network is 1 MiB; this is the payload of one.
pub(crate) const LARGE: usize = (1 << 20) - 256;
/// The Status network's limit.
pub(crate) const LIMIT: &str = "--max-msg-size=1024KiB";

/// More than the peers that a test lets through one door.
const DOOR_BACKLOG: u32 = 64;

/// Where to dial the victim so that it sees the connection come from `127.0.0.host`: libp2p chooses no source address.
pub(crate) async fn door(victim: &Victim, host: u8) -> Multiaddr {
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    let listener = socket_at(from).unwrap().listen(DOOR_BACKLOG).unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = victim.tcp;
    tokio::spawn(async move {
        while let Ok((mut outer, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut inner = socket_at(from)?.connect(to).await?;
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await
            });
        }
    });
    format!("/ip4/{}/tcp/{port}/p2p/{}", from.ip(), victim.peer_id())
        .parse()
        .unwrap()
}

/// Its port may be the one that a node in this process listens on, at another address. That node dials from this port of
/// every address, which Linux lets it do only beside sockets that share (`SO_REUSEPORT`, socket(7)).
fn socket_at(from: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(from)?;
    Ok(socket)
}

#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) handle: Handle,
    pub(crate) victim: PeerId,
}

impl Peer {
    /// A client that is connected to the victim from `127.0.0.host`. It ends with the test's runtime.
    pub(crate) async fn connect(victim: &Victim, host: u8) -> Self {
        let settings = Settings {
            agent: "hostile/test".into(),
            ..settings()
        };
        let key = Keypair::generate_secp256k1();
        let (handle, _running) = node::start(&settings, &key).await.unwrap();
        let mut status = handle.swarm().status();
        within(status.wait_for(|status| status.phase == Phase::Listening))
            .await
            .unwrap();
        let connected = handle.swarm().connect(door(victim, host).await, Origin::Admin);
        let victim = within(connected).await.unwrap();
        Self { handle, victim }
    }

    pub(crate) async fn open(&self, protocol: StreamProtocol) -> Stream {
        within(self.handle.swarm().open(self.victim, protocol)).await.unwrap()
    }

    /// One request and its answer, however long the answer takes on a busy machine.
    pub(crate) async fn ask<Answer: Message + Default>(
        &self,
        protocol: StreamProtocol,
        request: &impl Message,
    ) -> Result<Answer, String> {
        let mut stream = self.open(protocol).await;
        let exchange = async {
            write_frame(&mut stream, &request.encode_to_vec()).await?;
            read_frame(&mut stream, 16 << 20).await
        };
        let answer = within(exchange).await.map_err(|error| error.to_string())?;
        Answer::decode(answer.as_slice()).map_err(|error| error.to_string())
    }

    /// The status of a light push of `payload`.
    pub(crate) async fn push(&self, payload: Vec<u8>) -> Result<u32, String> {
        let response: LightPushResponse = self.ask(LIGHT_PUSH, &push_of(payload)).await?;
        response.status_code.ok_or_else(|| "no status".to_owned())
    }
}

pub(crate) fn push_of(payload: Vec<u8>) -> LightPushRequest {
    LightPushRequest {
        request_id: Some("id".into()),
        pubsub_topic: Some(TOPIC.into()),
        message: Some(WakuMessage {
            payload: Some(payload),
            content_topic: Some(CONTENT_TOPIC.into()),
            timestamp: Some(clock::now_nanos()),
            ..Default::default()
        }),
    }
}

/// A payload of this size that is like no other.
pub(crate) fn payload(number: usize, size: usize) -> Vec<u8> {
    let mut payload = vec![0; size];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    payload
}

/// An archive of so many of the largest envelopes; they are on disk.
pub(crate) fn fill(dir: &Path, count: usize) -> Vec<Envelope> {
    let archive = Archive::open(dir, Options::default()).unwrap();
    let now = clock::now_nanos();
    let envelopes: Vec<Envelope> = (0..count)
        .map(|number| Envelope {
            pubsub_topic: TOPIC.into(),
            content_topic: CONTENT_TOPIC.into(),
            payload: payload(number, LARGE),
            version: None,
            timestamp: now + number as i64,
            meta: None,
            rate_limit_proof: None,
        })
        .collect();
    for envelope in &envelopes {
        assert!(matches!(archive.insert(envelope, now).unwrap(), Inserted::Stored(_)));
    }
    archive.close().unwrap();
    envelopes
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

/// Until the victim's metric has come to `least`.
pub(crate) async fn until_metric(victim: &Victim, name: &str, least: f64) {
    let poll = async {
        while victim.metric(name).await < least {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, poll).await.is_ok(), "{name} < {least}");
}
