//! Content topics and pubsub topics (RFC 23/WAKU2-TOPICS, RFC 51/WAKU2-RELAY-SHARDING), and autosharding between them.
//!
//! A content topic says what an envelope is about, a pubsub topic which shard carries it. Parsing is strict and prints
//! back what was read: two spellings of one topic would be two topics to every peer.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// The only generation of content topics that is defined (RFC 51, "Automatic Sharding").
const GENERATION: u32 = 0;

/// Shards run from 0 to 1023 (RFC 51, "Static Sharding").
pub const MAX_SHARD: u16 = 1023;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("content topic {0:?} does not start with a slash")]
    NoSlash(String),
    #[error("content topic {0:?} is not of the form /application/version/name/encoding")]
    Parts(String),
    #[error("content topic {topic:?} has an empty {part}")]
    EmptyPart { topic: String, part: &'static str },
    #[error("content topic {0:?} has a generation that is not a number")]
    GenerationNotANumber(String),
    #[error("content topic {topic:?} is of generation {generation}, and only generation 0 is defined")]
    UnknownGeneration { topic: String, generation: u32 },
    #[error("pubsub topic {0:?} is not of the form /waku/2/rs/CLUSTER/SHARD")]
    Pubsub(String),
}

/// `/application/version/name/encoding`, or the same behind a `/generation`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentTopic {
    generation: Option<u32>,
    application: String,
    version: String,
    name: String,
    encoding: String,
}

impl ContentTopic {
    /// The shard that carries this topic in a network of `shards_in_network` shards, or `None` for a network of none.
    ///
    /// nwaku (`waku_core/topics/sharding.nim`) and go-waku (`waku/v2/protocol/shard.go`) take the last eight bytes of
    /// SHA-256 over application and version, big-endian. The specification takes the whole hash, which is the same for
    /// the powers of two that networks use.
    pub fn shard(&self, shards_in_network: u16) -> Option<u16> {
        let mut sha = Sha256::new();
        sha.update(self.application.as_bytes());
        sha.update(self.version.as_bytes());
        let hash: [u8; 32] = sha.finalize().into();
        let (_, tail) = hash.split_last_chunk::<8>()?;
        let shard = u64::from_be_bytes(*tail).checked_rem(u64::from(shards_in_network))?;
        u16::try_from(shard).ok()
    }
}

impl FromStr for ContentTopic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix('/').ok_or_else(|| Error::NoSlash(text.to_owned()))?;
        let parts: Vec<&str> = rest.split('/').collect();
        let (generation, [application, version, name, encoding]) = match parts[..] {
            [application, version, name, encoding] => (None, [application, version, name, encoding]),
            [generation, application, version, name, encoding] => {
                let digits = generation;
                let generation: u32 = digits
                    .parse()
                    .map_err(|_| Error::GenerationNotANumber(text.to_owned()))?;
                if digits != generation.to_string() {
                    return Err(Error::GenerationNotANumber(text.to_owned()));
                }
                if generation != GENERATION {
                    return Err(Error::UnknownGeneration {
                        topic: text.to_owned(),
                        generation,
                    });
                }
                (Some(generation), [application, version, name, encoding])
            }
            _ => return Err(Error::Parts(text.to_owned())),
        };
        for (value, part) in [
            (application, "application"),
            (version, "version"),
            (name, "name"),
            (encoding, "encoding"),
        ] {
            if value.is_empty() {
                return Err(Error::EmptyPart {
                    topic: text.to_owned(),
                    part,
                });
            }
        }
        Ok(Self {
            generation,
            application: application.to_owned(),
            version: version.to_owned(),
            name: name.to_owned(),
            encoding: encoding.to_owned(),
        })
    }
}

impl fmt::Display for ContentTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(generation) = self.generation {
            write!(f, "/{generation}")?;
        }
        write!(
            f,
            "/{}/{}/{}/{}",
            self.application, self.version, self.name, self.encoding
        )
    }
}

/// The pubsub topic `/waku/2/rs/CLUSTER/SHARD` of one shard of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    pub cluster: u16,
    pub index: u16,
}

impl Shard {
    pub fn new(cluster: u16, index: u16) -> Self {
        Self { cluster, index }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/waku/2/rs/{}/{}", self.cluster, self.index)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Pubsub(text.to_owned());
        let rest = text.strip_prefix("/waku/2/rs/").ok_or_else(wrong)?;
        let (cluster, index) = rest.split_once('/').ok_or_else(wrong)?;
        let number = |digits: &str| digits.parse::<u16>().map_err(|_| wrong());
        let shard = Self {
            cluster: number(cluster)?,
            index: number(index)?,
        };
        // "+1" and "01" parse as numbers too, but name another topic.
        if shard.to_string() == text {
            Ok(shard)
        } else {
            Err(wrong())
        }
    }
}

/// How content topics meet shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharding {
    /// Whoever publishes names the shard.
    Static,
    /// The shard follows from the content topic.
    Auto { shards_in_network: u16 },
}

impl Sharding {
    /// The shard of a content topic, where the network says so by itself; `None` under static sharding.
    pub fn shard_of(self, cluster: u16, topic: &ContentTopic) -> Option<Shard> {
        match self {
            Self::Static => None,
            Self::Auto { shards_in_network } => topic.shard(shards_in_network).map(|index| Shard::new(cluster, index)),
        }
    }
}

/// Which of these pubsub topics are shards of a cluster, ascending.
pub(crate) fn shards_of<'a>(cluster: u16, topics: impl Iterator<Item = &'a String>) -> Vec<u16> {
    let mut shards: Vec<u16> = topics
        .filter_map(|topic| topic.parse::<Shard>().ok())
        .filter(|shard| shard.cluster == cluster)
        .map(|shard| shard.index)
        .collect();
    shards.sort_unstable();
    shards
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard_of(topic: &str) -> u16 {
        topic.parse::<ContentTopic>().unwrap().shard(8).unwrap()
    }

    /// nwaku `tests/waku_core/topics/test_sharding.nim`, go-waku `waku/v2/protocol/topic_test.go`, waku-org/specs
    /// `standards/core/relay-sharding.md`; the last three are js-waku's answers, read from a run of it.
    #[test]
    fn autosharding_vectors() {
        for (topic, shard) in [
            ("/myapp/1/mytopic/cbor", 0),
            ("/0/myapp/1/mytopic/cbor", 0),
            ("/toychat/2/huilong/proto", 3),
            ("/toychat2/2/huilong/proto", 6),
            ("/toychat/4/huilong/proto", 7),
            ("/waku/2/content/test.js", 1),
            ("/my-app/1/x/proto", 5),
        ] {
            assert_eq!(shard_of(topic), shard, "{topic}");
        }
        let myapp: [u8; 32] = Sha256::digest("myapp1").into();
        assert_eq!(
            hex::encode(myapp),
            "8e541178adbd8126068c47be6a221d77d64837221893a8e4e53139fb802d4928"
        );
        assert_eq!("/myapp/1/mytopic/cbor".parse::<ContentTopic>().unwrap().shard(0), None);
    }

    #[test]
    fn a_content_topic_has_four_parts_and_generation_zero() {
        for topic in ["/waku/2/default-content/proto", "/0/waku/2/default-content/proto"] {
            assert_eq!(topic.parse::<ContentTopic>().unwrap().to_string(), topic);
        }
        let error = |topic: &str| topic.parse::<ContentTopic>().unwrap_err();
        assert_eq!(error("waku/2/a/proto"), Error::NoSlash("waku/2/a/proto".into()));
        assert_eq!(error(""), Error::NoSlash(String::new()));
        assert_eq!(error("/waku/2/a"), Error::Parts("/waku/2/a".into()));
        assert_eq!(error("/0/1/waku/2/a/proto"), Error::Parts("/0/1/waku/2/a/proto".into()));
        assert_eq!(
            error("/x/waku/2/a/proto"),
            Error::GenerationNotANumber("/x/waku/2/a/proto".into())
        );
        assert!(matches!(
            error("/1/waku/2/a/proto"),
            Error::UnknownGeneration { generation: 1, .. }
        ));
        for (topic, part) in [
            ("//2/a/proto", "application"),
            ("/waku//a/proto", "version"),
            ("/waku/2//proto", "name"),
            ("/waku/2/a/", "encoding"),
        ] {
            assert_eq!(
                error(topic),
                Error::EmptyPart {
                    topic: topic.into(),
                    part
                }
            );
        }
    }

    #[test]
    fn a_pubsub_topic_is_spelt_one_way() {
        assert_eq!("/waku/2/rs/16/32".parse(), Ok(Shard::new(16, 32)));
        assert_eq!("/waku/2/rs/65535/0".parse(), Ok(Shard::new(65535, 0)));
        for wrong in [
            "",
            "/waku/2/rs/16",
            "/waku/2/rs/16/",
            "/waku/2/rs//32",
            "/waku/2/rs/16/32/",
            "/waku/2/rs/65536/0",
            "/waku/2/rs/16/+3",
            "/waku/2/rs/016/32",
            "/waku/2/default-waku/proto",
            "waku/2/rs/16/32",
        ] {
            assert_eq!(wrong.parse::<Shard>(), Err(Error::Pubsub(wrong.into())));
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_back(text in "/?([a-z0-9]{0,3}/?){0,6}") {
            if let Ok(topic) = text.parse::<ContentTopic>() {
                prop_assert_eq!(topic.to_string(), text);
            }
        }

        #[test]
        fn a_shard_is_inside_the_network(app in "[a-z]{1,8}", version in "[0-9]{1,2}", shards in 1u16..) {
            let topic: ContentTopic = format!("/{app}/{version}/x/proto").parse().unwrap();
            prop_assert!(topic.shard(shards).unwrap() < shards);
        }
    }
}
