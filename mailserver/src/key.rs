//! The node's identity: one secp256k1 key for libp2p and the ENR, in a file of 64 hex digits (as `--nodekey` takes it).
//!
//! The file is created when absent, readable by its owner alone, and put in place whole: a power cut leaves no half key.
//! Digits become a key pair in one place ([`from_hex`]), and a key pair never becomes text but for that file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use libp2p::identity::{Keypair, secp256k1};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum KeyError {
    #[error("reading the node key {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("writing the node key: {0}")]
    Write(#[from] durable_file::Error),
    #[error("{path} holds no node key: expected 64 hex digits; restore the file, or remove it for a new identity")]
    NotAKey { path: PathBuf },
}

/// Whose key the node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Given(NodeKey),
    /// Read from this file, which is made when absent.
    File(PathBuf),
    /// A new one each time, as in nwaku.
    Fresh,
}

impl Identity {
    /// The node's key: given, read from its file, or new.
    pub fn keypair(&self) -> Result<Keypair, KeyError> {
        match self {
            Self::Given(NodeKey(keypair)) => Ok(Keypair::clone(keypair)),
            Self::File(path) => load_or_create(path),
            Self::Fresh => Ok(Keypair::generate_secp256k1()),
        }
    }
}

/// A key that was given. It tells nobody what it is.
#[derive(Clone)]
pub struct NodeKey(Box<Keypair>);

impl From<Keypair> for NodeKey {
    fn from(keypair: Keypair) -> Self {
        Self(Box::new(keypair))
    }
}

impl PartialEq for NodeKey {
    fn eq(&self, other: &Self) -> bool {
        // Each secret has a public key of its own.
        self.0.public() == other.0.public()
    }
}

impl Eq for NodeKey {}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(secret)")
    }
}

/// The key in `path`; a new one is made and kept there when the file does not exist.
pub fn load_or_create(path: &Path) -> Result<Keypair, KeyError> {
    match fs::read_to_string(path) {
        Ok(text) => from_hex(text.trim()).ok_or_else(|| KeyError::NotAKey { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = secp256k1::Keypair::generate();
            keep(path, &hex::encode(secret.secret().to_bytes()))?;
            Ok(secret.into())
        }
        Err(source) => Err(KeyError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The key in 64 hexadecimal digits, with `0x` or without.
pub fn from_hex(text: &str) -> Option<Keypair> {
    let mut bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()?;
    let secret = secp256k1::SecretKey::try_from_bytes(&mut bytes).ok()?;
    Some(secp256k1::Keypair::from(secret).into())
}

/// The folder is made when it is missing. The file is its owner's alone.
fn keep(path: &Path, text: &str) -> Result<(), durable_file::Error> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        durable_file::make_folder(folder, 0o755)?;
    }
    durable_file::replace(path, text.as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/nodekey");
        let first = load_or_create(&path).unwrap().public().to_peer_id();
        assert_eq!(load_or_create(&path).unwrap().public().to_peer_id(), first);
        assert!(first.to_string().starts_with("16Uiu2HA"), "{first}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("keys")).unwrap().count(), 1);
    }

    #[test]
    fn the_key_is_the_given_one() {
        let hex = "5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6";
        let given = Identity::Given(from_hex(hex).unwrap().into()).keypair().unwrap();
        let secret = given.try_into_secp256k1().unwrap().secret().to_bytes();
        assert_eq!(hex::encode(secret), hex);
        let fresh = || Identity::Fresh.keypair().unwrap().public();
        assert_ne!(fresh(), fresh());
    }

    #[test]
    fn a_file_that_is_no_key_is_kept_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nodekey");
        for text in ["", "xyz", "00", &"0".repeat(64), &"f".repeat(64)] {
            fs::write(&path, text).unwrap();
            let error = load_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyError::NotAKey { .. }), "{text}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
