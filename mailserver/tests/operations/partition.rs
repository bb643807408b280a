//! Three nodes of which one is cut off, or away for a while: in the end all three have what was published meanwhile.

use std::{collections::BTreeSet, path::Path, time::Duration};

use nix::unistd::geteuid;
use pillarbox_mailserver::service::Service;
use serde_json::{Value, json};

use crate::discovery::{connected, discv5, record};
use crate::namespaces::{Namespace, Program};
use crate::support::{Rest, eventually, node};

pub(crate) const PUBLISH: &str = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F32";
pub(crate) const STORED: &str = "/store/v3/messages?includeData=false&ascending=true&pageSize=100";
/// What relay offers again to a peer that comes back (six heartbeats of a second), and more than the shortest gap that
/// resume fills.
const FORGOTTEN_BY_RELAY: Duration = Duration::from_secs(11);

pub(crate) fn envelope(n: u8) -> String {
    json!({"payload": format!("{n:02}00"), "contentTopic": "/app/1/chat/proto"}).to_string()
}

fn hashes(page: &Value) -> BTreeSet<String> {
    let entries = page["messages"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["messageHash"].as_str().unwrap().to_owned())
        .collect()
}

/// The third stops; what the others publish meanwhile it fetches when it comes back, on other ports.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let store = |name: &str| {
        let (archive, key) = (dir.path().join(name), dir.path().join(format!("{name}.key")));
        format!(
            "--shard=32 --store --store-resume --archive-dir={} --nodekey-file={}",
            archive.display(),
            key.display()
        )
    };
    let one = node(&format!("{} {}", store("one"), discv5(21, ""))).await;
    let bootstrap = record(&one).await;
    let two = node(&format!("{} {}", store("two"), discv5(22, &bootstrap))).await;
    let third = format!("{} {}", store("three"), discv5(23, &bootstrap));
    let three = node(&third).await;
    for service in [&one, &two, &three] {
        eventually(|| connected(service), |peers| *peers == 2).await;
    }
    let publish = async |n| assert_eq!(Rest::of(&one).post(PUBLISH, &envelope(n)).await.plain(), (200, "OK"));
    let has = async |service: &Service, count: usize| {
        let rest = Rest::of(service);
        let page = eventually(
            || async { rest.get(STORED).await.json() },
            |page| hashes(page).len() == count,
        )
        .await;
        hashes(&page)
    };
    eventually(
        || async { Rest::of(&one).get("/admin/v1/peers/mesh/on/32").await.json() },
        |found| found["peers"].as_array().unwrap().len() == 2,
    )
    .await;
    publish(0).await;
    for service in [&one, &two, &three] {
        has(service, 1).await;
    }
    assert!(three.stop().await);
    for n in 1..=5 {
        publish(n).await;
    }
    has(&two, 6).await;
    tokio::time::sleep(FORGOTTEN_BY_RELAY).await;
    let three = node(&third).await;
    assert_eq!(has(&three, 6).await, has(&one, 6).await);
    for service in [one, two, three] {
        assert!(service.stop().await);
    }
}

/// Three network namespaces on one bridge.
struct Networks([Namespace; 3]);

impl Networks {
    fn new() -> Self {
        let networks = Self(["a", "b", "c"].map(Namespace::new));
        let [a, b, c] = &networks.0;
        a.ip("link add bridge type bridge");
        a.ip("addr add 10.77.0.1/24 dev bridge");
        a.ip("link set bridge up");
        b.plug("wire", "10.77.0.2/24", a, "to-b", "bridge");
        c.plug("wire", "10.77.0.3/24", a, "to-c", "bridge");
        networks
    }

    fn cut_off_third(&self, cut_off: bool) {
        let state = if cut_off { "down" } else { "up" };
        self.0[0].ip(&format!("link set to-c {state}"));
    }

    fn start(&self, index: usize, dir: &Path, more: &str) -> Program {
        let flags = format!(
            "--listen-address=10.77.0.{} --nat=none --discv5-discovery=true --discv5-udp-port=9000 --store-sync \
             --store-sync-interval=2 --store-sync-relay-jitter=0 {more}",
            index + 1,
        );
        Program::mailserver(&self.0[index], dir, &index.to_string(), &flags)
    }
}

async fn publish(program: &Program, n: u8) {
    assert_eq!(program.ask(8645, "POST", PUBLISH, &envelope(n)).await, "OK");
}

async fn stored(program: &Program) -> BTreeSet<String> {
    let page = program.ask(8645, "GET", STORED, "").await;
    serde_json::from_str(&page)
        .map(|page| hashes(&page))
        .unwrap_or_default()
}

async fn has(program: &Program, count: usize) -> BTreeSet<String> {
    eventually(|| stored(program), |stored| stored.len() == count).await
}

/// Both sides of a partition go on; when it heals, sync brings each what the other has. Needs root, for the namespaces.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_heals() {
    if !geteuid().is_root() {
        eprintln!("not root: no network namespaces, no partition");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let networks = Networks::new();
    let one = networks.start(0, dir.path(), "");
    let info = eventually(
        || one.ask(8645, "GET", "/debug/v1/info", ""),
        |info| info.contains("enr:"),
    )
    .await;
    let info: Value = serde_json::from_str(&info).unwrap();
    let bootstrap = format!("--discv5-bootstrap-node={}", info["enrUri"].as_str().unwrap());
    // Found by discv5; held to the first, so that it need not be found again.
    let addresses = info["listenAddresses"].as_array().unwrap();
    let held = format!("{bootstrap} --staticnode={}", addresses[0].as_str().unwrap());
    let two = networks.start(1, dir.path(), &bootstrap);
    let three = networks.start(2, dir.path(), &held);
    for program in [&one, &two, &three] {
        eventually(|| program.metrics(), |text| text.contains("\nlibp2p_peers 2\n")).await;
        let path = "/admin/v1/peers/mesh/on/32";
        eventually(
            || program.ask(8645, "GET", path, ""),
            |found| {
                serde_json::from_str::<Value>(found).is_ok_and(|found| found["peers"].as_array().unwrap().len() == 2)
            },
        )
        .await;
    }
    publish(&one, 0).await;
    for program in [&one, &two, &three] {
        has(program, 1).await;
    }

    networks.cut_off_third(true);
    for n in 1..=5 {
        publish(&one, n).await;
    }
    for n in 11..=13 {
        publish(&three, n).await;
    }
    let (majority, minority) = (has(&two, 6).await, has(&three, 4).await);
    tokio::time::sleep(FORGOTTEN_BY_RELAY).await;
    assert_eq!(
        (stored(&one).await, stored(&three).await),
        (majority.clone(), minority.clone())
    );

    // What the others wrote to its connections would still arrive: a power cut ends them.
    drop(three);
    let three = networks.start(2, dir.path(), &held);
    assert_eq!(has(&three, 4).await, minority);

    networks.cut_off_third(false);
    let all: BTreeSet<String> = majority.union(&minority).cloned().collect();
    assert_eq!(all.len(), 9);
    for program in [&one, &two, &three] {
        assert_eq!(has(program, 9).await, all);
    }
    // It was not relay; the other two may both have sent them.
    let received = "total_transfer_messages_exchanged_total{direction=\"receive\"} ";
    let text = three.metrics().await;
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix(received)?.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count >= 5), "{text}");
}
