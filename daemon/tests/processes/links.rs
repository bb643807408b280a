//! Links and pipes in the folders of a service's account, as somebody who has taken the mailserver over would leave them
//! for the daemon, which is root: it follows none, waits for none, and says what was there.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command_line::{json_until, pillarbox, text};
use crate::retention::{fill, now_ns};
use crate::support::{Files, Program, wait_until};

const HOUR_NS: i64 = 3_600_000_000_000;
const WITH_ARCHIVE: &str = "essential = true\nidentity = [\"nodekey\"]\n[archive]\npath = \"{state_dir}/archive\"\n";
const SECRET: &str = "root:secret";

fn pipe(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// A box with an archive of 40 envelopes, and a file that nobody may touch.
struct Box {
    files: Files,
    secret: PathBuf,
}

impl Box {
    fn new(main: &str, settings: &str) -> Box {
        let files = Files::new(main).service("one", "echo $$ >> $D/pids; exec sleep 1000", settings);
        let secret = files.path("secret");
        std::fs::write(&secret, SECRET).unwrap();
        std::fs::create_dir_all(files.path("state/one")).unwrap();
        fill(&files.path("state/archive"), now_ns(), 40);
        Box { files, secret }
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.files.path("state/archive").join(name)
    }

    fn status_when(&self, condition: impl Fn(&Value) -> bool) -> Value {
        json_until(&self.files, &["status"], condition)
    }

    fn policy_is_written(&self) {
        let dir = self.files.path("state/archive");
        wait_until("the policy", || {
            archive::retention::read_policy(&dir).ok().flatten().is_some()
        });
    }

    fn secret_is_untouched(&self) {
        assert_eq!(std::fs::read_to_string(&self.secret).unwrap(), SECRET);
    }
}

fn said<'a>(status: &'a Value, subject: &str) -> &'a str {
    status["health"][subject]["detail"].as_str().unwrap_or("")
}

#[test]
fn a_link_or_a_pipe_where_the_policy_is_written_is_replaced_and_told() {
    for (name, kind) in [
        ("policy.new", "link"),
        ("policy.new", "pipe"),
        ("policy", "link"),
        ("policy", "pipe"),
    ] {
        let tested = Box::new("", WITH_ARCHIVE);
        match kind {
            "link" => symlink(&tested.secret, tested.archive(name)).unwrap(),
            _ => pipe(&tested.archive(name)),
        }
        let _program = Program::start(&tested.files);
        tested.policy_is_written();
        tested.secret_is_untouched();
        let status = tested.status_when(|status| status["code"] == 2);
        assert!(
            said(&status, "archive").starts_with(&format!("{name} is a {kind}, ")),
            "{status}"
        );
    }
}

#[test]
fn pruning_and_counting_go_on_beside_pipes_and_links() {
    let tested = Box::new("retention = \"1h\"", WITH_ARCHIVE);
    // Some whose time is over, one of them with a pipe where SQLite would look for a log.
    fill(&tested.archive("old"), now_ns() - 3 * HOUR_NS, 3);
    fill(&tested.archive("older"), now_ns() - 6 * HOUR_NS, 3);
    let mut moved = Vec::new();
    for folder in ["old", "older"] {
        for entry in std::fs::read_dir(tested.archive(folder)).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".sqlite") {
                std::fs::rename(entry.path(), tested.archive(&name)).unwrap();
                moved.push(name);
            }
        }
        std::fs::remove_dir_all(tested.archive(folder)).unwrap();
    }
    pipe(&tested.archive(&format!("{}-wal", moved[0])));
    let start = now_ns() / 1_000_000_000 / 3600 * 3600;
    pipe(&tested.archive(&format!("slice-{start}-3600-000777-main.sqlite")));
    symlink(
        &tested.secret,
        tested.archive(&format!("slice-{start}-3600-000778-main.sqlite")),
    )
    .unwrap();
    symlink(
        "/dev/zero",
        tested.archive(&format!("slice-{start}-3600-000779-main.sqlite")),
    )
    .unwrap();
    // A quarantine that leads to files which are called like its own.
    let elsewhere = tested.files.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let theirs = elsewhere.join(format!("{}.corrupt", moved[1]));
    std::fs::write(&theirs, SECRET).unwrap();
    symlink(&elsewhere, tested.archive("quarantine")).unwrap();

    let _program = Program::start(&tested.files);
    let status = tested.status_when(|status| {
        status["archive"]["envelopes"] == 40 && said(status, "archive").contains("where only the mailserver writes")
    });
    assert!(
        status["archive"]["in_the_way"]
            .as_array()
            .is_some_and(|told| told.len() >= 4),
        "{status}"
    );
    wait_until("what expired is gone", || {
        moved.iter().all(|name| !tested.archive(name).exists())
    });
    tested.status_when(|status| status["archive"]["last_prune"].is_i64());
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), SECRET);
    tested.secret_is_untouched();
}

#[test]
fn a_segment_with_a_pipe_beside_it_is_not_waited_for() {
    for suffix in ["-wal", "-shm", "-journal"] {
        let tested = Box::new("", WITH_ARCHIVE);
        let segments = std::fs::read_dir(tested.archive("")).unwrap().flatten();
        let names = segments.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let segment = names.into_iter().find(|name| name.ends_with(".sqlite")).unwrap();
        pipe(&tested.archive(&format!("{segment}{suffix}")));
        let _program = Program::start(&tested.files);
        let status = tested.status_when(|status| status["archive"]["unreadable"][0] == segment.as_str());
        assert!(said(&status, "archive").contains("is a pipe"), "{status}");
    }
}

#[test]
fn a_reset_ends_and_keeps_what_is_a_file() {
    for kind in ["pipe", "link"] {
        let settings = WITH_ARCHIVE.replace("[\"nodekey\"]", "[\"nodekey\", \"second\"]");
        let tested = Box::new("", &settings);
        let identity = tested.files.path("state/one/nodekey");
        match kind {
            "pipe" => pipe(&identity),
            _ => symlink(&tested.secret, &identity).unwrap(),
        }
        std::fs::write(tested.files.path("state/one/second"), "kept").unwrap();
        let _program = Program::start(&tested.files);
        tested.status_when(|status| status["state"] == "ok");
        let pressed = pillarbox(&tested.files, &["press", "--hold", "12s"]);
        assert!(pressed.status.success(), "{}", text(&pressed));
        let status = tested.status_when(|status| said(status, "settings").contains("was not kept"));
        assert!(
            said(&status, "settings").ends_with(&format!(
                "/nodekey was not kept: it is a {kind} where a file belongs; remove it"
            )),
            "{status}"
        );
        assert!(identity.symlink_metadata().is_err(), "nothing was copied through it");
        assert_eq!(
            std::fs::read_to_string(tested.files.path("state/one/second")).unwrap(),
            "kept"
        );
        tested.secret_is_untouched();
    }
}

#[test]
fn a_backup_takes_files_alone_and_says_what_is_none() {
    let tested = Box::new("", WITH_ARCHIVE);
    let identity = tested.files.path("state/one/nodekey");
    let (passphrase, kept) = (tested.files.path("passphrase"), tested.files.path("kept.age"));
    std::fs::write(&passphrase, "correct horse battery\n").unwrap();
    let _program = Program::start(&tested.files);
    tested.status_when(|status| status["state"] == "ok");
    for (kind, wanted) in [("pipe", "is not a file"), ("link", "nodekey"), ("huge", "too large")] {
        match kind {
            "pipe" => pipe(&identity),
            "link" => symlink(&tested.secret, &identity).unwrap(),
            _ => std::fs::File::create(&identity).unwrap().set_len(1 << 40).unwrap(),
        }
        let arguments = [
            "backup",
            kept.to_str().unwrap(),
            "--passphrase-file",
            passphrase.to_str().unwrap(),
        ];
        let output = pillarbox(&tested.files, &arguments);
        assert_eq!(output.status.code(), Some(1), "{kind}: {}", text(&output));
        assert!(text(&output).contains(wanted), "{kind}: {}", text(&output));
        assert!(!kept.exists());
        std::fs::remove_file(&identity).unwrap();
    }
}

/// nwaku's file is in the folder of nwaku's account.
#[test]
fn a_foreign_archive_that_is_none_is_told() {
    for kind in ["pipe", "link"] {
        let settings = "essential = true\n[archive]\npath = \"{service_dir}/store.sqlite3\"\nschema = \"nwaku\"\n";
        let tested = Box::new("", settings);
        let store = tested.files.path("state/one/store.sqlite3");
        match kind {
            "pipe" => pipe(&store),
            _ => symlink(&tested.secret, &store).unwrap(),
        }
        let _program = Program::start(&tested.files);
        let wanted = format!("it is a {kind} where a file belongs; remove it");
        tested.status_when(|status| said(status, "archive").contains(&wanted));
        tested.secret_is_untouched();
    }
}
