//! A disk that is really full under the archive: the program runs where its folder is a file system of a few megabytes.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use hyper::Method;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use serde_json::json;

use crate::support::{LOCAL, eventually, request};

/// What the archive has to live in.
const DISK: &str = "size=4m";
/// A payload of 48 KB in base64: a hundred of them are more than the disk has.
const PAYLOAD_DIGITS: usize = 64_000;
const MAX_PUSHES: usize = 150;

/// Mounts a small file system on the folder, seen by the program alone, and becomes the program.
const ON_A_SMALL_DISK: &str = r#"mount -t tmpfs -o "$1" small "$2" && shift 2 && exec "$@""#;

fn start(folder: &std::path::Path, rest: SocketAddr) -> Child {
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", DISK]);
    command.arg(folder).arg(env!("CARGO_BIN_EXE_pillarbox-mailserver"));
    command.args(LOCAL.split_whitespace()).args(["--shard=32", "--store"]);
    command.arg(format!("--archive-dir={}", folder.join("archive").display()));
    command.arg(format!("--rest-port={}", rest.port()));
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

async fn stored(rest: SocketAddr) -> usize {
    let mut cursor = String::new();
    let mut count = 0;
    loop {
        let path = format!("/store/v3/messages?contentTopics=%2Ffull%2F1%2Fdisk%2Fproto&pageSize=100&cursor={cursor}");
        let page = request(rest, Method::GET, &path, None).await.json();
        count += page["messages"].as_array().unwrap().len();
        match page["paginationCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return count,
        }
    }
}

#[tokio::test]
async fn a_full_disk_costs_what_comes_and_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let rest = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut program = start(folder.path(), rest);
    eventually(
        || async { tokio::net::TcpStream::connect(rest).await.is_ok() },
        |up| *up,
    )
    .await;

    let (mut acknowledged, mut refused) = (0, 0);
    for index in 0..MAX_PUSHES {
        let payload = format!("{index:08}{}", "A".repeat(PAYLOAD_DIGITS));
        let body = json!({
            "pubsubTopic": "/waku/2/rs/16/32",
            "message": {"payload": payload, "contentTopic": "/full/1/disk/proto"}
        });
        let answer = request(rest, Method::POST, "/lightpush/v3/message", Some(&body.to_string())).await;
        match answer.status.as_u16() {
            200 => acknowledged += 1,
            // Neither a relay peer nor the archive took it: light push's code for that.
            505 => refused += 1,
            other => panic!("{other}: {answer:?}"),
        }
        if refused == 5 {
            break;
        }
    }
    assert!(
        acknowledged > 10 && refused == 5,
        "{acknowledged} acknowledged, {refused} refused"
    );
    assert_eq!(stored(rest).await, acknowledged);
    let health = request(rest, Method::GET, "/health", None).await;
    assert_eq!(health.status, 200, "{health:?}");

    kill(Pid::from_raw(program.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || program.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(ended.code().is_some(), "it ends by itself: {ended}");
}
