//! An envelope's life through the worst of its days: the mailserver killed under load, the daemon killed, and the end
//! of its time.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use pillarbox_integration::client::{Client, WakuMessage, now};
use pillarbox_integration::pillarbox::{COME_UP, Pillarbox};
use pillarbox_integration::wait::until;

/// The archive's group commit: what was acknowledged longer ago than this survives any kill.
const DURABILITY: Duration = Duration::from_secs(2);
/// Issue "First light": back and answering after a SIGKILL.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// After a SIGKILL of the daemon.
const SERVES_WITHIN: Duration = Duration::from_secs(5);

fn envelope(content_topic: &str, payload: &str) -> WakuMessage {
    WakuMessage {
        payload: payload.into(),
        content_topic: content_topic.into(),
        timestamp: Some(now()),
    }
}

async fn payloads(client: &mut Client, content_topic: &str) -> BTreeSet<String> {
    let history = client.history(content_topic).await.expect("the store answers");
    history
        .into_iter()
        .map(|message| String::from_utf8(message.payload).expect("it is text"))
        .collect()
}

async fn connect(address: &str) -> Client {
    until("the box takes connections", COME_UP, || async {
        Client::connect(address).await.ok()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailserver_killed_under_load_is_back_and_has_what_it_acknowledged() {
    let mut pillarbox = Pillarbox::start("24h").await;
    let address = pillarbox.address().await;
    let topic = "/pillarbox/1/kill/proto";

    let mut client = connect(&address).await;
    let mut acknowledged = Vec::new();
    let load = Instant::now();
    let mut n = 0;
    while load.elapsed() < DURABILITY * 2 {
        let payload = format!("under load {n}");
        let answer = client
            .push(envelope(topic, &payload))
            .await
            .expect("light push answers");
        assert_eq!(answer.status_code, 200, "{:?}", answer.status_desc);
        acknowledged.push((Instant::now(), payload));
        n += 1;
    }
    let killed = Instant::now();
    kill(pillarbox.mailserver_pid().await, Signal::SIGKILL).expect("the mailserver is there");

    let mut client = until("it answers again", BACK_WITHIN, || async {
        Client::connect(&address).await.ok()
    })
    .await;
    let kept = payloads(&mut client, topic).await;
    let durable: Vec<_> = acknowledged
        .iter()
        .filter(|(at, _)| killed - *at > DURABILITY)
        .collect();
    assert!(
        durable.len() > 10,
        "the load was too light to show anything: {}",
        durable.len()
    );
    for (_, payload) in durable {
        assert!(kept.contains(payload), "{payload} was acknowledged in time and is gone");
    }
    until("the page tells of the restart", COME_UP, || async {
        let status = pillarbox.status().await.ok()?;
        let service = &status["services"][0];
        (status["state"] == "ok" && service["restarts"] == 1 && service["last_exit"] == "SIGKILL").then_some(())
    })
    .await;
    assert_eq!(pillarbox.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_is_forgotten_on_time_and_its_bytes_leave_the_disk() {
    let retention = Duration::from_secs(10);
    let mut pillarbox = Pillarbox::start("10s").await;
    let mut client = connect(&pillarbox.address().await).await;
    let topic = "/pillarbox/1/forget/proto";
    let secret = "these bytes must leave the disk";
    let sent = envelope(topic, secret);
    let born = sent.timestamp.expect("it has a time");
    assert_eq!(client.push(sent).await.expect("light push answers").status_code, 200);
    assert_eq!(payloads(&mut client, topic).await.len(), 1);
    until("the bytes are on the disk", DURABILITY * 5, || async {
        on_disk(&pillarbox.archive(), secret).then_some(())
    })
    .await;

    // Asked again and again over its last moment: there while it is young, never once it is older than the retention.
    let expires = born + i64::try_from(retention.as_nanos()).expect("10 s fit");
    loop {
        let before = now();
        let found = payloads(&mut client, topic).await;
        if before >= expires {
            assert!(
                found.is_empty(),
                "served {} ms after its time",
                (before - expires) / 1_000_000
            );
            break;
        }
        if now() < expires {
            assert_eq!(
                found.len(),
                1,
                "forgotten {} ms before its time",
                (expires - now()) / 1_000_000
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until("the bytes are gone from the disk", Duration::from_secs(20), || async {
        (!on_disk(&pillarbox.archive(), secret)).then_some(())
    })
    .await;
    until("the page counts it", COME_UP, || async {
        let status = pillarbox.status().await.ok()?;
        (status["archive"]["pruned_total"].as_u64() >= Some(1)).then_some(())
    })
    .await;
    until("the page says what keeping it wrote", COME_UP, || async {
        let status = pillarbox.status().await.ok()?;
        let writer = &status["archive"]["writer"];
        let written = writer["written_bytes_last_day"].as_u64()? >= secret.len() as u64;
        (written && writer["written_per_payload"].as_f64()? > 1.0).then_some(())
    })
    .await;
    assert_eq!(pillarbox.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_mailserver_does_not_keep_an_envelope_on_the_disk() {
    let mut pillarbox = Pillarbox::start("10s").await;
    let mut client = connect(&pillarbox.address().await).await;
    let secret = "a hung process cannot keep these";
    let answer = client
        .push(envelope("/pillarbox/1/hung/proto", secret))
        .await
        .expect("light push answers");
    assert_eq!(answer.status_code, 200);
    until("the bytes are on the disk", DURABILITY * 5, || async {
        on_disk(&pillarbox.archive(), secret).then_some(())
    })
    .await;
    kill(pillarbox.mailserver_pid().await, Signal::SIGSTOP).expect("the mailserver is there");
    until("the bytes are gone from the disk", Duration::from_secs(30), || async {
        (!on_disk(&pillarbox.archive(), secret)).then_some(())
    })
    .await;
    pillarbox.until_state("ok").await;
    assert_eq!(pillarbox.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn state_survives_a_restart_and_nothing_is_left_running() {
    let mut pillarbox = Pillarbox::start("24h").await;
    let address = pillarbox.address().await;
    let mut client = connect(&address).await;
    let topic = "/pillarbox/1/restart/proto";
    assert_eq!(
        client
            .push(envelope(topic, "kept"))
            .await
            .expect("light push answers")
            .status_code,
        200
    );
    let mailserver = pillarbox.mailserver_pid().await;
    assert_eq!(pillarbox.stop().await, Some(0));
    assert!(
        !Path::new(&format!("/proc/{mailserver}")).exists(),
        "the mailserver outlived the daemon"
    );
    let leftovers = files(&pillarbox.archive())
        .into_iter()
        .filter(|file| file.to_string_lossy().ends_with("-wal"));
    assert_eq!(
        leftovers.collect::<Vec<_>>(),
        Vec::<std::path::PathBuf>::new(),
        "the archive was not closed cleanly"
    );

    // The same identity, so the same address; and no wait for a group commit, since the stop was in good order.
    pillarbox.start_again();
    let mut client = connect(&address).await;
    assert_eq!(payloads(&mut client, topic).await, BTreeSet::from(["kept".to_owned()]));

    // The daemon killed and started at once, as systemd does: its mailserver goes with it, and the new one serves.
    let mailserver = pillarbox.mailserver_pid().await;
    kill(pillarbox.daemon_pid(), Signal::SIGKILL).expect("the daemon is there");
    pillarbox.start_again();
    // The old one has a second to tidy up, and may still answer in it.
    let orphan = format!("/proc/{mailserver}");
    let mut client = until("it serves again, and no orphan does", SERVES_WITHIN, || async {
        if Path::new(&orphan).exists() {
            return None;
        }
        Client::connect(&address).await.ok()
    })
    .await;
    assert_eq!(payloads(&mut client, topic).await.len(), 1);
    assert_eq!(pillarbox.stop().await, Some(0));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

/// Whether any file under `folder` holds these bytes. A file that goes away meanwhile does not hold them.
fn on_disk(folder: &Path, needle: &str) -> bool {
    files(folder).iter().any(|file| {
        std::fs::read(file).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
    })
}
