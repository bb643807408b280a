use proptest::prelude::*;

use super::*;

fn hash(prefix: &str) -> MessageHash {
    let mut hash = [0; HASH_BYTES];
    let bytes = hex::decode(prefix).unwrap();
    hash[..bytes.len()].copy_from_slice(&bytes);
    MessageHash(hash)
}

fn skip(timestamp: i64, prefix: &str) -> Range {
    Range {
        end: Id {
            timestamp,
            hash: hash(prefix),
        },
        content: Content::Skip,
    }
}

/// The example of WAKU-SYNC, "Delta Encoding": ends at 1000, 1002, 1002 and 1003, the third one told from the second
/// by the first two bytes of its hash.
#[test]
fn ends_are_differences_and_hashes_only_where_the_time_is_the_same() {
    let payload = Payload {
        ranges: vec![
            skip(1000, ""),
            skip(1002, ""),
            skip(1002, "351c"),
            skip(1002, "3560"),
            skip(1003, ""),
        ],
        ..Payload::default()
    };
    let encoded = payload.encode();
    // No topics of either kind, start 0; then difference, hash where the difference is 0, type.
    let ends = "e80700 0200 00 02 351c 00 00 02 3560 00 0100";
    assert_eq!(hex::encode(&encoded), format!("000000{}", ends.replace(' ', "")));
    assert_eq!(Payload::decode(&encoded), Ok(payload));
}

/// Laid out by hand from nwaku's `codec.nim`: one topic, one fingerprint from 1,000 to 3,000.
#[test]
fn the_opening_payload_of_a_session() {
    let payload = Payload {
        pubsub_topics: vec!["/waku/2/rs/16/32".into()],
        content_topics: Vec::new(),
        start: 1000,
        ranges: vec![Range {
            end: Id::at(3000),
            content: Content::Fingerprint(Fingerprint([0xab; 32])),
        }],
    };
    let topic = hex::encode("/waku/2/rs/16/32");
    let expected = format!("0110{topic}00e807d00f01{}", "ab".repeat(32));
    assert_eq!(hex::encode(payload.encode()), expected);
    assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
}

#[test]
fn items_carry_times_as_differences_from_zero() {
    let ids = vec![
        Id {
            timestamp: 1500,
            hash: hash("01"),
        },
        Id {
            timestamp: 1500,
            hash: hash("02"),
        },
        Id {
            timestamp: 1628,
            hash: hash("00"),
        },
    ];
    let payload = Payload {
        start: 1000,
        ranges: vec![Range {
            end: Id::at(2000),
            content: Content::Items { ids, resolved: true },
        }],
        ..Payload::default()
    };
    let zeros = "00".repeat(31);
    let expected = format!("0000e807e8070203dc0b01{zeros}0002{zeros}800100{zeros}01");
    assert_eq!(hex::encode(payload.encode()), expected);
    assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
}

#[test]
fn the_end_of_a_session() {
    assert_eq!(Payload::default().encode(), [0]);
    for bytes in [&[][..], &[0]] {
        let payload = Payload::decode(bytes).unwrap();
        assert!(payload.is_finished() && payload.ranges.is_empty());
    }
    let skips = Payload {
        ranges: vec![skip(5, ""), skip(9, "")],
        ..Payload::default()
    };
    assert!(skips.is_finished());
}

/// A hash cannot be written behind another time: the skip is written as two.
#[test]
fn a_merged_skip_that_ends_inside_a_time() {
    let payload = Payload {
        start: 10,
        ranges: vec![skip(20, "7f"), skip(21, "")],
        ..Payload::default()
    };
    let read = Payload::decode(&payload.encode()).unwrap();
    assert_eq!(read.ranges, [skip(20, ""), skip(20, "7f"), skip(21, "")]);
}

#[test]
fn what_is_refused() {
    let hash = "11".repeat(32);
    let cases = [
        ("ff", Ok(Payload::default())),
        ("ff01", Err(Malformed::Truncated("pubsub topics"))),
        ("8000", Err(Malformed::Varint("pubsub topics"))),
        ("ffffffffffffffffff01", Err(Malformed::Varint("pubsub topics"))),
        (
            "8110",
            Err(Malformed::TooMany {
                what: "pubsub topics",
                max: MAX_TOPICS,
            }),
        ),
        ("018104", Err(Malformed::Topic)),
        ("0105", Err(Malformed::Truncated("pubsub topics"))),
        ("0101ff", Err(Malformed::Topic)),
        ("0000", Err(Malformed::Truncated("start"))),
        ("000005ff", Err(Malformed::Truncated("end of a range"))),
        ("0000050000", Err(Malformed::Empty)),
        ("0000050021", Err(Malformed::HashLength(33))),
        ("000005000401", Err(Malformed::Truncated("end of a range"))),
        ("00000501", Err(Malformed::Truncated("type of a range"))),
        ("0000050103", Err(Malformed::RangeType(3))),
        ("000005010111", Err(Malformed::Truncated("fingerprint"))),
        ("0000050102", Err(Malformed::Truncated("ids"))),
        ("000005010201", Err(Malformed::TooMany { what: "ids", max: 0 })),
        (
            "0000050102ffffffffffffffff7f00",
            Err(Malformed::TooMany { what: "ids", max: 0 }),
        ),
        ("000005010200", Err(Malformed::Truncated("resolved"))),
        ("00000501020002", Err(Malformed::Resolved(2))),
        (
            // Twice the furthest time.
            "0000ffffffffffffffff7fffffffffffffffff7f00",
            Err(Malformed::Time),
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Payload::decode(&hex::decode(bytes).unwrap()), expected, "{bytes}");
    }
    let twice = format!("00000501020205{hash}00{hash}01");
    assert_eq!(Payload::decode(&hex::decode(twice).unwrap()), Err(Malformed::Unsorted));
    let bytes = MAX_PAYLOAD_BYTES + 1;
    assert_eq!(Payload::decode(&vec![0; bytes]), Err(Malformed::TooLong { bytes }));
    let many = [&[0, 0, 0][..], &[1, 0].repeat(MAX_RANGES + 1)].concat();
    let too_many = Malformed::TooMany {
        what: "ranges",
        max: MAX_RANGES,
    };
    assert_eq!(Payload::decode(&many), Err(too_many));
}

fn id() -> impl Strategy<Value = Id> {
    // Few times, so that many ids share one.
    (0..50i64, any::<[u8; 4]>()).prop_map(|(timestamp, head)| {
        let mut hash = [0; HASH_BYTES];
        hash[..4].copy_from_slice(&head);
        Id {
            timestamp,
            hash: MessageHash(hash),
        }
    })
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Skip),
        any::<[u8; 32]>().prop_map(|bytes| Content::Fingerprint(Fingerprint(bytes))),
        (proptest::collection::btree_set(id(), 0..20), any::<bool>()).prop_map(|(ids, resolved)| Content::Items {
            ids: ids.into_iter().collect(),
            resolved,
        }),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    let topics = || proptest::collection::vec("[a-z/0-9]{0,40}", 0..4);
    let ranges = proptest::collection::btree_map(id(), content(), 0..20);
    (topics(), topics(), ranges).prop_map(|(pubsub_topics, content_topics, ranges)| {
        let mut last = Id::at(0);
        let writable = ranges.into_iter().filter_map(|(mut end, content)| {
            if end.timestamp > last.timestamp {
                end = Id::at(end.timestamp);
            }
            let grows = end > last;
            last = last.max(end);
            grows.then_some(Range { end, content })
        });
        let ranges: Vec<Range> = writable.collect();
        match ranges.is_empty() {
            true => Payload::default(),
            false => Payload {
                pubsub_topics,
                content_topics,
                start: 0,
                ranges,
            },
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(payload in payload()) {
        prop_assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
    }

    #[test]
    fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(payload) = Payload::decode(&bytes) {
            prop_assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
        }
    }
}
