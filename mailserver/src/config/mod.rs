//! The configuration: wakunode2's flags and file, read once at the start into values that are known to be good.
//!
//! What was given (`source`) is read flag by flag (`values`) on top of a network's defaults (`preset`), and becomes what
//! the program is started with ([`Config`]) in one step (`build`). A mistake is one [`Error`] that names the place, the key
//! and the mend; the program then ends with status 78. What is accepted without effect is a warning, one for all such
//! flags, so that scripts written for nwaku go on working and nobody is misled.

mod build;
mod error;
pub mod flags;
pub mod preset;
mod program;
pub mod source;
pub mod values;

use std::path::Path;

use self::source::Given;

pub use self::error::Error;
pub use self::program::{Config, Discv5, DnsDiscovery, Log, Metrics, Rest, ServicePeers};
pub use self::values::{LogFormat, LogLevel, MetricsPrefix};

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    Help,
    Version,
    Run(Box<Config>),
}

/// Reads the command line, without the program's name, and the configuration file that it names.
pub fn read(args: &[String]) -> Result<Request, Error> {
    let given = Given::read(args)?;
    if given.switch("help")? {
        return Ok(Request::Help);
    }
    if given.switch("version")? {
        return Ok(Request::Version);
    }
    build::config(&given).map(|config| Request::Run(Box::new(config)))
}

/// Reads the text of a configuration file as if the command line named nothing else.
pub fn read_text(path: &Path, text: &str) -> Result<Config, Error> {
    build::config(&Given::from_toml(path, text)?)
}

#[cfg(test)]
mod tests;
