//! A page's envelopes: no more than [`MAX_PAGE_BYTES`] of them are ever read.

use crate::envelope::{Envelope, weight};
use crate::error::Error;
use crate::order::Key;
use crate::query::{Direction, MAX_PAGE_BYTES};
use crate::segment::place::{Place, each_place};

/// Leaves the first `count` of what was found, in the query's direction.
pub(crate) fn cut(found: &mut Vec<(Key, Place)>, direction: Direction, count: usize) {
    match direction {
        Direction::Forward => found.truncate(count),
        Direction::Backward => drop(found.drain(..found.len().saturating_sub(count))),
    }
}

/// The envelopes of what was found, which is cut to what a page may weigh.
pub(crate) fn read(found: &mut Vec<(Key, Place)>, direction: Direction) -> Result<Vec<Envelope>, Error> {
    if let Some(all) = read_light(found)? {
        return Ok(all);
    }
    let places: Vec<&Place> = found.iter().map(|(_, place)| place).collect();
    let weights = each_place(&places, weight, |file, rows| file.weights(rows))?;
    let fitting = match direction {
        Direction::Forward => fitting(weights.iter()),
        Direction::Backward => fitting(weights.iter().rev()),
    };
    cut(found, direction, fitting);
    let places: Vec<&Place> = found.iter().map(|(_, place)| place).collect();
    each_place(&places, Envelope::clone, |file, rows| file.envelopes(rows, usize::MAX))
}

/// Nearly all pages are light, and read without asking for sizes first. `None` once it is a heavy one.
fn read_light(found: &[(Key, Place)]) -> Result<Option<Vec<Envelope>>, Error> {
    let places: Vec<&Place> = found.iter().map(|(_, place)| place).collect();
    let in_memory = places.iter().filter_map(|place| match place {
        Place::Memory(envelope) => Some(weight(envelope)),
        Place::File(..) => None,
    });
    let mut left = MAX_PAGE_BYTES.checked_sub(in_memory.sum());
    if left.is_none() {
        return Ok(None);
    }
    let all = each_place(
        &places,
        |envelope| Some(envelope.clone()),
        |file, rows| {
            let Some(most) = left else {
                return Ok(rows.iter().map(|_| None).collect());
            };
            let read = file.envelopes(rows, most)?;
            left = most.checked_sub(read.iter().map(weight).sum());
            Ok(read.into_iter().map(Some).collect())
        },
    )?;
    Ok(left.and_then(|_| all.into_iter().collect()))
}

/// How many of these weights a page has room for: one, whatever it weighs.
fn fitting<'a>(weights: impl Iterator<Item = &'a usize>) -> usize {
    let mut total = 0;
    let fits = |weight: &&usize| {
        total += **weight;
        total <= MAX_PAGE_BYTES
    };
    weights.take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_room_for_one_and_for_what_fits() {
        for (weights, expected) in [
            (vec![], 1),
            (vec![MAX_PAGE_BYTES + 1, 1], 1),
            (vec![MAX_PAGE_BYTES, 1], 1),
            (vec![1, MAX_PAGE_BYTES - 1, 1], 2),
            (vec![1 << 20; 9], 4),
            (vec![1; 7], 7),
        ] {
            assert_eq!(fitting(weights.iter()), expected, "{weights:?}");
        }
    }
}
