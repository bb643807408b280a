//! Where a node begins to look for others, as a person writes it.
//!
//! What a person gets wrong is found here, before the box starts with it: the wrong kind of text, one that was cut off
//! when it was copied, a name without a peer's id. Whether a signature is good only the node can tell.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};

/// A record has at most 300 bytes (EIP-778), which are 400 letters; a name has at most 253 (RFC 1035).
const MAX_BYTES: usize = 512;
/// A compressed secp256k1 key.
const KEY_BYTES: usize = 33;
/// What names of entries put in front of a list's domain has to find room in 253 bytes, too (EIP-1459).
const MAX_LIST_DOMAIN_BYTES: usize = 200;
/// EIP-778.
const MAX_RECORD_BYTES: usize = 300;
/// Base58 of a peer's id: its public key of 36 or 37 bytes with a code and a length (libp2p's peer-ids), or a SHA-256.
const PEER_ID_LETTERS: std::ops::RangeInclusive<usize> = 46..=53;

/// The forms that an entry node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `enrtree://KEY@DOMAIN`: a signed list of nodes in DNS (EIP-1459).
    List,
    /// `enr:-…`: the record of a node (EIP-778).
    Record,
    /// `/ip4/192.168.1.7/tcp/60000/p2p/16Uiu2…`: a multiaddr that ends with the peer's id.
    Address,
}

/// What is wrong with an entry node, as the second half of a sentence that begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what is wrong")]
pub enum EntryMistake {
    #[error("is not an entry node")]
    Unknown,
    #[error("is longer than {MAX_BYTES} letters")]
    TooLong,
    #[error("has no good key between enrtree:// and @")]
    ListKey,
    #[error("has no good domain after the @")]
    ListDomain,
    #[error("is not a whole record; part of it may be missing")]
    Record,
    #[error("does not begin with an address such as /ip4/192.168.1.7/tcp/60000")]
    Place,
    #[error("does not end with /p2p/ and the peer's id")]
    NoPeer,
}

impl EntryMistake {
    /// How a person fixes it.
    pub const FIX: &str = "write an address that begins with enrtree:// or enr:, or one such as \
                           \"/ip4/192.168.1.7/tcp/60000/p2p/16Uiu2HAm…\"; the page of the other box shows it";
}

impl EntryKind {
    /// Which form `text` has.
    ///
    /// # Errors
    /// What is wrong with it, when it has none of the forms or is not whole.
    pub fn of(text: &str) -> Result<EntryKind, EntryMistake> {
        if text.len() > MAX_BYTES {
            return Err(EntryMistake::TooLong);
        }
        if let Some(list) = text.strip_prefix("enrtree://") {
            list_is_whole(list).map(|()| EntryKind::List)
        } else if let Some(record) = text.strip_prefix("enr:") {
            record_is_whole(record).map(|()| EntryKind::Record)
        } else if let Some(address) = text.strip_prefix('/') {
            address_is_whole(address).map(|()| EntryKind::Address)
        } else {
            Err(EntryMistake::Unknown)
        }
    }
}

fn list_is_whole(list: &str) -> Result<(), EntryMistake> {
    let (key, domain) = list.split_once('@').ok_or(EntryMistake::ListKey)?;
    let key = BASE32_NOPAD.decode(key.as_bytes()).unwrap_or_default();
    if key.len() != KEY_BYTES || !matches!(key.first(), Some(2 | 3)) {
        return Err(EntryMistake::ListKey);
    }
    if domain.len() > MAX_LIST_DOMAIN_BYTES || !is_name(domain) {
        return Err(EntryMistake::ListDomain);
    }
    Ok(())
}

/// A record is a list in RLP that says its own length, so one that was cut off is known.
fn record_is_whole(record: &str) -> Result<(), EntryMistake> {
    let bytes = BASE64URL_NOPAD
        .decode(record.as_bytes())
        .map_err(|_| EntryMistake::Record)?;
    let content = match *bytes.as_slice() {
        [0xf8, length, ref content @ ..] => (usize::from(length), content),
        [0xf9, high, low, ref content @ ..] => (usize::from(u16::from_be_bytes([high, low])), content),
        _ => return Err(EntryMistake::Record),
    };
    if bytes.len() > MAX_RECORD_BYTES || content.0 != content.1.len() {
        return Err(EntryMistake::Record);
    }
    Ok(())
}

fn address_is_whole(address: &str) -> Result<(), EntryMistake> {
    if !address.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(EntryMistake::Unknown);
    }
    let parts: Vec<&str> = address.split('/').collect();
    let host = match *parts.as_slice() {
        ["ip4", host, ..] => host.parse::<Ipv4Addr>().is_ok(),
        ["ip6", host, ..] => host.parse::<Ipv6Addr>().is_ok(),
        ["dns" | "dns4" | "dns6", host, ..] => is_name(host),
        _ => false,
    };
    let port = |port: &str| port.parse::<u16>().is_ok_and(|number| number != 0);
    match *parts.as_slice() {
        [_, _, "tcp", number, ref rest @ ..] if host && port(number) => peer_is_named(rest),
        _ => Err(EntryMistake::Place),
    }
}

/// What stands between the port and the peer (`ws`, a circuit) is the node's to judge.
fn peer_is_named(rest: &[&str]) -> Result<(), EntryMistake> {
    let base58 = |letter: char| letter.is_ascii_alphanumeric() && !"0OIl".contains(letter);
    match *rest {
        [.., "p2p", id] if PEER_ID_LETTERS.contains(&id.len()) && id.chars().all(base58) => Ok(()),
        _ => Err(EntryMistake::NoPeer),
    }
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "AMOJVZX4V6EXP7NTJPMAYJYST2QP6AJXYW76IU6VGJS7UVSNDYZG4";
    const PEER: &str = "16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31";
    /// The example of EIP-778.
    const RECORD: &str = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";

    #[test]
    fn each_form_and_each_mistake() {
        use EntryMistake as Wrong;
        for (text, wanted) in [
            (format!("enrtree://{KEY}@boot.example.org"), Ok(EntryKind::List)),
            (RECORD.to_owned(), Ok(EntryKind::Record)),
            (format!("/ip4/192.168.1.7/tcp/60000/p2p/{PEER}"), Ok(EntryKind::Address)),
            (format!("/ip6/fd00::7/tcp/60000/p2p/{PEER}"), Ok(EntryKind::Address)),
            (
                format!("/dns4/a.example.org/tcp/8000/ws/p2p/{PEER}"),
                Ok(EntryKind::Address),
            ),
            (
                format!("/ip4/10.0.0.1/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{PEER}"),
                Ok(EntryKind::Address),
            ),
            (String::new(), Err(Wrong::Unknown)),
            ("boot.example.org".to_owned(), Err(Wrong::Unknown)),
            (format!("/ip4/10.0.0.1/tcp/1/p2p/{PEER}\n"), Err(Wrong::Unknown)),
            ("x".repeat(513), Err(Wrong::TooLong)),
            (format!("enrtree://{KEY}"), Err(Wrong::ListKey)),
            (format!("enrtree://{}@a.org", &KEY[..52]), Err(Wrong::ListKey)),
            (format!("enrtree://{}@a.org", KEY.to_lowercase()), Err(Wrong::ListKey)),
            (format!("enrtree://{KEY}@"), Err(Wrong::ListDomain)),
            (format!("enrtree://{KEY}@a..org"), Err(Wrong::ListDomain)),
            (RECORD[..RECORD.len() - 4].to_owned(), Err(Wrong::Record)),
            (RECORD.replace("-IS4", "AIS4"), Err(Wrong::Record)),
            ("enr:".to_owned(), Err(Wrong::Record)),
            (format!("/ip4/192.168.1/tcp/60000/p2p/{PEER}"), Err(Wrong::Place)),
            (format!("/ip4/192.168.1.7/tcp/0/p2p/{PEER}"), Err(Wrong::Place)),
            (format!("/ip4/192.168.1.7/udp/9000/p2p/{PEER}"), Err(Wrong::Place)),
            (format!("/dns4/a b/tcp/1/p2p/{PEER}"), Err(Wrong::Unknown)),
            ("/ip4/192.168.1.7/tcp/60000".to_owned(), Err(Wrong::NoPeer)),
            ("/ip4/192.168.1.7/tcp/60000/p2p/16Uiu2".to_owned(), Err(Wrong::NoPeer)),
            (
                format!("/ip4/192.168.1.7/tcp/60000/p2p/{}", PEER.replace('A', "0")),
                Err(Wrong::NoPeer),
            ),
        ] {
            assert_eq!(EntryKind::of(&text), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_one_word(text in "(enrtree://|enr:-|/ip4/1.2.3.4/tcp/1|/dns/a/tcp/2)?.{0,80}") {
            if EntryKind::of(&text).is_ok() {
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
