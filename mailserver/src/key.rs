//! The node's identity: one secp256k1 key for libp2p and the ENR, in a file of 64 hex digits (as `--nodekey` takes it).
//!
//! The file is created when absent, readable by its owner alone, and put in place whole: a power cut leaves no half key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use libp2p::identity::{Keypair, secp256k1};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum KeyError {
    #[error("{action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path} holds no node key: expected 64 hex digits; restore the file, or remove it for a new identity")]
    NotAKey { path: PathBuf },
    #[error("a node key is 64 hex digits of a secp256k1 secret")]
    NotHex,
}

/// The key in `path`; a new one is made and kept there when the file does not exist.
pub fn load_or_create(path: &Path) -> Result<Keypair, KeyError> {
    let failed = |action| {
        move |source| KeyError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    };
    match fs::read_to_string(path) {
        Ok(text) => from_hex(text.trim()).map_err(|_| KeyError::NotAKey { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = secp256k1::Keypair::generate();
            write_private(path, &hex::encode(secret.secret().to_bytes())).map_err(failed("writing the node key"))?;
            Ok(secret.into())
        }
        Err(source) => Err(failed("reading the node key")(source)),
    }
}

/// `--nodekey`.
pub fn from_hex(text: &str) -> Result<Keypair, KeyError> {
    let mut bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| KeyError::NotHex)?;
    let secret = secp256k1::SecretKey::try_from_bytes(&mut bytes).map_err(|_| KeyError::NotHex)?;
    Ok(secp256k1::Keypair::from(secret).into())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = dir.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
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
