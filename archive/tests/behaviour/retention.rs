//! Forgetting: what is served, and what lies on disk, with the writer alive, idle, hung or absent.

use archive::retention::{remove_expired, write_policy};
use archive::{Archive, Direction, DiskStage, Inserted, Query, Refusal};

use crate::{NOW, SECOND, count, envelope, everything, open, options, policy, segments, store};

#[test]
fn ten_seconds_alone() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 10);
    let hash = store(&archive, &envelope("/t", NOW, &[1; 2050]), NOW);
    let mut now = NOW;
    while now <= NOW + 10 * SECOND {
        archive.tick(now).unwrap();
        assert_eq!(count(&archive, now), 1, "kept for ten seconds");
        now += SECOND / 4;
    }
    assert_eq!(count(&archive, now), 0, "served no longer than that");
    let by_hash = Query {
        hashes: vec![hash],
        ..everything()
    };
    assert_eq!(archive.query(&by_hash, now).unwrap().entries.len(), 0);
    // Gone from the disk within one segment and a tick.
    while now <= NOW + 11 * SECOND + SECOND / 4 {
        archive.tick(now).unwrap();
        now += SECOND / 4;
    }
    assert_eq!(segments(dir.path()), Vec::<String>::new());
    assert_eq!(archive.stats().segments, 0);
    assert_eq!(
        archive.insert(&envelope("/t", NOW, &[1; 2050]), now).unwrap(),
        Inserted::Refused(Refusal::Expired)
    );
}

#[test]
fn the_daemon_removes_under_a_writer_that_is_idle_or_hung() {
    let dir = tempfile::tempdir().unwrap();
    write_policy(dir.path(), &policy(10)).unwrap();
    let archive = open(dir.path(), 86_400);
    store(&archive, &envelope("/t", NOW, &[1; 2050]), NOW);
    archive.tick(NOW + 2 * SECOND).unwrap();
    assert!(segments(dir.path()).len() >= 2, "a file and its log");
    // A policy means that the writer prunes nothing by itself.
    archive.tick(NOW + 30 * SECOND).unwrap();
    assert!(!segments(dir.path()).is_empty());
    assert_eq!(count(&archive, NOW + 11 * SECOND), 0);

    // Not ticking is hanging.
    assert_eq!(remove_expired(dir.path(), NOW).unwrap().segments, 0);
    let removed = remove_expired(dir.path(), NOW + SECOND).unwrap();
    assert_eq!((removed.segments, removed.envelopes), (1, 1));
    assert!(removed.bytes >= 4096);
    assert_eq!(segments(dir.path()), Vec::<String>::new());

    // It still lives, and its next tick lets go of the file, so that the space is free.
    let held = || {
        let pid = std::process::id();
        let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let dir = dir.path().to_string_lossy().into_owned();
        links
            .filter_map(|link| std::fs::read_link(link.unwrap().path()).ok())
            .filter(|link| link.to_string_lossy().starts_with(&dir) && link.to_string_lossy().contains("slice-"))
            .count()
    };
    assert!(held() > 0);
    archive.tick(NOW + 30 * SECOND).unwrap();
    assert_eq!(held(), 0, "files still open after the tick");
    store(&archive, &envelope("/t", NOW + 30 * SECOND, b"next"), NOW + 30 * SECOND);
    archive.tick(NOW + 32 * SECOND).unwrap();
    assert_eq!(count(&archive, NOW + 32 * SECOND), 1);
    archive.close().unwrap();

    // And without a writer.
    assert_eq!(remove_expired(dir.path(), NOW + 60 * SECOND).unwrap().segments, 1);
    assert_eq!(segments(dir.path()), Vec::<String>::new());
}

#[test]
fn what_cannot_be_removed_keeps_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    for hour in 0..3 {
        store(&archive, &envelope("/t", NOW - hour * 3600 * SECOND, b"x"), NOW);
    }
    archive.close().unwrap();
    let files = segments(dir.path());
    assert_eq!(files.len(), 3);
    // Not even root removes a directory as a file.
    std::fs::create_dir(dir.path().join(format!("{}-journal", files[0]))).unwrap();
    let error = remove_expired(dir.path(), NOW + 3600 * SECOND).unwrap_err().to_string();
    assert!(error.contains(&files[0]), "{error}");
    let left = segments(dir.path());
    assert!(!left.contains(&files[1]) && !left.contains(&files[2]), "{left:?}");
}

#[test]
fn a_provisional_segment_is_forgotten_in_the_quarantine_too() {
    let dir = tempfile::tempdir().unwrap();
    let aside = dir.path().join("quarantine");
    std::fs::create_dir(&aside).unwrap();
    let file = aside.join("slice-0-0-000003-provisional.sqlite.corrupt");
    std::fs::write(&file, b"?").unwrap();
    use std::os::unix::fs::MetadataExt;
    let written = std::fs::metadata(&file).unwrap().mtime() * SECOND;
    remove_expired(dir.path(), written - SECOND).unwrap();
    assert!(file.exists());
    remove_expired(dir.path(), written + 2 * SECOND).unwrap();
    assert!(!file.exists());
}

#[test]
fn a_query_survives_the_removal_of_what_it_would_read() {
    let dir = tempfile::tempdir().unwrap();
    write_policy(dir.path(), &policy(86_400)).unwrap();
    let archive = open(dir.path(), 86_400);
    for hour in 0..4 {
        for number in 0..30 {
            store(
                &archive,
                &envelope("/t", NOW - hour * 3600 * SECOND + number, b"x"),
                NOW,
            );
        }
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    let mut query = Query {
        limit: 20,
        direction: Direction::Forward,
        include_data: true,
        ..Query::default()
    };
    let first = archive.query(&query, NOW).unwrap();
    query.cursor = first.cursor;
    assert!(query.cursor.is_some());
    // The segment of the cursor goes, early; no tick in between.
    let removed = remove_expired(dir.path(), NOW - 2 * 3600 * SECOND).unwrap();
    assert!(removed.segments >= 1);
    let rest = archive.query(&query, NOW).unwrap();
    assert!(rest.entries.iter().all(|entry| entry.envelope.is_some()));
    archive.tick(NOW + 3 * SECOND).unwrap();
    let mut seen = 0;
    loop {
        let page = archive.query(&query, NOW).unwrap();
        seen += page.entries.len();
        if page.cursor.is_none() {
            break;
        }
        query.cursor = page.cursor;
    }
    assert_eq!(
        seen,
        archive.stats().envelopes as usize,
        "the cursor outlives its envelope"
    );
}

#[test]
fn an_untrusted_clock_prunes_and_refuses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = policy(60);
    policy.clock_trusted = false;
    policy.cutoff = Some(NOW - 3600 * SECOND);
    write_policy(dir.path(), &policy).unwrap();
    let archive = open(dir.path(), 60);
    // A board that believes it is years ago, and envelopes from the present.
    let board = NOW - 100_000_000 * SECOND;
    store(&archive, &envelope("/t", NOW, b"now"), board);
    assert_eq!(
        archive
            .insert(&envelope("/t", NOW - 7200 * SECOND, b"old"), board)
            .unwrap(),
        Inserted::Refused(Refusal::Expired),
        "the last trusted cut-off holds"
    );
    archive.tick(board + 2 * SECOND).unwrap();
    assert_eq!(count(&archive, board), 1);
    assert_eq!(segments(dir.path())[0], "slice-0-0-000001-provisional.sqlite");
    assert_eq!(remove_expired(dir.path(), NOW - 3600 * SECOND).unwrap().segments, 0);
}

#[test]
fn a_jumping_clock_prunes_nothing_alone() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 60);
    store(&archive, &envelope("/t", NOW, b"x"), NOW);
    archive.tick(NOW + 2 * SECOND).unwrap();
    let far = NOW + 10_000 * SECOND;
    archive.tick(far).unwrap();
    assert_eq!(count(&archive, far), 0);
    assert!(!segments(dir.path()).is_empty());
    archive.tick(NOW + 3 * SECOND).unwrap();
    assert_eq!(
        count(&archive, NOW + 3 * SECOND),
        1,
        "the jump is taken back: nothing is lost"
    );
    // A jump that stays is believed after a while.
    let mut now = far;
    archive.tick(now).unwrap();
    while now < far + 400 * SECOND {
        now += 10 * SECOND;
        archive.tick(now).unwrap();
    }
    assert_eq!(segments(dir.path()), Vec::<String>::new());
}

#[test]
fn the_future_and_the_ladder() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), options(3600)).unwrap();
    for (at, expected) in [
        (NOW + 21 * SECOND, Some(Refusal::Future)),
        (NOW + 20 * SECOND, None),
        (NOW - 3601 * SECOND, Some(Refusal::Expired)),
        (NOW - 3600 * SECOND, None),
        (0, Some(Refusal::Expired)),
    ] {
        let inserted = archive.insert(&envelope("/t", at, b"x"), NOW).unwrap();
        let refused = match inserted {
            Inserted::Refused(refusal) => Some(refusal),
            _ => None,
        };
        assert_eq!(refused, expected, "{at}");
    }
    let mut policy = policy(3600);
    policy.disk = DiskStage::ReadOnly;
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW).unwrap();
    assert_eq!(
        archive.insert(&envelope("/t", NOW, b"y"), NOW).unwrap(),
        Inserted::Refused(Refusal::ReadOnly)
    );
    assert_eq!(count(&archive, NOW), 2, "still served");
    policy.disk = DiskStage::Warn;
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW).unwrap();
    store(&archive, &envelope("/t", NOW, b"y"), NOW);
    let refused = archive.stats().counters.refused;
    assert_eq!(refused.get(&Refusal::Expired), Some(&2));
    assert_eq!(refused.get(&Refusal::ReadOnly), Some(&1));
}
