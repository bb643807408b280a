//! A peer that keeps to no rule: it opens and accepts streams of any protocol, and reads and writes what it likes.

use futures::{AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, identity, multiaddr::Protocol, noise, swarm::SwarmEvent,
    tcp, yamux,
};
use libp2p_stream::{Control, IncomingStreams};
use pillarbox_mailserver::protocols::metadata::wire::{METADATA, WakuMetadata};
use pillarbox_mailserver::wire::framing::write_frame;
use prost::Message;

use crate::victim::{DEADLINE, Victim};

pub(crate) const RELAY: StreamProtocol = StreamProtocol::new("/vac/waku/relay/2.0.0");

/// gossipsub's RPC (libp2p pubsub `rpc.proto`), as far as an attack needs it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rpc {
    #[prost(message, repeated, tag = "1")]
    pub(crate) subscriptions: Vec<Subscription>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) publish: Vec<Publish>,
    #[prost(message, optional, tag = "3")]
    pub(crate) control: Option<Control_>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Subscription {
    #[prost(bool, optional, tag = "1")]
    pub(crate) subscribe: Option<bool>,
    #[prost(string, optional, tag = "2")]
    pub(crate) topic: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Publish {
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) data: Option<Vec<u8>>,
    #[prost(string, required, tag = "4")]
    pub(crate) topic: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Control_ {
    #[prost(message, repeated, tag = "3")]
    pub(crate) graft: Vec<Graft>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graft {
    #[prost(string, optional, tag = "1")]
    pub(crate) topic: Option<String>,
}

impl Rpc {
    pub(crate) fn publish(topic: &str, data: Vec<u8>) -> Self {
        Self {
            publish: vec![Publish {
                data: Some(data),
                topic: topic.to_owned(),
            }],
            ..Self::default()
        }
    }

    /// On the topic, and in the mesh.
    pub(crate) fn join(topic: &str) -> Self {
        Self {
            subscriptions: vec![Subscription {
                subscribe: Some(true),
                topic: Some(topic.to_owned()),
            }],
            control: Some(Control_ {
                graft: vec![Graft {
                    topic: Some(topic.to_owned()),
                }],
            }),
            ..Self::default()
        }
    }
}

pub(crate) struct Attacker {
    control: Control,
    victim: PeerId,
    pub(crate) id: PeerId,
    swarm: tokio::task::JoinHandle<()>,
}

impl Attacker {
    /// Reads whatever the victim relays to it.
    pub(crate) async fn connect(victim: &Victim) -> Self {
        let (attacker, mut relayed) = Self::deaf(victim).await;
        tokio::spawn(async move {
            while let Some((_, mut stream)) = relayed.next().await {
                tokio::spawn(async move { futures::io::copy(&mut stream, &mut futures::io::sink()).await });
            }
        });
        attacker
    }

    /// Accepts what the victim relays to it, for whoever wants to read that. (Who does not accept it may not relay.)
    pub(crate) async fn deaf(victim: &Victim) -> (Self, IncomingStreams) {
        Self::connect_to(victim.address().parse().unwrap()).await
    }

    async fn connect_to(address: Multiaddr) -> (Self, IncomingStreams) {
        let key = identity::Keypair::generate_secp256k1();
        let id = key.public().to_peer_id();
        let mut swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(
                tcp::Config::new().nodelay(true),
                noise::Config::new,
                yamux::Config::default,
            )
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE * 10))
            .build();
        let control = swarm.behaviour().new_control();
        tokio::spawn(pass_for_a_member(
            swarm.behaviour().new_control().accept(METADATA).unwrap(),
        ));
        let relayed = swarm.behaviour().new_control().accept(RELAY).unwrap();
        let Some(Protocol::P2p(victim)) = address.iter().last() else {
            panic!("{address} names no peer");
        };
        swarm.dial(address).unwrap();
        let connected = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => return,
                    SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(DEADLINE, connected)
            .await
            .expect("connected in time");
        let swarm = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        let attacker = Self {
            control,
            victim,
            id,
            swarm,
        };
        (attacker, relayed)
    }

    pub(crate) async fn open(&mut self, protocol: StreamProtocol) -> Stream {
        self.control.open_stream(self.victim, protocol).await.unwrap()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

/// Says that it is on the victim's cluster and shard: others are left at once.
async fn pass_for_a_member(mut asked: IncomingStreams) {
    let answer = WakuMetadata::new(16, &[32]).encode_to_vec();
    while let Some((_, mut stream)) = asked.next().await {
        if write_frame(&mut stream, &answer).await.is_ok() {
            let _ = stream.close().await;
        }
    }
}

/// Whether all of it went out in time: a victim that reads no more fails its test.
pub(crate) async fn send(stream: &mut Stream, rpc: &Rpc) -> bool {
    let frame = rpc.encode_length_delimited_to_vec();
    let sent = async { stream.write_all(&frame).await.is_ok() && stream.flush().await.is_ok() };
    tokio::time::timeout(DEADLINE, sent).await.unwrap_or(false)
}
