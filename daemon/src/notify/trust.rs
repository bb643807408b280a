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

use super::error::Error;

pub(super) struct Trust {
    file: Option<PathBuf>,
    /// Made when it is first needed; what cannot be made is tried again with the next message.
    connector: OnceLock<TlsConnector>,
}

impl Trust {
    pub(super) fn read(file: Option<&Path>) -> Trust {
        Trust {
            file: file.map(Path::to_owned),
            connector: OnceLock::new(),
        }
    }

    /// The file's certificates, for what has its own store of the public ones.
    pub(super) fn own(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = &self.file else { return Ok(None) };
        std::fs::read(file).map(Some).map_err(|source| Error::CaFile {
            path: file.clone(),
            source,
        })
    }

    pub(super) fn connector(&self) -> Result<TlsConnector, Error> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let made = self.make()?;
        Ok(self.connector.get_or_init(|| made).clone())
    }

    fn make(&self) -> Result<TlsConnector, Error> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in CertificateDer::pem_slice_iter(&self.own()?.unwrap_or_default()) {
            let certificate = certificate.map_err(Error::CaPem)?;
            roots.add(certificate).map_err(Error::CaCertificate)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
