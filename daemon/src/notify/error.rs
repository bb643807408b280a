//! Why a message was not taken. `at` is the server's name and port: the rest of an address is a secret.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::{InvalidDnsNameError, pem};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no JSON: {0}")]
    Json(serde_json::Error),
    #[error("no address")]
    NoAddress,
    #[error("the token has letters that a header cannot carry")]
    Token,
    #[error("no request: {0}")]
    Request(hyper::http::Error),
    #[error("cannot connect to {at}: {source}")]
    Connect { at: String, source: io::Error },
    #[error("{at}: {source}")]
    Name { at: String, source: InvalidDnsNameError },
    #[error("no TLS with {at}: {source}")]
    Handshake { at: String, source: io::Error },
    #[error("no HTTP with {at}: {source}")]
    Http { at: String, source: hyper::Error },
    #[error("no answer from {at}: {source}")]
    Answer { at: String, source: hyper::Error },
    #[error("{at} says {status}")]
    Status { at: String, status: u16 },
    #[error("{} cannot be read: {source}", path.display())]
    CaFile { path: PathBuf, source: io::Error },
    #[error("notify.ca_file: {0}")]
    CaPem(pem::Error),
    #[error("notify.ca_file: {0}")]
    CaCertificate(rustls::Error),
    #[error("no TLS: {0}")]
    Tls(rustls::Error),
    #[error("no TLS: {0}")]
    MailTls(lettre::transport::smtp::Error),
    #[error("{address}: {source}")]
    MailAddress {
        address: String,
        source: lettre::address::AddressError,
    },
    #[error("no mail: {0}")]
    Mail(lettre::error::Error),
    #[error("{at}: {source}")]
    Smtp {
        at: String,
        source: lettre::transport::smtp::Error,
    },
    #[error("not taken within {} s", .0.as_secs())]
    Late(Duration),
}
