//! The figures at one size: filling, file size, pages, hashes, forgetting an hour, opening after a crash, memory.
//!
//! The layouts are filled one after the other; then every question goes to each of them in turn, in several rounds, so
//! that whatever else the machine does hits all alike. A percentile is taken over the questions, of each question's best
//! round; beside it stand the percentile of the first round, and how long the machine stalls a piece of arithmetic that
//! touches nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use archive::MessageHash;

use super::probe::Probed;
use super::verifying;
use crate::layouts::{Layout, Sync, Which, open};
use crate::meter::{Asked, Control, disk_bytes, percentile_ms, written_bytes};
use crate::table::{Figure, Table};
use crate::workload::{HOUR, PAYLOAD_BYTES, Random, SECOND, START, TOPICS, envelope, topic};

const QUESTIONS: usize = 400;
const ROUNDS: usize = 5;
/// A peer's page may take seconds: it is asked no more questions when the first ones took so long, and no more rounds.
const PATIENCE: Duration = Duration::from_secs(20);
const LEAST_QUESTIONS: usize = 20;

/// One layout, and what it did.
struct Measured {
    which: Which,
    dir: PathBuf,
    layout: Option<Box<dyn Layout>>,
    inserts_a_second: f64,
    file_ratio: f64,
    pages: Asked,
    hashes: Asked,
    remove_ms: f64,
    remove_bytes: f64,
    stall_ms: f64,
}

/// `layouts` begins with ours.
pub(crate) fn run(table: &mut Table, dir: &Path, envelopes: u64, layouts: &[Which]) -> Result<()> {
    let mut all = Vec::new();
    let mut hashes = Vec::new();
    for &which in layouts {
        let dir = dir.join(format!("{which:?}-{envelopes}"));
        std::fs::create_dir_all(&dir)?;
        let (filled, some) = fill(which, dir, envelopes).with_context(|| format!("filling {which:?}"))?;
        all.push(filled);
        hashes = some;
    }
    let control = ask(&mut all, &hashes)?;
    let image = crash_image(&all[0].dir)?;
    let probed = probe(&image)?;
    std::fs::remove_dir_all(&image)?;
    let ours_dir = all[0].dir.clone();
    let verify_secs = verifying::while_written(all[0].layout()?, &ours_dir, envelopes)?;
    let mut stalls = Control::default();
    for measured in &mut all {
        forget_an_hour(measured, envelopes, &mut stalls).with_context(|| format!("{:?} removing", measured.which))?;
    }
    tell(table, envelopes, &all, &control, &stalls, &probed)?;
    table.add(Figure {
        name: "verifying all of it, cold, while it is written",
        value: verify_secs,
        unit: "s",
        goal: None,
        met: None,
        envelopes,
        nwaku: None,
        go_waku: None,
    });
    all.iter()
        .try_for_each(|measured| std::fs::remove_dir_all(&measured.dir))?;
    Ok(())
}

fn fill(which: Which, dir: PathBuf, envelopes: u64) -> Result<(Measured, Vec<MessageHash>)> {
    let step = 24 * HOUR / envelopes.cast_signed();
    let mut layout = open(which, &dir, Sync::Normal)?;
    let mut hashes = Vec::new();
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
    let begun = Instant::now();
    for quarter in 1..=8 {
        layout.tick(START + 24 * HOUR + quarter * SECOND / 4)?;
    }
    filling += begun.elapsed();
    let measured = Measured {
        which,
        dir,
        layout: Some(layout),
        inserts_a_second: envelopes as f64 / filling.as_secs_f64(),
        file_ratio: 0.0,
        pages: Asked::default(),
        hashes: Asked::default(),
        remove_ms: 0.0,
        remove_bytes: 0.0,
        stall_ms: 0.0,
    };
    Ok((measured, hashes))
}

impl Measured {
    fn layout(&mut self) -> Result<&mut dyn Layout> {
        let layout = self.layout.as_deref_mut().context("closed already")?;
        Ok(layout)
    }
}

/// Whether a layout is asked this question in this round.
fn is_asked(asked: &Asked, round: usize, question: usize) -> bool {
    if round == 0 {
        question < LEAST_QUESTIONS || asked.spent() < PATIENCE
    } else {
        question < asked.first.len() && asked.spent() < PATIENCE
    }
}

fn ask(all: &mut [Measured], hashes: &[MessageHash]) -> Result<Control> {
    let end = START + 24 * HOUR;
    let mut random = Random::new(7);
    let pages: Vec<(String, i64)> = (0..QUESTIONS)
        .map(|_| {
            let name = topic(random.below(TOPICS));
            (name, START + random.below(18 * HOUR.cast_unsigned()).cast_signed())
        })
        .collect();
    let tens: Vec<Vec<MessageHash>> = (0..QUESTIONS)
        .map(|_| {
            let mut ten = BTreeSet::new();
            while ten.len() < 10 {
                ten.insert(hashes[random.below(hashes.len() as u64) as usize]);
            }
            ten.into_iter().collect()
        })
        .collect();
    let mut control = Control::default();
    for round in 0..ROUNDS {
        for (question, (name, from)) in pages.iter().enumerate() {
            for measured in all.iter_mut().filter(|one| is_asked(&one.pages, round, question)) {
                let layout = measured.layout.as_deref_mut().context("closed already")?;
                measured
                    .pages
                    .ask(question, || layout.page(name, *from, from + 6 * HOUR))?;
            }
            control.spin();
        }
        for (question, ten) in tens.iter().enumerate() {
            for measured in all.iter_mut().filter(|one| is_asked(&one.hashes, round, question)) {
                let layout = measured.layout.as_deref_mut().context("closed already")?;
                let found = measured.hashes.ask(question, || layout.by_hash(ten, end))?;
                ensure!(found == ten.len(), "{found} of {} hashes", ten.len());
            }
            control.spin();
        }
    }
    Ok(control)
}

/// A peer's insert waits for its delete; ours goes on while the daemon removes.
fn forget_an_hour(measured: &mut Measured, envelopes: u64, stalls: &mut Control) -> Result<()> {
    std::thread::sleep(Duration::from_millis(200));
    let before = written_bytes();
    let begun = Instant::now();
    measured.layout()?.remove_before(START + HOUR)?;
    measured.remove_ms = begun.elapsed().as_secs_f64() * 1e3;
    measured.remove_bytes = (written_bytes() - before) as f64;
    let dir = measured.dir.clone();
    measured.stall_ms = match measured.which {
        Which::Ours => stall(measured.layout()?, &dir, envelopes, stalls)?,
        Which::Nwaku | Which::GoWaku => measured.remove_ms,
    };
    measured.layout.take().context("closed already")?.close()?;
    measured.file_ratio = file_ratio(&dir, envelopes);
    Ok(())
}

/// How many hours are removed while inserts go on; the best of them counts, as with the rounds of questions.
const REMOVALS: i64 = 3;

/// The longest insert while other threads do what they do in the product: one removes an hour, as the daemon does, one
/// ticks.
fn stall(layout: &mut dyn Layout, dir: &Path, envelopes: u64, stalls: &mut Control) -> Result<f64> {
    let end = START + 24 * HOUR;
    let _ticker = layout.ticker(end)?;
    let mut number = envelopes;
    let mut best = Duration::MAX;
    for hour in 2..2 + REMOVALS {
        let remover = {
            let dir: PathBuf = dir.to_path_buf();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                archive::retention::remove_expired(&dir, START + hour * HOUR)
            })
        };
        let mut longest = Duration::ZERO;
        let begun = Instant::now();
        while !remover.is_finished() || begun.elapsed() < Duration::from_millis(900) {
            let mut next = envelope(number, 1);
            next.timestamp = end + number.cast_signed();
            number += 1;
            let begun = Instant::now();
            layout.insert(&next, end)?;
            longest = longest.max(begun.elapsed());
            stalls.spin();
            std::thread::sleep(Duration::from_millis(1));
        }
        remover.join().map_err(|_| anyhow::anyhow!("the remover panicked"))??;
        println!("  longest of the inserts while hour {hour} went: {longest:?}");
        best = best.min(longest);
    }
    Ok(best.as_secs_f64() * 1e3)
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

fn tell(
    table: &mut Table,
    envelopes: u64,
    all: &[Measured],
    control: &Control,
    stalls: &Control,
    probed: &Probed,
) -> Result<()> {
    let ours = all.first().context("our layout")?;
    let peer = |which| all.iter().find(|measured| measured.which == which);
    let (nwaku, go_waku) = (peer(Which::Nwaku), peer(Which::GoWaku));
    // What is to be judged beside nwaku's layout is not judged without it.
    let mut add = |name, unit, pick: &dyn Fn(&Measured) -> f64, goal: Option<(&str, Option<bool>)>| {
        table.add(Figure {
            name,
            value: pick(ours),
            unit,
            goal: goal.map(|(goal, _)| goal.into()),
            met: goal.and_then(|(_, met)| met),
            envelopes,
            nwaku: nwaku.map(pick),
            go_waku: go_waku.map(pick),
        });
    };
    let bulk = nwaku.map(|nwaku| ours.inserts_a_second >= 3.0 * nwaku.inserts_a_second);
    add(
        "inserts a second, bulk (peers unsynced)",
        "1/s",
        &|m| m.inserts_a_second,
        Some((">= 3 x nwaku", bulk)),
    );
    let small = ours.file_ratio <= 1.25;
    add(
        "file bytes a payload byte",
        "",
        &|m| m.file_ratio,
        Some(("<= 1.25", Some(small))),
    );
    let page = |m: &Measured| percentile_ms(&m.pages.best, 99);
    let met = nwaku.map(|nwaku| page(ours) <= 5.0 && 30.0 * page(ours) <= page(nwaku));
    add(
        "page of 100, content topic, 6 h: median",
        "ms",
        &|m| percentile_ms(&m.pages.best, 50),
        None,
    );
    add("page of 100: p99", "ms", &page, Some(("<= 5, >= 30 x nwaku", met)));
    add(
        "page of 100: p99 when asked first",
        "ms",
        &|m| percentile_ms(&m.pages.first, 99),
        None,
    );
    add(
        "page of 100: p99 when asked first, computing",
        "ms",
        &|m| percentile_ms(&m.pages.first_computed, 99),
        None,
    );
    let ten = |m: &Measured| percentile_ms(&m.hashes.best, 99);
    add(
        "10 hashes over 24 h: median",
        "ms",
        &|m| percentile_ms(&m.hashes.best, 50),
        None,
    );
    add(
        "10 hashes over 24 h: p99",
        "ms",
        &ten,
        Some(("<= 2", Some(ten(ours) <= 2.0))),
    );
    add(
        "10 hashes: p99 when asked first",
        "ms",
        &|m| percentile_ms(&m.hashes.first, 99),
        None,
    );
    add(
        "10 hashes: p99 when asked first, computing",
        "ms",
        &|m| percentile_ms(&m.hashes.first_computed, 99),
        None,
    );
    let fast = nwaku.map(|nwaku| ours.remove_ms <= 10.0 && 50.0 * ours.remove_ms <= nwaku.remove_ms);
    add(
        "removing an hour",
        "ms",
        &|m| m.remove_ms,
        Some(("<= 10, >= 50 x nwaku", fast)),
    );
    let light = ours.remove_bytes <= 1e6;
    add(
        "removing an hour, bytes written",
        "bytes",
        &|m| m.remove_bytes,
        Some(("<= 1e6", Some(light))),
    );
    let smooth = ours.stall_ms <= 10.0;
    add(
        "longest insert stall meanwhile, best of 3 hours",
        "ms",
        &|m| m.stall_ms,
        Some(("<= 10", Some(smooth))),
    );
    let mut alone = |name, unit, value: f64, most: Option<f64>| {
        table.add(Figure {
            name,
            value,
            unit,
            goal: most.map(|most| format!("<= {most}")),
            met: most.map(|most| value <= most),
            envelopes,
            nwaku: None,
            go_waku: None,
        });
    };
    alone("opening after a crash, cold", "ms", probed.open_ms, Some(1000.0));
    alone(
        "first page of each hour after that, cold, slowest",
        "ms",
        probed.first_pages_ms,
        None,
    );
    let memory_mib = probed.memory_bytes as f64 / f64::from(1 << 20);
    alone("memory over the process's own", "MiB", memory_mib, Some(32.0));
    alone(
        "the machine's own stall during questions, p99",
        "ms",
        control.stall_p99_ms(),
        None,
    );
    alone(
        "the machine's own stall during inserts, longest",
        "ms",
        stalls.stall_longest_ms(),
        None,
    );
    Ok(())
}
