//! Nodes that dial each other at the same moment, each from the port that it listens on. What makes the moment is a
//! firewall in a network namespace that drops first packets until all dials are under way: TCP sends them again after a
//! second, and makes one connection of the two dials of a pair. Delay on a link does the same to some pairs; not every
//! kernel has the module for it. Needs root and nftables.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId};
use nix::unistd::geteuid;
use pillarbox_mailserver::node;
use pillarbox_mailserver::node::{Handle, Running};
use pillarbox_mailserver::settings::{Listen, Nat, Settings};
use pillarbox_mailserver::swarm::{Candidate, Origin, Phase};

use crate::namespaces::Namespace;
use crate::support::eventually;

/// Pairs of nodes that discovery sends to each other.
const FOUND: usize = 30;
/// Pairs of which one is told by its operator to connect, from the listening port whoever it is.
const TOLD: usize = 5;
/// Half of what held both back: a SYN is sent again after 1, 2 and 4 s, a handshake after at most 3 s and a look for
/// peers every 5 s.
const SECONDS: Duration = Duration::from_secs(60);
const RULES: &str = "table inet crossing {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp flags & (syn | ack) == syn drop;
  }
}
";
/// Set in the namespace, where the test runs itself again.
const INSIDE: &str = "PILLARBOX_TEST_CROSSING";

#[test]
fn nodes_that_dial_each_other_at_the_same_moment_connect_within_seconds() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(pairs_connect());
    }
    if !geteuid().is_root() {
        eprintln!("nothing tested: network namespaces want root");
        return;
    }
    let space = Namespace::new("crossing");
    let program = std::env::current_exe().unwrap();
    let itself = "crossing::nodes_that_dial_each_other_at_the_same_moment_connect_within_seconds";
    let output = space
        .command(program.to_str().unwrap())
        .args(["--exact", itself, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn firewall(rules: &str) {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success());
}

/// Connections in this namespace whose first packet has no answer yet.
async fn dialling() -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table
        .lines()
        .filter(|line| line.split_whitespace().nth(3) == Some("02"))
        .count()
}

struct Node {
    handle: Handle,
    running: Running,
    address: Multiaddr,
    peer: PeerId,
}

impl Node {
    async fn start(port: u16, keypair: Keypair) -> Self {
        let settings = Settings {
            agent: "pillarbox/test".into(),
            cluster_id: 16,
            shards: vec![32],
            listen: Listen {
                address: Ipv4Addr::LOCALHOST.into(),
                tcp_port: port,
                ..Listen::default()
            },
            nat: Nat::None,
            ..Settings::default()
        };
        let peer = keypair.public().to_peer_id();
        let (handle, running) = node::start(&settings, &keypair).await.unwrap();
        let mut status = handle.swarm().status();
        status
            .wait_for(|status| status.phase == Phase::Listening)
            .await
            .unwrap();
        Self {
            handle,
            running,
            address: format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}").parse().unwrap(),
            peer,
        }
    }

    async fn is_sent_to(&self, other: &Node) {
        let candidate = Candidate {
            peer_id: other.peer,
            addresses: vec![other.address.clone()],
            shards: vec![32],
            origin: Origin::Discv5,
        };
        self.handle.swarm().discovered(vec![candidate]).await.unwrap();
    }

    fn is_connected(&self) -> bool {
        self.handle.swarm().status().borrow().connected_peers == 1
    }
}

async fn pairs_connect() {
    let mut pairs = Vec::new();
    for number in 0..FOUND + TOLD {
        let mut keys = [Keypair::generate_secp256k1(), Keypair::generate_secp256k1()];
        // The first would dial from its listening port anyway.
        keys.sort_by_key(|key| key.public().to_peer_id());
        let [less, greater] = keys;
        let port = 41_000 + u16::try_from(number).unwrap();
        pairs.push((Node::start(port, less).await, Node::start(port + 1000, greater).await));
    }
    firewall(RULES);
    for (number, (one, other)) in pairs.iter().enumerate() {
        one.is_sent_to(other).await;
        if number < FOUND {
            other.is_sent_to(one).await;
        } else {
            let (handle, address) = (other.handle.clone(), one.address.clone());
            tokio::spawn(async move { handle.swarm().connect(address, Origin::Admin).await });
        }
    }
    eventually(dialling, |count| *count == 2 * (FOUND + TOLD)).await;
    firewall("delete table inet crossing");
    let since = Instant::now();
    let mut apart = FOUND + TOLD;
    while apart > 0 && since.elapsed() < SECONDS {
        tokio::time::sleep(Duration::from_millis(100)).await;
        apart = pairs
            .iter()
            .filter(|(one, other)| !one.is_connected() || !other.is_connected())
            .count();
    }
    assert_eq!(apart, 0, "of {} pairs after {:?}", pairs.len(), since.elapsed());
    for node in pairs.into_iter().flat_map(|(one, other)| [one, other]) {
        node.handle.swarm().stop().await;
        node.running.stopped().await;
    }
}
