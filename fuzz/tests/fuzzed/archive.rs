//! Files that anybody may have written. The databases among the seeds are made here.

use std::fs;
use std::path::{Path, PathBuf};

use archive::{Archive, Envelope, Options, foreign, verify};
use pillarbox_fuzz::{ARCHIVE, HOUR_SECS, NOW, SECOND};

use crate::sample::{self, seeds_folder};

/// Fewer than of the others: each makes an archive and opens it a few times.
#[test]
fn no_file_of_the_archives() {
    sample::run(&ARCHIVE, 150, |_| None);
}

fn seed(target: &str, name: &str) -> PathBuf {
    seeds_folder(&ARCHIVE, target).join(name)
}

fn envelopes() -> impl Iterator<Item = Envelope> {
    (0..3u8).map(|number| Envelope {
        pubsub_topic: "/waku/2/rs/16/32".into(),
        content_topic: format!("/t/{}", number % 2),
        payload: vec![number; 40],
        version: Some(1),
        timestamp: NOW - i64::from(number) * SECOND,
        meta: None,
        rate_limit_proof: None,
    })
}

/// Small pages, so that a mutation meets something.
fn segment_of(dir: &Path, sealed: bool) -> Vec<u8> {
    let options = Options {
        page_bytes: 512,
        ..Options::default()
    };
    let archive = Archive::open(dir, options).unwrap();
    for envelope in envelopes() {
        archive.insert(&envelope, NOW).unwrap();
    }
    archive.tick(NOW + 3 * SECOND).unwrap();
    if sealed {
        archive.tick((HOUR_SECS + 7200) * SECOND).unwrap();
    }
    archive.close().unwrap();
    let mut files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sqlite");
    fs::read(files.find(is_segment).unwrap()).unwrap()
}

fn nwakus(path: &Path, version: u32) {
    let (meta, null) = if version >= 9 {
        (", meta BLOB", ", NULL")
    } else {
        ("", "")
    };
    let owner = rusqlite::Connection::open(path).unwrap();
    owner
        .execute_batch(&format!(
            "PRAGMA page_size = 512; PRAGMA user_version = {version};
             CREATE TABLE Message(messageHash BLOB PRIMARY KEY, pubsubTopic BLOB, contentTopic BLOB, payload BLOB,
               version INTEGER, timestamp INTEGER{meta}) WITHOUT ROWID;
             CREATE INDEX i_ts ON Message (timestamp);"
        ))
        .unwrap();
    for envelope in envelopes() {
        owner
            .execute(
                &format!("INSERT INTO Message VALUES (?, ?, ?, ?, ?, ?{null})"),
                rusqlite::params![
                    envelope.hash().0,
                    envelope.pubsub_topic.as_bytes(),
                    envelope.content_topic.as_bytes(),
                    envelope.payload,
                    envelope.version,
                    envelope.timestamp
                ],
            )
            .unwrap();
    }
}

/// `UPDATE_GOLDEN=1 cargo test -p pillarbox-fuzz` writes them again, after a change of the schema.
#[test]
fn the_databases_among_the_seeds_are_sound() {
    let place = tempfile::tempdir().unwrap();
    let anew = std::env::var_os("UPDATE_GOLDEN").is_some();
    for name in ["live", "sealed"] {
        let file = seed("segment", name);
        if anew {
            let bytes = segment_of(&place.path().join(format!("{name}-anew")), name == "sealed");
            let mut newer = bytes.clone();
            // The user version's place in SQLite's file format, section 1.3.
            newer[60..64].copy_from_slice(&99u32.to_be_bytes());
            fs::write(&file, bytes).unwrap();
            fs::write(seed("segment", "newer"), newer).unwrap();
        }
        let dir = place.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::copy(&file, dir.join(format!("slice-{HOUR_SECS}-3600-000001-main.sqlite"))).unwrap();
        let verified = verify(&dir, &mut |_| {}).unwrap();
        assert!(verified.is_sound(), "{name}: {verified:?}");
        assert_eq!(verified.segments[0].envelopes, 3, "{name}");
    }
    for version in 8..=10 {
        let file = seed("foreign", &format!("version_{version}"));
        if anew {
            let made = place.path().join("store.sqlite3");
            let _ = fs::remove_file(&made);
            nwakus(&made, version);
            fs::copy(&made, &file).unwrap();
        }
        let archive = Archive::open(&place.path().join(format!("ours-{version}")), Options::default()).unwrap();
        let imported = foreign::import(&archive, &file, NOW, &mut |_| {}).unwrap();
        assert_eq!(imported.stored, 3, "version {version}");
    }
}
