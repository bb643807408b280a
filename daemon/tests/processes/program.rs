//! The built program: what it says of bad settings, and how it stops.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use nix::sys::signal::Signal;

use crate::support::{Files, PILLARBOXD, Program, lives, pids};

fn run(files: &Files) -> Output {
    Command::new(PILLARBOXD)
        .arg("--config")
        .arg(files.config())
        .output()
        .unwrap()
}

#[test]
fn bad_settings_are_exit_78_and_one_line() {
    for (main, file, key, fix) in [
        ("colour = 1", "main.toml", "colour", "remove it"),
        ("retention = \"tomorrow\"", "main.toml", "retention", "\"24h\""),
        ("required = [\"bad\"]", "services/bad.toml", "program", "install it"),
        (
            "[services.bad]\nprogram = \"no/such\"",
            "main.toml",
            "services.bad.program",
            "install it",
        ),
    ] {
        let files = Files::new(main).service("good", "exec sleep 1000", "");
        std::fs::write(files.path("services/bad.toml"), "program = \"no-such-program\"").unwrap();
        let output = run(&files);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(
            message.contains(file) && message.contains(key) && message.contains(fix),
            "{message}"
        );
        assert!(
            !files.path("state").exists(),
            "nothing is touched before the settings are right"
        );
    }
}

#[test]
fn a_state_directory_has_one_daemon() {
    let files = Files::new("").service("one", "echo $$ > $D/pid; exec sleep 1000", "");
    let _first = Program::start(&files);
    pids(&files.path("pid"), 1);
    let second = run(&files);
    let message = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(message.contains("in use by another pillarboxd"), "{message}");
}

#[test]
fn asked_to_stop_it_ends_everything_with_exit_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let files = Files::new("")
            .service(
                "polite",
                "trap 'echo bye >> $D/bye; exit 0' TERM; echo $$ >> $D/pids; while :; do sleep 0.05; done",
                "",
            )
            .service(
                "deaf",
                "trap '' TERM; echo $$ >> $D/pids; while :; do sleep 1; done",
                "[stop]\ngrace = \"300ms\"",
            );
        let mut program = Program::start(&files);
        let all = pids(&files.path("pids"), 2);
        program.signal(signal);
        let status = program.child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
        assert!(all.iter().all(|pid| !lives(*pid)));
        let mut bye = String::new();
        std::fs::File::open(files.path("bye"))
            .unwrap()
            .read_to_string(&mut bye)
            .unwrap();
        assert_eq!(bye, "bye\n", "{signal}: asked to end, not killed");
    }
}
