//! The group commit: everything that arrived since the last one becomes durable with one synced transaction a segment.
//!
//! What fails to be committed stays in memory, is served from there, and goes with the next attempt; a segment that is
//! found damaged is put aside and its uncommitted rows go to a new one of the same slice.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::directory::names::SegmentName;
use crate::directory::quarantine;
use crate::envelope::weight;
use crate::error::Error;
use crate::mutex::lock;
use crate::segment::connect::open_for_writing;
use crate::segment::file::SegmentFile;
use crate::segment::harm::Harm;
use crate::segment::live::{Live, NewNames, Pending};
use crate::segment::schema;
use crate::segment::summary::Summary;
use crate::shares::cost;
use crate::writer::archive::Archive;
use crate::writer::durability;

/// What one segment has to commit.
struct Batch {
    file: Arc<SegmentFile>,
    writer: Arc<std::sync::Mutex<Option<Connection>>>,
    on_disk: bool,
    names: NewNames,
    rows: Vec<Pending>,
    summary: Summary,
}

impl Archive {
    pub(crate) fn commit(&self) -> Result<(), Error> {
        let _committing = lock(&self.committer);
        self.commit_waiting()
    }

    /// The committer's lock is held by the caller.
    pub(crate) fn commit_waiting(&self) -> Result<(), Error> {
        let batches: Vec<Batch> = {
            let mut catalogue = lock(&self.catalogue);
            let oldest = catalogue.waiting_since.take();
            catalogue.durability.begin(oldest.map(|(_, arrived)| arrived));
            let waiting = catalogue.live.iter().filter(|live| !live.pending.is_empty());
            waiting.map(Batch::of).collect()
        };
        if batches.is_empty() {
            lock(&self.catalogue).durability.ended(true);
            return Ok(());
        }
        let begun = Instant::now();
        let mut outcome = Ok(());
        for batch in batches {
            if let Err(error) = self.commit_one(&batch) {
                lock(&self.catalogue).counters.commit_failures += 1;
                match Harm::of(&error) {
                    Harm::Damaged => self.set_aside(batch.file.name, "corrupt"),
                    Harm::Unread => {
                        self.suspect(batch.file.name);
                        outcome = Err(error);
                    }
                    Harm::None if batch.on_disk && !batch.file.path.exists() => {
                        let forgotten = lock(&self.catalogue).forget(batch.file.name);
                        drop(forgotten);
                    }
                    Harm::None => outcome = Err(error),
                }
            }
        }
        let mut catalogue = lock(&self.catalogue);
        catalogue.last_commit = begun.elapsed();
        catalogue.durability.ended(outcome.is_ok());
        // What is left, of a commit that failed or of a damaged segment, goes with the next tick.
        if catalogue.waiting_since.is_none() && catalogue.pending_bytes > 0 {
            catalogue.waiting_since = Some((i64::MIN, Instant::now()));
        }
        outcome
    }

    fn commit_one(&self, batch: &Batch) -> Result<(), Error> {
        let mut writer = lock(&batch.writer);
        if batch.on_disk {
            let conn = match &mut *writer {
                Some(conn) => conn,
                none => none.insert(open_for_writing(&batch.file.path)?),
            };
            batch
                .write(conn)
                .map_err(Error::segment("commit envelopes", &batch.file.path))?;
        } else {
            let page_bytes = self.options.page_bytes;
            *writer = Some(schema::create(&self.dir, batch.file.name, page_bytes, |conn| {
                batch.write(conn)
            })?);
        }
        drop(writer);

        let free = durability::free_bytes(&self.dir);
        let mut catalogue = lock(&self.catalogue);
        catalogue.durability.free = free;
        catalogue.counters.commits += 1;
        catalogue.counters.committed_payload_bytes += batch
            .rows
            .iter()
            .map(|row| row.envelope.payload.len() as u64)
            .sum::<u64>();
        let mut freed = 0;
        if let Some(live) = catalogue.live.iter_mut().find(|live| live.file.name == batch.file.name) {
            freed = live
                .pending
                .drain(..batch.rows.len())
                .map(|row| weight(&row.envelope))
                .sum();
            live.names.pubsubs.drain(..batch.names.pubsubs.len());
            live.names.topics.drain(..batch.names.topics.len());
            live.committed = batch.summary;
            live.on_disk = true;
        }
        catalogue.pending_bytes = catalogue.pending_bytes.saturating_sub(freed);
        Ok(())
    }

    /// Puts a damaged segment into the quarantine and takes it out of the catalogue. What it had not committed goes to
    /// a new segment of the same slice. The committer's lock is held by the caller.
    pub(crate) fn set_aside(&self, name: SegmentName, reason: &str) {
        let mut catalogue = lock(&self.catalogue);
        let pending: Vec<Pending> = match catalogue.live.iter().find(|live| live.file.name == name) {
            Some(live) => live.pending.iter().cloned().collect(),
            None => Vec::new(),
        };
        let forgotten = catalogue.forget(name);
        for row in pending {
            let at = row.envelope.timestamp;
            let length = name.length_secs.max(1);
            catalogue.pending_bytes += weight(&row.envelope);
            catalogue.cost_bytes += cost(row.envelope.payload.len() as u64, 1);
            catalogue
                .live_for(&self.dir, &self.open_files, name.kind, at, length)
                .push(row.hash, row.envelope, i64::MIN);
        }
        drop(catalogue);
        drop(forgotten);
        let aside = quarantine::put_aside(&self.dir, &name.path(&self.dir), reason);
        let mut catalogue = lock(&self.catalogue);
        match aside {
            Ok(_) => catalogue.counters.quarantined += 1,
            // A disk that takes no names: the rest goes on without the segment, wherever it lies.
            Err(error) => {
                tracing::error!(%error, "damaged, and not to be put aside yet");
                catalogue.unreadable.push(name);
            }
        }
    }

    /// After an error in reading: whether the segment that it names is given up (removed meanwhile, or damaged and now
    /// in the quarantine), so that trying again makes sense.
    pub(crate) fn give_up_segment(&self, error: &Error) -> Result<bool, Error> {
        let (Error::Segment { path, .. } | Error::Foreign { path, .. } | Error::File { path, .. }) = error else {
            return Ok(false);
        };
        let name = path
            .file_name()
            .and_then(|name| SegmentName::parse(&name.to_string_lossy()));
        let Some(name) = name else { return Ok(false) };
        let _committing = lock(&self.committer);
        if !path.exists() {
            let mut catalogue = lock(&self.catalogue);
            let forgotten = catalogue.forget(name);
            catalogue.counters.removed_segments += 1;
            drop(catalogue);
            drop(forgotten);
            return Ok(true);
        }
        match Harm::of(error) {
            Harm::Damaged => {
                tracing::error!(%error, "segment damaged");
                self.set_aside(name, "corrupt");
            }
            Harm::Unread => {
                tracing::error!(%error, "the device fails to read");
                self.suspect(name);
            }
            Harm::None => return Ok(false),
        }
        Ok(true)
    }
}

impl Batch {
    fn of(live: &Live) -> Batch {
        let rows: Vec<Pending> = live.pending.iter().cloned().collect();
        let mut summary = live.committed;
        rows.iter().for_each(|row| summary.add(&row.envelope));
        Batch {
            file: Arc::clone(&live.file),
            writer: Arc::clone(&live.writer),
            on_disk: live.on_disk,
            names: live.names.clone(),
            rows,
            summary,
        }
    }

    fn write(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO pubsub(id, name) VALUES (?, ?)")?;
            for (id, name) in &self.names.pubsubs {
                insert.execute(params![id, name])?;
            }
            let mut insert = transaction.prepare_cached("INSERT INTO topic(id, pubsub, name) VALUES (?, ?, ?)")?;
            for (id, pubsub, name) in &self.names.topics {
                insert.execute(params![id, pubsub, name])?;
            }
            let mut insert = transaction.prepare_cached(
                "INSERT INTO envelope(id, timestamp, hash, topic, pubsub, version, meta, proof, payload)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for row in &self.rows {
                let envelope = &row.envelope;
                insert.execute(params![
                    row.row,
                    envelope.timestamp,
                    row.hash.0,
                    row.topic,
                    row.pubsub,
                    envelope.version,
                    envelope.meta,
                    envelope.rate_limit_proof,
                    envelope.payload
                ])?;
            }
        }
        self.summary.write(&transaction)?;
        transaction.commit()
    }
}
