//! Where an envelope is to be had: in memory until it is committed, and in a file from then on.

use std::sync::Arc;

use crate::envelope::Envelope;
use crate::error::Error;
use crate::segment::file::SegmentFile;

/// Where an envelope is to be had.
#[derive(Clone)]
pub(crate) enum Place {
    Memory(Arc<Envelope>),
    File(Arc<SegmentFile>, u32),
}

/// What is at these places, in their order; every file is asked once, about all of its rows.
pub(crate) fn each_place<T>(
    places: &[&Place],
    mut in_memory: impl FnMut(&Envelope) -> T,
    mut in_file: impl FnMut(&Arc<SegmentFile>, &[u32]) -> Result<Vec<T>, Error>,
) -> Result<Vec<T>, Error> {
    let mut found: Vec<Option<T>> = places.iter().map(|_| None).collect();
    for at in 0..places.len() {
        if found[at].is_some() {
            continue;
        }
        match places[at] {
            Place::Memory(envelope) => found[at] = Some(in_memory(envelope)),
            Place::File(file, _) => {
                let same_file = |(at, place): (usize, &&Place)| match place {
                    Place::File(other, row) if Arc::ptr_eq(file, other) => Some((at, *row)),
                    _ => None,
                };
                let (which, rows): (Vec<usize>, Vec<u32>) =
                    places.iter().enumerate().skip(at).filter_map(same_file).unzip();
                for (at, asked) in which.into_iter().zip(in_file(file, &rows)?) {
                    found[at] = Some(asked);
                }
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}
