//! The daemon prunes a real archive, whether or not its writer lives, and survives what it cannot prune.

use std::time::Duration;

use archive::{Archive, Envelope, Inserted, Options};
use pillarboxd::snapshot::{BoxState, Level, Subject};

use crate::support::{Daemon, Files};

const WITH_ARCHIVE: &str = "essential = true\n[archive]\npath = \"{state_dir}/archive\"\n";

fn now_ns() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_envelopes_leave_the_disk_and_younger_ones_stay() {
    let files = Files::new("retention = \"10s\"").service("one", "exec sleep 1000", WITH_ARCHIVE);
    let dir = files.path("state/archive");
    let retention = Duration::from_secs(10);
    // Written with a clock of an hour ago: expired as soon as a daemon sees it.
    let hour_ago = now_ns() - 3_600_000_000_000;
    let archive = Archive::open(
        &dir,
        Options {
            retention,
            durability: Duration::from_secs(2),
        },
    )
    .unwrap();
    for number in 0..50_i64 {
        let envelope = Envelope {
            pubsub_topic: "/waku/2/rs/16/32".to_owned(),
            content_topic: "/test/1/a/proto".to_owned(),
            payload: vec![0x5a; 1000],
            version: None,
            timestamp: hour_ago + number,
            meta: None,
            rate_limit_proof: None,
        };
        assert!(matches!(
            archive.insert(&envelope, hour_ago).unwrap(),
            Inserted::Stored(_)
        ));
    }
    archive.close().unwrap();
    assert!(bytes_below(&dir) > 50_000);
    let mut daemon = Daemon::start(&files);
    let snapshot = daemon
        .until("pruned", |snapshot| snapshot.archive.pruned_total == 50)
        .await;
    assert_eq!(snapshot.archive.retention_secs, Some(10));
    assert_eq!(snapshot.archive.envelopes, Some(0));
    assert!(snapshot.archive.last_prune.is_some());
    assert!(bytes_below(&dir) < 50_000);
    let policy = archive::retention::read_policy(&dir).unwrap().unwrap();
    assert!(policy.clock_trusted && policy.cutoff.unwrap() > hour_ago);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_cannot_be_pruned_is_shown_and_tried_again() {
    let files = Files::new("retention = \"10s\"").service("one", "exec sleep 1000", WITH_ARCHIVE);
    // A folder where the file should be.
    std::fs::create_dir_all(files.path("state/archive/policy/x")).unwrap();
    let mut daemon = Daemon::start(&files);
    let snapshot = daemon
        .until("the trouble", |snapshot| {
            let archive = snapshot.health.get(&Subject::Archive).and_then(Option::as_ref);
            snapshot.state == BoxState::Degraded && archive.is_some_and(|finding| finding.level == Level::Bad)
        })
        .await;
    assert_eq!(snapshot.code, Some(2));
    std::fs::remove_dir_all(files.path("state/archive/policy")).unwrap();
    daemon.until("ok", |snapshot| snapshot.state == BoxState::Ok).await;
    daemon.stop().await;
}

fn bytes_below(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                bytes_below(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}
