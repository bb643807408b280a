//! Ordinary traffic of 14 a second beside floods of 1,000 a second: is the ordinary traffic there a retention later?

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use archive::retention::{remove_expired, write_policy};
use archive::{Archive, Direction, DiskStage, Envelope, Inserted, Options, Policy, Query, Stats};

use crate::table::{Figure, Table};
use crate::workload::{RATE, SECOND, START, TOPICS, envelope, topic};

const FLOOD_A_SECOND: u64 = 1000;
/// For 24 hours; a shorter run has its part of it.
const QUOTA_BYTES: u64 = 5 << 30;
/// When the flood begins.
const QUIET_SECS: i64 = 300;
/// Who floods: as many peers, each with a clock of its own, as far off as is let in.
const PEERS: u64 = 8;
const SKEW_NS: i64 = 18 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    OneTopic,
    /// A topic an envelope, which evades shares by topic.
    FreshTopics,
}

struct Outcome {
    /// Of the last retention's ordinary envelopes.
    expected: u64,
    kept: u64,
    /// Of the quota, in percent.
    most_used: f64,
    stats: Stats,
}

pub(crate) fn run(table: &mut Table, dir: &Path, full: bool) -> Result<()> {
    let retention_secs: u64 = if full { 86_400 } else { 3600 };
    for (name, flood) in [
        ("ordinary kept beside a flood of one topic", Flood::OneTopic),
        ("ordinary kept beside a topic an envelope, 8 peers", Flood::FreshTopics),
    ] {
        let place = dir.join("flood");
        let begun = Instant::now();
        let outcome = run_one(&place, retention_secs, flood)?;
        std::fs::remove_dir_all(&place)?;
        let counters = &outcome.stats.counters;
        println!(
            "  {} of {} ordinary envelopes of {retention_secs} s are there; stored {}, of these above a share {}, refused {:?}, \
             dropped early {}; {:.0} s",
            outcome.kept,
            outcome.expected,
            counters.stored,
            counters.overflowed,
            counters.refused,
            counters.dropped_early_envelopes,
            begun.elapsed().as_secs_f64()
        );
        let kept_percent = outcome.kept as f64 * 100.0 / outcome.expected as f64;
        let mut add = |name, value, goal: &str, met| {
            table.add(Figure {
                name,
                value,
                unit: "%",
                goal: Some(goal.into()),
                met: Some(met),
                envelopes: outcome.expected,
                nwaku: None,
                go_waku: None,
            });
        };
        add(name, kept_percent, "100", outcome.kept == outcome.expected);
        add(
            "  the most of the quota that was used",
            outcome.most_used,
            "<= 100",
            outcome.most_used <= 100.0,
        );
    }
    Ok(())
}

fn run_one(dir: &Path, retention_secs: u64, flood: Flood) -> Result<Outcome> {
    let quota = QUOTA_BYTES * retention_secs / 86_400;
    let policy = Policy {
        retention_secs,
        clock_trusted: true,
        cutoff: None,
        held: false,
        disk: DiskStage::Fine,
        quota_bytes: Some(quota),
    };
    write_policy(dir, &policy)?;
    let archive = Archive::open(dir, Options::default())?;
    let retention = retention_secs.cast_signed();
    // A slice longer than the retention, so that the first ones have been forgotten on time.
    let seconds = QUIET_SECS + retention + retention / 24;
    let (mut number, mut bad, mut most) = (0, envelope(1, 0), 0);
    let mut refused_ordinary = 0u64;
    let mut now = START;
    for second in 0..seconds {
        now = START + second * SECOND;
        for turn in 0..RATE {
            let mut ordinary: Envelope = envelope(number, 1);
            number += 1;
            ordinary.timestamp = now + turn;
            refused_ordinary += u64::from(!matches!(archive.insert(&ordinary, now)?, Inserted::Stored(_)));
        }
        if second >= QUIET_SECS {
            for turn in 0..FLOOD_A_SECOND {
                flood.shape(&mut bad, now, second, turn);
                archive.insert(&bad, now)?;
            }
        }
        archive.tick(now)?;
        if second % 30 == 0 {
            remove_expired(dir, now - retention * SECOND)?;
            most = most.max(archive.stats().bytes);
        }
    }
    println!("  {refused_ordinary} ordinary envelopes refused when they came");
    let kept = count_ordinary(&archive, now)?;
    // The cut-off is inclusive: what came at its second is kept.
    let expected = (retention + 1) * RATE;
    Ok(Outcome {
        expected: expected.cast_unsigned(),
        kept,
        most_used: most as f64 * 100.0 / quota as f64,
        stats: archive.stats(),
    })
}

impl Flood {
    fn shape(self, bad: &mut Envelope, now: i64, second: i64, turn: u64) {
        match self {
            Flood::OneTopic => {
                bad.timestamp = now + turn.cast_signed();
                "/f/1/flood/x".clone_into(&mut bad.content_topic);
            }
            Flood::FreshTopics => {
                let peer = (turn % PEERS).cast_signed();
                let skew = SKEW_NS * (2 * peer - PEERS.cast_signed() + 1) / PEERS.cast_signed();
                bad.timestamp = now + skew + turn.cast_signed();
                bad.content_topic = format!("/f/1/{second}-{turn}/x");
            }
        }
    }
}

fn count_ordinary(archive: &Archive, now: i64) -> Result<u64> {
    let mut kept = 0;
    for number in 0..TOPICS {
        let mut query = Query {
            content_topics: vec![topic(number)],
            direction: Direction::Forward,
            limit: 100,
            ..Query::default()
        };
        loop {
            let page = archive.query(&query, now)?;
            kept += page.entries.len() as u64;
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    Ok(kept)
}
