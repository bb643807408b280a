//! Nodes on free ports of the loopback, and waiting for what must come.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use libp2p::{Multiaddr, StreamProtocol, identity};
use pillarbox_mailserver::clock;
use pillarbox_mailserver::node;
use pillarbox_mailserver::node::{Handle, Running};
use pillarbox_mailserver::settings::Settings;
use pillarbox_mailserver::settings::{ArchiveSettings, Listen, Nat, Services};
use pillarbox_mailserver::swarm::{Origin, Phase};
use pillarbox_mailserver::topics::Sharding;
use pillarbox_mailserver::wire::WakuMessage;

pub(crate) const TOPIC: &str = "/waku/2/rs/16/32";
pub(crate) const CONTENT_TOPIC: &str = "/test/1/node/proto";
/// Generous: machines that run tests are busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Node {
    pub(crate) handle: Handle,
    running: Running,
    pub(crate) dir: tempfile::TempDir,
}

/// Cluster 16, shard 32, with an archive.
pub(crate) fn settings(dir: &tempfile::TempDir) -> Settings {
    Settings {
        agent: "pillarbox/test".into(),
        cluster_id: 16,
        shards: vec![32],
        sharding: Sharding::Static,
        listen: Listen {
            address: IpAddr::from(Ipv4Addr::LOCALHOST),
            tcp_port: 0,
            websocket_port: Some(0),
            websocket_tls: None,
        },
        services: Services {
            store: true,
            ..Services::default()
        },
        nat: Nat::None,
        archive: Some(ArchiveSettings {
            dir: dir.path().join("archive"),
            retention: Duration::from_secs(86_400),
        }),
        ..Settings::default()
    }
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_as(&identity::Keypair::generate_secp256k1(), change).await
    }

    pub(crate) async fn start_as(keypair: &identity::Keypair, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(&dir);
        change(&mut settings);
        let (handle, running) = node::start(&settings, keypair).await.unwrap();
        let mut status = handle.swarm().status();
        within(status.wait_for(|status| status.phase == Phase::Listening))
            .await
            .unwrap();
        Self { handle, running, dir }
    }

    /// The address by tcp, or by ws.
    pub(crate) fn address(&self, websocket: bool) -> Multiaddr {
        let status = self.handle.swarm().status();
        let addresses = &status.borrow().listen_addresses;
        addresses
            .iter()
            .find(|address| address.to_string().contains("/ws") == websocket)
            .unwrap()
            .clone()
    }

    pub(crate) async fn connect(&self, other: &Node) {
        self.handle
            .swarm()
            .connect(other.address(false), Origin::Admin)
            .await
            .unwrap();
    }

    /// Connected, and subscribed to the other's topic as far as this node knows.
    pub(crate) async fn join(&self, other: &Node) {
        self.connect(other).await;
        for (here, there) in [(self, other), (other, self)] {
            let peer = there.handle.swarm().info().peer_id;
            eventually("the peer is in the mesh", || async {
                let peers = here.handle.swarm().peers().await.unwrap();
                peers
                    .iter()
                    .any(|p| p.peer_id == peer && p.mesh_topics.iter().any(|topic| topic == TOPIC))
            })
            .await;
        }
    }

    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.handle.swarm().stop().await;
        within(self.running.stopped()).await;
        self.dir
    }

    pub(crate) async fn open(&self, other: &Node, protocol: StreamProtocol) -> libp2p::Stream {
        self.handle
            .swarm()
            .open(other.handle.swarm().info().peer_id, protocol)
            .await
            .unwrap()
    }
}

pub(crate) fn message(payload: &[u8]) -> WakuMessage {
    WakuMessage {
        payload: Some(payload.to_vec()),
        content_topic: Some(CONTENT_TOPIC.into()),
        timestamp: Some(clock::now_nanos()),
        ..Default::default()
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let poll = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, poll).await.is_ok(), "{what}");
}
