//! What lies in the directory: the lock, strangers, damage, and what another process sees.

use archive::{Archive, Error, Inserted, Query, retention};

use crate::{NOW, SECOND, count, envelope, everything, names, open, options, segments, store};

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 60);
    let message = match Archive::open(dir.path(), options(60)) {
        Err(error @ Error::Locked { .. }) => error.to_string(),
        other => panic!("{:?}", other.map(drop)),
    };
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    first.close().unwrap();
    open(dir.path(), 60).close().unwrap();
}

#[test]
fn an_envelope_is_whole_before_and_after_the_commit_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut sent = envelope("/app/1/chat/proto", NOW, b"");
    sent.meta = Some(vec![7; 64]);
    sent.rate_limit_proof = Some(vec![9; 300]);
    sent.version = None;
    let archive = open(dir.path(), 60);
    let hash = store(&archive, &sent, NOW);
    assert_eq!(archive.insert(&sent, NOW).unwrap(), Inserted::Duplicate(hash));
    let check = |archive: &Archive| {
        let page = archive.query(&everything(), NOW).unwrap();
        assert_eq!(page.entries.len(), 1);
        assert_eq!(page.entries[0].envelope.as_ref(), Some(&sent));
        assert_eq!(page.entries[0].hash, hash);
        assert!(archive.contains(&hash).unwrap());
    };
    check(&archive);
    assert_eq!(retention::survey(dir.path()).unwrap().envelopes, 0);
    archive.tick(NOW + 2 * SECOND).unwrap();
    assert_eq!(archive.stats().pending_envelopes, 0);
    check(&archive);
    let survey = retention::survey(dir.path()).unwrap();
    assert_eq!((survey.envelopes, survey.segments), (1, 1));
    assert_eq!((survey.oldest, survey.newest), (Some(NOW.into()), Some(NOW.into())));
    assert!(survey.bytes > 0);
    archive.close().unwrap();

    let archive = open(dir.path(), 60);
    check(&archive);
    assert_eq!(archive.insert(&sent, NOW).unwrap(), Inserted::Duplicate(hash));
}

#[test]
fn strangers_and_damaged_segments_are_put_aside_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    for hour in 0..3 {
        store(&archive, &envelope("/t", NOW - hour * 3600 * SECOND, b"payload"), NOW);
    }
    archive.close().unwrap();
    let kept = segments(dir.path());
    assert_eq!(kept.len(), 3);
    // One segment with its head gone, one that ends in the middle of its tables.
    std::fs::write(dir.path().join(&kept[0]), b"not a database at all").unwrap();
    let whole = std::fs::read(dir.path().join(&kept[1])).unwrap();
    std::fs::write(dir.path().join(&kept[1]), &whole[..1500]).unwrap();
    // nwaku's file, and something of no known kind.
    let nwaku = rusqlite::Connection::open(dir.path().join("store.sqlite3")).unwrap();
    nwaku
        .execute_batch("PRAGMA user_version = 10; CREATE TABLE Message(x);")
        .unwrap();
    nwaku.close().unwrap();
    std::fs::write(dir.path().join("old.db"), b"????").unwrap();
    std::fs::write(dir.path().join("notes.txt"), b"mine").unwrap();

    let archive = open(dir.path(), 86_400);
    assert_eq!(count(&archive, NOW), 1);
    let aside = names(&dir.path().join("quarantine"));
    assert_eq!(aside.len(), 4, "{aside:?}");
    for expected in [
        format!("{}.not-sqlite", kept[0]),
        format!("{}.corrupt", kept[1]),
        "store.sqlite3.nwaku-version-10".into(),
        "old.db.not-sqlite".into(),
    ] {
        assert!(aside.contains(&expected), "{expected} in {aside:?}");
    }
    assert!(names(dir.path()).contains(&"notes.txt".into()));
    let survey = retention::survey(dir.path()).unwrap();
    assert_eq!((survey.segments, survey.envelopes), (1, 1));
    assert_eq!(survey.quarantined.len(), 4);
    assert_eq!(archive.stats().counters.quarantined, 4);
    // It takes envelopes of the lost slices again.
    store(&archive, &envelope("/t", NOW - 3600 * SECOND, b"again"), NOW);
    archive.close().unwrap();

    // What is put aside expires with the rest, but only what is ours.
    retention::remove_expired(dir.path(), NOW + 2 * 86_400 * SECOND).unwrap();
    assert_eq!(segments(dir.path()), Vec::<String>::new());
    assert_eq!(names(&dir.path().join("quarantine")).len(), 2);
}

#[test]
fn damage_found_while_reading_is_put_aside_and_the_page_comes_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    for number in 0..200i64 {
        store(&archive, &envelope("/t", NOW - 3600 * SECOND + number, &[1; 3000]), NOW);
    }
    store(&archive, &envelope("/t", NOW, b"fine"), NOW);
    archive.close().unwrap();
    let archive = open(dir.path(), 86_400);
    let damaged = &segments(dir.path())[0];
    let mut bytes = std::fs::read(dir.path().join(damaged)).unwrap();
    let end = bytes.len();
    bytes[8192..end].fill(0xa5);
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options()
        .write(true)
        .open(dir.path().join(damaged))
        .unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let page = archive.query(&everything(), NOW).unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(names(&dir.path().join("quarantine")).len(), 1);
}

#[test]
fn a_newer_segment_is_left_alone_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 60);
    store(&archive, &envelope("/t", NOW, b"payload"), NOW);
    archive.close().unwrap();
    let newer = segments(dir.path()).remove(0);
    let conn = rusqlite::Connection::open(dir.path().join(&newer)).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    conn.close().unwrap();
    let before = std::fs::read(dir.path().join(&newer)).unwrap();

    let archive = open(dir.path(), 60);
    assert_eq!(count(&archive, NOW), 0);
    assert_eq!(archive.stats().newer_segments, 1);
    store(&archive, &envelope("/t", NOW + 1, b"beside"), NOW);
    archive.close().unwrap();
    assert_eq!(std::fs::read(dir.path().join(&newer)).unwrap(), before);
    let survey = retention::survey(dir.path()).unwrap();
    assert_eq!(survey.newer.len(), 1);
    assert_eq!(survey.envelopes, 1);
    // Its name is enough to forget it in time.
    let removed = retention::remove_expired(dir.path(), NOW + 3600 * SECOND).unwrap();
    assert_eq!(removed.segments, 2);
}

#[test]
fn readers_are_not_held_up_by_a_writer_of_many_envelopes() {
    let dir = tempfile::tempdir().unwrap();
    let archive = std::sync::Arc::new(open(dir.path(), 3600));
    let writer = {
        let archive = std::sync::Arc::clone(&archive);
        std::thread::spawn(move || {
            for number in 0..20_000i64 {
                store(
                    &archive,
                    &envelope("/t", NOW + number, &number.to_be_bytes().repeat(64)),
                    NOW,
                );
            }
        })
    };
    let mut seen = 0;
    while !writer.is_finished() {
        let query = Query {
            limit: 10,
            include_data: true,
            ..Query::default()
        };
        let page = archive.query(&query, NOW).unwrap();
        if let Some(last) = page.entries.last() {
            let at = last.envelope.as_ref().unwrap().timestamp;
            assert!(at >= seen, "what was seen once is seen again");
            seen = at;
        }
    }
    writer.join().unwrap();
    assert_eq!(archive.stats().envelopes, 20_000);
}
