//! The writer that is cut off: traffic on a simulated clock as fast as the disk allows, each acknowledgement told on
//! standard output before the next envelope. Slices are short, so that segments are made, sealed and removed all along.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use archive::retention::remove_expired;
use archive::{Archive, Envelope, Inserted, Options};

use crate::workload::{Random, SECOND};

/// Twenty-four slices of 5 s.
pub(crate) const RETENTION_SECS: i64 = 120;

pub(crate) fn options() -> Options {
    Options {
        retention: Duration::from_secs(RETENTION_SECS.cast_unsigned()),
        ..Options::default()
    }
}

pub(crate) fn run(dir: &Path, seed: u64, start: i64) -> Result<()> {
    let mut random = Random::new(seed);
    let mut now = start;
    let mut told = std::io::stdout().lock();
    let archive = Archive::open(dir, options())?;
    writeln!(told, "open {now}")?;
    let mut ticked = now;
    loop {
        now += random.below(100_000_000).cast_signed();
        let back_fill = random.below(10) == 0;
        let age = if back_fill {
            random.below(60 * SECOND as u64).cast_signed()
        } else {
            0
        };
        let envelope = Envelope {
            pubsub_topic: "/waku/2/rs/16/32".into(),
            content_topic: format!("/app/1/{}/proto", random.below(20)),
            payload: {
                let size = random.below(4000) as usize;
                random.bytes(size)
            },
            version: None,
            timestamp: now - age,
            meta: None,
            rate_limit_proof: None,
        };
        if let Inserted::Stored(hash) = archive.insert(&envelope, now)? {
            writeln!(told, "stored {now} {} {hash}", envelope.timestamp)?;
        }
        while ticked + SECOND / 4 <= now {
            ticked += SECOND / 4;
            archive.tick(ticked)?;
            writeln!(told, "tick {ticked}")?;
        }
        if random.below(200) == 0 {
            remove_expired(dir, now - RETENTION_SECS * SECOND)?;
        }
    }
}
