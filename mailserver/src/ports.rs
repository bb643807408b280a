//! An address that cannot be listened on.

use std::io;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

/// The message names the flag to change.
#[derive(Debug, Error)]
pub enum BindError {
    #[error("port {port} ({flag}) on {address} is in use: stop the program that has it, or choose another --{flag}")]
    InUse {
        flag: &'static str,
        address: IpAddr,
        port: u16,
    },
    #[error("cannot listen on {address} port {port} ({flag}): {source}")]
    Other {
        flag: &'static str,
        address: IpAddr,
        port: u16,
        source: io::Error,
    },
}

impl BindError {
    pub(crate) fn new(flag: &'static str, address: SocketAddr, source: io::Error) -> Self {
        let (address, port) = (address.ip(), address.port());
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { flag, address, port },
            _ => Self::Other {
                flag,
                address,
                port,
                source,
            },
        }
    }
}
