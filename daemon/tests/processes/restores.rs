//! Backups that were made to harm: what is in them decides neither what runs nor where anything is.

use std::path::PathBuf;
use std::process::Output;

use age::secrecy::SecretString;
use data_encoding::BASE64;
use serde_json::json;

use crate::command_line::{json_until, pillarbox, text};
use crate::support::{Files, Program, pids};

pub(crate) const PASSPHRASE: &str = "correct horse battery";
/// A secp256k1 key as good as any.
const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const OTHER_KEY: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// A backup with these files in it, as anybody can make one with age.
pub(crate) fn sealed(files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<serde_json::Value> = files
        .iter()
        .map(|(name, content)| json!({ "name": name, "content": BASE64.encode(content.as_bytes()) }))
        .collect();
    let document = json!({ "format": "pillarbox-backup", "version": 1, "made_by": "0.1.0", "files": files });
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(PASSPHRASE));
    recipient.set_work_factor(2);
    age::encrypt(&recipient, document.to_string().as_bytes()).unwrap()
}

/// The settings of this box with a service's program changed, and whatever else names one; what it would run leaves a
/// mark. A backup of an earlier version has all of the daemon's file in it, too.
pub(crate) fn settings_with_a_program(files: &Files) -> String {
    let evil = files.path("evil.sh");
    let mark = files.path("owned");
    let script = format!("#!/bin/sh\ntouch {}\nexec sleep 1000\n", mark.display());
    std::fs::write(&evil, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&evil, mode).unwrap();
    let own = std::fs::read_to_string(files.config()).unwrap();
    format!(
        "retention = \"2h\"\n{own}\n[services.one]\nprogram = \"{}\"\nextra_arguments = [\"--evil\"]\n",
        evil.display()
    )
}

struct Box {
    files: Files,
    _program: Program,
}

impl Box {
    /// With one service, whose key it makes once and shows at each start.
    fn start() -> Box {
        let shell = format!(
            "test -e $HOME/nodekey || echo {KEY} > $HOME/nodekey
             cat $HOME/nodekey >> $D/seen; echo $$ >> $D/pids; exec sleep 1000"
        );
        let files = Files::new("").service("one", &shell, "essential = true\nidentity = [\"nodekey\"]");
        std::fs::write(files.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        let program = Program::start(&files);
        json_until(&files, &["status"], |status| status["state"] == "ok");
        pids(&files.path("pids"), 1);
        Box {
            files,
            _program: program,
        }
    }

    fn path(&self, name: &str) -> String {
        self.files.path(name).display().to_string()
    }

    fn restore(&self, backup: &[(&str, &str)]) -> Output {
        std::fs::write(self.files.path("backup.age"), sealed(backup)).unwrap();
        let (file, passphrase) = (self.path("backup.age"), self.path("passphrase"));
        pillarbox(&self.files, &["restore", &file, "--passphrase-file", &passphrase])
    }

    fn seen(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.files.path("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn in_folder(&self, name: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.files.path(name)).unwrap().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

#[test]
fn a_restored_backup_names_no_program() {
    let tested = Box::start();
    let before = std::fs::read_to_string(tested.files.config()).unwrap();
    let settings = settings_with_a_program(&tested.files);
    let output = tested.restore(&[
        ("services/one/nodekey", OTHER_KEY),
        ("settings/pillarboxd.toml", &settings),
    ]);
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    // The same service, with the restored key.
    pids(&tested.files.path("pids"), 2);
    json_until(&tested.files, &["status"], |status| status["state"] == "ok");
    assert_eq!(tested.seen(), [KEY, OTHER_KEY]);
    assert!(!tested.files.path("owned").exists(), "the backup's program ran");
    for key in ["services.one.program", "services.one.extra_arguments"] {
        assert!(said.contains(key), "{key} is named: {said}");
    }
    let after = std::fs::read_to_string(tested.files.config()).unwrap();
    let own: toml::Table = before.parse().unwrap();
    let mut restored: toml::Table = after.parse().unwrap();
    assert_eq!(
        restored
            .remove("retention")
            .and_then(|value| value.as_str().map(str::to_owned))
            .as_deref(),
        Some("2h"),
        "what a person sets is restored: {after}"
    );
    assert_eq!(restored, own, "and nothing else");
}

#[test]
fn a_key_that_is_none_replaces_nothing() {
    let tested = Box::start();
    let zero = "0".repeat(64);
    for content in ["", "hello", &KEY[2..], &zero, &"f".repeat(64)] {
        let output = tested.restore(&[("services/one/nodekey", content)]);
        assert_eq!(output.status.code(), Some(1), "{content:?}: {}", text(&output));
        let said = text(&output);
        assert!(
            said.contains("is not a node key") && said.contains("nothing was changed"),
            "{said}"
        );
    }
    assert_eq!(tested.seen(), [KEY], "the service was not even stopped");
    let files = tested.in_folder("state/one");
    assert_eq!(
        files,
        [tested.files.path("state/one/nodekey")],
        "nothing is left beside it"
    );
}

#[test]
fn a_backup_wants_a_passphrase_that_is_hard_to_guess() {
    let tested = Box::start();
    for (passphrase, reason) in [
        ("short", "too short"),
        ("aaaaaaaaaa", "too easy to guess"),
        ("\0\0\0\0\0\0\0\0\0\0", "cannot be typed"),
        ("abcabcabcabcabc", "too easy to guess"),
        ("1234567890", "too easy to guess"),
    ] {
        std::fs::write(tested.files.path("weak"), passphrase).unwrap();
        let (file, weak) = (tested.path("kept.age"), tested.path("weak"));
        let output = pillarbox(&tested.files, &["backup", &file, "--passphrase-file", &weak]);
        assert_eq!(output.status.code(), Some(1), "{passphrase:?}: {}", text(&output));
        assert!(text(&output).contains(reason), "{passphrase:?}: {}", text(&output));
        assert!(!tested.files.path("kept.age").exists());
    }
}

/// What a backup must not bring back is not in it, either.
#[test]
fn a_backup_holds_only_what_a_person_sets() {
    let tested = Box::start();
    let (file, passphrase) = (tested.path("kept.age"), tested.path("passphrase"));
    let output = pillarbox(&tested.files, &["backup", &file, "--passphrase-file", &passphrase]);
    assert!(output.status.success(), "{}", text(&output));
    let kept = std::fs::read(tested.files.path("kept.age")).unwrap();
    let identity = age::scrypt::Identity::new(SecretString::from(PASSPHRASE));
    let plain = age::decrypt(&identity, &kept).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    let files = document["files"].as_array().unwrap();
    let settings = files
        .iter()
        .find(|file| file["name"] == "settings/pillarboxd.toml")
        .unwrap();
    let content = BASE64.decode(settings["content"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8(content).unwrap(),
        "",
        "this box's file sets nothing of a person's"
    );
}
