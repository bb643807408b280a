//! One check of a service: does it answer, in time?

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http;
use crate::config::service::Check;
use crate::process::command;

/// A health document is a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("{at} says {status}")]
    Status { at: String, status: u16 },
    #[error("cannot connect to {at}: {source}")]
    Connect { at: String, source: io::Error },
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

pub(super) async fn check(check: &Check, limit: Duration) -> Result<(), Failed> {
    let checked = timeout(limit, async {
        match check {
            Check::Http(address) => match http::get(address, MAX_BODY_BYTES).await? {
                (200..=299, _) => Ok(()),
                (status, _) => Err(Failed::Status {
                    at: format!("{}{}", address.authority, address.path),
                    status,
                }),
            },
            Check::Tcp(address) => match TcpStream::connect(address).await {
                Ok(_) => Ok(()),
                Err(source) => Err(Failed::Connect {
                    at: address.clone(),
                    source,
                }),
            },
            Check::Command(words) => Ok(command::succeeds(words).await?),
        }
    });
    checked.await.unwrap_or(Err(Failed::Late(limit)))
}
