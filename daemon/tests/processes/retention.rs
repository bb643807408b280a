//! The daemon prunes a real archive, whether or not its writer lives, and survives what it cannot prune.

use std::time::Duration;

use archive::{Archive, Envelope, Inserted, Options};
use pillarboxd::snapshot::{BoxState, Level, Subject};

use crate::support::{Daemon, Files};

const WITH_ARCHIVE: &str = "essential = true\n[archive]\npath = \"{state_dir}/archive\"\n";

pub(crate) fn now_ns() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_envelopes_leave_the_disk_and_younger_ones_stay() {
    let files = Files::new("retention = \"10s\"").service("one", "exec sleep 1000", WITH_ARCHIVE);
    let dir = files.path("state/archive");
    // Written with a clock of an hour ago: expired as soon as a daemon sees it.
    let hour_ago = now_ns() - 3_600_000_000_000;
    fill(&dir, hour_ago, 50);
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

/// nwaku's file is pruned row by row, beside whatever else is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_archive_is_pruned_too() {
    let settings = "[archive]\npath = \"{service_dir}/store.sqlite3\"\nschema = \"nwaku\"\n";
    let files = Files::new("retention = \"30m\"").service("one", "exec sleep 1000", settings);
    let now = now_ns();
    let source = files.path("source");
    fill(&source, now - 3_600_000_000_000, 7);
    fill(&source, now, 5);
    std::fs::create_dir_all(files.path("state/one")).unwrap();
    let store = files.path("state/one/store.sqlite3");
    assert_eq!(
        archive::export::to_sqlite(&source, i64::MIN, &store, &mut |_| {})
            .unwrap()
            .envelopes,
        12
    );
    let mut daemon = Daemon::start(&files);
    let snapshot = daemon
        .until("pruned", |snapshot| snapshot.archive.pruned_total == 7)
        .await;
    assert_eq!(snapshot.archive.envelopes, None);
    assert!(snapshot.archive.bytes.is_some_and(|bytes| bytes > 0));
    daemon.stop().await;
    let options = Options {
        retention: Duration::from_secs(86_400),
        ..Options::default()
    };
    let left = Archive::open(&files.path("left"), options).unwrap();
    assert_eq!(
        archive::foreign::import(&left, &store, now_ns(), &mut |_| {})
            .unwrap()
            .stored,
        5
    );
}

/// So many envelopes of one moment, accepted at that moment.
pub(crate) fn fill(dir: &std::path::Path, at_ns: i64, count: i64) {
    let options = Options {
        retention: Duration::from_secs(86_400),
        ..Options::default()
    };
    let archive = Archive::open(dir, options).unwrap();
    for number in 0..count {
        let envelope = Envelope {
            pubsub_topic: "/waku/2/rs/16/32".to_owned(),
            content_topic: "/test/1/a/proto".to_owned(),
            payload: vec![0x5a; 1000],
            version: None,
            timestamp: at_ns + number,
            meta: None,
            rate_limit_proof: None,
        };
        assert!(matches!(archive.insert(&envelope, at_ns).unwrap(), Inserted::Stored(_)));
    }
    archive.close().unwrap();
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
