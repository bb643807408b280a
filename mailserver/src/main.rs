//! `pillarbox-mailserver`: reads its flags, starts the node, and ends it on SIGTERM or SIGINT.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use libp2p::Multiaddr;
use pillarbox_mailserver::node::{self, Settings, key, settings};
use tokio::signal::unix::{SignalKind, signal};

/// The daemon kills what has not ended ten seconds after SIGTERM.
const DRAIN: Duration = Duration::from_secs(8);
const AGENT: &str = concat!("pillarbox/", env!("CARGO_PKG_VERSION"));

#[derive(Parser)]
#[command(version)]
struct Flags {
    #[arg(long, default_value_t = 0)]
    cluster_id: u16,
    #[arg(long)]
    shard: Vec<u16>,
    #[arg(long, default_value_t = IpAddr::from(Ipv4Addr::UNSPECIFIED))]
    listen_address: IpAddr,
    #[arg(long, default_value_t = 60000)]
    tcp_port: u16,
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    websocket_support: bool,
    #[arg(long, default_value_t = 8000)]
    websocket_port: u16,
    #[arg(long, default_value = "nodekey")]
    nodekey_file: PathBuf,
    #[arg(long)]
    staticnode: Vec<Multiaddr>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("starting the runtime")),
    };
    match runtime.block_on(run(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the one line that says why the program ends")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("pillarbox-mailserver: {error:#}");
    ExitCode::FAILURE
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut settings = Settings::new(key::load_or_create(&flags.nodekey_file)?);
    settings.cluster_id = flags.cluster_id;
    settings.shards = flags.shard;
    settings.static_nodes = flags.staticnode;
    settings.listen = settings::Listen {
        address: flags.listen_address,
        tcp_port: flags.tcp_port,
        websocket_port: flags.websocket_support.then_some(flags.websocket_port),
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (handle, running) = node::start(settings, AGENT.to_owned()).await?;
    tracing::info!(peer_id = %handle.info().peer_id, agent = AGENT, "node started");
    tokio::select! {
        _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
        _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "stopping"),
    }
    handle.stop().await;
    if tokio::time::timeout(DRAIN, running.stopped()).await.is_err() {
        anyhow::bail!("still busy {} s after the signal", DRAIN.as_secs());
    }
    Ok(())
}
