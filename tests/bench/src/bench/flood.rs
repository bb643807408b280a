//! Ordinary traffic of 14 a second beside floods of 1,000 a second: is the ordinary traffic there a retention later?

use std::path::Path;

use anyhow::Result;
use archive::retention::{remove_expired, write_policy};
use archive::{Archive, Direction, DiskStage, Envelope, Options, Policy, Query};

use crate::table::{Figure, Table};
use crate::workload::{RATE, SECOND, START, TOPICS, envelope, topic};

const FLOOD_A_SECOND: u64 = 1000;
/// For 24 hours; a shorter run has its part of it.
const QUOTA_BYTES: u64 = 5 << 30;
/// When the flood begins.
const QUIET_SECS: i64 = 300;

pub(crate) fn run(table: &mut Table, dir: &Path, full: bool) -> Result<()> {
    let retention_secs: u64 = if full { 86_400 } else { 3600 };
    for (name, fresh) in [
        ("ordinary kept beside a flood of one topic, %", false),
        ("ordinary kept, flood of a topic an envelope, %", true),
    ] {
        let place = dir.join("flood");
        let (kept, most) = flood(&place, retention_secs, fresh)?;
        std::fs::remove_dir_all(&place)?;
        table.add(Figure {
            name,
            envelopes: retention_secs * RATE.cast_unsigned(),
            ours: kept * 100.0,
            nwaku: None,
            go_waku: None,
            goal: format!("100; disk {:.0} % of quota", most * 100.0),
            met: kept >= 1.0 && most <= 1.0,
        });
    }
    Ok(())
}

/// The part of the last retention's ordinary envelopes that is there at the end, and the most of the quota that was used.
fn flood(dir: &Path, retention_secs: u64, fresh: bool) -> Result<(f64, f64)> {
    let quota = QUOTA_BYTES * retention_secs / 86_400;
    let policy = Policy {
        retention_secs,
        clock_trusted: true,
        cutoff: None,
        disk: DiskStage::Fine,
        quota_bytes: Some(quota),
    };
    write_policy(dir, &policy)?;
    let archive = Archive::open(dir, Options::default())?;
    let retention = retention_secs.cast_signed();
    let seconds = QUIET_SECS + retention + retention / 4;
    let (mut number, mut bad, mut most) = (0, envelope(1, 0), 0);
    let mut now = START;
    for second in 0..seconds {
        now = START + second * SECOND;
        for turn in 0..RATE {
            let mut ordinary: Envelope = envelope(number, 1);
            number += 1;
            ordinary.timestamp = now + turn;
            archive.insert(&ordinary, now)?;
        }
        if second >= QUIET_SECS {
            for turn in 0..FLOOD_A_SECOND {
                bad.timestamp = now + turn.cast_signed();
                bad.content_topic = if fresh {
                    format!("/f/1/{second}-{turn}/x")
                } else {
                    "/f/1/flood/x".into()
                };
                archive.insert(&bad, now)?;
            }
        }
        archive.tick(now)?;
        if second % 30 == 0 {
            remove_expired(dir, now - retention * SECOND)?;
            most = most.max(archive.stats().bytes);
        }
    }
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
            kept += page.entries.len() as i64;
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    let cutoff_second = seconds - 1 - retention;
    let expected = (seconds - cutoff_second) * RATE;
    println!("  refused and counted: {:?}", archive.stats().counters.refused);
    Ok(((kept as f64 / expected as f64).min(1.0), most as f64 / quota as f64))
}
