//! Files that are wrong in any way: whatever is in them costs a segment or a row, never the archive, and never a panic.

use archive::{Archive, foreign, retention, verify};
use proptest::prelude::*;
use rusqlite::types::Value;

use crate::{NOW, SECOND, count, envelope, everything, names, open, options, segments, store};

fn unheard(_: archive::Progress) {}

/// Two hours, the older one sealed, the younger one with rows in its log.
fn two_segments(dir: &std::path::Path) -> Vec<String> {
    let archive = open(dir, 86_400);
    for number in 0..40i64 {
        store(
            &archive,
            &envelope(
                &format!("/t/{}", number % 3),
                NOW - 2 * 3600 * SECOND + number,
                &[7; 900],
            ),
            NOW,
        );
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    archive.tick(NOW + 100 * SECOND).unwrap();
    // The first commit makes the file, the next ones go to its log.
    for (commit, numbers) in [(103, 0..20i64), (106, 20..40)] {
        for number in numbers {
            store(
                &archive,
                &envelope("/t/0", NOW + number, &[8; 900]),
                NOW + commit * SECOND,
            );
        }
        archive.tick(NOW + (commit + 2) * SECOND).unwrap();
    }
    assert_eq!(archive.stats().counters.sealed_segments, 1);
    // As a power cut leaves it, the log not copied.
    let image = dir.join("image");
    std::fs::create_dir(&image).unwrap();
    for name in segments(dir).iter().filter(|name| !name.ends_with("-shm")) {
        std::fs::copy(dir.join(name), image.join(name)).unwrap();
    }
    segments(&image)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_costs_a_segment_at_most(
        which in 0usize..3,
        harm in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in proptest::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let place = tempfile::tempdir().unwrap();
        let files = two_segments(place.path());
        let dir = place.path().join("image");
        prop_assert_eq!(files.len(), 3, "{:?}", files);
        let path = dir.join(&files[which]);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in harm {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, bytes).unwrap();

        // The tools read it as it lies there.
        let looked = verify(&dir, &mut unheard).unwrap();
        archive::export::to_json_lines(&dir, i64::MIN, &mut std::io::sink(), &mut unheard).unwrap();
        retention::survey(&dir).unwrap();
        let archive = Archive::open(&dir, options(86_400)).unwrap();
        let page = archive.query(&everything(), NOW).unwrap();
        if looked.is_sound() {
            // Only the log's end can be missing without a fault: what was torn off it counts as never written.
            prop_assert!(page.entries.len() >= 40, "{} entries", page.entries.len());
        }
        store(&archive, &envelope("/new", NOW - SECOND, b"goes on"), NOW);
        archive.tick(NOW + 3 * SECOND).unwrap();
        archive.tick(NOW + 2 * 3600 * SECOND).unwrap();
        archive.query(&everything(), NOW).unwrap();
        archive.close().unwrap();
        let again = Archive::open(&dir, options(86_400)).unwrap();
        let found = again.query(&everything(), NOW).unwrap();
        let goes_on = found.entries.iter().any(|entry| entry.envelope.as_ref().unwrap().payload == b"goes on");
        // Damage that only sealing finds takes along what the damaged segment itself has taken since, and nothing else.
        let taken_along = || {
            let aside: Vec<String> = std::fs::read_dir(dir.join("quarantine"))
                .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
                .unwrap_or_default();
            which > 0 && aside.iter().any(|name| name.starts_with(files[1].trim_end_matches(".sqlite")))
        };
        prop_assert!(goes_on || taken_along());
    }

    #[test]
    fn any_damage_to_a_foreign_file_is_an_error_at_most(
        harm in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60),
        cut in proptest::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let place = tempfile::tempdir().unwrap();
        let ours = open(&place.path().join("from"), 86_400);
        for number in 0..60i64 {
            store(&ours, &envelope("/t", NOW - number * 60 * SECOND, &[5; 300]), NOW);
        }
        ours.close().unwrap();
        let file = place.path().join("store.sqlite3");
        archive::export::to_sqlite(&place.path().join("from"), i64::MIN, &file, &mut unheard).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        for (at, byte) in harm {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&file, bytes).unwrap();
        let archive = open(&place.path().join("to"), 86_400);
        let imported = foreign::import(&archive, &file, NOW, &mut unheard);
        let kept = archive.stats().envelopes;
        prop_assert!(kept <= 60);
        if let Ok(imported) = imported {
            prop_assert_eq!(imported.stored, kept);
        }
        let _ = foreign::remove_expired(&file, NOW - 1800 * SECOND);
        // Damage over there costs nothing here.
        archive.close().unwrap();
        prop_assert!(verify(&place.path().join("to"), &mut unheard).unwrap().is_sound());
    }

    #[test]
    fn any_row_of_a_foreign_file_is_read_in_or_counted(
        version in 8u32..=10,
        rows in proptest::collection::vec(proptest::collection::vec(value(), 6), 0..30),
    ) {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("store.sqlite3");
        let owner = rusqlite::Connection::open(&file).unwrap();
        let meta = if version >= 9 { ", meta" } else { "" };
        owner.execute_batch(&format!(
            "PRAGMA user_version = {version};
             CREATE TABLE Message(messageHash INTEGER PRIMARY KEY, pubsubTopic, contentTopic, payload, version, timestamp{meta});"
        )).unwrap();
        let columns = if version >= 9 { 6 } else { 5 };
        let places = vec!["?"; columns].join(", ");
        for row in &rows {
            owner.execute(
                &format!("INSERT INTO Message(pubsubTopic, contentTopic, payload, version, timestamp{meta}) VALUES ({places})"),
                rusqlite::params_from_iter(row.iter().take(columns)),
            ).unwrap();
        }
        let archive = open(&place.path().join("ours"), 86_400);
        let imported = foreign::import(&archive, &file, NOW, &mut unheard).unwrap();
        let counted = imported.stored + imported.duplicates + imported.unreadable + imported.refused.values().sum::<u64>();
        prop_assert_eq!(counted, rows.len() as u64);
        foreign::remove_expired(&file, NOW).unwrap();
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(Value::Integer),
        3 => (-100i64..30).prop_map(|secs| Value::Integer(NOW + secs * SECOND)),
        1 => (0i64..3).prop_map(Value::Integer),
        1 => any::<f64>().prop_map(Value::Real),
        2 => any::<String>().prop_map(Value::Text),
        2 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Value::Blob),
        2 => Just(Value::Blob(b"/waku/2/rs/16/32".to_vec())),
    ]
}

#[test]
fn a_foreign_files_bad_rows_cost_no_good_one() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("store.sqlite3");
    let owner = rusqlite::Connection::open(&file).unwrap();
    owner
        .execute_batch(&format!(
            "PRAGMA user_version = 10;
             CREATE TABLE Message(messageHash BLOB NOT NULL PRIMARY KEY, pubsubTopic BLOB NOT NULL,
               contentTopic BLOB NOT NULL, payload BLOB, version INTEGER NOT NULL, timestamp INTEGER NOT NULL, meta BLOB)
               WITHOUT ROWID;
             INSERT INTO Message VALUES (x'01', '/waku/2/rs/16/32', '/t', x'aa', 0, {NOW}, NULL);
             INSERT INTO Message VALUES (x'02', '/waku/2/rs/16/32', '/t', NULL, 1, {NOW}, x'');
             INSERT INTO Message VALUES (x'03', '/waku/2/rs/16/32', '/t', x'bb', 0, 'noon', NULL);
             INSERT INTO Message VALUES (x'04', x'ff', '/t', x'cc', 0, {NOW}, NULL);
             INSERT INTO Message VALUES (x'05', '/waku/2/rs/16/32', '', x'dd', 0, {NOW}, NULL);
             INSERT INTO Message VALUES (x'06', '/waku/2/rs/16/32', '/t', x'ee', -1, {NOW}, NULL);
             INSERT INTO Message VALUES (x'07', '/waku/2/rs/16/32', '/t', zeroblob(40000000), 0, {NOW}, NULL);
             INSERT INTO Message VALUES (x'08', '/waku/2/rs/16/32', '/t', zeroblob(600000), 0, {NOW}, zeroblob(600000));
             INSERT INTO Message VALUES (x'09', '/waku/2/rs/16/32', '/t', x'ff', 0, {NOW} - 90000000000000, NULL);"
        ))
        .unwrap();
    let archive = open(&place.path().join("ours"), 86_400);
    let imported = foreign::import(&archive, &file, NOW, &mut unheard).unwrap();
    assert_eq!((imported.stored, imported.unreadable), (2, 6), "{imported:?}");
    assert_eq!(imported.refused.get(&archive::Refusal::Expired), Some(&1));

    // A view could run for ever, and a file without the table is not nwaku's.
    for tables in ["CREATE VIEW Message AS SELECT 1 AS timestamp;", ""] {
        let other = place.path().join("other.sqlite3");
        let _ = std::fs::remove_file(&other);
        let conn = rusqlite::Connection::open(&other).unwrap();
        conn.execute_batch(&format!("PRAGMA user_version = 10; {tables}"))
            .unwrap();
        let error = foreign::import(&archive, &other, NOW, &mut unheard)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no table of messages"), "{error}");
        assert!(foreign::remove_expired(&other, NOW).is_err());
    }
}

#[test]
fn a_segment_that_cannot_be_opened_is_left_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    for hour in 0..3 {
        store(&archive, &envelope("/t", NOW - hour * 3600 * SECOND, b"x"), NOW);
    }
    archive.close().unwrap();
    let held = segments(dir.path()).remove(0);
    let other = rusqlite::Connection::open(dir.path().join(&held)).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE summary SET sealed = 0; COMMIT;")
        .unwrap();
    let archive = open(dir.path(), 86_400);
    assert_eq!(count(&archive, NOW), 2);
    assert_eq!(archive.stats().unreadable_segments, 1);
    store(&archive, &envelope("/t", NOW - 7200 * SECOND, b"beside it"), NOW);
    archive.tick(NOW + 3 * SECOND).unwrap();
    assert_eq!(archive.stats().unreadable_segments, 1);
    drop(other);
    archive.tick(NOW + 9 * SECOND).unwrap();
    assert_eq!(archive.stats().unreadable_segments, 0);
    assert_eq!(count(&archive, NOW), 4);
    assert_eq!(archive.stats().counters.quarantined, 0);
    archive.close().unwrap();
}

#[test]
fn a_live_segment_that_is_damaged_loses_none_of_what_is_not_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    for number in 0..300i64 {
        store(&archive, &envelope("/t", NOW + number, &[1; 3000]), NOW);
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    let waiting = envelope("/t", NOW + SECOND, b"not committed yet");
    store(&archive, &waiting, NOW + 3 * SECOND);
    for file in segments(dir.path()).iter().filter(|name| !name.ends_with("-shm")) {
        use std::os::unix::fs::FileExt;
        let path = dir.path().join(file);
        let length = std::fs::metadata(&path).unwrap().len() as usize;
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&vec![0xa5; length], 0).unwrap();
    }
    let page = archive.query(&everything(), NOW + 3 * SECOND).unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(archive.stats().counters.quarantined, 1);
    archive.tick(NOW + 6 * SECOND).unwrap();
    archive.close().unwrap();
    let archive = open(dir.path(), 86_400);
    assert!(archive.contains(&waiting.hash()).unwrap());
    assert_eq!(count(&archive, NOW + 3 * SECOND), 1);
}

#[test]
fn what_is_in_the_way_is_neither_a_segment_nor_removed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    store(&archive, &envelope("/t", NOW, b"x"), NOW);
    archive.close().unwrap();
    let start = NOW / SECOND / 3600 * 3600;
    std::fs::create_dir(dir.path().join(format!("slice-{start}-3600-000077-main.sqlite"))).unwrap();
    nix::unistd::mkfifo(
        &dir.path().join(format!("slice-{start}-3600-000078-main.sqlite")),
        nix::sys::stat::Mode::S_IRWXU,
    )
    .unwrap();
    std::fs::write(dir.path().join("thesis.unfinished"), b"mine").unwrap();
    let archive = open(dir.path(), 86_400);
    assert_eq!(count(&archive, NOW), 1);
    archive.close().unwrap();
    retention::remove_expired(dir.path(), NOW + 86_400 * SECOND).unwrap();
    let left = names(dir.path());
    assert_eq!(
        left.iter().filter(|name| name.starts_with("slice-")).count(),
        2,
        "{left:?}"
    );
    assert!(left.contains(&"thesis.unfinished".into()));
    let told = retention::survey(dir.path()).unwrap().in_the_way;
    assert!(
        told.len() == 2 && told.iter().any(|obstacle| obstacle.to_string().ends_with("is a pipe")),
        "{told:?}"
    );
}
