//! Answers: a query's page, and whether a hash is kept.
//!
//! What is in memory is looked up under the catalogue's lock, what is on the disk after it: a segment that went away in
//! between is given up, and the query runs again.

use std::sync::Arc;

use crate::envelope::MessageHash;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::order::{Key, Span};
use crate::page::fill;
use crate::page::merge::{Source, merge};
use crate::query::{Direction, Entry, MAX_PAGE, Page, Query};
use crate::segment::place::{Place, each_place};
use crate::segment::sealed::Sealed;
use crate::writer::catalogue::Catalogue;
use crate::writer::core::Core;
use crate::writer::give_up;

/// How often a query starts again because a segment went away under it.
const QUERY_ATTEMPTS: usize = 8;

pub(crate) fn query(core: &Core, query: &Query, now: Nanos) -> Result<Page, Error> {
    core.catalogue().counters.queries += 1;
    let mut attempts = 0;
    loop {
        attempts += 1;
        match page(core, query, now) {
            Err(error) if attempts < QUERY_ATTEMPTS && give_up::after(core, &error)? => {}
            page => return page,
        }
    }
}

pub(crate) fn contains(core: &Core, hash: &MessageHash) -> Result<bool, Error> {
    Ok(!locate(core, &[*hash])?.is_empty())
}

/// Reads one filter that is not in memory: after a restart they come one a tick, so that the first look-up by hash does
/// not wait for all of them.
pub(crate) fn read_one_filter(core: &Core) -> Result<(), Error> {
    let missing = {
        let catalogue = core.catalogue();
        let mut sealed = catalogue.sealed.iter().rev();
        sealed.find(|sealed| sealed.wants_filter()).cloned()
    };
    match missing.map_or(Ok(()), |sealed| sealed.read_filter()) {
        Err(error) if give_up::after(core, &error)? => Ok(()),
        outcome => outcome,
    }
}

fn page(core: &Core, query: &Query, now: Nanos) -> Result<Page, Error> {
    let limit = query.limit.clamp(1, MAX_PAGE);
    let cursor = query.cursor.map(|cursor| cursor_key(core, &cursor)).transpose()?;
    let cutoff = core.catalogue().cutoff(now);
    let span = Span::of(query, cutoff, cursor);
    // One more than the page says whether there is more.
    let mut found = if query.hashes.is_empty() {
        by_filters(core, query, &span, limit + 1)?
    } else {
        by_hashes(core, query, &span, limit + 1)?
    };
    let mut more = found.len() > limit;
    fill::cut(&mut found, query.direction, limit);
    let mut envelopes = None;
    if query.include_data {
        let reached = found.len();
        envelopes = Some(fill::read(&mut found, query.direction)?.into_iter());
        more |= found.len() < reached;
    }
    let entries = found.iter().map(|(key, _)| Entry {
        hash: key.hash,
        envelope: envelopes.as_mut().and_then(Iterator::next),
    });
    let entries = entries.collect();
    let edge = match query.direction {
        Direction::Forward => found.last(),
        Direction::Backward => found.first(),
    };
    let cursor = edge.filter(|_| more).map(|(key, _)| *key);
    if let Some(key) = cursor {
        core.catalogue().cursors.remember(key);
    }
    Ok(Page {
        entries,
        cursor: cursor.map(|key| key.hash),
    })
}

/// The place of a cursor in the order: remembered, or that of its envelope.
fn cursor_key(core: &Core, hash: &MessageHash) -> Result<Key, Error> {
    if let Some(key) = core.catalogue().cursors.recall(hash) {
        return Ok(key);
    }
    let found = locate(core, &[*hash])?;
    let key = found.first().map(|(key, _)| *key);
    key.ok_or(Error::UnknownCursor(*hash))
}

/// What a page may take keys from.
enum Keys {
    Memory(Vec<(Key, Place)>),
    File(Arc<Sealed>),
}

fn by_filters(core: &Core, query: &Query, span: &Span, limit: usize) -> Result<Vec<(Key, Place)>, Error> {
    let sources = sources(&core.catalogue(), query, span, limit);
    merge(sources, query.direction, limit, |keys| match keys {
        Keys::Memory(keys) => Ok(keys),
        Keys::File(sealed) => sealed.keys(query, span, limit),
    })
}

fn sources(catalogue: &Catalogue, query: &Query, span: &Span, limit: usize) -> Vec<Source<Keys>> {
    let sealed = catalogue.sealed.iter().filter_map(|sealed| {
        let (oldest, newest) = (sealed.summary.oldest?, sealed.summary.newest?);
        span.touches(oldest, newest).then(|| Source {
            oldest,
            newest,
            from: Keys::File(Arc::clone(sealed)),
        })
    });
    let touched = catalogue.live.iter().filter_map(|live| {
        let (oldest, newest) = (live.summary.oldest?, live.summary.newest?);
        span.touches(oldest, newest).then_some((live, oldest, newest))
    });
    let live = touched.map(|(live, oldest, newest)| {
        let keys = live.index.keys(query, span, limit).into_iter();
        Source {
            oldest,
            newest,
            from: Keys::Memory(keys.map(|(key, row)| (key, live.place(row))).collect()),
        }
    });
    sealed.chain(live).collect()
}

fn by_hashes(core: &Core, query: &Query, span: &Span, limit: usize) -> Result<Vec<(Key, Place)>, Error> {
    let mut found = locate(core, &query.hashes)?;
    found.retain(|(key, _)| span.admits(key));
    if query.pubsub_topic.is_some() || !query.content_topics.is_empty() {
        let places: Vec<&Place> = found.iter().map(|(_, place)| place).collect();
        let mut wanted = each_place(
            &places,
            |envelope| query.wants(&envelope.pubsub_topic, &envelope.content_topic),
            |file, rows| file.of_topics(rows, query),
        )?
        .into_iter();
        found.retain(|_| wanted.next().unwrap_or(false));
    }
    found.sort_by_key(|(key, _)| *key);
    found.dedup_by_key(|(key, _)| *key);
    fill::cut(&mut found, query.direction, limit);
    Ok(found)
}

/// Where these are kept; of a hash that several segments have, one place.
fn locate(core: &Core, hashes: &[MessageHash]) -> Result<Vec<(Key, Place)>, Error> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let sealed = {
        let catalogue = core.catalogue();
        for hash in hashes {
            match catalogue.live.iter().find_map(|live| live.find(hash)) {
                Some(place) => found.push(place),
                None => missing.push(*hash),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        catalogue.sealed.clone()
    };
    // The newest are asked for most.
    for sealed in sealed.iter().rev() {
        if missing.is_empty() {
            break;
        }
        let here = sealed.find(&missing)?;
        missing.retain(|hash| !here.iter().any(|(key, _)| key.hash == *hash));
        found.extend(here);
    }
    Ok(found)
}
