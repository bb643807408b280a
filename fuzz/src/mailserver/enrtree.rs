//! Entries of a node list in DNS (EIP-1459). Roots are signed and entries put under the hash of their text here, or
//! nothing that the fuzzer makes would ever be read further than that.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::BASE32_NOPAD;
use k256::ecdsa::SigningKey;
use pillarbox_mailserver::discovery::tree::{Entry, EntryName, MAX_CHILDREN, Root, Url};
use sha3::{Digest, Keccak256};

/// The list of the Status fleet: its key is as good as any.
const URL: &str = "enrtree://AMOJVZX4V6EXP7NTJPMAYJYST2QP6AJXYW76IU6VGJS7UVSNDYZG4@boot.prod.status.nodes.status.im";

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = text.parse::<Url>();
    let url: Url = URL.parse().expect("a list that exists");
    assert!(Root::parse(text, &url.key).is_err(), "signed by nobody");
    let _ = EntryName::parse(text);

    let key = SigningKey::from_slice(&[7; 32]).expect("a number below the group's order");
    let hash = Keccak256::digest(text.as_bytes());
    let (signature, recovery) = key.sign_prehash_recoverable(&hash);
    let bytes = [signature.to_bytes().as_slice(), &[recovery.to_byte()]].concat();
    let signed = format!("{text} sig={}", URL_SAFE_NO_PAD.encode(bytes));
    let _ = Root::parse(&signed, key.verifying_key());

    let name = EntryName::parse(&BASE32_NOPAD.encode(&hash[..16])).expect("the base32 of 16 bytes");
    if let Ok(Entry::Branch(children)) = Entry::parse(&name, text) {
        assert!(children.len() <= MAX_CHILDREN);
    }
}
