//! Whether an identity in a backup can be one. A file that is no key would leave its service without a start until
//! somebody puts the old one back by hand, so it is refused before anything is replaced.

use data_encoding::HEXLOWER_PERMISSIVE;

use super::bundle::Name;

/// What every service of a Pillarbox calls the key of its Waku node (`mailserver/src/node/key.rs`).
const NODE_KEY: &str = "nodekey";
const KEY_BYTES: usize = 32;
/// The order of secp256k1's group, big-endian (SEC 2, section 2.4.1): a secret key is less than it and not zero.
const ORDER: [u8; KEY_BYTES] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xBA, 0xAE, 0xDC,
    0xE6, 0xAF, 0x48, 0xA0, 0x3B, 0xBF, 0xD2, 0x5E, 0x8C, 0xD0, 0x36, 0x41, 0x41,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("is empty")]
    Empty,
    #[error("is not a node key (64 hexadecimal digits of a secp256k1 secret key)")]
    NoKey,
}

/// A node key has to be one; of a file of another name nothing is known but that it has to hold something.
pub(super) fn check(name: &Name, content: &[u8]) -> Result<(), Flaw> {
    match name {
        Name::Settings(_) => Ok(()),
        Name::Identity { file, .. } if file == NODE_KEY => {
            if is_node_key(content) {
                Ok(())
            } else {
                Err(Flaw::NoKey)
            }
        }
        Name::Identity { .. } if content.is_empty() => Err(Flaw::Empty),
        Name::Identity { .. } => Ok(()),
    }
}

/// As the mailserver reads it: white space around it and `0x` in front of it are allowed.
fn is_node_key(content: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content) else {
        return false;
    };
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let Ok(key) = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()) else {
        return false;
    };
    key.len() == KEY_BYTES && key.iter().any(|byte| *byte != 0) && key.as_slice() < ORDER.as_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_keys() {
        let order = data_encoding::HEXLOWER.encode(&ORDER);
        let below = format!("{}40", &order[..62]);
        for (text, right) in [
            ("01".repeat(32), true),
            (format!("0x{}\n", "Ab".repeat(32)), true),
            (below, true),
            (order, false),
            ("f".repeat(64), false),
            ("0".repeat(64), false),
            ("01".repeat(31), false),
            ("01".repeat(33), false),
            ("no key at all".to_owned(), false),
            (String::new(), false),
            ("\u{e4}".repeat(32), false),
        ] {
            assert_eq!(is_node_key(text.as_bytes()), right, "{text:?}");
        }
        assert!(!is_node_key(&[0xFF; 32]));
    }

    #[test]
    fn other_identities_hold_something() {
        let name = |file: &str| Name::Identity {
            service: "one".to_owned(),
            file: file.to_owned(),
        };
        assert_eq!(check(&name("token"), b"x"), Ok(()));
        assert_eq!(check(&name("token"), b""), Err(Flaw::Empty));
        assert_eq!(check(&name("nodekey"), b"x"), Err(Flaw::NoKey));
    }
}
