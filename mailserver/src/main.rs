//! `pillarbox-mailserver`: reads its flags, starts the service, and ends it on SIGTERM or SIGINT.
//!
//! Exit status: 0 after a signal, 78 for a bad configuration (sysexits.h, EX_CONFIG), 1 for anything else. What went
//! wrong is one line on stderr.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::{
    io::{self, Write},
    process::ExitCode,
};

use pillarbox_mailserver::{
    config::{self, Config, Request, flags},
    logging,
    service::Service,
};
use tokio::signal::unix::{SignalKind, signal};

const EX_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let config = match config::read(&args) {
        Ok(Request::Run(config)) => config,
        Ok(Request::Help) => return say(&flags::help()),
        Ok(Request::Version) => return say(concat!("pillarbox-mailserver v", env!("CARGO_PKG_VERSION"), "\n")),
        Err(error) => return fail(EX_CONFIG, &error.into()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &anyhow::Error::new(error).context("starting the runtime")),
    };
    match runtime.block_on(run(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let status = match error.downcast_ref::<pillarbox_mailserver::service::Error>() {
                Some(error) if error.is_configuration() => EX_CONFIG,
                _ => 1,
            };
            fail(status, &error)
        }
    }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let log = logging::start(config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let service = Service::start(config, Box::new(move |level| log.set(level))).await?;
    service.listening().await;
    // Scripts for nwaku wait for these very words.
    tracing::info!(peer_id = %service.node().swarm().info().peer_id, "Node setup complete");
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "stopping");
    anyhow::ensure!(
        service.stop().await,
        "the node was still busy some seconds after {name}"
    );
    Ok(())
}

fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(status: u8, error: &anyhow::Error) -> ExitCode {
    // With stderr gone the status is all there is to tell.
    let _ = writeln!(io::stderr(), "pillarbox-mailserver: {error:#}");
    ExitCode::from(status)
}
