//! The figures at one size: filling, file size, pages, hashes, forgetting an hour, opening after a crash, memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use archive::MessageHash;

use super::probe::Probed;
use crate::layouts::{ALL, Layout, Sync, Which, open};
use crate::meter::{Times, disk_bytes, written_bytes};
use crate::table::{Figure, Table};
use crate::workload::{HOUR, PAYLOAD_BYTES, Random, SECOND, START, TOPICS, envelope, topic};

/// What one layout did.
#[derive(Default)]
struct Measured {
    inserts_a_second: f64,
    file_ratio: f64,
    page_median_ms: f64,
    page_p99_ms: f64,
    hash_median_ms: f64,
    hash_p99_ms: f64,
    remove_ms: f64,
    remove_bytes: f64,
    stall_ms: f64,
    open_ms: f64,
    memory_mib: f64,
}

pub(crate) fn run(table: &mut Table, dir: &Path, envelopes: u64) -> Result<()> {
    let mut all = Vec::new();
    for which in ALL {
        let dir = dir.join(format!("{which:?}-{envelopes}"));
        std::fs::create_dir_all(&dir)?;
        all.push(measure(which, &dir, envelopes).with_context(|| format!("{which:?}"))?);
        std::fs::remove_dir_all(&dir)?;
    }
    let [ours, nwaku, go_waku] = &all[..] else {
        anyhow::bail!("three layouts");
    };
    let mut add = |name, pick: fn(&Measured) -> f64, goal: &str, met: bool| {
        table.add(Figure {
            name,
            envelopes,
            ours: pick(ours),
            nwaku: Some(pick(nwaku)),
            go_waku: Some(pick(go_waku)),
            goal: goal.into(),
            met,
        });
    };
    add(
        "inserts a second, bulk (peers unsynced)",
        |m| m.inserts_a_second,
        ">= 3 x nwaku",
        ours.inserts_a_second >= 3.0 * nwaku.inserts_a_second,
    );
    add(
        "file bytes a payload byte",
        |m| m.file_ratio,
        "<= 1.25",
        ours.file_ratio <= 1.25,
    );
    add(
        "page of 100 by content topic over 6 h, median ms",
        |m| m.page_median_ms,
        "(p99 below)",
        true,
    );
    add(
        "page of 100 by content topic over 6 h, p99 ms",
        |m| m.page_p99_ms,
        "<= 5, >= 30 x nwaku",
        ours.page_p99_ms <= 5.0 && 30.0 * ours.page_p99_ms <= nwaku.page_p99_ms,
    );
    add(
        "10 hashes over 24 h, median ms",
        |m| m.hash_median_ms,
        "(p99 below)",
        true,
    );
    add(
        "10 hashes over 24 h, p99 ms",
        |m| m.hash_p99_ms,
        "<= 2",
        ours.hash_p99_ms <= 2.0,
    );
    add(
        "removing an hour, ms",
        |m| m.remove_ms,
        "<= 10, >= 50 x nwaku",
        ours.remove_ms <= 10.0 && 50.0 * ours.remove_ms <= nwaku.remove_ms,
    );
    add(
        "removing an hour, bytes written",
        |m| m.remove_bytes,
        "<= 1 MB",
        ours.remove_bytes <= 1e6,
    );
    add(
        "longest insert stall meanwhile, ms",
        |m| m.stall_ms,
        "<= 10",
        ours.stall_ms <= 10.0,
    );
    let mut alone = |name, ours: f64, goal: &str, met: bool| {
        table.add(Figure {
            name,
            envelopes,
            ours,
            nwaku: None,
            go_waku: None,
            goal: goal.into(),
            met,
        });
    };
    alone(
        "opening after a crash, cold, ms",
        ours.open_ms,
        "<= 1000",
        ours.open_ms <= 1000.0,
    );
    alone(
        "memory over the process's own, MiB",
        ours.memory_mib,
        "<= 32",
        ours.memory_mib <= 32.0,
    );
    Ok(())
}

fn measure(which: Which, dir: &Path, envelopes: u64) -> Result<Measured> {
    let step = 24 * HOUR / envelopes.cast_signed();
    let mut measured = Measured::default();
    let mut layout = open(which, dir, Sync::Normal)?;
    let (mut hashes, mut random) = (Vec::new(), Random::new(7));

    // Envelopes are made outside the clock.
    let mut filling = Duration::ZERO;
    let mut made = 0;
    while made < envelopes {
        let batch: Vec<_> = (made..envelopes.min(made + 2000))
            .map(|number| envelope(number, step))
            .collect();
        made += batch.len() as u64;
        hashes.extend(batch.iter().step_by(97).map(archive::Envelope::hash));
        let begun = Instant::now();
        for envelope in &batch {
            layout.insert(envelope, envelope.timestamp)?;
        }
        if let Some(last) = batch.last() {
            layout.tick(last.timestamp)?;
        }
        filling += begun.elapsed();
    }
    let end = START + 24 * HOUR;
    let begun = Instant::now();
    for quarter in 1..=8 {
        layout.tick(end + quarter * SECOND / 4)?;
    }
    filling += begun.elapsed();
    measured.inserts_a_second = envelopes as f64 / filling.as_secs_f64();

    let mut times = Times::default();
    while times.wants_more() {
        let name = topic(random.below(TOPICS));
        let from = START + random.below(18 * HOUR.cast_unsigned()).cast_signed();
        times.time(|| layout.page(&name, from, from + 6 * HOUR))?;
    }
    measured.page_p99_ms = times.ms(99);
    measured.page_median_ms = times.ms(50);
    let mut times = Times::default();
    while times.wants_more() {
        let picked: Vec<MessageHash> = (0..10)
            .map(|_| hashes[random.below(hashes.len() as u64) as usize])
            .collect();
        let mut distinct = picked.clone();
        distinct.sort();
        distinct.dedup();
        let found = times.time(|| layout.by_hash(&picked, end))?;
        ensure!(found == distinct.len(), "{found} of {} hashes", distinct.len());
    }
    measured.hash_p99_ms = times.ms(99);
    measured.hash_median_ms = times.ms(50);

    if which == Which::Ours {
        let image = crash_image(dir)?;
        let probed = probe(&image)?;
        std::fs::remove_dir_all(&image)?;
        measured.open_ms = probed.open_ms;
        measured.memory_mib = probed.memory_bytes as f64 / f64::from(1 << 20);
    }

    // A peer's insert waits for its delete; ours goes on while the daemon removes.
    std::thread::sleep(Duration::from_millis(200));
    let before = written_bytes();
    let begun = Instant::now();
    layout.remove_before(START + HOUR)?;
    measured.remove_ms = begun.elapsed().as_secs_f64() * 1e3;
    measured.remove_bytes = (written_bytes() - before) as f64;
    measured.stall_ms = match which {
        Which::Ours => stall(&mut *layout, dir, envelopes, end)?,
        Which::Nwaku | Which::GoWaku => measured.remove_ms,
    };
    layout.close()?;
    measured.file_ratio = file_ratio(dir, envelopes);
    Ok(measured)
}

/// The longest insert while another thread, as the daemon does, removes the second hour, and the ticks notice it.
fn stall(layout: &mut dyn Layout, dir: &Path, envelopes: u64, now: i64) -> Result<f64> {
    let remover = {
        let dir: PathBuf = dir.to_path_buf();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            archive::retention::remove_expired(&dir, START + 2 * HOUR)
        })
    };
    let mut times = Times::default();
    let mut number = envelopes;
    let begun = Instant::now();
    let mut ticked = Instant::now();
    while !remover.is_finished() || begun.elapsed() < Duration::from_millis(600) {
        let mut next = envelope(number, 1);
        next.timestamp = now + number.cast_signed();
        number += 1;
        times.time(|| layout.insert(&next, now))?;
        std::thread::sleep(Duration::from_millis(1));
        if ticked.elapsed() > Duration::from_millis(250) {
            layout.tick(now)?;
            ticked = Instant::now();
        }
    }
    remover.join().map_err(|_| anyhow::anyhow!("the remover panicked"))??;
    Ok(times.ms(100))
}

/// What is left for the last 23 hours, without the logs that an end takes away.
fn file_ratio(dir: &Path, envelopes: u64) -> f64 {
    let survey = archive::retention::survey(dir).unwrap_or_default();
    let kept = if survey.envelopes > 0 {
        survey.envelopes
    } else {
        envelopes
    };
    disk_bytes(dir) as f64 / (kept as f64 * PAYLOAD_BYTES as f64)
}

/// The directory as a power cut would leave it: no file closed, no log copied.
fn crash_image(dir: &Path) -> Result<PathBuf> {
    let image = dir.join("crashed");
    std::fs::create_dir(&image)?;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        if name.starts_with("slice-") && !name.ends_with("-shm") || name == "policy" {
            let target = image.join(&name);
            std::fs::copy(&path, &target)?;
            let file = std::fs::File::open(&target)?;
            file.sync_all()?;
            // Cold: as after a boot.
            nix::fcntl::posix_fadvise(&file, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
    }
    Ok(image)
}

fn probe(dir: &Path) -> Result<Probed> {
    let output = Command::new(std::env::current_exe()?)
        .arg("probe")
        .arg(dir)
        .arg("500")
        .output()?;
    ensure!(
        output.status.success(),
        "the probe failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
