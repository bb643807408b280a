//! Pages end by bytes, too, and say so with a cursor.

use archive::{Archive, Direction, Envelope, MAX_PAGE, MAX_PAGE_BYTES, MessageHash, Query};

use crate::{NOW, SECOND, envelope, open, store};

/// The largest envelope of the Status network.
const LARGEST: usize = 1 << 20;

/// All pages of a query put together, ascending, and how many there were. Every page is held to its bytes, and a page that
/// is short of its limit to being the last.
fn walk(archive: &Archive, query: &Query) -> (Vec<MessageHash>, usize) {
    let mut query = query.clone();
    let mut pages = Vec::new();
    loop {
        let page = archive.query(&query, NOW).unwrap();
        let sizes = page.entries.iter().filter_map(|entry| entry.envelope.as_ref());
        let bytes: usize = sizes.map(|envelope| envelope.payload.len()).sum();
        assert!(
            page.entries.len() == 1 || bytes <= MAX_PAGE_BYTES,
            "{bytes} bytes in {} envelopes",
            page.entries.len()
        );
        let full = page.entries.len() == query.limit;
        pages.push(page.entries.iter().map(|entry| entry.hash).collect::<Vec<_>>());
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
        assert!(full || query.include_data, "a short page of hashes has a cursor");
        assert!(pages.len() < 100, "pages without end");
    }
    let count = pages.len();
    if query.direction == Direction::Backward {
        pages.reverse();
    }
    (pages.concat(), count)
}

fn in_every_way(archive: &Archive, sent: &[Envelope]) {
    let mut all: Vec<(i64, MessageHash)> = sent.iter().map(|e| (e.timestamp, e.hash())).collect();
    all.sort_unstable();
    let all: Vec<MessageHash> = all.into_iter().map(|(_, hash)| hash).collect();
    for direction in [Direction::Forward, Direction::Backward] {
        for hashes in [Vec::new(), all.clone()] {
            for (content_topics, limit) in [(vec![], MAX_PAGE), (vec!["/large".to_owned()], 3)] {
                let query = Query {
                    direction,
                    hashes: hashes.clone(),
                    content_topics,
                    limit,
                    include_data: true,
                    ..Query::default()
                };
                let (found, pages) = walk(archive, &query);
                assert_eq!(found, all, "{query:?}");
                assert!(pages >= 4, "{pages} pages");
                let (found, pages) = walk(
                    archive,
                    &Query {
                        include_data: false,
                        ..query
                    },
                );
                assert_eq!((found, pages), (all.clone(), all.len().div_ceil(limit)));
            }
        }
    }
}

#[test]
fn a_page_of_the_largest_envelopes_ends_early_with_a_cursor_in_memory_on_disk_and_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    let old = NOW - 7200 * SECOND;
    let sent: Vec<Envelope> = (0..11u8)
        .map(|number| {
            // Of two slices; one alone is larger than a page.
            let size = if number == 5 { MAX_PAGE_BYTES + 1 } else { LARGEST };
            envelope(
                "/large",
                old + i64::from(number % 2) * 5400 * SECOND,
                &vec![number; size],
            )
        })
        .collect();
    for sent in &sent {
        store(&archive, sent, NOW);
    }
    assert!(archive.stats().pending_envelopes > 0);
    in_every_way(&archive, &sent);
    archive.tick(NOW + 3 * SECOND).unwrap();
    assert_eq!(archive.stats().pending_envelopes, 0);
    in_every_way(&archive, &sent);
    archive.tick(NOW + 120 * SECOND).unwrap();
    assert!(archive.stats().counters.sealed_segments > 0);
    in_every_way(&archive, &sent);
}

#[test]
fn hashes_are_held_to_both_topics() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    let sent: Vec<Envelope> = (0..60u8)
        .map(|number| Envelope {
            pubsub_topic: format!("/waku/2/rs/16/{}", 32 * (number % 2)),
            ..envelope(&format!("/t{}", number % 3), NOW - 7200 * SECOND, &[number])
        })
        .collect();
    let check = |archive: &Archive| {
        for pubsub_topic in [None, Some("/waku/2/rs/16/32"), Some("/waku/2/rs/16/64")] {
            for content_topics in [&[][..], &["/t1"], &["/t0", "/t2", "/none"], &["/none"]] {
                let query = Query {
                    pubsub_topic: pubsub_topic.map(str::to_owned),
                    content_topics: content_topics.iter().map(|&topic| topic.to_owned()).collect(),
                    hashes: sent.iter().map(Envelope::hash).collect(),
                    direction: Direction::Forward,
                    limit: MAX_PAGE,
                    ..Query::default()
                };
                let mut wanted: Vec<MessageHash> = sent
                    .iter()
                    .filter(|sent| pubsub_topic.is_none_or(|topic| sent.pubsub_topic == topic))
                    .filter(|sent| content_topics.is_empty() || content_topics.contains(&sent.content_topic.as_str()))
                    .map(Envelope::hash)
                    .collect();
                wanted.sort_unstable();
                assert_eq!(walk(archive, &query).0, wanted, "{pubsub_topic:?} {content_topics:?}");
            }
        }
    };
    for sent in &sent {
        store(&archive, sent, NOW);
    }
    check(&archive);
    archive.tick(NOW + 3 * SECOND).unwrap();
    check(&archive);
    archive.tick(NOW + 120 * SECOND).unwrap();
    assert!(archive.stats().counters.sealed_segments > 0);
    check(&archive);
}
