//! Files that anybody may have written, and what must hold whatever is in them.
//!
//! Bytes seldom make a row that SQLite gives back, so what is read out of good tables has targets of its own, whose inputs
//! are lines of text ([`values`]).

mod directory;
mod foreign;
mod segment;
mod values;

use std::path::Path;

use archive::{Archive, Direction, Envelope, Inserted, Options, Progress, Query, export, retention, verify};

use crate::Target;

/// In the order of their names.
pub(crate) const TARGETS: [Target; 6] = [
    ("foreign", foreign::file),
    ("foreign_rows", foreign::rows),
    ("names", directory::names),
    ("policy", directory::policy),
    ("segment", segment::file),
    ("segment_rows", segment::rows),
];

/// In nanoseconds.
pub const SECOND: i64 = 1_000_000_000;
/// The time, nanoseconds since the Unix epoch.
pub const NOW: i64 = 1_795_000_000 * SECOND;
/// The start of the hour that it is in, in seconds.
pub const HOUR_SECS: i64 = NOW / SECOND / 3600 * 3600;

fn unheard(_: Progress) {}

/// In memory, where the machine has such a place: each input is a directory.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a directory to work in")
}

fn open(dir: &Path) -> Archive {
    Archive::open(dir, Options::default()).expect("whatever lies there, the archive opens")
}

fn envelope(timestamp: i64) -> Envelope {
    Envelope {
        pubsub_topic: "/waku/2/rs/16/32".into(),
        content_topic: "/app/1/goes-on/proto".into(),
        payload: b"goes on".to_vec(),
        version: None,
        timestamp,
        meta: None,
        rate_limit_proof: None,
    }
}

/// The tools look at what lies in `dir`; the writer opens it, answers, and goes on storing; and what it stores then is
/// kept, but for what went into a segment that is found damaged later.
fn goes_on(dir: &Path) {
    verify(dir, &mut unheard).expect("faults are told, not failed by");
    export::to_json_lines(dir, i64::MIN, &mut std::io::sink(), &mut unheard).expect("what cannot be read is skipped");
    retention::survey(dir).expect("what cannot be read is counted");

    let archive = open(dir);
    let store = |timestamp: i64| {
        let new = envelope(timestamp);
        let stored = archive.insert(&new, timestamp).expect("an insert goes on");
        assert!(
            matches!(stored, Inserted::Stored(_) | Inserted::Duplicate(_)),
            "{stored:?}"
        );
        new.hash()
    };
    ask(&archive, NOW);
    store(NOW);
    // Commits, then seals.
    archive.tick(NOW + 3 * SECOND).expect("a tick goes on");
    let later = NOW + 7200 * SECOND;
    archive.tick(later).expect("a tick goes on");
    ask(&archive, later);
    let kept = store(later);
    archive.close().expect("it closes");
    let again = open(dir);
    assert!(
        again.contains(&kept).expect("look-ups go on"),
        "what was stored is lost"
    );
    again.close().expect("it closes");
}

fn ask(archive: &Archive, now: i64) {
    let page = |query: &Query| archive.query(query, now).expect("a query is answered");
    let everything = Query {
        limit: 20,
        include_data: true,
        ..Query::default()
    };
    let mut all = everything.clone();
    let mut hashes = Vec::new();
    // A few pages: a cursor is good for the next one.
    for _ in 0..3 {
        let found = page(&all);
        hashes.extend(found.entries.iter().map(|entry| entry.hash));
        all.cursor = found.cursor;
        if all.cursor.is_none() {
            break;
        }
    }
    page(&Query {
        direction: Direction::Backward,
        content_topics: vec!["/t/0".into()],
        time_start: Some(NOW - 3600 * SECOND),
        ..everything.clone()
    });
    page(&Query { hashes, ..everything });
}
