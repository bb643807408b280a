//! A sealed segment answers as it did before, without a log, without memory, and after every crash on the way.

use std::collections::BTreeSet;

use archive::{Archive, Direction, Inserted, Query, retention};

use crate::{NOW, SECOND, envelope, open, segments, store};

fn filled(archive: &Archive) -> Vec<archive::Envelope> {
    let sent: Vec<_> = (0..600i64)
        .map(|number| {
            let mut envelope = envelope(
                &format!("/app/1/{}/proto", number % 7),
                // Many share a time, so that the hash decides the order.
                NOW + (number % 50) * SECOND / 10,
                &number.to_be_bytes().repeat(100),
            );
            if number % 3 == 0 {
                envelope.pubsub_topic = "/waku/2/rs/16/64".into();
            }
            envelope
        })
        .collect();
    for envelope in &sent {
        store(archive, envelope, NOW);
    }
    sent
}

fn questions(sent: &[archive::Envelope]) -> Vec<Query> {
    let mut questions = Vec::new();
    for direction in [Direction::Forward, Direction::Backward] {
        for pubsub_topic in [None, Some("/waku/2/rs/16/64".to_owned()), Some("/none".to_owned())] {
            for content_topics in [
                vec![],
                vec!["/app/1/3/proto".to_owned()],
                vec!["/app/1/1/proto".into(), "/app/1/2/proto".into()],
            ] {
                for cursor in [None, Some(sent[17].hash()), Some(sent[599].hash())] {
                    questions.push(Query {
                        pubsub_topic: pubsub_topic.clone(),
                        content_topics: content_topics.clone(),
                        time_start: Some(NOW + SECOND / 2),
                        cursor,
                        direction,
                        limit: 20,
                        include_data: true,
                        ..Query::default()
                    });
                }
            }
        }
    }
    questions.push(Query {
        hashes: sent.iter().step_by(40).map(archive::Envelope::hash).collect(),
        limit: 7,
        ..Query::default()
    });
    questions
}

#[test]
fn sealing_changes_no_answer_and_leaves_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    let sent = filled(&archive);
    let questions = questions(&sent);
    let answers = |archive: &Archive| -> Vec<_> {
        let pages = questions.iter().map(|query| archive.query(query, NOW).unwrap());
        pages.collect()
    };
    let before = answers(&archive);
    assert!(before.iter().any(|page| page.cursor.is_some()) && before.iter().any(|page| page.entries.is_empty()));
    archive.tick(NOW + 2 * SECOND).unwrap();
    assert_eq!(answers(&archive), before);
    archive.tick(NOW + 2 * 3600 * SECOND).unwrap();
    assert_eq!(archive.stats().counters.sealed_segments, 1);
    assert_eq!(archive.stats().live_segments, 0);
    let files = segments(dir.path());
    assert_eq!(files.len(), 1, "no log beside it: {files:?}");
    assert_eq!(answers(&archive), before);
    let later = NOW + 2 * 3600 * SECOND;
    let hash = sent[5].hash();
    assert_eq!(archive.insert(&sent[5], later).unwrap(), Inserted::Duplicate(hash));

    // Back-fill into the slice goes to a second file of it, and pages run over both.
    let late = envelope("/app/1/3/proto", NOW + 3 * SECOND, b"late");
    store(&archive, &late, later);
    let everything: BTreeSet<_> = walk(&archive, later).into_iter().collect();
    assert_eq!(everything.len(), 601);
    archive.close().unwrap();
    assert_eq!(segments(dir.path()).len(), 2);
    let archive = open(dir.path(), 86_400);
    assert_eq!(walk(&archive, later).len(), 601);
    assert_eq!(retention::survey(dir.path()).unwrap().envelopes, 601);
    assert_eq!(archive.insert(&sent[5], later).unwrap(), Inserted::Duplicate(hash));
}

fn walk(archive: &Archive, now: i64) -> Vec<archive::MessageHash> {
    let mut query = Query {
        limit: 100,
        direction: Direction::Forward,
        ..Query::default()
    };
    let mut walked = Vec::new();
    loop {
        let page = archive.query(&query, now).unwrap();
        walked.extend(page.entries.iter().map(|entry| entry.hash));
        if page.cursor.is_none() {
            return walked;
        }
        query.cursor = page.cursor;
    }
}

#[test]
fn another_reader_delays_the_sealing_and_is_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    filled(&archive);
    archive.tick(NOW + 2 * SECOND).unwrap();
    let path = dir.path().join(&segments(dir.path())[0]);
    let reader = rusqlite::Connection::open(&path).unwrap();
    let count = |sql: &str| reader.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count("SELECT count(*) FROM envelope"), 600);
    archive.tick(NOW + 2 * 3600 * SECOND).unwrap();
    assert_eq!(archive.stats().live_segments, 1, "not while it is read");
    assert_eq!(walk(&archive, NOW).len(), 600);
    assert_eq!(count("SELECT count(*) FROM envelope"), 600);
    drop(reader);
    archive.tick(NOW + 2 * 3600 * SECOND).unwrap();
    assert_eq!(archive.stats().live_segments, 0);
    assert_eq!(walk(&archive, NOW).len(), 600);
}

#[test]
fn a_flood_of_one_slice_is_sealed_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    for number in 0..170_000i64 {
        store(
            &archive,
            &envelope(&format!("/t/{}", number % 9000), NOW + number, b"small"),
            NOW,
        );
        if number % 3000 == 0 {
            archive.tick(NOW).unwrap();
        }
    }
    archive.tick(NOW).unwrap();
    let stats = archive.stats();
    assert_eq!((stats.envelopes, stats.segments), (170_000, 3));
    assert_eq!(stats.live_segments, 1);
    let page = archive
        .query(
            &Query {
                content_topics: vec!["/t/8999".into()],
                limit: 100,
                ..Query::default()
            },
            NOW,
        )
        .unwrap();
    assert_eq!(page.entries.len(), 18);
}
