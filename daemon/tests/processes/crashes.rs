//! Services that end, hang or never come up.

use pillarboxd::event::{Event, Gesture, Request};
use pillarboxd::snapshot::{BoxState, ServiceHealth, ServiceStateName};

use crate::support::{Daemon, Files, lives, service, wait_until};

const ESSENTIAL: &str = "essential = true\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_comes_back_and_says_how_it_ended() {
    let files = Files::new("").service("one", "exec sleep 1000", ESSENTIAL);
    let mut daemon = Daemon::start(&files);
    let pid = daemon.until_active("one").await;
    daemon.until("ok", |snapshot| snapshot.state == BoxState::Ok).await;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    let snapshot = daemon
        .until("another pid", |snapshot| {
            let one = service(snapshot, "one");
            one.state == ServiceStateName::Active && one.pid.is_some_and(|now| now != pid)
        })
        .await;
    let one = service(&snapshot, "one");
    assert_eq!((one.restarts, one.last_exit.as_deref()), (1, Some("SIGKILL")));
    daemon.stop().await;
    assert!(!lives(one.pid.unwrap() as i32));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_ends_in_failed_which_a_press_leaves() {
    let shell = "test -e $D/fixed && exec sleep 1000; echo it is the config >&2; exit 3";
    let rules = "essential = true\n[restart]\nbase = \"1ms\"\nmax = \"10ms\"\nstart_limit = 5\n";
    let files = Files::new("").service("one", shell, rules);
    let mut daemon = Daemon::start(&files);
    let snapshot = daemon
        .until("failed", |snapshot| {
            service(snapshot, "one").state == ServiceStateName::Failed
        })
        .await;
    assert_eq!(snapshot.state, BoxState::Failed);
    assert_eq!(snapshot.code, Some(1));
    assert!(
        snapshot.reason.to_string().contains("it is the config"),
        "{}",
        snapshot.reason
    );
    assert_eq!(service(&snapshot, "one").restarts, 4);
    std::fs::write(files.path("fixed"), "").unwrap();
    daemon.send(Event::Button(Gesture::Press)).await;
    daemon.until("ok", |snapshot| snapshot.state == BoxState::Ok).await;
    daemon.stop().await;
}

/// As the mailserver does when its port is taken: exit 1 with one clear line.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_start_is_tried_again_and_shown() {
    let shell = "test -e $D/free && exec sleep 1000; echo 'port 60000 is in use: stop what holds it' >&2; exit 1";
    let files = Files::new("").service("one", shell, ESSENTIAL);
    let mut daemon = Daemon::start(&files);
    daemon
        .until("the line as reason", |snapshot| {
            snapshot.state == BoxState::Failed && snapshot.reason.to_string().contains("port 60000 is in use")
        })
        .await;
    std::fs::write(files.path("free"), "").unwrap();
    daemon.until("ok", |snapshot| snapshot.state == BoxState::Ok).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_78_is_not_tried_again() {
    let files = Files::new("").service("one", "echo no such flag >&2; exit 78", ESSENTIAL);
    let mut daemon = Daemon::start(&files);
    let snapshot = daemon
        .until("failed", |snapshot| {
            service(snapshot, "one").state == ServiceStateName::Failed
        })
        .await;
    assert_eq!(service(&snapshot, "one").restarts, 0);
    assert!(
        snapshot.reason.to_string().contains("no such flag"),
        "{}",
        snapshot.reason
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_service_is_killed_and_started_again() {
    // Healthy while the file is there; it would survive being asked to end.
    let shell = "trap '' TERM; touch $D/healthy; while :; do sleep 1; done";
    let rules = "[health]\ninterval = \"20ms\"\nfailures = 2\ncommand = [\"test\", \"-e\", \"HEALTHY\"]\n";
    let files = Files::new("");
    let rules = rules.replace("HEALTHY", &files.path("healthy").display().to_string());
    let files = files.service("one", shell, &format!("{ESSENTIAL}{rules}"));
    let mut daemon = Daemon::start(&files);
    let hung = daemon.until_active("one").await;
    assert_eq!(service(&daemon.now(), "one").health, Some(ServiceHealth::Ok));
    std::fs::remove_file(files.path("healthy")).unwrap();
    let snapshot = daemon
        .until("another pid", |snapshot| {
            let one = service(snapshot, "one");
            one.state == ServiceStateName::Active && one.pid.is_some_and(|now| now != hung)
        })
        .await;
    assert_eq!(service(&snapshot, "one").last_exit.as_deref(), Some("SIGKILL"));
    assert!(!lives(hung as i32));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_gets_healthy_is_a_failure() {
    let rules = "essential = true\n[health]\ncommand = [\"false\"]\nstart_timeout = \"200ms\"\n\
                 [restart]\nbase = \"1ms\"\nmax = \"1ms\"\nstart_limit = 2\n";
    let files = Files::new("").service("one", "exec sleep 1000", rules);
    let mut daemon = Daemon::start(&files);
    let snapshot = daemon
        .until("failed", |snapshot| snapshot.state == BoxState::Failed)
        .await;
    let snapshot = if service(&snapshot, "one").state == ServiceStateName::Failed {
        snapshot
    } else {
        daemon
            .until("failed for good", |snapshot| {
                service(snapshot, "one").state == ServiceStateName::Failed
            })
            .await
    };
    assert!(
        snapshot.reason.to_string().contains("was not ready"),
        "{}",
        snapshot.reason
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ignores_the_request_to_end_is_killed_after_its_grace() {
    let shell = "trap '' TERM; echo $$ > $D/pid; while :; do sleep 1; done";
    let files = Files::new("").service("one", shell, "[stop]\ngrace = \"100ms\"\n");
    let mut daemon = Daemon::start(&files);
    daemon.until_active("one").await;
    let pid = crate::support::pids(&files.path("pid"), 1)[0];
    daemon
        .send(Event::Asked(Request::Restart {
            service: "one".to_owned(),
        }))
        .await;
    daemon
        .until("restarted", |snapshot| service(snapshot, "one").restarts == 1)
        .await;
    wait_until("the first is gone", || !lives(pid));
    daemon.until_active("one").await;
    daemon.stop().await;
}

/// A program that leaves signals as it finds them must find none blocked (a shell would unblock them itself).
#[tokio::test(flavor = "multi_thread")]
async fn the_stop_signal_reaches_a_plain_program() {
    let files = Files::new("");
    let settings = "program = \"/bin/sleep\"\narguments = [\"1000\"]\n[stop]\nsignal = \"SIGINT\"\n";
    std::fs::write(files.path("services/one.toml"), settings).unwrap();
    let mut daemon = Daemon::start(&files);
    let pid = daemon.until_active("one").await;
    wait_until("sleep has taken the launcher's place", || {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    let service_name = "one".to_owned();
    daemon
        .send(Event::Asked(Request::Restart { service: service_name }))
        .await;
    let snapshot = daemon
        .until("restarted", |snapshot| service(snapshot, "one").restarts == 1)
        .await;
    assert_eq!(service(&snapshot, "one").last_exit.as_deref(), Some("SIGINT"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_policies_are_kept() {
    let files = Files::new("")
        .service(
            "always",
            "exit 0",
            "[restart]\nbase = \"1ms\"\nmax = \"1ms\"\nstart_limit = 1000\n",
        )
        .service("on-failure", "exit 0", "[restart]\npolicy = \"on-failure\"\n")
        .service("never", "exit 1", "[restart]\npolicy = \"never\"\n");
    let mut daemon = Daemon::start(&files);
    daemon
        .until("each as its policy says", |snapshot| {
            let [always, on_failure, never] = ["always", "on-failure", "never"].map(|name| service(snapshot, name));
            always.restarts > 3
                && (on_failure.state, on_failure.restarts) == (ServiceStateName::Inactive, 0)
                && on_failure.last_exit.as_deref() == Some("exit 0")
                && (never.state, never.restarts) == (ServiceStateName::Failed, 0)
        })
        .await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_a_higher_order_waits_until_the_lower_is_healthy() {
    let health = "order = 1\n[health]\ninterval = \"10ms\"\ncommand = [\"test\", \"-e\", \"UP\"]\n";
    let files = Files::new("");
    let health = health.replace("UP", &files.path("up").display().to_string());
    let files = files
        .service("first", "exec sleep 1000", &health)
        .service("second", "exec sleep 1000", "order = 2\n");
    let mut daemon = Daemon::start(&files);
    daemon
        .until("first has a pid", |snapshot| service(snapshot, "first").pid.is_some())
        .await;
    // As long as the first is not healthy, no number of events starts the second.
    for _ in 0..20 {
        daemon.send(Event::Tick).await;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        assert_eq!(service(&daemon.now(), "second").state, ServiceStateName::Inactive);
    }
    std::fs::write(files.path("up"), "").unwrap();
    daemon.until_active("second").await;
    daemon.stop().await;
}
