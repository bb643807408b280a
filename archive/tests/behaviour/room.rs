//! Too little room: the quota and its shares, the disk ladder, and what waits for a trusted clock.

use archive::retention::write_policy;
use archive::{Archive, Direction, DiskStage, Envelope, Inserted, Query, Refusal};

use crate::{NOW, SECOND, count, envelope, open, policy, segments, store};

fn total(archive: &Archive, topic: &str, now: i64) -> usize {
    let mut query = Query {
        content_topics: vec![topic.into()],
        direction: Direction::Forward,
        limit: 100,
        ..Query::default()
    };
    let mut total = 0;
    loop {
        let page = archive.query(&query, now).unwrap();
        total += page.entries.len();
        if page.cursor.is_none() {
            return total;
        }
        query.cursor = page.cursor;
    }
}

#[test]
fn a_flood_costs_the_others_nothing_and_the_quota_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = policy(2400);
    policy.quota_bytes = Some(24 << 20);
    write_policy(dir.path(), &policy).unwrap();
    let archive = open(dir.path(), 2400);
    let payload = vec![0; 2000];
    let (mut ordinary, mut now) = (0, NOW);
    let mut most = 0;
    // One ordinary envelope a second, on four topics, beside forty of a flood; for one and a half retentions.
    for second in 0..3600i64 {
        now = NOW + second * SECOND;
        let topic = format!("/ordinary/{}", second % 4);
        let inserted = archive.insert(&envelope(&topic, now, &payload), now).unwrap();
        assert!(matches!(inserted, Inserted::Stored(_)), "{inserted:?}");
        ordinary += usize::from(second >= 1200);
        for number in 0..40 {
            archive
                .insert(&envelope("/flood", now + number, &payload), now)
                .unwrap();
        }
        if second % 2 == 0 {
            archive.tick(now).unwrap();
        }
        if second % 60 == 0 {
            archive::retention::remove_expired(dir.path(), now - 2400 * SECOND).unwrap();
            most = most.max(archive.stats().bytes);
        }
    }
    let kept: usize = (0..4)
        .map(|topic| total(&archive, &format!("/ordinary/{topic}"), now))
        .sum();
    assert!(kept >= ordinary, "{kept} of {ordinary} ordinary envelopes");
    assert!(most <= 24 << 20, "{most} bytes");
    let stats = archive.stats();
    assert!(stats.counters.refused[&Refusal::Share] > 0);
    assert!(stats.counters.overflowed > 0 && stats.counters.dropped_early_envelopes > 0);
    assert!(total(&archive, "/flood", now) > 0, "what there is room for is kept");
}

#[test]
fn the_ladder_drops_the_oldest_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 86_400);
    for hour in 0..5 {
        store(&archive, &envelope("/t", NOW - hour * 3600 * SECOND, b"x"), NOW);
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    let mut policy = policy(86_400);
    policy.disk = DiskStage::DropOldest;
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW + 3 * SECOND).unwrap();
    archive.tick(NOW + 4 * SECOND).unwrap();
    assert_eq!(count(&archive, NOW), 4, "the disk is looked at again before the next");
    for step in 0..10 {
        archive.tick(NOW + (10 + 5 * step) * SECOND).unwrap();
    }
    assert_eq!(count(&archive, NOW), 1, "the newest stays");
    let stats = archive.stats().counters;
    assert_eq!((stats.dropped_early_segments, stats.dropped_early_envelopes), (4, 4));
}

#[test]
fn a_quota_that_shrinks_is_kept_from_the_next_tick_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = policy(86_400);
    policy.quota_bytes = Some(1 << 30);
    write_policy(dir.path(), &policy).unwrap();
    let archive = open(dir.path(), 86_400);
    for hour in 0..8 {
        for number in 0..100 {
            let at = NOW - hour * 3600 * SECOND - number;
            store(&archive, &envelope("/t", at, &[1; 10_000]), NOW);
        }
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    let before = archive.stats().bytes;
    assert!(before > 8_000_000, "{before}");
    policy.quota_bytes = Some(5_000_000);
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW + 3 * SECOND).unwrap();
    let stats = archive.stats();
    assert!(stats.bytes <= 5_000_000, "{}", stats.bytes);
    assert!(stats.envelopes >= 300, "{} kept", stats.envelopes);
    assert_eq!(stats.envelopes + stats.counters.dropped_early_envelopes, 800);
    assert_eq!(count(&archive, NOW), 100, "the newest are there");
    // Smaller than one segment: the newest stays, and the archive goes on.
    policy.quota_bytes = Some(1000);
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW + 4 * SECOND).unwrap();
    assert_eq!(archive.stats().segments, 1);
    archive.close().unwrap();
}

#[test]
fn a_flood_before_time_is_known_takes_neither_the_slices_room_nor_the_others_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = policy(2400);
    policy.quota_bytes = Some(96 << 20);
    write_policy(dir.path(), &policy).unwrap();
    let archive = open(dir.path(), 2400);
    let payload = vec![0; 8000];
    for second in 0..2400 {
        let now = NOW + second * SECOND;
        for turn in 0..3 {
            store(&archive, &envelope(&format!("/ordinary/{turn}"), now, &payload), now);
        }
        if second % 2 == 0 {
            archive.tick(now).unwrap();
        }
    }
    let now = NOW + 2400 * SECOND;
    let kept = archive.stats().envelopes;
    policy.clock_trusted = false;
    policy.cutoff = Some(now - 2400 * SECOND);
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(now).unwrap();
    let mut refused = 0;
    for second in 0..600 {
        let now = now + second * SECOND;
        for number in 0..30 {
            let inserted = archive
                .insert(&envelope("/flood", now + number, &payload), now)
                .unwrap();
            refused += usize::from(inserted == Inserted::Refused(Refusal::Share));
        }
        store(&archive, &envelope("/ordinary/1", now + 50, &payload), now);
        archive.tick(now).unwrap();
    }
    assert!(refused > 1000, "{refused}");
    let stats = archive.stats();
    assert_eq!(stats.counters.dropped_early_envelopes, 0);
    assert!(stats.envelopes >= kept + 600, "{} of {kept} and 600", stats.envelopes);
    assert!(stats.bytes <= 96 << 20, "{} bytes", stats.bytes);
    archive.close().unwrap();
}

#[test]
fn judging_waits_for_a_disk_that_takes_something() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = policy(3600);
    policy.clock_trusted = false;
    write_policy(dir.path(), &policy).unwrap();
    let archive = open(dir.path(), 3600);
    for age in 0..20 {
        store(&archive, &envelope("/t", NOW - age * SECOND, b"x"), NOW);
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    policy.clock_trusted = true;
    policy.disk = DiskStage::ReadOnly;
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW + 3 * SECOND).unwrap();
    assert_eq!(count(&archive, NOW), 20);
    assert!(segments(dir.path()).iter().any(|name| name.contains("provisional")));
    policy.disk = DiskStage::Fine;
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW + 4 * SECOND).unwrap();
    assert_eq!(count(&archive, NOW), 20);
    assert!(!segments(dir.path()).iter().any(|name| name.contains("provisional")));
    archive.close().unwrap();
}

#[test]
fn provisional_envelopes_are_judged_when_time_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let mut policy = policy(3600);
    policy.clock_trusted = false;
    write_policy(dir.path(), &policy).unwrap();
    let archive = open(dir.path(), 3600);
    let board = NOW - 1_000_000 * SECOND;
    let kept: Vec<Envelope> = (0..300)
        .map(|age| envelope("/t", NOW - age * SECOND, b"kept"))
        .collect();
    for envelope in &kept {
        store(&archive, envelope, board);
    }
    store(&archive, &envelope("/t", NOW - 3700 * SECOND, b"too old"), board);
    store(
        &archive,
        &envelope("/t", NOW + 100 * 365 * 86_400 * SECOND, b"from 2126"),
        board,
    );
    assert_eq!(archive.stats().envelopes, 302);
    archive.tick(board + 2 * SECOND).unwrap();
    archive.close().unwrap();
    let archive = open(dir.path(), 3600);
    assert_eq!(archive.stats().envelopes, 302);

    policy.clock_trusted = true;
    write_policy(dir.path(), &policy).unwrap();
    archive.tick(NOW).unwrap();
    assert_eq!(archive.stats().envelopes, 300);
    assert_eq!(total(&archive, "/t", NOW), 300);
    assert!(!segments(dir.path()).iter().any(|name| name.contains("provisional")));
    assert_eq!(
        archive.insert(&kept[7], NOW).unwrap(),
        Inserted::Duplicate(kept[7].hash())
    );
}

#[test]
fn wear_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), 3600);
    for number in 0..100 {
        store(&archive, &envelope("/t", NOW + number, &[7; 2050]), NOW);
    }
    archive.tick(NOW + 2 * SECOND).unwrap();
    let stats = archive.stats();
    assert_eq!(stats.counters.committed_payload_bytes, 205_000);
    // A file system in memory counts nothing.
    let written = stats.counters.written_bytes;
    assert!(written == 0 || written > 205_000, "{written}");
    assert_eq!(stats.written_bytes_last_day, written);
}
