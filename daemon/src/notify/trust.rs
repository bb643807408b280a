//! Whose certificates are believed: the public authorities that the program was built with, and those of a file.
//!
//! They are built in because a read-only root may have none, and read once, when the first message is to go out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(super) struct Trust {
    file: Option<PathBuf>,
    connector: OnceLock<Result<TlsConnector, String>>,
}

impl Trust {
    pub(super) fn read(file: Option<&Path>) -> Trust {
        Trust {
            file: file.map(Path::to_owned),
            connector: OnceLock::new(),
        }
    }

    /// The file's certificates, for what has its own store of the public ones.
    pub(super) fn own(&self) -> Result<Option<Vec<u8>>, String> {
        let Some(file) = &self.file else { return Ok(None) };
        std::fs::read(file)
            .map(Some)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))
    }

    pub(super) fn connector(&self) -> Result<TlsConnector, String> {
        self.connector.get_or_init(|| self.make()).clone()
    }

    fn make(&self) -> Result<TlsConnector, String> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in CertificateDer::pem_slice_iter(&self.own()?.unwrap_or_default()) {
            let certificate = certificate.map_err(|error| format!("notify.ca_file: {error}"))?;
            roots
                .add(certificate)
                .map_err(|error| format!("notify.ca_file: {error}"))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
