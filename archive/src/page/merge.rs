//! Putting pages together: keys in (timestamp, hash) order out of many segments, opening no segment before the page
//! reaches its slice.

use crate::nanos::Nanos;
use crate::order::Key;
use crate::query::Direction;

/// Something that holds keys between two times, asked for them only when the page gets there.
pub(crate) struct Source<S> {
    pub(crate) oldest: Nanos,
    pub(crate) newest: Nanos,
    pub(crate) from: S,
}

/// The first `limit` keys (the last, backward) of all sources; a key that several have is given once. `load` returns a
/// source's first keys in ascending order, at least `limit` of them where there are as many.
pub(crate) fn merge<S, P, E>(
    mut sources: Vec<Source<S>>,
    direction: Direction,
    limit: usize,
    mut load: impl FnMut(S) -> Result<Vec<(Key, P)>, E>,
) -> Result<Vec<(Key, P)>, E> {
    // Next to be reached last.
    match direction {
        Direction::Forward => sources.sort_by_key(|source| std::cmp::Reverse(source.oldest)),
        Direction::Backward => sources.sort_by_key(|source| source.newest),
    }
    let mut streams: Vec<Vec<(Key, P)>> = Vec::new();
    let mut page: Vec<(Key, P)> = Vec::with_capacity(limit);
    while page.len() < limit {
        let next = streams
            .iter()
            .enumerate()
            .filter_map(|(at, stream)| stream.last().map(|(key, _)| (*key, at)));
        let next = match direction {
            Direction::Forward => next.min(),
            Direction::Backward => next.max(),
        };
        let reached = sources.last().is_some_and(|source| match (next, direction) {
            (None, _) => true,
            (Some((key, _)), Direction::Forward) => source.oldest <= key.timestamp,
            (Some((key, _)), Direction::Backward) => source.newest >= key.timestamp,
        });
        if reached && let Some(source) = sources.pop() {
            let mut stream = load(source.from)?;
            if direction == Direction::Forward {
                stream.reverse();
            }
            streams.push(stream);
            continue;
        }
        let Some((key, at)) = next else { break };
        if let Some(found) = streams[at].pop()
            && page.last().is_none_or(|(last, _)| *last != key)
        {
            page.push(found);
        }
    }
    if direction == Direction::Backward {
        page.reverse();
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::MessageHash;

    fn key(timestamp: i64, byte: u8) -> Key {
        Key {
            timestamp: Nanos::new(timestamp),
            hash: MessageHash([byte; 32]),
        }
    }

    proptest! {
        #[test]
        fn merging_is_sorting(
            lists in proptest::collection::vec(proptest::collection::vec((0i64..40, 0u8..4), 0..20), 0..6),
            limit in 1usize..12,
            forward: bool,
        ) {
            let direction = if forward { Direction::Forward } else { Direction::Backward };
            let lists: Vec<Vec<Key>> = lists.into_iter().map(|list| {
                let mut list: Vec<Key> = list.into_iter().map(|(at, byte)| key(at, byte)).collect();
                list.sort();
                list.dedup();
                list
            }).collect();
            let sources = lists.iter().filter(|list| !list.is_empty()).map(|list| Source {
                oldest: list[0].timestamp,
                newest: list[list.len() - 1].timestamp,
                from: list.clone(),
            }).collect();
            let page = merge(sources, direction, limit, |list: Vec<Key>| {
                let skip = if forward { 0 } else { list.len().saturating_sub(limit) };
                Ok::<_, ()>(list.into_iter().skip(skip).map(|key| (key, ())).collect())
            }).unwrap();

            let mut all: Vec<Key> = lists.concat();
            all.sort();
            all.dedup();
            let expected: Vec<Key> = if forward {
                all.into_iter().take(limit).collect()
            } else {
                let skip = all.len().saturating_sub(limit);
                all.into_iter().skip(skip).collect()
            };
            prop_assert_eq!(page.into_iter().map(|(key, ())| key).collect::<Vec<_>>(), expected);
        }
    }
}
