//! The archive against a sorted list: any order of inserts, duplicates, queries, pruning, clock jumps, commits and
//! reopenings must give what the list gives.

use std::collections::BTreeMap;

use archive::retention::{remove_expired, write_policy};
use archive::{Archive, Direction, Envelope, Error, Inserted, MessageHash, Page, Query, Refusal};
use proptest::prelude::*;

use crate::{NOW, SECOND, open, policy};

const RETENTION_SECS: u64 = 240;
/// `Options::default`'s group commit.
const DURABILITY: i64 = 2 * SECOND;
const RETENTION: i64 = RETENTION_SECS as i64 * SECOND;

#[derive(Clone, Debug)]
enum Step {
    Insert {
        age_secs: i64,
        topic: u8,
        shard: u8,
        byte: u8,
    },
    Again(u8),
    Query(Asked),
    Walk(Asked),
    Elapse {
        millis: i64,
    },
    Jump {
        secs: i64,
    },
    Prune,
    Reopen,
}

#[derive(Clone, Debug)]
struct Asked {
    topics: Vec<u8>,
    shard: Option<u8>,
    start_age: Option<i64>,
    end_age: Option<i64>,
    hashes: Vec<u8>,
    cursor: Option<u8>,
    forward: bool,
    limit: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        proptest::collection::vec(0u8..5, 0..3),
        proptest::option::weighted(0.4, 0u8..3),
        proptest::option::weighted(0.3, -25i64..300),
        proptest::option::weighted(0.3, -25i64..300),
        prop_oneof![4 => Just(vec![]), 1 => proptest::collection::vec(any::<u8>(), 1..12)],
        proptest::option::weighted(0.3, any::<u8>()),
        any::<bool>(),
        0usize..9,
    )
        .prop_map(
            |(topics, shard, start_age, end_age, hashes, cursor, forward, limit)| Asked {
                topics,
                shard,
                start_age,
                end_age,
                hashes,
                cursor,
                forward,
                limit,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (-25i64..260, 0u8..5, 0u8..3, 0u8..4)
            .prop_map(|(age_secs, topic, shard, byte)| Step::Insert { age_secs, topic, shard, byte }),
        2 => any::<u8>().prop_map(Step::Again),
        6 => asked().prop_map(Step::Query),
        2 => asked().prop_map(Step::Walk),
        6 => (0i64..30_000).prop_map(|millis| Step::Elapse { millis }),
        1 => (-400i64..400).prop_map(|secs| Step::Jump { secs }),
        2 => Just(Step::Prune),
        1 => Just(Step::Reopen),
    ]
}

struct Model {
    kept: BTreeMap<(i64, MessageHash), Envelope>,
    /// Everything ever stored, in order of arrival.
    arrived: Vec<Envelope>,
    /// When each was stored last: younger than the group commit, it may be in memory only.
    stored_at: BTreeMap<(i64, MessageHash), i64>,
}

impl Model {
    fn page(&self, query: &Query, cursor: Option<(i64, MessageHash)>, cutoff: i64) -> (Vec<MessageHash>, bool) {
        let mut all: Vec<(i64, MessageHash)> = self
            .kept
            .iter()
            .filter(|((at, hash), envelope)| {
                *at >= cutoff
                    && query.time_start.is_none_or(|start| *at >= start)
                    && query.time_end.is_none_or(|end| *at <= end)
                    && query
                        .pubsub_topic
                        .as_ref()
                        .is_none_or(|topic| *topic == envelope.pubsub_topic)
                    && (query.content_topics.is_empty() || query.content_topics.contains(&envelope.content_topic))
                    && (query.hashes.is_empty() || query.hashes.contains(hash))
                    && cursor.is_none_or(|cursor| match query.direction {
                        Direction::Forward => (*at, *hash) > cursor,
                        Direction::Backward => (*at, *hash) < cursor,
                    })
            })
            .map(|(key, _)| *key)
            .collect();
        let limit = query.limit.clamp(1, archive::MAX_PAGE);
        let more = all.len() > limit;
        match query.direction {
            Direction::Forward => all.truncate(limit),
            Direction::Backward => drop(all.drain(..all.len().saturating_sub(limit))),
        }
        (all.into_iter().map(|(_, hash)| hash).collect(), more)
    }
}

fn shard(number: u8) -> String {
    format!("/waku/2/rs/16/{number}")
}

fn topic(number: u8) -> String {
    format!("/app/1/topic-{number}/proto")
}

fn to_query(asked: &Asked, model: &Model, now: i64) -> Query {
    let picked = |number: u8| match model.arrived.len() {
        0 => MessageHash([number; 32]),
        count => model.arrived[number as usize % count].hash(),
    };
    Query {
        pubsub_topic: asked.shard.map(shard),
        content_topics: asked.topics.iter().map(|number| topic(*number)).collect(),
        time_start: asked.start_age.map(|age| now - age * SECOND),
        time_end: asked.end_age.map(|age| now - age * SECOND),
        hashes: asked.hashes.iter().map(|number| picked(*number)).collect(),
        cursor: asked.cursor.map(picked),
        direction: if asked.forward {
            Direction::Forward
        } else {
            Direction::Backward
        },
        limit: asked.limit,
        include_data: asked.limit.is_multiple_of(2),
    }
}

fn check_page(page: &Page, query: &Query, model: &Model, expected: &(Vec<MessageHash>, bool)) {
    let hashes: Vec<MessageHash> = page.entries.iter().map(|entry| entry.hash).collect();
    assert_eq!(hashes, expected.0, "{query:?}");
    let edge = match query.direction {
        Direction::Forward => hashes.last(),
        Direction::Backward => hashes.first(),
    };
    assert_eq!(page.cursor, edge.copied().filter(|_| expected.1), "{query:?}");
    for entry in &page.entries {
        assert_eq!(entry.envelope.is_some(), query.include_data);
        if let Some(envelope) = &entry.envelope {
            assert_eq!(envelope.hash(), entry.hash);
            assert_eq!(model.kept.get(&(envelope.timestamp, entry.hash)), Some(envelope));
        }
    }
}

/// An archive, the list that it is held to, and the time.
struct Run {
    archive: Option<Archive>,
    dir: tempfile::TempDir,
    daemon: bool,
    model: Model,
    now: i64,
    /// The furthest that anything was pruned, while the clock may go back behind it.
    pruned: i64,
}

impl Run {
    fn begin(daemon: bool) -> Run {
        let dir = tempfile::tempdir().unwrap();
        if daemon {
            write_policy(dir.path(), &policy(RETENTION_SECS)).unwrap();
        }
        Run {
            archive: Some(open(dir.path(), RETENTION_SECS)),
            dir,
            daemon,
            model: Model {
                kept: BTreeMap::new(),
                arrived: Vec::new(),
                stored_at: BTreeMap::new(),
            },
            now: NOW,
            pruned: i64::MIN,
        }
    }

    fn archive(&self) -> &Archive {
        self.archive.as_ref().unwrap()
    }

    fn cutoff(&self) -> i64 {
        self.now - RETENTION
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Insert {
                age_secs,
                topic: topic_number,
                shard: shard_number,
                byte,
            } => self.insert(Envelope {
                pubsub_topic: shard(shard_number),
                content_topic: topic(topic_number),
                payload: vec![byte; 1 + 700 * byte as usize],
                version: Some(u32::from(byte)),
                timestamp: self.now - age_secs * SECOND,
                meta: (byte % 2 == 0).then(|| vec![byte; 10]),
                rate_limit_proof: None,
            }),
            Step::Again(number) => {
                let arrived = &self.model.arrived;
                if let Some(envelope) = arrived.get(number as usize % arrived.len().max(1)).cloned() {
                    self.insert_again(envelope);
                }
            }
            Step::Query(asked) => self.query(&asked),
            Step::Walk(asked) => self.walk(&asked),
            Step::Elapse { millis } => self.tick_after(millis * SECOND / 1000),
            Step::Jump { secs } => self.tick_after(secs * SECOND),
            Step::Prune => {
                if self.daemon {
                    remove_expired(self.dir.path(), self.cutoff()).unwrap();
                }
                self.tick_after(0);
            }
            Step::Reopen => {
                self.archive.take().unwrap().close().unwrap();
                self.archive = Some(open(self.dir.path(), RETENTION_SECS));
            }
        }
    }

    fn tick_after(&mut self, nanos: i64) {
        self.now += nanos;
        self.archive().tick(self.now).unwrap();
    }

    fn stored(&mut self, key: (i64, MessageHash), envelope: Envelope) {
        self.model.stored_at.insert(key, self.now);
        self.model.kept.insert(key, envelope);
    }

    fn insert(&mut self, envelope: Envelope) {
        let key = (envelope.timestamp, envelope.hash());
        let expected = if envelope.timestamp < self.cutoff() {
            Inserted::Refused(Refusal::Expired)
        } else if envelope.timestamp > self.now + 20 * SECOND {
            Inserted::Refused(Refusal::Future)
        } else if self.model.kept.contains_key(&key) {
            Inserted::Duplicate(key.1)
        } else {
            Inserted::Stored(key.1)
        };
        assert_eq!(self.archive().insert(&envelope, self.now).unwrap(), expected);
        if expected == Inserted::Stored(key.1) {
            self.model.arrived.push(envelope.clone());
            self.stored(key, envelope);
        }
    }

    fn insert_again(&mut self, envelope: Envelope) {
        let key = (envelope.timestamp, envelope.hash());
        let inserted = self.archive().insert(&envelope, self.now).unwrap();
        if envelope.timestamp < self.cutoff() {
            assert_eq!(inserted, Inserted::Refused(Refusal::Expired));
        } else if self.model.kept.contains_key(&key) && envelope.timestamp <= self.now + 20 * SECOND {
            assert_eq!(inserted, Inserted::Duplicate(key.1));
        } else if inserted == Inserted::Stored(key.1) {
            self.stored(key, envelope);
        }
    }

    fn query(&self, asked: &Asked) {
        let query = to_query(asked, &self.model, self.now);
        let cursor = query.cursor.map(|cursor| {
            let known = self.model.arrived.iter().find(|envelope| envelope.hash() == cursor);
            known.map(|envelope| (envelope.timestamp, cursor))
        });
        match (self.archive().query(&query, self.now), cursor) {
            (Err(Error::UnknownCursor(_)), Some(None)) => {}
            // What is removed may be unknown, or remembered; nothing else may.
            (Err(Error::UnknownCursor(_)), Some(Some(key))) => {
                assert!(key.0 < self.pruned.max(self.cutoff()), "{query:?}");
            }
            (Ok(page), cursor) => {
                let expected = self.model.page(&query, cursor.flatten(), self.cutoff());
                check_page(&page, &query, &self.model, &expected);
            }
            (Err(error), _) => panic!("{error}"),
        }
    }

    fn walk(&self, asked: &Asked) {
        let mut query = to_query(asked, &self.model, self.now);
        query.cursor = None;
        let (mut walked, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.archive().query(&query, self.now).unwrap();
            let expected = self.model.page(&query, cursor, self.cutoff());
            check_page(&page, &query, &self.model, &expected);
            match query.direction {
                Direction::Forward => walked.extend(page.entries.iter().map(|entry| entry.hash)),
                Direction::Backward => {
                    walked.splice(..0, page.entries.iter().map(|entry| entry.hash));
                }
            }
            let Some(next) = page.cursor else { break };
            query.cursor = Some(next);
            let mut arrived = self.model.arrived.iter();
            let envelope = arrived.find(|envelope| envelope.hash() == next).unwrap();
            cursor = Some((envelope.timestamp, next));
        }
        let whole = Query {
            limit: archive::MAX_PAGE,
            ..query
        };
        assert_eq!(walked, self.model.page(&whole, None, self.cutoff()).0);
    }

    /// Alone, the writer may have pruned at any tick; the daemon only when it was told to. What has no file is gone,
    /// unless it still waits in memory to be committed: a clock that goes back may find it there.
    fn forget_what_is_gone(&mut self) {
        let on_disk: Vec<i64> = crate::segments(self.dir.path())
            .iter()
            .filter_map(|name| archive::SegmentName::parse(name))
            .map(|name| name.start().get())
            .collect();
        let gone = self.model.kept.keys().filter(|(at, _)| *at < self.cutoff());
        let gone: Vec<(i64, MessageHash)> = gone
            .filter(|(at, _)| !on_disk.iter().any(|start| *start <= *at && *at < *start + 10 * SECOND))
            .filter(|key| {
                self.now - self.model.stored_at[*key] >= DURABILITY || !self.archive().contains(&key.1).unwrap()
            })
            .copied()
            .collect();
        for key in gone {
            self.pruned = self.pruned.max(key.0 + 1);
            self.model.kept.remove(&key);
        }
    }
}

fn run(steps: Vec<Step>, daemon: bool) {
    let mut run = Run::begin(daemon);
    for step in steps {
        run.step(step);
        run.forget_what_is_gone();
    }
    run.archive.take().unwrap().close().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn alone(steps in proptest::collection::vec(step(), 1..120)) {
        run(steps, false);
    }

    #[test]
    fn with_a_daemon(steps in proptest::collection::vec(step(), 1..120)) {
        run(steps, true);
    }
}

/// Found by `alone`: it expired and its slice was pruned before its row was ever written to it.
#[test]
fn a_clock_that_goes_back_finds_what_waits_in_memory() {
    let insert = |age_secs| Step::Insert {
        age_secs,
        topic: 0,
        shard: 0,
        byte: 0,
    };
    let asked = Asked {
        topics: vec![],
        shard: None,
        start_age: None,
        end_age: None,
        hashes: vec![],
        cursor: None,
        forward: false,
        limit: 0,
    };
    let steps = vec![
        insert(0),
        insert(0),
        insert(239),
        Step::Elapse { millis: 1001 },
        Step::Jump { secs: -1 },
        Step::Query(asked),
    ];
    run(steps, false);
}
