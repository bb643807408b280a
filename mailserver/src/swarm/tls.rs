//! The certificate of wss, from PEM files as nwaku takes them (`--websocket-secure-key-path`, `-cert-path`).
//!
//! Both are read and held against each other before anything listens: a node that cannot be reached by browsers should
//! not look as if it could. They are read once; a renewed certificate is taken up by a restart.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_rustls::{TlsAcceptor, TlsConnector};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, Error as RustlsError, InconsistentKeys, RootCertStore, ServerConfig};
use thiserror::Error;

use crate::settings::TlsFiles;

/// A chain of certificates has a few KB each; nothing else than a mistake is this long.
const MAX_FILE_BYTES: u64 = 256 * 1024;

#[derive(Debug, Error)]
pub enum TlsError {
    #[error("{} (--{flag}) cannot be read: {source}; give the path of a PEM file that this program may read", .path.display())]
    Read {
        flag: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} (--{flag}) is larger than {MAX_FILE_BYTES} bytes: give a PEM file", .path.display())]
    TooLarge { flag: &'static str, path: PathBuf },
    #[error("{} (--{flag}) is not PEM: {reason}; give the file as the certificate's issuer made it", .path.display())]
    NotPem {
        flag: &'static str,
        path: PathBuf,
        reason: String,
    },
    #[error(
        "{} (--websocket-secure-key-path) holds no private key: give a PEM file with BEGIN PRIVATE KEY (a key with a \
         passphrase cannot be used: take it off with \"openssl pkey\")",
        .0.display()
    )]
    NoKey(PathBuf),
    #[error(
        "{} (--websocket-secure-cert-path) holds no certificate: give a PEM file with BEGIN CERTIFICATE",
        .0.display()
    )]
    NoCertificate(PathBuf),
    #[error(
        "{} (--websocket-secure-key-path) is no key that TLS can use: give an ECDSA (P-256, P-384), Ed25519 or RSA key \
         of at least 2048 bits",
        .0.display()
    )]
    UnusableKey(PathBuf),
    #[error(
        "the key {} is not that of the certificate {}: give both files of the same issue, the node's own certificate first",
        .0.key.display(), .0.certificate.display()
    )]
    Mismatch(TlsFiles),
    #[error(
        "{} (--websocket-secure-cert-path) is no certificate: {reason}; have it issued again", .path.display()
    )]
    BadCertificate { path: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Provider(RustlsError),
}

const KEY: &str = "websocket-secure-key-path";
const CERTIFICATE: &str = "websocket-secure-cert-path";

/// How wss is dialled and, with a certificate of one's own, served.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) client: TlsConnector,
    pub(super) server: Option<TlsAcceptor>,
}

impl Tls {
    /// Dials with the public authorities, and serves with `files` where there are some.
    pub(super) fn load(files: Option<&TlsFiles>) -> Result<Self, TlsError> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = files.map(load).transpose()?;
        Ok(Self {
            client: Arc::new(client).into(),
            server: server.map(|server| Arc::new(server).into()),
        })
    }
}

/// Reads both files.
fn load(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let key = read_key(&files.key)?;
    let certificates = read_certificates(&files.certificate)?;
    let provider = rustls::crypto::ring::default_provider();
    let signing = provider
        .key_provider
        .load_private_key(key.clone_key())
        .map_err(|_| TlsError::UnusableKey(files.key.clone()))?;
    let bad = |reason: String| TlsError::BadCertificate {
        path: files.certificate.clone(),
        reason,
    };
    match CertifiedKey::new(certificates.clone(), signing).keys_match() {
        Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(RustlsError::InconsistentKeys(_)) => return Err(TlsError::Mismatch(files.clone())),
        Err(error) => return Err(bad(error.to_string())),
    }
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| bad(error.to_string()))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(KEY, path)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        other => not_pem(KEY, path, &other),
    })?;
    // The transport asserts this of the bytes that it is given.
    match PrivateKeyDer::try_from(key.secret_der()) {
        Ok(_) => Ok(key),
        Err(_) => Err(TlsError::UnusableKey(path.to_owned())),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(CERTIFICATE, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(CERTIFICATE, path, &error))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

fn not_pem(flag: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    TlsError::NotPem {
        flag,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_FILE_BYTES => Err(TlsError::TooLarge {
            flag,
            path: path.to_owned(),
        }),
        Ok(_) => Ok(text),
        Err(source) => Err(TlsError::Read {
            flag,
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Issue {
        dir: tempfile::TempDir,
    }

    impl Issue {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(dir.path().join("key"), made.signing_key.serialize_pem()).unwrap();
            std::fs::write(dir.path().join("certificate"), made.cert.pem()).unwrap();
            Self { dir }
        }

        fn files(&self) -> TlsFiles {
            TlsFiles {
                key: self.dir.path().join("key"),
                certificate: self.dir.path().join("certificate"),
            }
        }
    }

    fn message(files: &TlsFiles) -> String {
        let message = load(files).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn a_pair_is_taken() {
        assert!(load(&Issue::new().files()).is_ok());
    }

    #[test]
    fn files_of_two_issues_are_told() {
        let issues = (Issue::new(), Issue::new());
        let (one, two) = (issues.0.files(), issues.1.files());
        let mixed = TlsFiles {
            key: one.key.clone(),
            certificate: two.certificate.clone(),
        };
        let message = message(&mixed);
        assert!(message.contains("is not that of the certificate"), "{message}");
        for path in [&one.key, &two.certificate] {
            assert!(message.contains(path.to_str().unwrap()), "{message}");
        }
    }

    #[test]
    fn each_bad_file_is_told_by_its_name() {
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHs\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let garbage = |kind: &str| format!("-----BEGIN {kind}-----\nAAECAw==\n-----END {kind}-----\n");
        let cut = |kind: &str| format!("-----BEGIN {kind}-----\nAAECAw==\n");
        // A SEQUENCE of an INTEGER and a SEQUENCE: looks like PKCS #8 and is none.
        let hollow = "-----BEGIN PRIVATE KEY-----\nMAUCAQAwAA==\n-----END PRIVATE KEY-----\n";
        for (text, wanted) in [
            (String::new(), "holds no private key"),
            ("\0\u{1}nonsense".to_owned(), "holds no private key"),
            (encrypted.to_owned(), "holds no private key"),
            (garbage("CERTIFICATE"), "holds no private key"),
            (cut("PRIVATE KEY"), "is not PEM"),
            (garbage("PRIVATE KEY"), "no key that TLS can use"),
            (hollow.to_owned(), "no key that TLS can use"),
            (" ".repeat(300 * 1024), "is larger than"),
        ] {
            let issue = Issue::new();
            std::fs::write(issue.files().key, &text).unwrap();
            let message = message(&issue.files());
            assert!(message.contains(wanted), "{message}");
            assert!(message.contains(issue.files().key.to_str().unwrap()), "{message}");
        }
        for (text, wanted) in [
            (String::new(), "holds no certificate"),
            (garbage("PRIVATE KEY"), "holds no certificate"),
            (cut("CERTIFICATE"), "is not PEM"),
            (garbage("CERTIFICATE"), "is no certificate"),
        ] {
            let issue = Issue::new();
            std::fs::write(issue.files().certificate, &text).unwrap();
            let message = message(&issue.files());
            assert!(message.contains(wanted), "{message}");
            assert!(
                message.contains(issue.files().certificate.to_str().unwrap()),
                "{message}"
            );
        }
    }

    #[test]
    fn a_missing_file_is_told_by_its_name() {
        let issue = Issue::new();
        let mut files = issue.files();
        files.certificate = issue.dir.path().join("nowhere");
        assert!(message(&files).contains("nowhere (--websocket-secure-cert-path) cannot be read"));
    }
}
