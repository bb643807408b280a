//! A libp2p peer that speaks the protocols it is given and answers nothing by itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use futures::StreamExt;
use libp2p::core::upgrade::Version;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Stream, StreamProtocol, Swarm, Transport, identity, noise, swarm, tcp, yamux};
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::protocols::metadata::wire::WakuMetadata;
use pillarbox_mailserver::settings::Streams;
use pillarbox_mailserver::swarm::metrics::Metrics;
use pillarbox_mailserver::swarm::streams;
use pillarbox_mailserver::swarm::streams::Inbound;
use pillarbox_mailserver::wire::framing::{read_frame, write_frame};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Gone with its connections when it is dropped.
pub struct Raw {
    /// Where it listens.
    pub address: Multiaddr,
    /// The streams that the other end opens.
    pub inbound: mpsc::Receiver<Inbound>,
    driver: JoinHandle<()>,
}

impl Raw {
    /// Listens on the loopback, and dials `to` if that is given.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(keypair: &identity::Keypair, protocols: Vec<StreamProtocol>, to: Option<Multiaddr>) -> Self {
        let (behaviour, inbound) = streams::Behaviour::new(protocols, Streams::default(), Metrics::default());
        let transport = tcp::tokio::Transport::default()
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(keypair).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let peer = keypair.public().to_peer_id();
        let mut swarm = Swarm::new(transport, behaviour, peer, swarm::Config::with_tokio_executor());
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address.with_p2p(peer).unwrap();
            }
        };
        if let Some(to) = to {
            swarm.dial(to).unwrap();
        }
        let driver = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self {
            address,
            inbound,
            driver,
        }
    }

    /// The next stream that the other end opens with `protocol`. Metadata is answered on the way.
    ///
    /// # Panics
    /// When the other end is gone, or opens another protocol.
    pub async fn next(&mut self, protocol: &StreamProtocol) -> Stream {
        loop {
            let mut opened = self.inbound.recv().await.unwrap();
            if opened.protocol == *protocol {
                return opened.stream;
            }
            assert_eq!(opened.protocol, METADATA);
            read_frame(&mut opened.stream, 1024).await.unwrap();
            let answer = WakuMetadata::new(16, &[32]).encode_to_vec();
            write_frame(&mut opened.stream, &answer).await.unwrap();
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
