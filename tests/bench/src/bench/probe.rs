//! A process of its own that opens an archive and uses it, so that its time and its memory are the archive's.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use archive::{Archive, Direction, Options, Query};
use serde::{Deserialize, Serialize};

use crate::meter::memory_bytes;
use crate::workload::{HOUR, Random, SECOND, START, TOPICS, envelope, topic};

#[derive(Serialize, Deserialize)]
pub(crate) struct Probed {
    pub(crate) open_ms: f64,
    /// The slowest first page of each hour: its segment is opened for it, from a disk that nothing has been read from.
    pub(crate) first_pages_ms: f64,
    /// The most that was resident, above what the process had before.
    pub(crate) memory_bytes: u64,
}

pub(crate) fn run(dir: &Path, queries: u32) -> Result<()> {
    let (before, _) = memory_bytes();
    let begun = Instant::now();
    let archive = Archive::open(dir, Options::default())?;
    let open_ms = begun.elapsed().as_secs_f64() * 1e3;
    let mut random = Random::new(3);
    let end = START + 24 * HOUR;
    let mut first_pages_ms: f64 = 0.0;
    for hour in 0..24 {
        let query = Query {
            content_topics: vec![topic(random.below(TOPICS))],
            time_start: Some(START + hour * HOUR),
            time_end: Some(START + (hour + 1) * HOUR - 1),
            limit: 100,
            include_data: true,
            ..Query::default()
        };
        let begun = Instant::now();
        archive.query(&query, end)?;
        first_pages_ms = first_pages_ms.max(begun.elapsed().as_secs_f64() * 1e3);
    }
    let mut highest = 0;
    for number in 0..queries {
        let mut query = Query {
            content_topics: vec![topic(random.below(TOPICS))],
            direction: Direction::Forward,
            limit: 100,
            include_data: true,
            ..Query::default()
        };
        // A walk of some pages, hashes, and traffic meanwhile.
        let mut hashes = Vec::new();
        for _ in 0..5 {
            let page = archive.query(&query, end)?;
            hashes.extend(page.entries.iter().map(|entry| entry.hash).take(2));
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        let by_hash = Query {
            hashes,
            limit: 100,
            ..Query::default()
        };
        archive.query(&by_hash, end)?;
        for turn in 0..20 {
            let mut next = envelope(u64::from(number) * 20 + turn, 1);
            next.timestamp = end + i64::from(number) * SECOND / 10;
            archive.insert(&next, end + i64::from(number) * SECOND / 10)?;
        }
        archive.tick(end + i64::from(number) * SECOND / 10)?;
        highest = highest.max(memory_bytes().0);
    }
    let probed = Probed {
        open_ms,
        first_pages_ms,
        memory_bytes: highest.saturating_sub(before),
    };
    println!("{}", serde_json::to_string(&probed)?);
    Ok(())
}
