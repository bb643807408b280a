//! Backup and restore by the command, against the built daemon and the process that it encrypts with.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use crate::command_line::{json_until, pillarbox, text};
use crate::support::{Files, Program, pids};

/// Makes its identity once, as the mailserver does, and shows at every start which one it has.
const SERVICE: &str = "test -e $HOME/token || echo first > $HOME/token
    cat $HOME/token >> $D/seen; echo $$ >> $D/pids; exec sleep 1000";
const SETTINGS: &str = "essential = true\nidentity = [\"token\"]";
const PASSPHRASE: &str = "correct horse battery";

struct Box {
    files: Files,
    _program: Program,
}

impl Box {
    fn start() -> Box {
        let files = Files::new("").service("one", SERVICE, SETTINGS);
        std::fs::write(files.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        let program = Program::start(&files);
        json_until(&files, &["status"], |status| status["state"] == "ok");
        // Running is not yet having an identity.
        pids(&files.path("pids"), 1);
        Box {
            files,
            _program: program,
        }
    }

    fn path(&self, name: &str) -> String {
        self.files.path(name).display().to_string()
    }

    fn run(&self, verb: &str, file: &str, passphrase: &str, more: &[&str]) -> Output {
        let (file, passphrase) = (self.path(file), self.path(passphrase));
        let arguments = [&[verb, &file, "--passphrase-file", &passphrase], more].concat();
        pillarbox(&self.files, &arguments)
    }

    fn refusal(&self, verb: &str, file: &str, passphrase: &str) -> String {
        let output = self.run(verb, file, passphrase, &[]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        text(&output)
    }

    fn seen(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.files.path("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn set_aside(&self, folder: &str, name: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.files.path(folder)).unwrap().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with(&format!("{name}.set-aside-"))
            })
            .collect()
    }
}

#[test]
fn a_box_takes_its_identity_and_settings_back() {
    let tested = Box::start();
    let output = tested.run("backup", "kept.age", "passphrase", &[]);
    assert!(output.status.success(), "{}", text(&output));
    let kept = std::fs::read(tested.files.path("kept.age")).unwrap();
    assert!(kept.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    let mode = std::fs::metadata(tested.files.path("kept.age"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // Life goes on: another identity, other settings.
    let settings = std::fs::read_to_string(tested.files.config()).unwrap();
    std::fs::write(tested.files.path("state/one/token"), "second\n").unwrap();
    std::fs::write(tested.files.config(), format!("retention = \"2h\"\n{settings}")).unwrap();
    let output = tested.run("restore", "kept.age", "passphrase", &[]);
    assert!(output.status.success(), "{}", text(&output));
    pids(&tested.files.path("pids"), 2);
    assert_eq!(
        tested.seen(),
        ["first", "first"],
        "the service started with what was restored"
    );
    json_until(&tested.files, &["status"], |status| {
        status["state"] == "ok" && status["archive"]["retention_secs"].is_null()
    });
    assert_eq!(std::fs::read_to_string(tested.files.config()).unwrap(), settings);
    let aside = tested.set_aside("state/one", "token");
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(std::fs::read_to_string(&aside[0]).unwrap(), "second\n");
    let aside = tested.set_aside("", "main.toml");
    assert!(std::fs::read_to_string(&aside[0]).unwrap().contains("2h"), "{aside:?}");

    // And the identity alone.
    std::fs::write(tested.files.path("state/one/token"), "third\n").unwrap();
    std::fs::write(tested.files.config(), format!("retention = \"3h\"\n{settings}")).unwrap();
    let output = tested.run("restore", "kept.age", "passphrase", &["--identity-only"]);
    assert!(output.status.success(), "{}", text(&output));
    pids(&tested.files.path("pids"), 3);
    assert_eq!(tested.seen(), ["first"; 3]);
    assert!(std::fs::read_to_string(tested.files.config()).unwrap().contains("3h"));
}

#[test]
fn what_cannot_be_restored_is_said_and_changes_nothing() {
    let tested = Box::start();
    let put = |name: &str, bytes: &[u8]| std::fs::write(tested.files.path(name), bytes).unwrap();
    put("wrong", b"battery staple horse");
    put("short", b"hush\n");
    put("empty", b"");
    assert!(tested.refusal("backup", "kept.age", "short").contains("too short"));
    assert!(!tested.files.path("kept.age").exists());
    assert!(tested.run("backup", "kept.age", "passphrase", &[]).status.success());
    assert!(
        tested
            .refusal("backup", "kept.age", "passphrase")
            .contains("name a new file")
    );
    let kept = std::fs::read(tested.files.path("kept.age")).unwrap();
    put("cut.age", &kept[..kept.len() - 10]);
    put("noise.age", b"PK\x03\x04 something else");
    put("huge.age", &vec![b'a'; 400_000]);
    for (file, passphrase, wanted) in [
        ("kept.age", "wrong", "passphrase is wrong"),
        ("kept.age", "empty", "passphrase is empty"),
        ("cut.age", "passphrase", "cut short or damaged"),
        ("noise.age", "passphrase", "not a Pillarbox backup"),
        ("empty", "passphrase", "the backup is empty"),
        ("huge.age", "passphrase", "so it is not a backup"),
        ("absent.age", "passphrase", "cannot read"),
    ] {
        let said = tested.refusal("restore", file, passphrase);
        assert!(said.contains(wanted), "{file}: {said}");
        assert!(!said.contains(PASSPHRASE), "{said}");
    }
    assert_eq!(tested.seen(), ["first"], "the service was not even stopped");
    // Without a terminal nothing can be asked, and never is a passphrase an argument.
    let output = pillarbox(
        &tested.files,
        &["restore", &tested.path("kept.age"), "--passphrase", PASSPHRASE],
    );
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

/// Neither the log nor anything that everybody may look at names what is secret.
#[test]
fn secrets_stay_secret() {
    let tested = Box::start();
    assert!(tested.run("backup", "kept.age", "passphrase", &[]).status.success());
    let diagnosed = text(&pillarbox(&tested.files, &["diagnose"]));
    assert!(diagnosed.len() > 500 && !diagnosed.contains(PASSPHRASE), "{diagnosed}");
}
