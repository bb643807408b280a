use std::collections::{BTreeSet, HashMap};

use archive::MessageHash;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::protocols::sync::ranges::{Content, Fingerprint, Id, MAX_PAYLOAD_BYTES, Payload, Range};

const TOPIC: &str = "/waku/2/rs/16/32";
const CONTENT: &str = "/app/1/name/proto";
const END: i64 = 1_000_000;
const LIMITS: Limits = Limits {
    answer_bytes: 512 << 10,
    envelopes: 50_000,
    rounds: 64,
};

/// Fingerprints tell sets apart only when hashes look random; some of these begin alike.
fn id(timestamp: i64, seed: u64) -> Id {
    let mut bytes: [u8; 32] = Sha256::digest([timestamp.to_be_bytes(), seed.to_be_bytes()].concat()).into();
    if seed.is_multiple_of(2) {
        bytes[..5].fill(0x11);
    }
    let hash = MessageHash(bytes);
    Id { timestamp, hash }
}

fn set_of<'a>(ids: impl IntoIterator<Item = &'a Id>) -> IdSet {
    let mut set = IdSet::new(vec![TOPIC.into()], 1_000_000);
    for id in ids {
        set.insert(*id, TOPIC, CONTENT);
    }
    set
}

fn ids_of(set: &IdSet) -> BTreeSet<Id> {
    let scope = set.scope(&[], &[]).unwrap();
    set.range(Id::at(0), Id::at(i64::MAX), &scope).collect()
}

/// What a session came to.
#[derive(Debug, Default)]
struct Outcome {
    payloads: u32,
    largest_bytes: usize,
    to_first: Vec<MessageHash>,
    to_second: Vec<MessageHash>,
    cut_short: bool,
}

/// The first starts a session; every payload goes over the wire. The sets stay as they are.
fn converse(first: &IdSet, second: &IdSet, floor: i64, limits: Limits) -> Outcome {
    let mut sides = [Session::new(floor, limits), Session::new(floor, limits)];
    let mut outcome = Outcome::default();
    let Some(mut payload) = sides[0].open(first, END) else {
        return outcome;
    };
    for turn in (0..2).cycle() {
        let bytes = payload.encode();
        outcome.payloads += 1;
        outcome.largest_bytes = outcome.largest_bytes.max(bytes.len());
        assert!(bytes.len() <= MAX_PAYLOAD_BYTES);
        let read = Payload::decode(&bytes).unwrap();
        // The second hears first.
        let (here, set) = if turn == 0 { (1, second) } else { (0, first) };
        let answer = sides[here].answer(set, &read);
        let to = if here == 1 {
            &mut outcome.to_first
        } else {
            &mut outcome.to_second
        };
        to.extend(answer.hand_over);
        match answer.payload {
            Some(next) if !answer.last => payload = next,
            _ => break,
        }
    }
    outcome.cut_short = sides.iter().any(Session::is_cut_short);
    outcome
}

/// Nothing is handed over that the other side has, nothing twice, and nothing is left over.
fn check(first: &BTreeSet<Id>, second: &BTreeSet<Id>, outcome: &Outcome) {
    let hashes = |ids: &mut dyn Iterator<Item = &Id>| -> BTreeSet<MessageHash> { ids.map(|id| id.hash).collect() };
    for (lacking, sent) in [
        (hashes(&mut second.difference(first)), &outcome.to_first),
        (hashes(&mut first.difference(second)), &outcome.to_second),
    ] {
        assert_eq!(sent.len(), lacking.len());
        assert_eq!(sent.iter().copied().collect::<BTreeSet<_>>(), lacking);
    }
}

/// Times that are all over the range, or in a few bursts, or one.
fn ids() -> impl Strategy<Value = BTreeSet<Id>> {
    let hash = prop_oneof![any::<u64>(), 0..1000u64];
    let spread = (1..END, hash.clone()).prop_map(|(timestamp, hash)| id(timestamp, hash));
    let burst = (0..4i64, hash).prop_map(|(burst, hash)| id(burst * 250_000, hash));
    proptest::collection::btree_set(prop_oneof![spread, burst], 0..1500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn two_sets_become_their_union(first in ids(), second in ids(), common in ids()) {
        let first: BTreeSet<Id> = first.union(&common).copied().collect();
        let second: BTreeSet<Id> = second.union(&common).copied().collect();
        let outcome = converse(&set_of(&first), &set_of(&second), 0, LIMITS);
        prop_assert!(!outcome.cut_short);
        prop_assert!(outcome.payloads <= 16, "{} payloads", outcome.payloads);
        check(&first, &second, &outcome);
    }

    #[test]
    fn answers_stay_small_and_still_come_to_an_end(first in ids(), second in ids()) {
        let limits = Limits { answer_bytes: MIN_ANSWER_BYTES, rounds: 10_000, ..LIMITS };
        let outcome = converse(&set_of(&first), &set_of(&second), 0, limits);
        // What is put off costs a fingerprint.
        prop_assert!(outcome.largest_bytes <= 4 * MIN_ANSWER_BYTES, "{} bytes", outcome.largest_bytes);
        check(&first, &second, &outcome);
    }

    #[test]
    fn sessions_that_are_cut_short_come_to_the_same_in_the_end(first in ids(), second in ids()) {
        let all: BTreeSet<Id> = first.union(&second).copied().collect();
        let by_hash: HashMap<MessageHash, Id> = all.iter().map(|id| (id.hash, *id)).collect();
        let (mut here, mut there) = (set_of(&first), set_of(&second));
        let limits = Limits { envelopes: 100, ..LIMITS };
        for session in 0.. {
            prop_assert!(session < 60);
            let outcome = converse(&here, &there, 0, limits);
            prop_assert!(outcome.to_first.len() <= 100 && outcome.to_second.len() <= 100);
            for (set, sent) in [(&mut here, &outcome.to_first), (&mut there, &outcome.to_second)] {
                for hash in sent {
                    set.insert(by_hash[hash], TOPIC, CONTENT);
                }
            }
            if !outcome.cut_short {
                break;
            }
        }
        prop_assert_eq!(ids_of(&here), ids_of(&there));
    }

    /// A peer may send any ranges: each of them is answered, in order, within the limits.
    #[test]
    fn any_payload_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400), ours in ids()) {
        if let Ok(payload) = Payload::decode(&bytes) {
            let set = set_of(&ours);
            let mut session = Session::new(0, LIMITS);
            let answer = session.answer(&set, &payload);
            let known: BTreeSet<MessageHash> = ours.iter().map(|id| id.hash).collect();
            prop_assert!(answer.hand_over.iter().all(|hash| known.contains(hash)));
            if let Some(reply) = answer.payload {
                prop_assert_eq!(Payload::decode(&reply.encode()).map(|read| read.is_finished()), Ok(answer.last));
            }
        }
    }
}

#[test]
fn equal_sets_part_after_one_payload_and_its_answer() {
    let ids: BTreeSet<Id> = (0..5000).map(|n| id(n * 100, n as u64)).collect();
    let outcome = converse(&set_of(&ids), &set_of(&ids), 0, LIMITS);
    assert_eq!(outcome.payloads, 1);
    check(&ids, &ids, &outcome);
    let nothing = BTreeSet::new();
    assert_eq!(converse(&set_of(&nothing), &set_of(&nothing), 0, LIMITS).payloads, 1);
}

/// An hour of ten envelopes a second, of which each side lacks one: a few kilobytes, not the 1.3 MiB of all ids.
#[test]
fn few_differences_cost_few_bytes() {
    let all: BTreeSet<Id> = (0..36_000).map(|n| id(n * 27, n as u64 * 7919)).collect();
    let without = |lost: usize| -> BTreeSet<Id> {
        let kept = all.iter().enumerate().filter(|(index, _)| *index != lost);
        kept.map(|(_, id)| *id).collect()
    };
    let (first, second) = (without(11), without(20_000));
    let outcome = converse(&set_of(&first), &set_of(&second), 0, LIMITS);
    check(&first, &second, &outcome);
    assert!(outcome.payloads <= 8 && outcome.largest_bytes <= 4096, "{outcome:?}");
}

#[test]
fn who_has_nothing_gets_everything() {
    let ids: BTreeSet<Id> = (0..3000).map(|n| id(n * 300, n as u64)).collect();
    let nothing = BTreeSet::new();
    check(&nothing, &ids, &converse(&set_of(&nothing), &set_of(&ids), 0, LIMITS));
    check(&ids, &nothing, &converse(&set_of(&ids), &set_of(&nothing), 0, LIMITS));
}

#[test]
fn nothing_before_the_floor_is_compared() {
    let ids: Vec<Id> = (0..1000).map(|n| id(n * 1000, n as u64)).collect();
    let (old, recent) = ids.split_at(400);
    // What one side has forgotten is not handed to it again.
    let mut forgetful = set_of(&ids);
    forgetful.forget_before(400_000);
    assert_eq!((forgetful.len(), forgetful.floor()), (600, 400_000));
    let whole = set_of(&ids);
    for (first, second) in [(&forgetful, &whole), (&whole, &forgetful)] {
        let outcome = converse(first, second, 0, LIMITS);
        assert!(
            outcome.to_first.is_empty() && outcome.to_second.is_empty(),
            "{outcome:?}"
        );
    }
    // And what comes too late for the set is not taken in.
    forgetful.insert(old[0], TOPIC, CONTENT);
    assert_eq!(forgetful.len(), 600);
    let session_floor = converse(&set_of(old), &set_of(recent), 700_000, LIMITS);
    assert_eq!(session_floor.to_first.len(), 300);
    assert!(session_floor.to_second.is_empty());
}

#[test]
fn a_full_set_forgets_the_oldest() {
    let mut set = IdSet::new(vec![TOPIC.into()], 100);
    for n in (0..150).rev() {
        set.insert(id(n, n as u64), TOPIC, CONTENT);
    }
    assert_eq!((set.len(), set.floor()), (100, 50));
}

#[test]
fn only_what_both_serve_is_compared() {
    let other = "/waku/2/rs/16/64";
    let mut first = IdSet::new(vec![TOPIC.into(), other.into()], 1000);
    let mut second = IdSet::new(vec![TOPIC.into()], 1000);
    for n in 0..200 {
        first.insert(id(n, n as u64), if n % 2 == 0 { TOPIC } else { other }, CONTENT);
    }
    second.insert(id(777, 777), TOPIC, CONTENT);
    second.insert(id(778, 778), other, CONTENT);
    assert_eq!(second.len(), 1, "a topic that is not served");
    for (outcome, to_larger) in [
        (converse(&first, &second, 0, LIMITS), true),
        (converse(&second, &first, 0, LIMITS), false),
    ] {
        let sent = [outcome.to_first.len(), outcome.to_second.len()];
        assert_eq!(sent, if to_larger { [1, 100] } else { [100, 1] });
    }
    // Nothing in common ends the session.
    let stranger = IdSet::new(vec!["/waku/2/rs/1/0".into()], 10);
    let opening = Session::new(0, LIMITS).open(&stranger, END).unwrap();
    let answer = Session::new(0, LIMITS).answer(&first, &opening);
    assert!(answer.last && answer.payload == Some(Payload::default()) && answer.hand_over.is_empty());
}

#[test]
fn a_peer_may_want_some_content_topics_alone() {
    let mut set = IdSet::new(vec![TOPIC.into()], 1000);
    for n in 0..10 {
        let content = if n < 3 { CONTENT } else { "/other/1/name/proto" };
        set.insert(id(n, n as u64), TOPIC, content);
    }
    let question = Payload {
        content_topics: vec![CONTENT.into()],
        start: 0,
        ranges: vec![Range {
            end: Id::at(END),
            content: Content::Items {
                ids: Vec::new(),
                resolved: true,
            },
        }],
        ..Payload::default()
    };
    assert_eq!(Session::new(0, LIMITS).answer(&set, &question).hand_over.len(), 3);
}

#[test]
fn a_peer_that_never_agrees_is_left() {
    let ids: Vec<Id> = (0..10).map(|n| id(n, n as u64)).collect();
    let set = set_of(&ids);
    let mut session = Session::new(0, Limits { rounds: 5, ..LIMITS });
    let question = Payload {
        start: 0,
        ranges: vec![Range {
            end: Id::at(END),
            content: Content::Fingerprint(Fingerprint([7; 32])),
        }],
        ..Payload::default()
    };
    for _ in 0..5 {
        assert!(!session.answer(&set, &question).last);
    }
    let end = session.answer(&set, &question);
    assert!(end.last && end.payload == Some(Payload::default()) && session.is_cut_short());
}

/// Unresolved ids are answered with those that both have: the other side learns from them what is lacking here.
#[test]
fn ids_are_compared_and_answered_with_the_common_ones() {
    let [a, b, c, d] = [id(10, 1), id(20, 2), id(30, 3), id(40, 4)];
    let set = set_of([&a, &b, &c]);
    let items = |ids: &[Id], resolved| Payload {
        start: 0,
        ranges: vec![Range {
            end: Id::at(100),
            content: Content::Items {
                ids: ids.to_vec(),
                resolved,
            },
        }],
        ..Payload::default()
    };
    let answer = |payload: &Payload| {
        let mut session = Session::new(0, LIMITS);
        let answer = session.answer(&set, payload);
        let reply = answer.payload.unwrap();
        (reply.ranges, answer.hand_over, session.differences())
    };
    let (ranges, hand_over, differences) = answer(&items(&[b, d], false));
    assert_eq!(ranges, items(&[b], true).ranges);
    assert_eq!((hand_over, differences), (vec![a.hash, c.hash], 3));
    // Resolved ones are not answered, and neither are those that are all here.
    assert_eq!(answer(&items(&[b, d], true)), (vec![], vec![a.hash, c.hash], 3));
    assert_eq!(answer(&items(&[a, b], false)), (vec![], vec![c.hash], 1));
}
