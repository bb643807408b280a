//! Nothing that a service started outlives it, whoever dies first.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pillarboxd::snapshot::ServiceStateName;

use crate::support::{Daemon, Files, Program, lives, pids, service, wait_until};

/// Starts a child in its group, one that flees into a session of its own, and one whose parent has gone.
const FORKS: &str = "echo $$ >> $D/pids
    sleep 1000 & echo $! >> $D/pids
    setsid sh -c 'echo $$ >> '$D'/pids; exec sleep 1000' &
    sh -c 'sleep 1000 & echo $! >> '$D'/pids'
    wait";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_service_started_ends_before_the_next_run() {
    let files = Files::new("").service("one", FORKS, "");
    let mut daemon = Daemon::start(&files);
    let pid = daemon.until_active("one").await;
    let first = pids(&files.path("pids"), 4);
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    daemon
        .until("another pid", |snapshot| {
            let one = service(snapshot, "one");
            one.state == ServiceStateName::Active && one.pid.is_some_and(|now| now != pid)
        })
        .await;
    for pid in first {
        assert!(!lives(pid), "{pid} outlived its service");
    }
    let all = pids(&files.path("pids"), 8);
    daemon.stop().await;
    for pid in all {
        assert!(!lives(pid), "{pid} outlived the daemon");
    }
}

#[test]
fn a_killed_daemon_leaves_no_orphan() {
    let files = Files::new("").service("forks", FORKS, "").service(
        "deaf",
        "trap '' TERM; echo $$ >> $D/deaf; while :; do sleep 1; done",
        "",
    );
    let program = Program::start(&files);
    let mut all = pids(&files.path("pids"), 4);
    all.extend(pids(&files.path("deaf"), 1));
    assert!(all.iter().all(|pid| lives(*pid)));
    program.signal(Signal::SIGKILL);
    for pid in all {
        wait_until(&format!("{pid} is gone"), || !lives(pid));
    }
}

#[test]
fn a_killed_daemon_started_again_serves_again() {
    let files = Files::new("").service("forks", FORKS, "");
    let first = Program::start(&files);
    pids(&files.path("pids"), 4);
    first.signal(Signal::SIGKILL);
    let _second = Program::start(&files);
    let all = pids(&files.path("pids"), 8);
    for pid in &all[..4] {
        wait_until(&format!("{pid} is gone"), || !lives(*pid));
    }
    assert!(all[4..8].iter().all(|pid| lives(*pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_keeper_takes_its_service_along() {
    let files = Files::new("").service("one", "echo $$ >> $D/pids; exec sleep 1000", "");
    let mut daemon = Daemon::start(&files);
    let pid = daemon.until_active("one").await as i32;
    kill(Pid::from_raw(parent(pid)), Signal::SIGKILL).unwrap();
    let snapshot = daemon
        .until("restarted", |snapshot| service(snapshot, "one").restarts == 1)
        .await;
    assert_eq!(service(&snapshot, "one").last_exit.as_deref(), Some("unknown"));
    wait_until("the first is gone", || !lives(pid));
    daemon.until_active("one").await;
    daemon.stop().await;
}

fn parent(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}
