//! A sample of `scripts/campaign archive-cuts`: the program itself, as root with its power cuts and full disks, and as an
//! ordinary account without them.

#![expect(clippy::unwrap_used, reason = "a program that cannot be run fails the test")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pillarbox-bench");
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

fn output_of(command: &mut Command) -> String {
    let output = command
        .args(["archive-cuts", "--cuts", "24", "--seed", "42"])
        .output()
        .unwrap();
    let (said, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{complaint}");
    said.into_owned()
}

#[test]
fn a_sample_of_cuts_and_full_disks() {
    let said = output_of(&mut Command::new(PROGRAM));
    if let Some(why) = said.lines().find(|line| line.starts_with("NOT RUN")) {
        // Said past the test runner, which keeps what passing tests print to itself.
        writeln!(std::io::stderr(), "{why}").unwrap();
        assert!(said.contains("24 cuts (24 SIGKILLs, 0 power cuts)"), "{said}");
        return;
    }
    assert!(said.contains("24 cuts (12 SIGKILLs, 12 power cuts)"), "{said}");
    assert!(
        said.contains("disk full at 24 points of a run: every one recovered"),
        "{said}"
    );
}

#[test]
fn without_root_every_cut_is_a_kill_and_is_said_to_be() {
    if !nix::unistd::geteuid().is_root() {
        // Then the other test has shown it.
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (program, scratch) = (place.path().join("pillarbox-bench"), place.path().join("scratch"));
    fs::copy(PROGRAM, &program).unwrap();
    fs::create_dir(&scratch).unwrap();
    chown(&scratch, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = output_of(Command::new(&program).uid(NOBODY).gid(NOBODY).env("TMPDIR", &scratch));
    assert!(said.contains("NOT RUN: power cuts and full disks"), "{said}");
    assert!(said.contains("24 cuts (24 SIGKILLs, 0 power cuts)"), "{said}");
}
