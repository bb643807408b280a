//! The archive's directory: what the catalogue is rebuilt from, and the daemon's policy.

use std::path::Path;

use archive::{Archive, Inserted, Options, SegmentName, retention};

use super::segment::{LIVE, SEALED};
use super::values::{lines, words};
use super::{NOW, SECOND, envelope, goes_on, scratch};

/// A file's name at most, on most file systems.
const MAX_NAME_BYTES: usize = 255;
const MAX_FILES: usize = 12;

/// A line a file: what is in it (`live`, `sealed`, `dir`, or anything for a few bytes), and its name.
pub(crate) fn names(bytes: &[u8]) {
    let place = scratch();
    let dir = place.path();
    for line in lines(bytes).take(MAX_FILES) {
        let (what, name) = words(line);
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if let Some(parsed) = SegmentName::parse(name) {
            assert_eq!(parsed.path(dir), dir.join(name), "a name's only spelling");
            assert!(parsed.start() <= parsed.end());
        }
        // The writer's own files are written by it alone.
        let is_ours = ["quarantine", "writer.lock", "policy", "policy.new"].contains(&name);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(['/', '\0']) || is_ours {
            continue;
        }
        // `.` and `..`, and the second of a name, are there already.
        let _ = match what {
            b"live" => std::fs::write(dir.join(name), LIVE),
            b"sealed" => std::fs::write(dir.join(name), SEALED),
            b"dir" => std::fs::create_dir(dir.join(name)),
            _ => std::fs::write(dir.join(name), b"a few bytes"),
        };
    }
    goes_on(dir);
    retention::remove_expired(dir, NOW).expect("removal goes on");
    goes_on(dir);
    retention::remove_expired(dir, i64::MAX).expect("removal goes on");
}

/// Whatever the daemon's word is, the writer opens and lives by it, and serves nothing from before the cut-off.
pub(crate) fn policy(bytes: &[u8]) {
    let place = scratch();
    let dir = place.path();
    store_one(dir);
    std::fs::write(dir.join("policy"), bytes).expect("room for the file");
    let read = archive::retention::read_policy(dir);
    store_one(dir);
    if let Ok(Some(policy)) = read {
        archive::retention::write_policy(dir, &policy).expect("room for the file");
        let again = archive::retention::read_policy(dir).expect("what was written can be read");
        assert_eq!(again, Some(policy));
    }
}

fn store_one(dir: &Path) {
    let archive = Archive::open(dir, Options::default()).expect("whatever lies there, the archive opens");
    let stored = archive.insert(&envelope(NOW - SECOND), NOW).expect("an answer");
    archive.tick(NOW + 3 * SECOND).expect("a tick goes on");
    let outlook = archive.outlook(NOW + 3 * SECOND);
    let found = archive.query(
        &archive::Query {
            limit: 10,
            include_data: true,
            ..archive::Query::default()
        },
        NOW + 3 * SECOND,
    );
    let found = found.expect("a query is answered").entries;
    assert!(found.iter().all(|entry| {
        entry
            .envelope
            .as_ref()
            .is_none_or(|found| found.time() >= outlook.cutoff)
    }));
    if matches!(stored, Inserted::Refused(archive::Refusal::Expired)) {
        assert!(outlook.cutoff.get() > NOW - SECOND, "refused as too old");
    }
    archive.tick(NOW + 7200 * SECOND).expect("a tick goes on");
    archive.close().expect("it closes");
}
