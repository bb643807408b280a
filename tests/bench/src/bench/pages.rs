//! Our own schema in pages of several sizes: what the choice of `PAGE_BYTES` rests on.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use archive::Options;

use crate::layouts::{Layout, Ours};
use crate::meter::{Asked, disk_bytes, percentile_ms, written_bytes};
use crate::table::{Figure, Table};
use crate::workload::{HOUR, PAYLOAD_BYTES, RATE, Random, SECOND, START, TOPICS, envelope, topic};

const SIZES: [u32; 4] = [1024, 2048, 4096, 8192];
/// An hour of ordinary traffic, and a little more so that it is sealed.
const HOUR_AND_A_BIT: u64 = 3700 * RATE as u64;
const QUESTIONS: usize = 300;
const ROUNDS: usize = 5;

struct Measured {
    page_bytes: u32,
    layout: Ours,
    dir: std::path::PathBuf,
    write_ratio: f64,
    bulk_secs: f64,
    pages: Asked,
    hashes: Asked,
}

pub(crate) fn run(table: &mut Table, dir: &Path) -> Result<()> {
    let mut all = Vec::new();
    let mut hashes = Vec::new();
    for page_bytes in SIZES {
        let dir = dir.join(format!("pages-{page_bytes}"));
        std::fs::create_dir_all(&dir)?;
        let options = Options {
            page_bytes,
            ..Options::default()
        };
        let mut layout = Ours::open(&dir, options)?;
        hashes.clear();
        let (before, mut bulk, mut ticked) = (written_bytes(), Duration::ZERO, START);
        for number in 0..HOUR_AND_A_BIT {
            let next = envelope(number, SECOND / RATE);
            hashes.extend((number % 13 == 0).then(|| next.hash()));
            let begun = Instant::now();
            while ticked < next.timestamp {
                ticked += SECOND / 4;
                layout.tick(ticked)?;
            }
            layout.insert(&next, next.timestamp)?;
            bulk += begun.elapsed();
        }
        let payload = HOUR_AND_A_BIT as f64 * PAYLOAD_BYTES as f64;
        all.push(Measured {
            page_bytes,
            layout,
            dir,
            write_ratio: (written_bytes() - before) as f64 / payload,
            bulk_secs: bulk.as_secs_f64(),
            pages: Asked::default(),
            hashes: Asked::default(),
        });
    }
    for _ in 0..ROUNDS {
        let mut random = Random::new(7);
        for question in 0..QUESTIONS {
            let name = topic(random.below(TOPICS));
            let from = START + random.below(HOUR.cast_unsigned() / 2).cast_signed();
            let ten: Vec<_> = (0..10)
                .map(|_| hashes[random.below(hashes.len() as u64) as usize])
                .collect();
            for measured in &mut all {
                let layout = &mut measured.layout;
                measured
                    .pages
                    .ask(question, || layout.page(&name, from, from + 6 * HOUR))?;
                measured.hashes.ask(question, || layout.by_hash(&ten, START + HOUR))?;
            }
        }
    }
    for measured in all {
        println!("pages of {} bytes", measured.page_bytes);
        Box::new(measured.layout).close()?;
        let mut add = |name, unit, value| {
            table.add(Figure {
                name,
                value,
                unit,
                goal: None,
                met: None,
                envelopes: HOUR_AND_A_BIT,
                nwaku: None,
                go_waku: None,
            });
        };
        let payload = HOUR_AND_A_BIT as f64 * PAYLOAD_BYTES as f64;
        add("  bytes written a payload byte at 14/s", "", measured.write_ratio);
        add(
            "  file bytes a payload byte",
            "",
            disk_bytes(&measured.dir) as f64 / payload,
        );
        add("  an hour's inserts, commits and sealing", "s", measured.bulk_secs);
        add("  page of 100: median", "ms", percentile_ms(&measured.pages.best, 50));
        add("  page of 100: p99", "ms", percentile_ms(&measured.pages.best, 99));
        add("  10 hashes: median", "ms", percentile_ms(&measured.hashes.best, 50));
        add("  10 hashes: p99", "ms", percentile_ms(&measured.hashes.best, 99));
        std::fs::remove_dir_all(&measured.dir)?;
    }
    Ok(())
}
