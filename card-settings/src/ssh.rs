//! A public key as the line of a `.pub` file. Only the key itself is kept: options in front of it, which could name a
//! command, are refused, and the comment is dropped.

use data_encoding::{BASE64, BASE64_NOPAD};
use sha2::{Digest, Sha256};

/// What the box's SSH server (dropbear) can check.
const KINDS: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// RSA with 16,384 bits has 2 KiB.
const MAX_KEY_BYTES: usize = 4096;

/// A public key of OpenSSH's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    kind: &'static str,
    blob: Vec<u8>,
}

impl Key {
    /// `KIND BASE64 COMMENT`; nothing when it is not that.
    pub fn parse(text: &str) -> Option<Key> {
        if text.contains(['\n', '\r']) {
            return None;
        }
        let mut words = text.split_ascii_whitespace();
        let (kind, encoded) = (words.next()?, words.next()?);
        let kind = KINDS.iter().copied().find(|known| *known == kind)?;
        let blob = BASE64.decode(encoded.as_bytes()).ok()?;
        // The blob repeats its kind as a string with a length of four bytes (RFC 4253, section 6.6).
        let named = u32::try_from(kind.len()).ok()?.to_be_bytes();
        let rest = blob.strip_prefix(&named)?.strip_prefix(kind.as_bytes())?;
        (!rest.is_empty() && blob.len() <= MAX_KEY_BYTES).then_some(Key { kind, blob })
    }

    /// The line of an `authorized_keys` file.
    pub fn line(&self) -> String {
        format!("{} {}", self.kind, BASE64.encode(&self.blob))
    }

    /// As `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", BASE64_NOPAD.encode(&Sha256::digest(&self.blob)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGJ5GbE0TuUjjvS7tLJZ3mSQ0Nqjb5nXYeDqOgRyJ5tF";

    #[test]
    fn keys() {
        for (text, right) in [
            (format!("ssh-ed25519 {BLOB}"), true),
            (format!("  ssh-ed25519 {BLOB} me at home"), true),
            (format!("ssh-rsa {BLOB}"), false),
            (format!("ssh-dss {BLOB}"), false),
            (format!("command=\"reboot\" ssh-ed25519 {BLOB}"), false),
            (format!("ssh-ed25519 {BLOB}\nssh-ed25519 {BLOB}"), false),
            (format!("ssh-ed25519 {BLOB}="), false),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5".to_owned(), false),
            ("ssh-ed25519".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(Key::parse(&text).is_some(), right, "{text}");
        }
        let key = Key::parse(&format!("ssh-ed25519 {BLOB} comment")).unwrap();
        assert_eq!(key.line(), format!("ssh-ed25519 {BLOB}"));
        // ssh-keygen -lf on the same line.
        assert_eq!(key.fingerprint(), "SHA256:0zRGvmoOASxijM706KBQhQPiFVW9eU8cCRWa43LLNlc");
    }
}
