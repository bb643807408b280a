//! The archive from outside: real files, real SQLite, a simulated clock.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod hostile;
mod links;
mod model;
mod pages;
mod retention;
mod room;
mod sealing;
mod tools;

use std::path::Path;
use std::time::Duration;

use archive::{Archive, DiskStage, Envelope, Inserted, MessageHash, Options, Policy, Query};

pub const SECOND: i64 = 1_000_000_000;
/// A time to start from.
pub const NOW: i64 = 1_795_000_000 * SECOND;

pub fn options(retention_secs: u64) -> Options {
    Options {
        retention: Duration::from_secs(retention_secs),
        ..Options::default()
    }
}

pub fn open(dir: &Path, retention_secs: u64) -> Archive {
    Archive::open(dir, options(retention_secs)).unwrap()
}

pub fn envelope(content_topic: &str, timestamp: i64, payload: &[u8]) -> Envelope {
    Envelope {
        pubsub_topic: "/waku/2/rs/16/32".into(),
        content_topic: content_topic.into(),
        payload: payload.to_vec(),
        version: Some(1),
        timestamp,
        meta: None,
        rate_limit_proof: None,
    }
}

pub fn store(archive: &Archive, envelope: &Envelope, now: i64) -> MessageHash {
    match archive.insert(envelope, now).unwrap() {
        Inserted::Stored(hash) => hash,
        other => panic!("not stored: {other:?}"),
    }
}

pub fn everything() -> Query {
    Query {
        limit: 100,
        include_data: true,
        ..Query::default()
    }
}

pub fn count(archive: &Archive, now: i64) -> usize {
    archive.query(&everything(), now).unwrap().entries.len()
}

pub fn policy(retention_secs: u64) -> Policy {
    Policy {
        retention_secs,
        clock_trusted: true,
        cutoff: None,
        held: false,
        disk: DiskStage::Fine,
        quota_bytes: None,
    }
}

/// The names in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub fn segments(dir: &Path) -> Vec<String> {
    names(dir)
        .into_iter()
        .filter(|name| name.starts_with("slice-"))
        .collect()
}
