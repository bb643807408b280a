//! A disk that is really full under the archive: the program's folder is a file system of a few megabytes, which outlives
//! the program, so that what was acknowledged can be counted after another start.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

use hyper::Method;
use libp2p::PeerId;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use pillarbox_mailserver::protocols::light_push;
use pillarbox_mailserver::protocols::light_push::wire::{LightPushRequest, PushRequest, PushRpc};
use pillarbox_mailserver::service::Service;
use pillarbox_mailserver::swarm::Origin;
use pillarbox_mailserver::wire::WakuMessage;
use pillarbox_mailserver::{clock, key};
use serde_json::json;

use crate::support::{DEADLINE, LOCAL, eventually, node, request};

/// What the archive has to live in.
const DISK: &str = "size=4m";
/// A hundred of them are more than the disk has.
const PAYLOAD_BYTES: usize = 48_000;
const MAX_PUSHES: usize = 150;
const TOPIC: &str = "/waku/2/rs/16/32";
const CONTENT_TOPIC: &str = "/full/1/disk/proto";

/// Mounts a small file system on the folder, says so, and keeps it until its input ends.
const HOLD_A_SMALL_DISK: &str = r#"mount -t tmpfs -o "$1" small "$2" && echo mounted && cat"#;

/// A small disk on a folder, in a mount namespace of its own.
struct Disk {
    holder: Child,
    _input: ChildStdin,
}

impl Disk {
    fn mount(folder: &Path) -> Self {
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "sh", "-c", HOLD_A_SMALL_DISK, "sh", DISK]);
        command.arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "mounted\n");
        let _input = holder.stdin.take().unwrap();
        Self { holder, _input }
    }

    /// A command that sees the disk; it becomes `program`, under its own process id.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.id()));
        if !geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--mount", "--", program]);
        command
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The program on the disk.
struct Program {
    child: Child,
    peer: PeerId,
    tcp: SocketAddr,
    rest: SocketAddr,
}

impl Program {
    async fn start(disk: &Disk, folder: &Path, keys: &Path) -> Self {
        let key_file = keys.join("nodekey");
        let peer = key::load_or_create(&key_file).unwrap().public().to_peer_id();
        let [tcp, rest] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [tcp, rest] = [tcp, rest].map(|listener| listener.local_addr().unwrap());
        let mut command = disk.command(env!("CARGO_BIN_EXE_pillarbox-mailserver"));
        let local = LOCAL.split_whitespace();
        command.args(local.filter(|flag| !flag.starts_with("--tcp-port") && !flag.starts_with("--rest-port")));
        command.args(["--shard=32", "--store"]);
        command.arg(format!("--archive-dir={}", folder.join("archive").display()));
        command.arg(format!("--nodekey-file={}", key_file.display()));
        command.arg(format!("--tcp-port={}", tcp.port()));
        command.arg(format!("--rest-port={}", rest.port()));
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let program = Self { child, peer, tcp, rest };
        let listens = async || tokio::net::TcpStream::connect(rest).await.is_ok();
        eventually(listens, |up| *up).await;
        program
    }

    async fn ended(mut self, signal: Signal) -> ExitStatus {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        let ended = async {
            loop {
                match self.child.try_wait().unwrap() {
                    Some(status) => return status,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("it ends")
    }

    /// The payloads' numbers that the store has.
    async fn stored(&self) -> BTreeSet<usize> {
        let mut cursor = String::new();
        let mut found = BTreeSet::new();
        loop {
            let path = format!(
                "/store/v3/messages?contentTopics=%2Ffull%2F1%2Fdisk%2Fproto&includeData=true&pageSize=100&cursor={cursor}"
            );
            let page = request(self.rest, Method::GET, &path, None).await.json();
            for entry in page["messages"].as_array().unwrap() {
                let payload = entry["message"]["payload"].as_str().unwrap();
                let payload = data_encoding::BASE64.decode(payload.as_bytes()).unwrap();
                found.insert(usize::from_be_bytes(payload[..8].try_into().unwrap()));
            }
            match page["paginationCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return found,
            }
        }
    }
}

impl Drop for Program {
    /// One that a failed test leaves.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ways by which a client is told that its envelope was taken.
#[derive(Clone, Copy, Debug)]
enum Way {
    Rest,
    LightPush,
    LegacyLightPush,
}

/// Whether it was; everything else is a full disk's refusal.
async fn push(way: Way, client: &Service, program: &Program, number: usize) -> bool {
    let mut payload = vec![0; PAYLOAD_BYTES];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    let message = WakuMessage {
        payload: Some(payload.clone()),
        content_topic: Some(CONTENT_TOPIC.into()),
        timestamp: Some(clock::now_nanos()),
        ..Default::default()
    };
    let (request_id, topic) = (Some("id".to_owned()), Some(TOPIC.to_owned()));
    let code = match way {
        Way::Rest => {
            let payload = data_encoding::BASE64.encode(&payload);
            let body = json!({
                "pubsubTopic": TOPIC,
                "message": {"payload": payload, "contentTopic": CONTENT_TOPIC}
            });
            let answer = request(
                program.rest,
                Method::POST,
                "/lightpush/v3/message",
                Some(&body.to_string()),
            )
            .await;
            u32::from(answer.status.as_u16())
        }
        Way::LightPush => {
            let request = LightPushRequest {
                request_id,
                pubsub_topic: topic,
                message: Some(message),
            };
            let answer = light_push::client::push(client.node().swarm(), program.peer, &request)
                .await
                .unwrap();
            answer.status_code.unwrap()
        }
        Way::LegacyLightPush => {
            let request = PushRpc {
                request_id,
                request: Some(PushRequest {
                    pubsub_topic: topic,
                    message: Some(message),
                }),
                response: None,
            };
            let answer = light_push::client::push_legacy(client.node().swarm(), program.peer, &request)
                .await
                .unwrap();
            let taken = answer.response.unwrap().is_success.unwrap();
            if taken { 200 } else { 505 }
        }
    };
    // Neither a relay peer nor the archive took it: light push's code for that.
    assert!(code == 200 || code == 505, "{way:?}: {code}");
    code == 200
}

/// Fills the disk, ends the program, and counts after another start on what is still the same full disk.
async fn fill_and_start_again(way: Way, signal: Signal) {
    let (folder, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = Disk::mount(folder.path());
    let program = Program::start(&disk, folder.path(), keys.path()).await;
    let client = node("--relay=false").await;
    let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", program.tcp.port(), program.peer);
    let connected = client.node().swarm().connect(address.parse().unwrap(), Origin::Admin);
    tokio::time::timeout(DEADLINE, connected).await.unwrap().unwrap();

    let (mut acknowledged, mut refused) = (BTreeSet::new(), 0);
    for number in 0..MAX_PUSHES {
        if push(way, &client, &program, number).await {
            acknowledged.insert(number);
        } else {
            refused += 1;
        }
        if refused == 5 {
            break;
        }
    }
    assert!(
        acknowledged.len() > 10 && refused == 5,
        "{} acknowledged, {refused} refused",
        acknowledged.len()
    );
    assert!(program.stored().await.is_superset(&acknowledged), "{way:?}: served");
    let health = request(program.rest, Method::GET, "/health", None).await;
    assert_eq!(health.status, 200, "{health:?}");

    if signal == Signal::SIGKILL {
        // What was acknowledged is promised to be on the disk two seconds later; a busy machine gets some more.
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let ended = program.ended(signal).await;
    assert_eq!(ended.code().is_some(), signal == Signal::SIGTERM, "{ended}");

    let program = Program::start(&disk, folder.path(), keys.path()).await;
    let left = program.stored().await;
    let lost = acknowledged.difference(&left).count();
    assert_eq!(lost, 0, "{way:?}, {signal}: of {} acknowledged", acknowledged.len());
    program.ended(Signal::SIGTERM).await;
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_acknowledged_is_there_after_a_clean_stop() {
    for way in [Way::Rest, Way::LightPush, Way::LegacyLightPush] {
        fill_and_start_again(way, Signal::SIGTERM).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_acknowledged_is_there_after_a_kill() {
    for way in [Way::Rest, Way::LightPush, Way::LegacyLightPush] {
        fill_and_start_again(way, Signal::SIGKILL).await;
    }
}
