//! Publishers, askers and idle peers: nodes of the mailserver's own library, without archive.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use libp2p::identity;
use pillarbox_mailserver::clock;
use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::node;
use pillarbox_mailserver::node::Handle;
use pillarbox_mailserver::protocols::publish::PublishError;
use pillarbox_mailserver::protocols::store::client;
use pillarbox_mailserver::protocols::store::wire::StoreQueryRequest;
use pillarbox_mailserver::settings::{Listen, Nat, Services, Settings};
use pillarbox_mailserver::swarm::Origin;
use pillarbox_mailserver::topics::Sharding;
use pillarbox_mailserver::wire::WakuMessage;
use test_support::report::Report;

use super::target::Target;

const TOPIC: &str = "/waku/2/rs/16/32";
const CONTENT_TOPICS: u32 = 100;
const PAYLOAD_BYTES: usize = 2000;
/// Between two queries.
const QUERY_PAUSE: Duration = Duration::from_millis(50);
/// How long the last envelopes may take to be stored.
const SETTLE: Duration = Duration::from_secs(10);

async fn node(relay: bool) -> anyhow::Result<Handle> {
    let settings = Settings {
        agent: "pillarbox-bench".into(),
        cluster_id: 16,
        shards: vec![32],
        sharding: Sharding::Static,
        services: Services {
            relay,
            ..Services::default()
        },
        nat: Nat::None,
        listen: Listen {
            address: "127.0.0.1".parse()?,
            tcp_port: 0,
            websocket_port: None,
            websocket_tls: None,
        },
        ..Settings::default()
    };
    let (handle, _) = node::start(&settings, &identity::Keypair::generate_secp256k1()).await?;
    Ok(handle)
}

async fn connected(address: &str, relay: bool) -> anyhow::Result<Handle> {
    let handle = node(relay).await?;
    handle.swarm().connect(address.parse()?, Origin::Admin).await?;
    Ok(handle)
}

/// Idle relay peers that stay connected while they are held.
pub(crate) async fn crowd(target: &Target, count: usize) -> anyhow::Result<Crowd> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(connected(&target.address, true).await?);
    }
    Ok(Crowd(nodes))
}

pub(crate) struct Crowd(Vec<Handle>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for node in self.0.drain(..) {
            tokio::spawn(async move { node.swarm().stop().await });
        }
    }
}

/// The other process: publishes at a steady rate and returns how many envelopes relay took.
pub(crate) async fn publish(address: &str, rate: u32, seconds: u32) -> anyhow::Result<u64> {
    let handle = connected(address, true).await?;
    let mut status = handle.swarm().status();
    let meshed = status.wait_for(|status| status.meshes.iter().any(|(_, peers)| *peers > 0));
    tokio::time::timeout(Duration::from_secs(60), meshed)
        .await
        .context("no mesh within a minute")??;
    let started = Instant::now();
    let mut sent = 0;
    for index in 0..rate * seconds {
        let due = started + Duration::from_secs_f64(f64::from(index) / f64::from(rate));
        tokio::time::sleep_until(due.into()).await;
        let mut payload = vec![0x5a; PAYLOAD_BYTES];
        payload[..4].copy_from_slice(&index.to_be_bytes());
        let message = WakuMessage {
            payload: Some(payload),
            content_topic: Some(format!("/bench/1/{}/proto", index % CONTENT_TOPICS)),
            timestamp: Some(clock::now_nanos()),
            ..Default::default()
        };
        loop {
            match handle.publish(TOPIC.into(), message.clone(), Source::Local).await {
                Ok(published) if published.relay_peers > 0 => break sent += 1,
                Ok(_) => bail!("the mailserver went away"),
                // What waits for the mailserver has a bound.
                Err(PublishError::Busy) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(error) => bail!("envelope {index}: {error}"),
            }
        }
    }
    // What is in the queues goes out before the process ends.
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(sent)
}

/// The other process, on the other core.
fn publisher(target: &Target, rate: u32, seconds: u32) -> anyhow::Result<tokio::process::Child> {
    tokio::process::Command::new("taskset")
        .args(["-c", "1"])
        .arg(std::env::current_exe()?)
        .args([
            "--publish-to",
            &target.address,
            "--rate",
            &rate.to_string(),
            "--seconds",
            &seconds.to_string(),
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting the publisher under taskset")
}

fn published(output: &std::process::Output) -> anyhow::Result<u64> {
    ensure!(output.status.success(), "the publisher ended with {}", output.status);
    let count = std::str::from_utf8(&output.stdout)?.trim();
    count.parse().context("reading what was published")
}

/// As much as the publisher manages at that rate, and nothing beside it: for what it costs in memory.
pub(crate) async fn press(target: &Target, rate: u32, seconds: u32, report: &mut Report) -> anyhow::Result<()> {
    let begun = clock::now_nanos();
    let started = Instant::now();
    let sent = published(&publisher(target, rate, seconds)?.wait_with_output().await?)?;
    let elapsed = started.elapsed().as_secs_f64();
    let asker = connected(&target.address, false).await?;
    let stored = settled(&asker, target, begun, sent).await?;
    asker.swarm().stop().await;
    report.note(
        &format!("published, asked for {rate} a second"),
        sent as f64 / elapsed,
        "1/s",
    );
    report.note("of those lost", sent.saturating_sub(stored) as f64, "");
    Ok(())
}

/// The load: another process publishes while this one asks.
pub(crate) async fn run(target: &Target, rate: u32, seconds: u32, report: &mut Report) -> anyhow::Result<()> {
    let begun = clock::now_nanos();
    let cpu = target.cpu_secs()?;
    let publisher = publisher(target, rate, seconds)?;
    let asker = connected(&target.address, false).await?;
    let started = Instant::now();
    let publishing = publisher.wait_with_output();
    tokio::pin!(publishing);
    let mut took = Vec::new();
    let output = loop {
        tokio::select! {
            output = &mut publishing => break output?,
            asked = ask(&asker, target, begun, took.len()) => took.push(asked?),
        }
        tokio::time::sleep(QUERY_PAUSE).await;
    };
    let elapsed = started.elapsed().as_secs_f64();
    let sent = published(&output)?;
    let cpu = target.cpu_secs()? - cpu;
    let stored = settled(&asker, target, begun, sent).await?;
    asker.swarm().stop().await;

    report.at_least(
        "published and stored a second",
        stored as f64 / f64::from(seconds),
        "1/s",
        f64::from(rate),
    );
    report.at_most("lost", sent.saturating_sub(stored) as f64, "", 0.0);
    report.note("processor time, share of one core", 100.0 * cpu / elapsed, "%");
    took.sort_by(f64::total_cmp);
    let percentile = |share: f64| {
        took.get(((took.len() as f64 * share) as usize).min(took.len() - 1))
            .copied()
    };
    report.note("store queries during the load", took.len() as f64, "");
    report.note("page of 100, median", percentile(0.5).unwrap_or(f64::NAN), "ms");
    report.at_most("page of 100, p99", percentile(0.99).unwrap_or(f64::NAN), "ms", 50.0);
    Ok(())
}

/// Milliseconds until the whole page is here.
async fn ask(asker: &Handle, target: &Target, begun: i64, index: usize) -> anyhow::Result<f64> {
    let started = Instant::now();
    let request = StoreQueryRequest {
        request_id: Some(index.to_string()),
        include_data: true,
        pubsub_topic: Some(TOPIC.into()),
        content_topics: vec![format!("/bench/1/{}/proto", index as u32 % CONTENT_TOPICS)],
        time_start: Some(begun),
        pagination_limit: Some(100),
        ..Default::default()
    };
    let answer = client::query(asker.swarm(), target.peer, &request).await?;
    ensure!(
        answer.status_code == Some(200),
        "a query got {:?} {:?}",
        answer.status_code,
        answer.status_desc
    );
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// Counts what is stored, page by page, until all is there or nothing more comes.
async fn settled(asker: &Handle, target: &Target, begun: i64, sent: u64) -> anyhow::Result<u64> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let mut stored = 0;
        let mut cursor = None;
        loop {
            let request = StoreQueryRequest {
                request_id: Some("count".into()),
                time_start: Some(begun),
                pagination_forward: true,
                pagination_limit: Some(100),
                pagination_cursor: cursor.take(),
                ..Default::default()
            };
            let answer = client::query(asker.swarm(), target.peer, &request).await?;
            ensure!(answer.status_code == Some(200), "counting got {:?}", answer.status_desc);
            stored += answer.messages.len() as u64;
            cursor = answer.pagination_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if stored >= sent || Instant::now() >= deadline {
            return Ok(stored);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
