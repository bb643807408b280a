//! Three nodes of which one is cut off, or away for a while: in the end all three have what was published meanwhile.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use pillarbox_mailserver::service::Service;
use serde_json::{Value, json};

use crate::discovery::{connected, discv5, record};
use crate::support::{Rest, eventually, node};

const PUBLISH: &str = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F32";
const STORED: &str = "/store/v3/messages?includeData=false&ascending=true&pageSize=100";
/// What relay offers again to a peer that comes back (six heartbeats of a second), and more than the shortest gap that
/// resume fills.
const FORGOTTEN_BY_RELAY: Duration = Duration::from_secs(11);

fn envelope(n: u8) -> String {
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

fn run(line: &str) -> Output {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Three network namespaces on one bridge; gone with this.
struct Networks {
    names: [String; 3],
}

impl Networks {
    fn new() -> Self {
        let networks = Self {
            names: ["a", "b", "c"].map(|end| format!("pillarbox-{}-{end}", std::process::id())),
        };
        for name in &networks.names {
            run(&format!("ip netns add {name}"));
            run(&format!("ip -n {name} link set lo up"));
        }
        let [a, b, c] = &networks.names;
        run(&format!("ip -n {a} link add bridge type bridge"));
        run(&format!("ip -n {a} addr add 10.77.0.1/24 dev bridge"));
        run(&format!("ip -n {a} link set bridge up"));
        for (name, port, address) in [(b, "to-b", "10.77.0.2/24"), (c, "to-c", "10.77.0.3/24")] {
            run(&format!(
                "ip -n {name} link add wire type veth peer name {port} netns {a}"
            ));
            run(&format!("ip -n {a} link set {port} master bridge up"));
            run(&format!("ip -n {name} addr add {address} dev wire"));
            run(&format!("ip -n {name} link set wire up"));
        }
        networks
    }

    fn cut_off_third(&self, cut_off: bool) {
        let state = if cut_off { "down" } else { "up" };
        run(&format!("ip -n {} link set to-c {state}", self.names[0]));
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// The program in a namespace; ended with this.
struct Program {
    network: String,
    child: Child,
}

impl Program {
    fn start(networks: &Networks, index: usize, dir: &Path, more: &str) -> Self {
        let network = networks.names[index].clone();
        let archive = dir.join(format!("archive-{index}"));
        let key = dir.join(format!("key-{index}"));
        let flags = format!(
            "--listen-address=10.77.0.{} --tcp-port=60000 --nat=none --cluster-id=16 --shard=32 --discv5-discovery=true \
             --discv5-udp-port=9000 --rest --rest-port=8645 --rest-admin --metrics-server --metrics-server-port=8008 \
             --store --archive-dir={} --nodekey-file={} --store-sync --store-sync-interval=2 --store-sync-relay-jitter=0 \
             --log-level=WARN {more}",
            index + 1,
            archive.display(),
            key.display(),
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &network, env!("CARGO_BIN_EXE_pillarbox-mailserver")]);
        let child = command.args(flags.split_whitespace()).stdout(Stdio::null()).spawn();
        Self {
            network,
            child: child.unwrap(),
        }
    }

    /// Asks inside the namespace, where the program listens on the loopback. Empty while nobody answers.
    async fn ask(&self, port: u16, method: &str, path: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && printf %s \"$REQUEST\" >&3 && cat <&3");
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.network, "bash", "-c", &script])
            .env("REQUEST", request);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
            .unwrap_or_default()
    }

    async fn metrics(&self) -> String {
        self.ask(8008, "GET", "/metrics", "").await
    }

    async fn publish(&self, n: u8) {
        assert_eq!(self.ask(8645, "POST", PUBLISH, &envelope(n)).await, "OK");
    }

    async fn stored(&self) -> BTreeSet<String> {
        let page = self.ask(8645, "GET", STORED, "").await;
        serde_json::from_str(&page)
            .map(|page| hashes(&page))
            .unwrap_or_default()
    }

    async fn has(&self, count: usize) -> BTreeSet<String> {
        eventually(|| self.stored(), |stored| stored.len() == count).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
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
    let one = Program::start(&networks, 0, dir.path(), "");
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
    let two = Program::start(&networks, 1, dir.path(), &bootstrap);
    let three = Program::start(&networks, 2, dir.path(), &held);
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
    one.publish(0).await;
    for program in [&one, &two, &three] {
        program.has(1).await;
    }

    networks.cut_off_third(true);
    for n in 1..=5 {
        one.publish(n).await;
    }
    for n in 11..=13 {
        three.publish(n).await;
    }
    let (majority, minority) = (two.has(6).await, three.has(4).await);
    tokio::time::sleep(FORGOTTEN_BY_RELAY).await;
    assert_eq!(
        (one.stored().await, three.stored().await),
        (majority.clone(), minority.clone())
    );

    // What the others wrote to its connections would still arrive: a power cut ends them.
    drop(three);
    let three = Program::start(&networks, 2, dir.path(), &held);
    assert_eq!(three.has(4).await, minority);

    networks.cut_off_third(false);
    let all: BTreeSet<String> = majority.union(&minority).cloned().collect();
    assert_eq!(all.len(), 9);
    for program in [&one, &two, &three] {
        assert_eq!(program.has(9).await, all);
    }
    // It was not relay; the other two may both have sent them.
    let received = "total_transfer_messages_exchanged_total{direction=\"receive\"} ";
    let text = three.metrics().await;
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix(received)?.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count >= 5), "{text}");
}
