//! Service files that cannot be used.

use pillarboxd::snapshot::{BoxState, ServiceStateName};

use crate::support::{Daemon, Files, service};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_service_file_is_shown_and_the_others_run() {
    let files = Files::new("").service("good", "exec sleep 1000", "essential = true");
    std::fs::write(files.path("services/bad.toml"), "program = 5").unwrap();
    let mut daemon = Daemon::start(&files);
    daemon.until_active("good").await;
    let snapshot = daemon
        .until("degraded", |snapshot| snapshot.state == BoxState::Degraded)
        .await;
    let bad = service(&snapshot, "bad");
    assert_eq!(bad.state, ServiceStateName::Disabled);
    assert!(
        bad.reason
            .as_ref()
            .is_some_and(|reason| reason.to_string().contains("bad.toml:1: program")),
        "{bad:?}"
    );
    assert_eq!(snapshot.reason, *bad.reason.as_ref().unwrap());
    daemon.stop().await;
}
