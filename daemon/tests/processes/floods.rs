//! Services that write too much, and many at once.

use pillarboxd::snapshot::ServiceStateName;

use crate::support::{Daemon, Files, pids, service};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_100_mb_is_read_to_its_end_and_keeps_nobody_waiting() {
    // Short lines, then 50 MB without an end of line.
    let flood = "yes 0123456789012345678901234567890123456789 | head -c 50000000
        head -c 50000000 /dev/zero | tr '\\0' x
        touch $D/written; exec sleep 1000";
    let files = Files::new("")
        .service("flood", flood, "")
        .service("calm", "echo $$ >> $D/calm; exec sleep 1000", "");
    let mut daemon = Daemon::start(&files);
    for run in 1..=3 {
        let pid = daemon.until_active("calm").await;
        pids(&files.path("calm"), run);
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid as i32),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        daemon
            .until("calm is back", |snapshot| {
                service(snapshot, "calm").restarts == run as u64
            })
            .await;
    }
    crate::support::wait_until("all was read", || files.path("written").exists());
    assert_eq!(service(&daemon.now(), "flood").restarts, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_services_run_and_end_together() {
    let mut files = Files::new("");
    for number in 0..50 {
        files = files.service(&format!("s{number}"), "echo $$ >> $D/pids; exec sleep 1000", "");
    }
    let mut daemon = Daemon::start(&files);
    daemon
        .until("all active", |snapshot| {
            snapshot.services.len() == 50
                && snapshot
                    .services
                    .iter()
                    .all(|service| service.state == ServiceStateName::Active)
        })
        .await;
    let all = pids(&files.path("pids"), 50);
    daemon.stop().await;
    assert!(all.iter().all(|pid| !crate::support::lives(*pid)));
}
