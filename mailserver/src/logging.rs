//! Where the log goes: stdout as nwaku's, in its two formats, at a level that can be changed while running.

use std::io;

use thiserror::Error;
use tracing_subscriber::{
    EnvFilter, Registry,
    layer::SubscriberExt,
    reload,
    util::{SubscriberInitExt, TryInitError},
};

use crate::config::{Log, LogFormat, LogLevel};

/// What libraries under us may say at most: their own chatter would drown ours.
const LIBRARIES: &str = "libp2p_gossipsub=error,libp2p_swarm=warn,libp2p_tcp=warn,discv5=warn,hickory_resolver=warn,hickory_proto=error,hyper=warn,hyper_util=warn,netlink_proto=error,yamux=warn,multistream_select=warn";

#[derive(Debug, Error)]
pub enum LogError {
    #[error("starting the log: {0}")]
    Start(#[from] TryInitError),
    #[error("changing the log's level: {0}")]
    Level(#[from] reload::Error),
}

/// Changes the level of a log that has been started.
#[derive(Debug, Clone)]
pub struct Control(reload::Handle<EnvFilter, Registry>);

impl Control {
    pub fn set(&self, level: LogLevel) -> Result<(), LogError> {
        self.0.reload(filter(level))?;
        tracing::info!(level = level.directive(), "log level changed");
        Ok(())
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    match level {
        // Whoever asks for everything gets everything.
        LogLevel::Trace => EnvFilter::new("trace"),
        LogLevel::None => EnvFilter::new("off"),
        level => EnvFilter::new(format!("{},{LIBRARIES}", level.directive())),
    }
}

/// Starts the log of this process. Fails when there is one already.
pub fn start(log: Log) -> Result<Control, LogError> {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let base = tracing_subscriber::registry().with(filter);
    match log.format {
        LogFormat::Text => base
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(false)
                    .with_writer(io::stdout),
            )
            .try_init(),
        LogFormat::Json => base
            .with(tracing_subscriber::fmt::layer().json().with_writer(io::stdout))
            .try_init(),
    }?;
    Ok(Control(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_filter() {
        for level in [
            LogLevel::Trace,
            LogLevel::Debug,
            LogLevel::Info,
            LogLevel::Warn,
            LogLevel::Error,
        ] {
            assert!(filter(level).to_string().contains(level.directive()), "{level:?}");
        }
    }
}
