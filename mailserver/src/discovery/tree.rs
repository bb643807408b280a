//! Lists of nodes in DNS (EIP-1459): the URL, the four kinds of entry, and what makes them true. Pure: `dns` asks the
//! name servers.
//!
//! A list is a Merkle tree of TXT records. The root is signed by the key in the URL; every other entry lives under the
//! hash of its own text. So an entry is to be believed exactly if its text hashes to the name it was asked for, all the
//! way from a root that is signed.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::BASE32_NOPAD;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

use crate::enr::{self, Enr};

/// A UDP answer carries some 512 bytes, TCP and EDNS more; no entry needs as much as this.
pub const MAX_ENTRY_BYTES: usize = 4096;
/// Children of one branch. EIP-1459 has 13 fit into 512 bytes.
pub const MAX_CHILDREN: usize = 128;
/// A domain name's length (RFC 1035, 2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;
/// Hashes are shortened to at least 12 bytes (EIP-1459) and have 32.
const HASH_BYTES: std::ops::RangeInclusive<usize> = 12..=32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is not of the form enrtree://KEY@DOMAIN")]
    Url(String),
    #[error("entry of {0} bytes is too long")]
    TooLong(usize),
    #[error("entry is not a root: enrtree-root:v1 e= l= seq= sig= is expected")]
    Root,
    #[error("the root is not signed by the key of the URL")]
    Signature,
    #[error("entry is neither branch, link nor node record")]
    UnknownEntry,
    #[error("branch has a child that is no hash")]
    Child,
    #[error("branch has more than {MAX_CHILDREN} children")]
    TooManyChildren,
    #[error("entry's text does not hash to the name it was found under")]
    Hash,
    #[error(transparent)]
    Record(#[from] enr::Error),
}

/// `enrtree://KEY@DOMAIN`: where a list is, and who signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub key: VerifyingKey,
    pub domain: String,
}

impl FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Url(text.chars().take(200).collect());
        let rest = text.strip_prefix("enrtree://").ok_or_else(wrong)?;
        let (key, domain) = rest.split_once('@').ok_or_else(wrong)?;
        let key = BASE32_NOPAD.decode(key.as_bytes()).map_err(|_| wrong())?;
        let key = VerifyingKey::from_sec1_bytes(&key).map_err(|_| wrong())?;
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if domain.len() > MAX_DOMAIN_BYTES || !domain.split('.').all(label) {
            return Err(wrong());
        }
        Ok(Self {
            key,
            domain: domain.to_ascii_lowercase(),
        })
    }
}

/// The name of an entry below the list's domain: its text's hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName(String);

impl EntryName {
    /// The base32 of a hash, in upper case as it is written in its parent.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
        HASH_BYTES
            .contains(&bytes.len())
            .then(|| Self(text.to_ascii_uppercase()))
    }

    /// Whether `text` is what this name stands for.
    fn is_of(&self, text: &str) -> bool {
        let hash = Keccak256::digest(text.as_bytes());
        BASE32_NOPAD
            .decode(self.0.as_bytes())
            .is_ok_and(|short| hash.starts_with(&short))
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `enrtree-root:v1 e=… l=… seq=… sig=…`, signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The tree of node records.
    pub nodes: EntryName,
    /// The tree of links to other lists.
    pub links: EntryName,
    pub sequence: u64,
}

impl Root {
    pub fn parse(text: &str, key: &VerifyingKey) -> Result<Self, Error> {
        if text.len() > MAX_ENTRY_BYTES {
            return Err(Error::TooLong(text.len()));
        }
        let (signed, signature) = text.split_once(" sig=").ok_or(Error::Root)?;
        let fields = signed.strip_prefix("enrtree-root:v1 ").ok_or(Error::Root)?;
        let mut fields = fields.split(' ');
        let mut field = |prefix: &str| {
            fields
                .next()
                .and_then(|field| field.strip_prefix(prefix))
                .ok_or(Error::Root)
        };
        let nodes = EntryName::parse(field("e=")?).ok_or(Error::Root)?;
        let links = EntryName::parse(field("l=")?).ok_or(Error::Root)?;
        let sequence = field("seq=")?.parse().map_err(|_| Error::Root)?;
        if fields.next().is_some() {
            return Err(Error::Root);
        }
        verify(signed, signature, key)?;
        Ok(Self { nodes, links, sequence })
    }
}

/// Checks the 65 bytes r, s, recovery id over the Keccak-256 of the signed text.
fn verify(signed: &str, signature: &str, key: &VerifyingKey) -> Result<(), Error> {
    let bytes = URL_SAFE_NO_PAD
        .decode(signature.trim_end_matches('='))
        .map_err(|_| Error::Root)?;
    let (&recovery, compact) = bytes.split_last().ok_or(Error::Root)?;
    let signature = Signature::from_slice(compact).map_err(|_| Error::Signature)?;
    let recovery = RecoveryId::from_byte(recovery).ok_or(Error::Signature)?;
    let hash = Keccak256::digest(signed.as_bytes());
    match VerifyingKey::recover_from_prehash(&hash, &signature, recovery) {
        Ok(signer) if signer == *key => Ok(()),
        _ => Err(Error::Signature),
    }
}

/// An entry below the root.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Branch(Vec<EntryName>),
    Link(Url),
    Node(Box<Enr>),
}

impl Entry {
    /// Reads the text found under `name`.
    pub fn parse(name: &EntryName, text: &str) -> Result<Self, Error> {
        if text.len() > MAX_ENTRY_BYTES {
            return Err(Error::TooLong(text.len()));
        }
        if !name.is_of(text) {
            return Err(Error::Hash);
        }
        if let Some(children) = text.strip_prefix("enrtree-branch:") {
            branch(children).map(Self::Branch)
        } else if text.starts_with("enrtree://") {
            text.parse().map(Self::Link)
        } else if text.starts_with("enr:") {
            Ok(Self::Node(Box::new(enr::parse(text)?)))
        } else {
            Err(Error::UnknownEntry)
        }
    }
}

fn branch(children: &str) -> Result<Vec<EntryName>, Error> {
    // An empty tree is a branch without children.
    if children.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = children
        .split(',')
        .take(MAX_CHILDREN + 1)
        .map(EntryName::parse)
        .collect();
    if names.len() > MAX_CHILDREN {
        return Err(Error::TooManyChildren);
    }
    names.into_iter().collect::<Option<_>>().ok_or(Error::Child)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of EIP-1459 with the key that signed it, as in go-ethereum `p2p/dnsdisc/client_test.go`.
    pub(crate) const URL: &str = "enrtree://AKPYQIUQIL7PSIACI32J7FGZW56E5FKHEFCCOFHILBIMW3M6LWXS2@nodes.example.org";
    pub(crate) const ROOT: &str = "enrtree-root:v1 e=JWXYDBPXYWG6FX3GMDIBFA6CJ4 l=C7HRFPF3BLGF3YR4DY5KX3SMBE seq=1 sig=o908WmNp7LibOfPsr4btQwatZJ5URBr2ZAuxvK4UWHlsB9sUOTJQaGAlLPVAhM__XJesCHxLISo94z5Z2a463gA";
    pub(crate) const ENTRIES: [(&str, &str); 5] = [
        (
            "C7HRFPF3BLGF3YR4DY5KX3SMBE",
            "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@morenodes.example.org",
        ),
        (
            "JWXYDBPXYWG6FX3GMDIBFA6CJ4",
            "enrtree-branch:2XS2367YHAXJFGLZHVAWLQD4ZY,H4FHT4B454P6UXFD7JCYQ5PWDY,MHTDO6TMUBRIA2XWG5LUDACK24",
        ),
        (
            "2XS2367YHAXJFGLZHVAWLQD4ZY",
            "enr:-HW4QOFzoVLaFJnNhbgMoDXPnOvcdVuj7pDpqRvh6BRDO68aVi5ZcjB3vzQRZH2IcLBGHzo8uUN3snqmgTiE56CH3AMBgmlkgnY0iXNlY3AyNTZrMaECC2_24YYkYHEgdzxlSNKQEnHhuNAbNlMlWJxrJxbAFvA",
        ),
        (
            "H4FHT4B454P6UXFD7JCYQ5PWDY",
            "enr:-HW4QAggRauloj2SDLtIHN1XBkvhFZ1vtf1raYQp9TBW2RD5EEawDzbtSmlXUfnaHcvwOizhVYLtr7e6vw7NAf6mTuoCgmlkgnY0iXNlY3AyNTZrMaECjrXI8TLNXU0f8cthpAMxEshUyQlK-AM0PW2wfrnacNI",
        ),
        (
            "MHTDO6TMUBRIA2XWG5LUDACK24",
            "enr:-HW4QLAYqmrwllBEnzWWs7I5Ev2IAs7x_dZlbYdRdMUx5EyKHDXp7AV5CkuPGUPdvbv1_Ms1CPfhcGCvSElSosZmyoqAgmlkgnY0iXNlY3AyNTZrMaECriawHKWdDRk2xeZkrOXBQ0dfMFLHY4eENZwdufn1S1o",
        ),
    ];

    #[test]
    fn the_example_of_the_eip() {
        let url: Url = URL.parse().unwrap();
        assert_eq!(url.domain, "nodes.example.org");
        let root = Root::parse(ROOT, &url.key).unwrap();
        assert_eq!(
            (root.nodes.to_string().as_str(), root.sequence),
            ("JWXYDBPXYWG6FX3GMDIBFA6CJ4", 1)
        );
        let entries: Vec<Entry> = ENTRIES
            .iter()
            .map(|(name, text)| Entry::parse(&EntryName::parse(name).unwrap(), text).unwrap())
            .collect();
        assert!(matches!(&entries[0], Entry::Link(link) if link.domain == "morenodes.example.org"));
        assert!(matches!(&entries[1], Entry::Branch(children) if children.len() == 3));
        assert!(entries[2..].iter().all(|entry| matches!(entry, Entry::Node(_))));
    }

    #[test]
    fn what_is_not_signed_by_the_key_is_refused() {
        let other: Url = ENTRIES[0].1.parse().unwrap();
        assert_eq!(Root::parse(ROOT, &other.key), Err(Error::Signature));
        let url: Url = URL.parse().unwrap();
        assert_eq!(
            Root::parse(&ROOT.replace("seq=1", "seq=2"), &url.key),
            Err(Error::Signature)
        );
        for wrong in [
            "",
            "enrtree-root:v1",
            "enrtree-root:v2 e= l= seq= sig=",
            &ROOT.replace("seq=1", "seq=x"),
            &ROOT.replace(" l=", " "),
        ] {
            assert_eq!(Root::parse(wrong, &url.key), Err(Error::Root), "{wrong}");
        }
    }

    #[test]
    fn what_does_not_hash_to_its_name_is_refused() {
        let name = EntryName::parse(ENTRIES[1].0).unwrap();
        assert_eq!(Entry::parse(&name, ENTRIES[2].1), Err(Error::Hash));
        assert_eq!(Entry::parse(&name, &"x".repeat(5000)), Err(Error::TooLong(5000)));
        let named = |text: &str| {
            let name = EntryName::parse(&BASE32_NOPAD.encode(&Keccak256::digest(text)[..16])).unwrap();
            Entry::parse(&name, text)
        };
        assert_eq!(named("enrtree-branch:"), Ok(Entry::Branch(vec![])));
        assert_eq!(named("enrtree-branch:AAAA"), Err(Error::Child));
        assert_eq!(named("hello"), Err(Error::UnknownEntry));
        let crowd = format!("enrtree-branch:{}", vec!["C7HRFPF3BLGF3YR4DY5KX3SMBE"; 129].join(","));
        assert_eq!(named(&crowd), Err(Error::TooManyChildren));
    }

    /// The trees of the Status fleet and of the Waku sandbox, as presets name them.
    #[test]
    fn presets_have_good_urls() {
        for preset in crate::config::preset::all() {
            for entry in preset.entry_nodes.iter().filter(|entry| entry.starts_with("enrtree")) {
                entry.parse::<Url>().unwrap();
            }
        }
        for wrong in [
            "",
            "enrtree://",
            "enrtree://x@y",
            &URL.replace('@', ""),
            &URL.replace("nodes.", "nodes.."),
            &format!("{URL}{}", "x".repeat(300)),
        ] {
            assert!(matches!(wrong.parse::<Url>(), Err(Error::Url(_))), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(enrtree-root:v1 |enrtree-branch:|enrtree://|enr:)?[A-Z2-7a-z@=:, .]{0,80}") {
            let url: Url = URL.parse().unwrap();
            prop_assert!(Root::parse(&text, &url.key).is_err());
            let _ = text.parse::<Url>();
            let _ = branch(&text);
            let name = EntryName::parse(&BASE32_NOPAD.encode(&Keccak256::digest(&text)[..16])).unwrap();
            let _ = Entry::parse(&name, &text);
        }
    }
}
