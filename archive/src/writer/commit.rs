//! The group commit: everything that arrived since the last one becomes durable with one synced transaction a segment.
//!
//! What fails to be committed stays in memory, is served from there, and goes with the next attempt; a segment that is
//! found damaged is put aside and its uncommitted rows go to a new one of the same slice.

use std::time::Instant;

use crate::envelope::weight;
use crate::error::Error;
use crate::mutex::lock;
use crate::nanos::Nanos;
use crate::segment::batch::Batch;
use crate::segment::connect::open_for_writing;
use crate::segment::harm::Harm;
use crate::segment::schema;
use crate::writer::core::{Core, Writing};
use crate::writer::{durability, give_up};

/// How much may wait for the next commit before an insert commits by itself.
pub(crate) const MAX_PENDING_BYTES: usize = 4 << 20;
/// So much is committed with the next tick, however short it has waited: an insert should not come to that.
pub(crate) const EARLY_PENDING_BYTES: usize = MAX_PENDING_BYTES / 2;

/// Commits what waits, after whoever writes just now.
pub(crate) fn now(core: &Core) -> Result<(), Error> {
    waiting(&core.writing())
}

/// As [`now`], for who may write already.
pub(crate) fn waiting(writing: &Writing<'_>) -> Result<(), Error> {
    let core = writing.core;
    let batches = batches(core);
    if batches.is_empty() {
        core.catalogue().durability.ended(true);
        return Ok(());
    }
    let begun = Instant::now();
    let mut outcome = Ok(());
    for batch in batches {
        let Err(error) = one(core, &batch) else { continue };
        core.catalogue().counters.commit_failures += 1;
        let name = batch.file.name;
        match Harm::of(&error) {
            Harm::Damaged => give_up::set_aside(writing, name, "corrupt"),
            Harm::Unread => {
                give_up::suspect(writing, name);
                outcome = Err(error);
            }
            Harm::None if batch.on_disk && !batch.file.path.exists() => {
                let forgotten = core.catalogue().forget(name);
                drop(forgotten);
            }
            Harm::None => outcome = Err(error),
        }
    }
    let mut catalogue = core.catalogue();
    catalogue.last_commit = begun.elapsed();
    catalogue.durability.ended(outcome.is_ok());
    // What is left, of a commit that failed or of a damaged segment, goes with the next tick.
    if catalogue.waiting_since.is_none() && catalogue.pending_bytes > 0 {
        catalogue.waiting_since = Some((Nanos::MIN, Instant::now()));
    }
    outcome
}

fn batches(core: &Core) -> Vec<Batch> {
    let mut catalogue = core.catalogue();
    let oldest = catalogue.waiting_since.take();
    catalogue.durability.begin(oldest.map(|(_, arrived)| arrived));
    let waiting = catalogue.live.iter().filter(|live| !live.pending.is_empty());
    waiting.map(Batch::of).collect()
}

fn one(core: &Core, batch: &Batch) -> Result<(), Error> {
    write(core, batch)?;
    let free = durability::free_bytes(&core.dir);
    let payloads = batch.rows.iter().map(|row| row.envelope.payload.len() as u64);
    let mut catalogue = core.catalogue();
    catalogue.durability.free = free;
    catalogue.counters.commits += 1;
    catalogue.counters.committed_payload_bytes += payloads.sum::<u64>();
    let mut freed = 0;
    if let Some(live) = catalogue.live(batch.file.name) {
        let written = live.pending.drain(..batch.rows.len());
        freed = written.map(|row| weight(&row.envelope)).sum();
        live.names.pubsubs.drain(..batch.names.pubsubs.len());
        live.names.topics.drain(..batch.names.topics.len());
        live.committed = batch.summary;
        live.on_disk = true;
    }
    catalogue.pending_bytes = catalogue.pending_bytes.saturating_sub(freed);
    Ok(())
}

fn write(core: &Core, batch: &Batch) -> Result<(), Error> {
    let path = &batch.file.path;
    let mut writer = lock(&batch.writer);
    if batch.on_disk {
        let conn = match &mut *writer {
            Some(conn) => conn,
            none => none.insert(open_for_writing(path)?),
        };
        batch.write(conn).map_err(Error::segment("commit envelopes", path))
    } else {
        let made = schema::create(&core.dir, batch.file.name, core.page_bytes, |conn| batch.write(conn));
        *writer = Some(made?);
        Ok(())
    }
}
