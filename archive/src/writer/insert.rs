//! An envelope's way in: admitted, not known yet, given its place, and put there.
//!
//! All of it is done in memory, under the catalogue's lock, unless a sealed segment may have the envelope already: then
//! the lock is let go, the disk is asked, and the way begins again, past the segments that were asked.

use std::sync::Arc;
use std::time::Instant;

use crate::directory::names::{Kind, SegmentName};
use crate::envelope::{Envelope, MessageHash, weight};
use crate::error::Error;
use crate::nanos::Nanos;
use crate::segment::sealed::Sealed;
use crate::writer::catalogue::Catalogue;
use crate::writer::commit::MAX_PENDING_BYTES;
use crate::writer::core::Core;
use crate::writer::stats::Refusal;
use crate::writer::{admit, give_up, periodic};

/// What became of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// Served from now on, and on disk within the durability window.
    Stored(MessageHash),
    /// Kept before.
    Duplicate(MessageHash),
    /// In memory and served, but promised to nobody: a commit failed, or takes longer than the durability window. The
    /// same envelope again is a duplicate once it is on disk.
    Unwritten(MessageHash),
    /// Not kept.
    Refused(Refusal),
}

/// How far an envelope has come.
enum Step {
    Done(Inserted),
    /// These may have it already.
    Ask(Vec<Arc<Sealed>>),
}

/// Where an envelope is, as far as memory can tell.
enum Known {
    /// In a live segment.
    Live {
        written: bool,
    },
    /// If it is kept, in one of these.
    Perhaps(Vec<Arc<Sealed>>),
    Nowhere,
}

pub(crate) fn insert(core: &Core, envelope: &Envelope, now: Nanos) -> Result<Inserted, Error> {
    let hash = envelope.hash();
    if let Err(error) = make_room(core, now) {
        return if error.is_full() {
            Ok(refuse(&mut core.catalogue(), Refusal::DiskFull))
        } else {
            Err(error)
        };
    }
    // Each round asks segments that no round before it has asked, or gives a damaged one up.
    let mut asked: Vec<SegmentName> = Vec::new();
    loop {
        let step = in_memory(&mut core.catalogue(), envelope, hash, now, &asked);
        let probable = match step {
            Step::Done(inserted) => return Ok(inserted),
            Step::Ask(probable) => probable,
        };
        match find(&probable, hash) {
            Ok(false) => asked.extend(probable.iter().map(|sealed| sealed.file.name)),
            Ok(true) => return Ok(duplicate(&mut core.catalogue(), hash)),
            Err(error) if give_up::after(core, &error)? => {}
            Err(error) => return Err(error),
        }
    }
}

/// An insert does the periodic work itself when it is faster than the ticks.
fn make_room(core: &Core, now: Nanos) -> Result<(), Error> {
    let full = core.catalogue().pending_bytes >= MAX_PENDING_BYTES;
    if full {
        periodic::ahead_of_tick(core, now)
    } else {
        Ok(())
    }
}

fn in_memory(
    catalogue: &mut Catalogue,
    envelope: &Envelope,
    hash: MessageHash,
    now: Nanos,
    asked: &[SegmentName],
) -> Step {
    take(catalogue, envelope, hash, now, asked).unwrap_or_else(|refusal| Step::Done(refuse(catalogue, refusal)))
}

fn take(
    catalogue: &mut Catalogue,
    envelope: &Envelope,
    hash: MessageHash,
    now: Nanos,
    asked: &[SegmentName],
) -> Result<Step, Refusal> {
    admit::admit(catalogue, envelope, now)?;
    let promised = catalogue.is_durable(Instant::now());
    match known(catalogue, envelope, hash, asked) {
        Known::Live { written: false } if !promised => return Ok(Step::Done(Inserted::Unwritten(hash))),
        Known::Live { .. } => return Ok(Step::Done(duplicate(catalogue, hash))),
        Known::Perhaps(sealed) => return Ok(Step::Ask(sealed)),
        Known::Nowhere => {}
    }
    let kind = place(catalogue, envelope, now)?;
    push(catalogue, envelope, hash, kind, now);
    Ok(Step::Done(if promised {
        Inserted::Stored(hash)
    } else {
        Inserted::Unwritten(hash)
    }))
}

fn known(catalogue: &Catalogue, envelope: &Envelope, hash: MessageHash, asked: &[SegmentName]) -> Known {
    // A provisional segment is no place to stay once time is trusted.
    let trusted = catalogue.clock_trusted();
    let stays = |name: &SegmentName| !trusted || name.kind != Kind::Provisional;
    let mut live = catalogue.live.iter().filter(|live| stays(&live.file.name));
    if let Some(written) = live.find_map(|live| live.is_written(&hash)) {
        return Known::Live { written };
    }
    // The hash covers the timestamp: a duplicate can only be in the same slice.
    let same_slice = |name: &SegmentName| stays(name) && name.covers(envelope.time()) && !asked.contains(name);
    let probable = catalogue
        .sealed
        .iter()
        .filter(|sealed| same_slice(&sealed.file.name) && sealed.may_have(&hash));
    let probable: Vec<Arc<Sealed>> = probable.cloned().collect();
    if probable.is_empty() {
        Known::Nowhere
    } else {
        Known::Perhaps(probable)
    }
}

/// Asks the disk.
fn find(probable: &[Arc<Sealed>], hash: MessageHash) -> Result<bool, Error> {
    for sealed in probable {
        if !sealed.find(&[hash])?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn place(catalogue: &mut Catalogue, envelope: &Envelope, now: Nanos) -> Result<Kind, Refusal> {
    let waiting = catalogue.pending_bytes + weight(envelope);
    if !catalogue.durability.has_room(waiting) {
        return Err(Refusal::DiskFull);
    }
    admit::kind_for(catalogue, envelope, now)
}

fn push(catalogue: &mut Catalogue, envelope: &Envelope, hash: MessageHash, kind: Kind, now: Nanos) {
    let slice_secs = catalogue.slice_secs();
    catalogue.push(hash, Arc::new(envelope.clone()), kind, slice_secs, now);
    catalogue.waiting_since.get_or_insert((now, Instant::now()));
    catalogue.counters.stored += 1;
    catalogue.counters.overflowed += u64::from(kind == Kind::Overflow);
}

fn duplicate(catalogue: &mut Catalogue, hash: MessageHash) -> Inserted {
    catalogue.counters.duplicates += 1;
    Inserted::Duplicate(hash)
}

fn refuse(catalogue: &mut Catalogue, refusal: Refusal) -> Inserted {
    *catalogue.counters.refused.entry(refusal).or_default() += 1;
    Inserted::Refused(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::archive::Archive;
    use crate::writer::open;
    use crate::writer::options::Options;

    const NOW: Nanos = Nanos::from_secs(1_795_000_000);

    fn back_fill(payload: &[u8]) -> Envelope {
        Envelope {
            pubsub_topic: "/waku/2/rs/16/32".into(),
            content_topic: "/t".into(),
            payload: payload.to_vec(),
            version: None,
            timestamp: NOW.get(),
            meta: None,
            rate_limit_proof: None,
        }
    }

    /// The disk is asked without the catalogue's lock, so others come by in between.
    #[test]
    fn of_two_that_ask_the_disk_for_the_same_envelope_one_stores_it() {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::open(dir.path(), Options::default()).unwrap();
        archive.insert(&back_fill(b"first"), NOW).unwrap();
        let later = |secs| Nanos::from_secs(NOW.secs() + secs);
        archive.tick(later(3)).unwrap();
        archive.tick(later(7200)).unwrap();
        assert_eq!(archive.stats().counters.sealed_segments, 1);
        archive.close().unwrap();

        // Opened again, it has no filter in memory.
        let catalogue = open::catalogue(dir.path(), Options::default()).unwrap();
        let core = Core::new(dir.path(), 1024, catalogue);
        let (second, now) = (back_fill(b"second"), later(7210));
        let hash = second.hash();
        let step = |asked: &[SegmentName]| in_memory(&mut core.catalogue(), &second, hash, now, asked);
        let asks = || match step(&[]) {
            Step::Ask(probable) => probable,
            Step::Done(inserted) => panic!("{inserted:?} without asking"),
        };
        let (mine, theirs) = (asks(), asks());
        let inserted = [mine, theirs].map(|probable| {
            assert!(!find(&probable, hash).unwrap());
            let asked: Vec<SegmentName> = probable.iter().map(|sealed| sealed.file.name).collect();
            match step(&asked) {
                Step::Done(inserted) => inserted,
                Step::Ask(_) => panic!("asked before"),
            }
        });
        assert_eq!(inserted, [Inserted::Stored(hash), Inserted::Duplicate(hash)]);
        assert_eq!(core.catalogue().stats().envelopes, 2);
    }
}
