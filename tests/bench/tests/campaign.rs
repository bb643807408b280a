//! Samples of `scripts/campaign`: the program itself, as root with the disk that it serves, and as an ordinary account
//! without it.

#![expect(clippy::unwrap_used, reason = "a program that cannot be run fails the test")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pillarbox-bench");
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

const CUTS: [&str; 5] = ["archive-cuts", "--cuts", "24", "--seed", "42"];

fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (said, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{complaint}");
    said.into_owned()
}

/// Past the test runner, which keeps what passing tests print to itself.
fn say(text: &str) {
    let line = format!("{text}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn was_not_run(said: &str) -> bool {
    let why = said.lines().find(|line| line.starts_with("NOT RUN"));
    why.inspect(|why| say(why)).is_some()
}

#[test]
fn a_sample_of_cuts_and_full_disks() {
    let said = output_of(Command::new(PROGRAM).args(CUTS));
    if was_not_run(&said) {
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
    let said = output_of(
        Command::new(&program)
            .args(CUTS)
            .uid(NOBODY)
            .gid(NOBODY)
            .env("TMPDIR", &scratch),
    );
    assert!(said.contains("NOT RUN: power cuts and full disks"), "{said}");
    assert!(said.contains("24 cuts (24 SIGKILLs, 0 power cuts)"), "{said}");
}

#[test]
fn inserts_and_queries_go_on_while_a_card_takes_its_time_and_worn_sectors_cost_a_segment_at_most() {
    let said = output_of(Command::new(PROGRAM).arg("archive-cards"));
    if !was_not_run(&said) {
        assert_eq!(said.lines().count(), 4, "{said}");
    }
}

/// A campaign that has just mounted its first disk in `scratch`; the disk's process.
fn with_a_disk(scratch: &Path) -> Option<(Child, Pid)> {
    let mut campaign = Command::new(PROGRAM)
        .arg("archive-full")
        .env("TMPDIR", scratch)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while campaign.try_wait().unwrap().is_none() {
        if let Some(disk) = child_of(campaign.id())
            && mounts(disk, scratch) > 0
        {
            return Some((campaign, disk));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = campaign.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("mount a FUSE file system"), "{complaint}");
    say("NOT RUN: the end of a disk's process needs root and /dev/fuse");
    None
}

/// As the process sees them.
fn mounts(process: Pid, below: &Path) -> usize {
    let all = fs::read_to_string(format!("/proc/{process}/mounts")).unwrap_or_default();
    all.matches(below.to_str().unwrap()).count()
}

fn child_of(parent: u32) -> Option<Pid> {
    let named = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let mut processes = fs::read_dir("/proc").unwrap().flatten().filter_map(named);
    let is_child = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains(&format!("\nPPid:\t{parent}\n"))
    };
    processes.find(is_child).map(Pid::from_raw)
}

#[test]
fn a_disk_that_dies_ends_its_campaign_which_says_so_and_leaves_no_mount() {
    let scratch = tempfile::tempdir().unwrap();
    let Some((campaign, disk)) = with_a_disk(scratch.path()) else {
        return;
    };
    kill(disk, Signal::SIGKILL).unwrap();
    let output = campaign.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(complaint.contains("the process that serves the disk at"), "{complaint}");
    assert!(complaint.contains("has ended: signal: 9 (SIGKILL)"), "{complaint}");
    assert_eq!(mounts(Pid::this(), scratch.path()), 0);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_campaign_that_dies_leaves_neither_a_disk_nor_a_mount() {
    let scratch = tempfile::tempdir().unwrap();
    let Some((mut campaign, disk)) = with_a_disk(scratch.path()) else {
        return;
    };
    campaign.kill().unwrap();
    campaign.wait().unwrap();
    let begun = Instant::now();
    while mounts(Pid::this(), scratch.path()) > 0 || kill(disk, None).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the disk is still there");
        thread::sleep(Duration::from_millis(20));
    }
}
