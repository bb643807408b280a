//! Links and pipes in the archive's directory: whoever works there with more rights than its owner neither follows them
//! nor waits for them. And leaps of the clock, for which only what is younger than they are is over.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use archive::retention::{self, Leap, Over, read_policy, survey, write_policy};
use archive::{Archive, foreign, verify};

use crate::{NOW, SECOND, count, envelope, names, open, options, policy, segments, store};

/// Longer than all of it takes on a busy machine; a pipe would be waited for for ever.
const PATIENCE: Duration = Duration::from_secs(60);

fn pipe(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// What it gives, if it ends.
fn ends<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waited) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(run());
    });
    waited.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} hangs"))
}

/// An archive with one envelope, closed.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    store(&archive, &envelope("/t", NOW, b"x"), NOW);
    archive.close().unwrap();
    dir
}

#[test]
fn a_policy_is_written_over_nothing_but_itself() {
    let dir = filled();
    let at = |name: &str| dir.path().join(name);
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("shadow");
    std::fs::write(&target, "root:secret").unwrap();
    for name in ["policy.new", "policy"] {
        for kind in ["link", "dangling", "pipe"] {
            match kind {
                "link" => symlink(&target, at(name)).unwrap(),
                "dangling" => symlink(elsewhere.path().join("absent"), at(name)).unwrap(),
                _ => pipe(&at(name)),
            }
            let told = survey(dir.path()).unwrap().in_the_way;
            assert!(told.iter().any(|obstacle| obstacle.name == name), "{told:?}");
            let path = dir.path().to_owned();
            ends("reading", move || read_policy(&path)).map_or_else(
                |error| assert!(error.to_string().contains("where a file belongs; remove it"), "{error}"),
                |read| assert_eq!((read, name), (None, "policy.new")),
            );
            let path = dir.path().to_owned();
            ends("writing", move || write_policy(&path, &policy(77))).unwrap();
            assert_eq!(read_policy(dir.path()).unwrap(), Some(policy(77)), "{name} as {kind}");
            assert!(at("policy").symlink_metadata().unwrap().is_file());
            assert!(survey(dir.path()).unwrap().in_the_way.is_empty());
            std::fs::remove_file(at("policy")).unwrap();
        }
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "root:secret");
    assert_eq!(names(elsewhere.path()), ["shadow"], "nothing was made through a link");
}

#[test]
fn what_is_beside_a_segment_is_a_file_or_the_segment_is_not_read() {
    for suffix in ["-wal", "-shm", "-journal"] {
        let dir = filled();
        let segment = segments(dir.path())[0].clone();
        for left in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.path().join(format!("{segment}{left}")));
        }
        pipe(&dir.path().join(format!("{segment}{suffix}")));
        let path = dir.path().to_owned();
        let surveyed = ends("the survey", move || survey(&path).unwrap());
        assert_eq!(
            (surveyed.unreadable.len(), surveyed.in_the_way.len()),
            (1, 1),
            "{surveyed:?}"
        );
        let path = dir.path().to_owned();
        let verified = ends("verify", move || verify(&path, &mut |_| {}).unwrap());
        assert!(!verified.is_sound());
        // Even the owner's writer goes on without it.
        let path = dir.path().to_owned();
        let archive = ends("opening", move || Archive::open(&path, options(86_400)).unwrap());
        assert_eq!(count(&archive, NOW), 0);
        drop(archive);
        let path = dir.path().to_owned();
        let removed = ends("removing", move || {
            retention::remove_expired(&path, NOW + 86_400 * SECOND).unwrap()
        });
        assert_eq!(removed.segments, 1, "its name says that it is over");
        assert_eq!(segments(dir.path()), [] as [String; 0]);
    }
}

#[test]
fn a_quarantine_that_leads_elsewhere_is_not_gone_through() {
    let dir = filled();
    let elsewhere = tempfile::tempdir().unwrap();
    let old = format!("{}.corrupt", segments(dir.path())[0]);
    std::fs::write(elsewhere.path().join(&old), "of somebody else").unwrap();
    symlink(elsewhere.path(), dir.path().join("quarantine")).unwrap();
    retention::remove_expired(dir.path(), NOW + 86_400 * SECOND).unwrap();
    assert_eq!(names(elsewhere.path()), [old]);
    let surveyed = survey(dir.path()).unwrap();
    assert_eq!(surveyed.quarantined, []);
    assert_eq!(surveyed.in_the_way[0].to_string(), "quarantine is a link");
    // Nor is anything put there.
    std::fs::write(dir.path().join("noise.sqlite"), "noise").unwrap();
    let opened = Archive::open(dir.path(), options(86_400)).map(drop);
    assert!(
        opened
            .unwrap_err()
            .to_string()
            .contains("a link where a folder belongs")
    );
    assert_eq!(names(elsewhere.path()).len(), 1);
}

#[test]
fn a_lock_or_a_foreign_file_that_is_none_is_refused() {
    let dir = filled();
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("shadow");
    std::fs::write(&target, "root:secret").unwrap();
    let lock = dir.path().join("writer.lock");
    std::fs::remove_file(&lock).unwrap();
    symlink(&target, &lock).unwrap();
    assert!(Archive::open(dir.path(), options(86_400)).is_err());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "root:secret");
    let store = elsewhere.path().join("store.sqlite3");
    for beside in ["", "-wal", "-journal"] {
        let path = elsewhere.path().join(format!("store.sqlite3{beside}"));
        if !beside.is_empty() {
            std::fs::write(&store, "").unwrap();
        }
        pipe(&path);
        let file = store.clone();
        let error = ends("removing", move || foreign::remove_expired(&file, NOW)).unwrap_err();
        assert!(error.to_string().contains("a pipe where a file belongs"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}

/// After a leap what was there before it goes by the old time, and what came after it by the new one.
#[test]
fn a_leap_ends_only_what_came_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let years = 20 * 365 * 86_400 * SECOND;
    let at = |time: i64| {
        let archive = open(dir.path(), 86_400);
        store(&archive, &envelope("/t", time, b"x"), time);
        archive.close().unwrap();
    };
    at(NOW);
    at(NOW + years);
    let day = 86_400 * SECOND;
    let over = Over {
        cutoff: NOW - day,
        leap: Some(Leap {
            since: NOW + day,
            cutoff: NOW + years - day,
        }),
    };
    assert_eq!(retention::remove(dir.path(), &over).unwrap().segments, 0);
    let later = Leap {
        since: NOW + day,
        cutoff: NOW + years + day,
    };
    let over = Over {
        leap: Some(later),
        ..over
    };
    assert_eq!(retention::remove(dir.path(), &over).unwrap().segments, 1);
    assert_eq!(survey(dir.path()).unwrap().newest, Some(NOW.into()));
}

/// What arrived before the time was known is not judged by a leap.
#[test]
fn a_held_policy_keeps_what_is_provisional() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = policy(86_400);
    told.clock_trusted = false;
    write_policy(dir.path(), &told).unwrap();
    let archive = open(dir.path(), 86_400);
    archive.tick(NOW).unwrap();
    store(&archive, &envelope("/t", NOW, b"x"), NOW);
    archive.tick(NOW + 5 * SECOND).unwrap();
    let provisional = |dir: &Path| segments(dir).iter().any(|name| name.contains("provisional"));
    assert!(provisional(dir.path()));
    let later = NOW + 20 * 365 * 86_400 * SECOND;
    for (held, kept) in [(true, true), (false, false)] {
        told = archive::Policy {
            held,
            clock_trusted: true,
            ..told
        };
        write_policy(dir.path(), &told).unwrap();
        for tick in 0..20 {
            archive.tick(later + tick * SECOND).unwrap();
        }
        assert_eq!(provisional(dir.path()), kept, "held: {held}");
    }
}

/// Views and huge values in a segment, as somebody with the mailserver's account could write them.
#[test]
fn a_view_without_end_and_a_huge_filter_are_bounded() {
    let dir = filled();
    let later = NOW + 3 * 86_400 * SECOND;
    let archive = open(dir.path(), 864_000);
    archive.tick(later).unwrap();
    archive.close().unwrap();
    let segment = dir.path().join(&segments(dir.path())[0]);
    let change = |sql: &str| {
        rusqlite::Connection::open(&segment)
            .unwrap()
            .execute_batch(sql)
            .unwrap()
    };
    change("DELETE FROM filter; INSERT INTO filter VALUES (zeroblob(200000000));");
    let path = dir.path().to_owned();
    let verified = ends("verify", move || verify(&path, &mut |_| {}).unwrap());
    let faults = &verified.segments[0].faults;
    assert!(
        faults.iter().any(|fault| fault == "its filter has 200000000 bytes"),
        "{faults:?}"
    );
    change("DELETE FROM filter;");
    change(
        "DROP TABLE summary; CREATE VIEW summary AS
         WITH RECURSIVE n(one) AS (SELECT 1 UNION ALL SELECT one FROM n)
         SELECT one, 1 AS sealed, count(*) AS envelopes, 0 AS payload_bytes, 0 AS oldest, 0 AS newest FROM n;",
    );
    let path = dir.path().to_owned();
    let surveyed = ends("the survey", move || survey(&path).unwrap());
    assert_eq!(surveyed.unreadable.len(), 1, "{surveyed:?}");
    let path = dir.path().to_owned();
    assert!(!ends("verify", move || verify(&path, &mut |_| {}).unwrap()).is_sound());
    let path = dir.path().to_owned();
    ends("removing", move || {
        retention::remove_expired(&path, later + 86_400 * SECOND).unwrap()
    });
    assert_eq!(segments(dir.path()), [] as [String; 0]);
}
