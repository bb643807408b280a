//! What a person or a program does wrong, and what the box says to it.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;

use pillarbox_integration::client::{Client, WakuMessage, now};
use pillarbox_integration::pillarbox::{COME_UP, Pillarbox, Ports};
use pillarbox_integration::programs;
use pillarbox_integration::wait::until;

fn daemon(config: &str) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pillarbox.toml");
    std::fs::write(&file, config).expect("the configuration is written");
    let output = Command::new(programs::folder().join("pillarboxd"))
        .arg("--config")
        .arg(&file)
        .output()
        .expect("pillarboxd starts");
    (folder, output)
}

#[test]
fn a_wrong_configuration_ends_with_78_and_one_message_of_file_key_and_mend() {
    let services = programs::workspace().join("daemon/services");
    let base = |extra: &str| {
        format!(
            "board = \"dev\"\nstate_dir = \"state\"\nservices_dir = \"{}\"\nrequired = [\"mailserver\"]\n{extra}",
            services.display()
        )
    };
    for (config, words) in [
        (
            base("retenton = \"24h\"\n"),
            vec!["pillarbox.toml", "retenton", "retention"],
        ),
        (
            base("retention = \"24 hurs\"\n"),
            vec!["pillarbox.toml", "retention", "24h"],
        ),
        (
            base("[services.mailserver]\nprogram = \"no-such-program\"\n"),
            vec!["no-such-program", "program"],
        ),
    ] {
        let (_folder, output) = daemon(&config);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "one message: {said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailservers_port_in_use_is_shown_and_retried() {
    let ports = Ports::free();
    let occupier = TcpListener::bind(("127.0.0.1", ports.tcp)).expect("the port is free");
    let mut pillarbox = Pillarbox::launch("24h", ports);
    let reason = until("the page tells of the port", COME_UP, || async {
        let status = pillarbox.status().await.ok()?;
        let text = status.to_string();
        (status["state"] != "ok" && text.contains(&ports.tcp.to_string()) && text.contains("in use")).then_some(text)
    })
    .await;
    assert!(reason.contains("backoff") || reason.contains("failed"), "{reason}");
    drop(occupier);
    pillarbox.until_state("ok").await;
    assert_eq!(pillarbox.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_port_in_use_is_said_and_retried_while_the_services_run() {
    let ports = Ports::free();
    let occupier = TcpListener::bind(("127.0.0.1", ports.page)).expect("the port is free");
    let mut pillarbox = Pillarbox::launch("24h", ports);
    until("the log tells of the port", COME_UP, || async {
        pillarbox
            .log()
            .contains(&format!("127.0.0.1:{}", ports.page))
            .then_some(())
    })
    .await;
    until("the mailserver answers meanwhile", COME_UP, || async {
        pillarbox_integration::pillarbox::get(ports.rest, "/health").await.ok()
    })
    .await;
    drop(occupier);
    pillarbox.until_state("ok").await;
    assert_eq!(pillarbox.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_archive_file_is_set_aside_and_the_page_says_so() {
    let mut pillarbox = Pillarbox::start("24h").await;
    let address = pillarbox.address().await;
    let mut client = Client::connect(&address).await.expect("the box takes connections");
    let message = |payload: &str| WakuMessage {
        payload: payload.into(),
        content_topic: "/pillarbox/1/corrupt/proto".into(),
        timestamp: Some(now()),
    };
    assert_eq!(
        client
            .push(message("first"))
            .await
            .expect("light push answers")
            .status_code,
        200
    );
    assert_eq!(pillarbox.stop().await, Some(0));

    let mut broken = 0;
    for file in archive_files(&pillarbox) {
        std::fs::write(&file, b"this is no database ".repeat(1000)).expect("it can be overwritten");
        broken += 1;
    }
    assert!(broken > 0, "there was no archive file to break");

    pillarbox.start_again();
    until("the page tells of the file set aside", COME_UP, || async {
        let status = pillarbox.status().await.ok()?;
        (status["archive"]["quarantined"].as_array()?.len() == broken).then_some(())
    })
    .await;
    until("a metric says so", COME_UP, || async {
        let metrics = pillarbox.metrics().await.ok()?;
        let line = format!("pillarbox_archive_quarantined_files {broken}");
        metrics.lines().any(|it| it == line).then_some(())
    })
    .await;
    let mut client = until("it serves", COME_UP, || async { Client::connect(&address).await.ok() }).await;
    assert_eq!(
        client
            .push(message("second"))
            .await
            .expect("light push answers")
            .status_code,
        200
    );
    assert_eq!(
        client
            .history("/pillarbox/1/corrupt/proto")
            .await
            .expect("the store answers")
            .len(),
        1
    );
    assert_eq!(pillarbox.stop().await, Some(0));
}

fn archive_files(pillarbox: &Pillarbox) -> Vec<std::path::PathBuf> {
    let mut folders = vec![pillarbox.archive()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the archive is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0")) {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_stored_is_refused_and_the_box_goes_on() {
    let mut pillarbox = Pillarbox::start("24h").await;
    let mut client = Client::connect(&pillarbox.address().await)
        .await
        .expect("the box takes connections");
    let topic = "/pillarbox/1/refused/proto";
    let good = WakuMessage {
        payload: b"good".to_vec(),
        content_topic: topic.into(),
        timestamp: Some(now()),
    };
    let minute = i64::try_from(Duration::from_secs(60).as_nanos()).expect("a minute fits");

    let oversized = WakuMessage {
        payload: vec![7; 2 << 20],
        ..good.clone()
    };
    if let Ok(answer) = client.push(oversized).await {
        assert_ne!(answer.status_code, 200, "{answer:?}");
    }
    let topicless = WakuMessage {
        content_topic: String::new(),
        ..good.clone()
    };
    assert_ne!(
        client.push(topicless).await.expect("light push answers").status_code,
        200
    );
    for offset in [-minute, minute] {
        // Relayed, not stored (RFC 13/WAKU2-STORE): whatever the answer, the store must not have it.
        let stray = WakuMessage {
            timestamp: Some(now() + offset),
            ..good.clone()
        };
        client.push(stray).await.expect("light push answers");
    }
    // A malformed request ends its stream; the next stream of the same connection serves.
    let store = libp2p::StreamProtocol::new("/vac/waku/store-query/3.0.0");
    let _ = client.ask(store.clone(), &[5, 0xff, 0xff, 0xff, 0xff, 0xff]).await;
    let _ = client.ask(store, &[0xff, 0xff, 0xff, 0xff, 0x7f]).await;

    assert_eq!(client.push(good).await.expect("light push answers").status_code, 200);
    let history = client.history(topic).await.expect("the store answers");
    assert_eq!(
        history
            .iter()
            .map(|message| message.payload.as_slice())
            .collect::<Vec<_>>(),
        vec![b"good"]
    );
    let metrics = pillarbox_integration::pillarbox::get(pillarbox.ports.metrics, "/metrics")
        .await
        .expect("metrics");
    for reason in ["invalid_message_too_old", "invalid_message_future_timestamp"] {
        let counted = metrics.lines().any(|line| {
            line.contains(reason) && line.rsplit(' ').next().and_then(|value| value.parse().ok()) >= Some(1.0)
        });
        assert!(counted, "{reason} is not counted in:\n{metrics}");
    }
    assert_eq!(pillarbox.stop().await, Some(0));
}
