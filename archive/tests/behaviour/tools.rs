//! Verify, export and import, and retention on nwaku's file.

use std::os::unix::fs::PermissionsExt;

use archive::foreign;
use archive::{Archive, export, verify};

use crate::{NOW, SECOND, envelope, open, segments, store};

fn filled(archive: &Archive) -> Vec<archive::Envelope> {
    let mut sent: Vec<_> = (0..500i64)
        .map(|number| envelope(&format!("/t/{}", number % 5), NOW - number * 20 * SECOND, &[3; 500]))
        .collect();
    sent[0].meta = Some(vec![1, 2, 3]);
    for envelope in &sent {
        store(archive, envelope, NOW);
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    archive.tick(NOW + 3600 * SECOND).unwrap();
    sent
}

#[test]
fn verify_and_export_on_a_live_archive() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    let sent = filled(&archive);
    let verified = verify(dir.path(), &mut |_| {}).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert_eq!(
        verified.segments.iter().map(|segment| segment.envelopes).sum::<u64>(),
        500
    );

    let mut lines = Vec::new();
    let cutoff = NOW - 3600 * SECOND;
    let exported = export::to_json_lines(dir.path(), cutoff, &mut lines, &mut |_| {}).unwrap();
    let expected = sent.iter().filter(|envelope| envelope.timestamp >= cutoff).count();
    assert_eq!(exported.envelopes, expected as u64);
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.lines().count(), expected);
    let with_meta = format!("\"hash\":\"{}\"", sent[0].hash());
    let line = lines.lines().find(|line| line.contains(&with_meta)).unwrap();
    assert!(
        line.contains("\"meta\":\"010203\"") && line.contains("\"content_topic\":\"/t/0\""),
        "{line}"
    );

    // Out as nwaku's file, and in again.
    let target = dir.path().join("elsewhere");
    std::fs::create_dir(&target).unwrap();
    let file = target.join("store.sqlite3");
    assert_eq!(
        export::to_sqlite(dir.path(), i64::MIN, &file, &mut |_| {})
            .unwrap()
            .envelopes,
        500
    );
    assert!(
        export::to_sqlite(dir.path(), i64::MIN, &file, &mut |_| {}).is_err(),
        "never over another file"
    );
    let other = open(&target.join("archive"), 86_400);
    let imported = foreign::import(&other, &file, NOW, &mut |_| {}).unwrap();
    assert_eq!(
        (imported.stored, imported.duplicates, imported.refused.len()),
        (500, 0, 0)
    );
    assert_eq!(
        foreign::import(&other, &file, NOW, &mut |_| {}).unwrap().duplicates,
        500
    );
    for envelope in &sent {
        assert!(other.contains(&envelope.hash()).unwrap());
    }
    let error = foreign::import(&other, &dir.path().join(&segments(dir.path())[0]), NOW, &mut |_| {});
    assert!(error.is_err());
}

#[test]
fn verify_names_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    filled(&archive);
    archive.close().unwrap();
    let files = segments(dir.path());
    let conn = rusqlite::Connection::open(dir.path().join(&files[0])).unwrap();
    conn.execute("UPDATE envelope SET payload = zeroblob(500) WHERE id = 3", [])
        .unwrap();
    conn.close().unwrap();
    std::fs::write(dir.path().join(&files[1]), b"gone").unwrap();
    let verified = verify(dir.path(), &mut |_| {}).unwrap();
    let faulty: Vec<_> = verified
        .segments
        .iter()
        .filter(|segment| !segment.faults.is_empty())
        .collect();
    assert_eq!(faulty.len(), 2, "{faulty:?}");
    assert_eq!(faulty[0].faults, ["row 3 is not what its hash says"]);
    let mut lines = Vec::new();
    let exported = export::to_json_lines(dir.path(), i64::MIN, &mut lines, &mut |_| {}).unwrap();
    assert_eq!(exported.skipped.len(), 1);
}

#[test]
fn nwakus_file_is_held_to_the_retention_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.sqlite3");
    let owner = rusqlite::Connection::open(&file).unwrap();
    owner
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA user_version = 9;
             CREATE TABLE Message(pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB,
               version INTEGER NOT NULL, timestamp INTEGER NOT NULL, storedAt INTEGER NOT NULL, messageHash BLOB NOT NULL,
               meta BLOB, CONSTRAINT messageIndex PRIMARY KEY (messageHash)) WITHOUT ROWID;
             CREATE INDEX i_ts ON Message (timestamp);",
        )
        .unwrap();
    let insert = |number: i64| {
        owner.execute(
            "INSERT INTO Message VALUES (CAST('/waku/2/rs/16/32' AS BLOB), CAST('/t' AS BLOB), zeroblob(100), 0, ?1, ?1,
             randomblob(32), NULL)",
            [NOW + number * SECOND],
        )
    };
    for number in -2000..0 {
        insert(number).unwrap();
    }
    let remover = {
        let file = file.clone();
        std::thread::spawn(move || foreign::remove_expired(&file, NOW - 500 * SECOND).unwrap())
    };
    // The owner has no busy timeout of its own in nwaku; here it tries again as its peers would send again.
    owner.busy_timeout(std::time::Duration::ZERO).unwrap();
    let (mut written, mut busy) = (0, 0);
    while !remover.is_finished() {
        match insert(written) {
            Ok(_) => written += 1,
            Err(_) => busy += 1,
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(remover.join().unwrap(), 1500);
    assert!(written > busy, "{written} written, {busy} refused");
    let left: i64 = owner
        .query_row("SELECT count(*) FROM Message", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 500 + written);
    let archive = open(&dir.path().join("ours"), 86_400);
    assert_eq!(
        foreign::import(&archive, &file, NOW + written * SECOND, &mut |_| {})
            .unwrap()
            .unreadable,
        0
    );
}

/// Columns came and went: 8 made the hash the key, 9 brought meta, 10 took storedAt away.
#[test]
fn every_version_of_nwakus_file_that_has_a_hash_is_pruned_and_read_in() {
    let dir = tempfile::tempdir().unwrap();
    for (version, columns) in [
        (8, "storedAt INTEGER NOT NULL DEFAULT 0,"),
        (9, "storedAt INTEGER NOT NULL DEFAULT 0, meta BLOB,"),
        (10, "meta BLOB,"),
    ] {
        let file = dir.path().join(format!("store-{version}.sqlite3"));
        let owner = rusqlite::Connection::open(&file).unwrap();
        owner
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA user_version = {version};
                 CREATE TABLE Message(pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB,
                   version INTEGER NOT NULL, timestamp INTEGER NOT NULL, messageHash BLOB NOT NULL, {columns}
                   CONSTRAINT messageIndex PRIMARY KEY (messageHash)) WITHOUT ROWID;
                 CREATE INDEX i_ts ON Message (timestamp);"
            ))
            .unwrap();
        let sent: Vec<_> = (0..300i64)
            .map(|number| envelope("/t", NOW - number * SECOND, &number.to_be_bytes()))
            .collect();
        for envelope in &sent {
            owner
                .execute(
                    "INSERT INTO Message(pubsubTopic, contentTopic, payload, version, timestamp, messageHash)
                     VALUES (CAST(?1 AS BLOB), CAST(?2 AS BLOB), ?3, ?4, ?5, ?6)",
                    rusqlite::params![
                        envelope.pubsub_topic,
                        envelope.content_topic,
                        envelope.payload,
                        envelope.version,
                        envelope.timestamp,
                        envelope.hash().0
                    ],
                )
                .unwrap();
        }
        assert_eq!(
            foreign::remove_expired(&file, NOW - 199 * SECOND).unwrap(),
            100,
            "{version}"
        );
        let ours = open(&dir.path().join(format!("ours-{version}")), 86_400);
        let imported = foreign::import(&ours, &file, NOW, &mut |_| {}).unwrap();
        assert_eq!(
            (imported.stored, imported.refused.len(), imported.unreadable),
            (200, 0, 0)
        );
        for (number, envelope) in sent.iter().enumerate() {
            assert_eq!(
                ours.contains(&envelope.hash()).unwrap(),
                number < 200,
                "{version}: {number}"
            );
        }
        for unknown in [7, 11] {
            owner.pragma_update(None, "user_version", unknown).unwrap();
            assert!(foreign::remove_expired(&file, NOW).is_err());
            assert!(foreign::import(&ours, &file, NOW, &mut |_| {}).is_err());
        }
        let left: i64 = owner
            .query_row("SELECT count(*) FROM Message", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 200);
    }
}

/// A file as nwaku's migrations leave it: the table's name in small letters, and the newest rows still in the log beside
/// the file, since nwaku ends without emptying it.
#[test]
fn a_file_that_nwaku_left_is_read_in_with_the_log_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = dir.path().join("running.sqlite3");
    let owner = rusqlite::Connection::open(&running).unwrap();
    owner
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 10;
             CREATE TABLE message(PubSubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB,
               version INTEGER NOT NULL, timestamp INTEGER NOT NULL, messagehash BLOB NOT NULL, meta BLOB,
               CONSTRAINT messageIndex PRIMARY KEY (messagehash)) WITHOUT ROWID;
             CREATE INDEX i_ts ON message (timestamp);",
        )
        .unwrap();
    let sent: Vec<_> = (0..40i64)
        .map(|number| envelope("/t", NOW - number * SECOND, &number.to_be_bytes()))
        .collect();
    let insert = |envelope: &archive::Envelope| {
        let values = rusqlite::params![
            envelope.pubsub_topic,
            envelope.content_topic,
            envelope.payload,
            envelope.timestamp,
            envelope.hash().0
        ];
        owner
            .execute(
                "INSERT INTO message VALUES (CAST(?1 AS BLOB), CAST(?2 AS BLOB), ?3, 0, ?4, ?5, NULL)",
                values,
            )
            .unwrap();
    };
    sent[20..].iter().for_each(insert);
    owner
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    sent[..20].iter().for_each(insert);
    // As it lies there when nwaku's process has ended, or was copied elsewhere.
    let copied = |folder: &str, files: &[&str]| {
        let folder = dir.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        for end in files {
            let from = dir.path().join(format!("running.sqlite3{end}"));
            std::fs::copy(from, folder.join(format!("store.sqlite3{end}"))).unwrap();
        }
        folder.join("store.sqlite3")
    };
    for (folder, files, stored) in [("whole", &["", "-wal"][..], 40), ("half", &[""], 20)] {
        let file = copied(folder, files);
        let ours = open(&dir.path().join(format!("{folder}-ours")), 86_400);
        let imported = foreign::import(&ours, &file, NOW, &mut |_| {}).unwrap();
        assert_eq!((imported.stored, imported.unreadable), (stored, 0), "{folder}");
        assert!(imported.refused.is_empty(), "{imported:?}");
        assert_eq!(ours.contains(&sent[0].hash()).unwrap(), stored == 40);
        let removed = foreign::remove_expired(&file, NOW - 29 * SECOND).unwrap();
        assert_eq!(removed, 10, "{folder}");
    }
    // SQLite reads the log by a file of its own. Somebody else's link in its place is not followed.
    let file = copied("linked", &["", "-wal"]);
    std::os::unix::fs::symlink("nowhere", dir.path().join("linked/store.sqlite3-shm")).unwrap();
    let ours = open(&dir.path().join("linked-ours"), 86_400);
    let error = foreign::import(&ours, &file, NOW, &mut |_| {}).unwrap_err().to_string();
    assert!(
        error.contains("store.sqlite3-shm: it is a link where a file belongs"),
        "{error}"
    );
    // Where it cannot be made, the error says what to do. Root makes it anywhere.
    let file = copied("locked", &["", "-wal"]);
    let folder = dir.path().join("locked");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    let ours = open(&dir.path().join("locked-ours"), 86_400);
    match foreign::import(&ours, &file, NOW, &mut |_| {}) {
        Ok(imported) => assert!(
            nix::unistd::geteuid().is_root() && imported.stored == 40,
            "{imported:?}"
        ),
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.contains("store.sqlite3-wal") && error.contains("copy both into a folder that can be written"),
                "{error}"
            );
        }
    }
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}
