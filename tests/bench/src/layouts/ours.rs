//! Ours, as the mailserver and the daemon use it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use archive::retention::{remove_expired, write_policy};
use archive::{Archive, DiskStage, Envelope, MessageHash, Options, Policy, Query};

use super::{Layout, Ticker};
use crate::workload::SECOND;

pub(crate) struct Ours {
    dir: PathBuf,
    archive: Arc<Archive>,
    now: i64,
}

impl Ours {
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Ours> {
        // Removal is the daemon's.
        let policy = Policy {
            retention_secs: 86_400,
            clock_trusted: true,
            cutoff: None,
            held: false,
            disk: DiskStage::Fine,
            quota_bytes: None,
        };
        write_policy(dir, &policy)?;
        Ok(Ours {
            dir: dir.to_path_buf(),
            archive: Arc::new(Archive::open(dir, options)?),
            now: 0,
        })
    }
}

impl Layout for Ours {
    fn insert(&mut self, envelope: &Envelope, now: i64) -> Result<()> {
        self.now = now;
        self.archive.insert(envelope, now)?;
        Ok(())
    }

    fn tick(&mut self, now: i64) -> Result<()> {
        Ok(self.archive.tick(now)?)
    }

    fn ticker(&self, now: i64) -> Result<Ticker> {
        let archive = Arc::clone(&self.archive);
        let mut now = now;
        Ok(Ticker::run(move || {
            now += SECOND / 4;
            if let Err(error) = archive.tick(now) {
                println!("a tick failed: {error}");
            }
        }))
    }

    fn page(&mut self, topic: &str, from: i64, to: i64) -> Result<usize> {
        let query = Query {
            content_topics: vec![topic.into()],
            time_start: Some(from),
            time_end: Some(to),
            limit: 100,
            include_data: true,
            ..Query::default()
        };
        Ok(self.archive.query(&query, self.now)?.entries.len())
    }

    fn by_hash(&mut self, hashes: &[MessageHash], now: i64) -> Result<usize> {
        let query = Query {
            hashes: hashes.to_vec(),
            limit: 100,
            include_data: true,
            ..Query::default()
        };
        Ok(self.archive.query(&query, now)?.entries.len())
    }

    fn remove_before(&mut self, cutoff: i64) -> Result<()> {
        remove_expired(&self.dir, cutoff)?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        let archive = Arc::into_inner(self.archive).context("a tick still runs")?;
        Ok(archive.close()?)
    }
}
