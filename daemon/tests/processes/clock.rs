//! A clock that jumps ten years, both ways, under the built daemon: libfaketime gives the process a wall clock that the
//! test sets, and leaves the monotonic one alone.

use std::path::PathBuf;

use serde_json::Value;

use crate::command_line::json_until;
use crate::retention::{fill, now_ns};
use crate::support::{Files, Program, wait_until};

const HOUR_NS: i64 = 3_600_000_000_000;
/// The package `faketime` (scripts/test installs it) has it below the machine's own folder.
const LIBRARY: &str = "faketime/libfaketime.so.1";

fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib")
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    folders
        .chain([PathBuf::from("/usr/lib")])
        .map(|folder| folder.join(LIBRARY))
        .find(|path| path.exists())
        .expect("libfaketime.so.1 is missing: install Debian's package faketime, as scripts/test does")
}

/// The environment of a program whose wall clock is off by what the file `offset` of the test's folder says.
pub(crate) fn faked_by(files: &Files, offset: &str) -> Vec<(&'static str, String)> {
    std::fs::write(files.path("offset"), offset).unwrap();
    let fixed = |name, value: &str| (name, value.to_owned());
    vec![
        ("LD_PRELOAD", library().display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", files.path("offset").display().to_string()),
        fixed("FAKETIME_NO_CACHE", "1"),
        fixed("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        fixed("DONT_FAKE_MONOTONIC", "1"),
    ]
}

struct Jumping {
    files: Files,
    dir: PathBuf,
    _program: Program,
}

impl Jumping {
    /// A daemon that prunes every second what is older than 24 s.
    fn start() -> Jumping {
        let settings = "essential = true\n[archive]\npath = \"{state_dir}/archive\"\n";
        let files = Files::new("retention = \"24s\"").service("one", "exec sleep 1000", settings);
        let dir = files.path("state/archive");
        // Of an hour from now: no true clock expires them while the test runs.
        fill(&dir, now_ns() + HOUR_NS, 40);
        let program = Program::start_with(&files, &faked_by(&files, "+0"));
        Jumping {
            files,
            dir,
            _program: program,
        }
    }

    fn jump(&self, offset: &str) {
        // The daemon may read it at any moment: whole, or not at all.
        std::fs::write(self.files.path("offset.new"), offset).unwrap();
        std::fs::rename(self.files.path("offset.new"), self.files.path("offset")).unwrap();
    }

    fn status_when(&self, condition: impl Fn(&Value) -> bool) -> Value {
        json_until(&self.files, &["status"], condition)
    }

    /// Envelopes whose time is over, as a writer with an older cut-off would have left them.
    fn put_expired(&self, count: i64) {
        let elsewhere = self.files.path("elsewhere");
        fill(&elsewhere, now_ns() - HOUR_NS, count);
        for entry in std::fs::read_dir(&elsewhere).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("slice-") {
                std::fs::copy(entry.path(), self.dir.join(entry.file_name())).unwrap();
            }
        }
        std::fs::remove_dir_all(&elsewhere).unwrap();
    }

    /// A pruning run rewrites a policy that is not there, and prunes by it afterwards: the second one proves that the
    /// first has ended.
    fn prune_runs(&self, trusted: bool) {
        for run in 0..3 {
            std::fs::remove_file(self.dir.join("policy")).unwrap();
            wait_until(&format!("pruning run {run}"), || {
                let policy = archive::retention::read_policy(&self.dir).ok().flatten();
                policy.is_some_and(|policy| policy.clock_trusted == trusted)
            });
        }
    }
}

fn trusted(status: &Value) -> bool {
    status["health"]["clock"]["level"] == "ok"
}

#[test]
fn ten_years_either_way_remove_nothing() {
    let tested = Jumping::start();
    tested.status_when(|status| trusted(status) && status["archive"]["envelopes"] == 40);
    for offset in ["+3650d", "-3650d"] {
        tested.jump(offset);
        let status = tested.status_when(|status| !trusted(status));
        assert_eq!(status["code"], 7, "the light says that the time is not known: {status}");
        wait_until("the policy says so", || {
            let policy = archive::retention::read_policy(&tested.dir).ok().flatten();
            policy.is_some_and(|policy| !policy.clock_trusted)
        });
        // What is due is left alone, too, while nobody knows the time.
        tested.put_expired(5);
        tested.prune_runs(false);
        let status = tested.status_when(|status| status["archive"]["envelopes"] == 45);
        let removed = status["archive"]["pruned_total"].as_u64().unwrap();
        assert!(!trusted(&status));

        // The leap undone, the clock is believed, and what is due goes: that, and nothing else.
        tested.jump("+0");
        tested.status_when(|status| trusted(status) && status["archive"]["pruned_total"] == removed + 5);
        tested.prune_runs(true);
        tested.status_when(|status| status["archive"]["envelopes"] == 40);
    }
}
