//! Campaigns against what a unit test cannot reach. `scripts/campaign archive-cuts`: a writer in a process of its own is cut off at random points, and the archive that
//! it leaves must open, be sound, and hold everything that was acknowledged longer ago than the durability window.
//!
//! Half of the cuts are a SIGKILL on the real file system; the others are power cuts at a random operation on a file
//! system that then drops and tears whatever was not synced. Both archives live on from cut to cut. Where no such file
//! system can be mounted (it takes root and /dev/fuse), that is said, and every cut is a SIGKILL.

mod cards;
mod disk;
mod full;
mod mount;
mod remote;
mod server;
mod writer;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use archive::{Archive, MessageHash, verify};
use clap::Subcommand;

use crate::workload::{Random, SECOND, START};
use disk::Fault;
use remote::Remote;

/// An acknowledged envelope may be lost for so long.
const WINDOW: i64 = 2 * SECOND;
/// A power cut comes within so many operations of the writer's start.
const OPERATIONS: u64 = 4000;
const KILL_WITHIN_MS: u64 = 250;
/// Disk-full points tried beside the cuts; `archive-full` tries them all.
const FULL_POINTS: u64 = 200;

/// What the writer has said.
#[derive(Default)]
struct Told {
    now: i64,
    /// When each was acknowledged, and its time.
    stored: BTreeMap<MessageHash, (i64, i64)>,
    acknowledged: u64,
}

#[derive(Debug, Default)]
struct Outcome {
    cuts: u64,
    acknowledged: u64,
    /// Lost within the window, as it may be.
    lost_within_window: u64,
}

#[derive(Subcommand)]
pub(crate) enum What {
    /// Cuts the archive's writer off: half by SIGKILL, half by a power cut that drops and tears unsynced writes
    ArchiveCuts {
        #[arg(long, default_value_t = 1000)]
        cuts: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Fills the disk at every operation of a run in turn
    ArchiveFull,
    /// Cards whose syncs do not end, and cards with sectors that cannot be read
    ArchiveCards,
    /// The disk of these campaigns, in a process of its own
    #[command(hide = true)]
    Disk { at: PathBuf },
    /// The writer that is cut off
    #[command(hide = true)]
    CutWriter { dir: PathBuf, seed: u64, start: i64 },
}

impl What {
    pub(crate) fn run(self) -> Result<()> {
        if matches!(self, What::ArchiveCuts { .. } | What::ArchiveFull | What::ArchiveCards) {
            remote::mount_apart()?;
        }
        match self {
            What::ArchiveCuts { cuts, seed } => all_cuts(cuts, seed),
            What::ArchiveFull => full::every(),
            What::ArchiveCards => cards::run(),
            What::Disk { at } => server::run(&at),
            What::CutWriter { dir, seed, start } => writer::run(&dir, seed, start),
        }
    }
}

fn all_cuts(cuts: u64, seed: u64) -> Result<()> {
    println!("archive-cuts: {cuts} cuts, seed {seed}");
    let power_cuts_wanted = match remote::possible() {
        Ok(()) => cuts - cuts / 2,
        Err(error) => {
            println!(
                "NOT RUN: power cuts and full disks, for want of a FUSE file system ({error:#}); all cuts are SIGKILLs"
            );
            0
        }
    };
    let kills = kills(cuts - power_cuts_wanted, seed)?;
    println!("SIGKILL: {kills:?}");
    let mut power = Outcome::default();
    if power_cuts_wanted > 0 {
        power = power_cuts(power_cuts_wanted, seed)?;
        println!("power cuts (unsynced writes dropped and torn): {power:?}");
        let points = full::sample(FULL_POINTS.min(cuts), seed)?;
        println!("disk full at {points} points of a run: every one recovered");
    }
    println!(
        "{} cuts ({} SIGKILLs, {} power cuts), {} envelopes acknowledged, none older than the window lost, no unreadable \
         archive",
        kills.cuts + power.cuts,
        kills.cuts,
        power.cuts,
        kills.acknowledged + power.acknowledged
    );
    Ok(())
}

fn kills(cuts: u64, seed: u64) -> Result<Outcome> {
    let place = tempfile::tempdir()?;
    let mut random = Random::new(seed);
    let (mut told, mut outcome) = (Told::default(), Outcome::default());
    told.now = START;
    for cut in 0..cuts {
        let patience = Duration::from_millis(random.below(KILL_WITHIN_MS));
        let mut child = spawn(place.path(), random.next(), told.now)?;
        std::thread::sleep(patience);
        child.kill()?;
        let output = child.wait_with_output()?;
        told.hear(&output.stdout)?;
        check(place.path(), &mut told, &mut outcome).with_context(|| format!("SIGKILL {cut}, seed {seed}"))?;
    }
    Ok(outcome)
}

fn power_cuts(cuts: u64, seed: u64) -> Result<Outcome> {
    let mut random = Random::new(seed ^ 0x5eed);
    let (mut told, mut outcome) = (Told::default(), Outcome::default());
    told.now = START;
    remote::with(|disk, place| {
        let dir = place.join("archive");
        for cut in 0..cuts {
            power_cut(disk, &dir, &mut random, &mut told, &mut outcome)
                .with_context(|| format!("power cut {cut}, seed {seed}"))?;
        }
        Ok(outcome)
    })
}

fn power_cut(disk: &mut Remote, dir: &Path, random: &mut Random, told: &mut Told, outcome: &mut Outcome) -> Result<()> {
    disk.arm(Fault::PowerCut(random.below(OPERATIONS)))?;
    // The end of its output is the end of the writer: it stops at the first error, or is stopped here.
    let mut child = spawn(dir, random.next(), told.now)?;
    let output = child.stdout.take().context("the writer's output")?;
    let mut heard = Vec::new();
    for line in BufReader::new(output).lines() {
        heard.extend(line?.into_bytes());
        heard.push(b'\n');
        if disk.state()?.is_off {
            child.kill()?;
        }
    }
    child.wait()?;
    told.hear(&heard)?;
    disk.lose_power(random.next())?;
    check(dir, told, outcome)
}

fn spawn(dir: &Path, seed: u64, start: i64) -> Result<std::process::Child> {
    Ok(Command::new(std::env::current_exe()?)
        .arg("cut-writer")
        .arg(dir)
        .arg(seed.to_string())
        .arg(start.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?)
}

impl Told {
    fn hear(&mut self, output: &[u8]) -> Result<()> {
        for line in String::from_utf8_lossy(output).split_inclusive('\n') {
            // Cut off in the middle of a line: that was not said.
            let Some(line) = line.strip_suffix('\n') else { break };
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["open" | "tick", now] => self.now = self.now.max(now.parse()?),
                ["stored", now, at, hash] => {
                    let now: i64 = now.parse()?;
                    self.now = self.now.max(now);
                    self.acknowledged += 1;
                    let mut bytes = [0; 32];
                    for (byte, digits) in bytes.iter_mut().zip(hash.as_bytes().chunks(2)) {
                        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
                    }
                    self.stored.insert(MessageHash(bytes), (now, at.parse()?));
                }
                _ => bail!("the writer said {line:?}"),
            }
        }
        Ok(())
    }
}

fn check(dir: &Path, told: &mut Told, outcome: &mut Outcome) -> Result<()> {
    let archive = Archive::open(dir, writer::options())?;
    let quarantined = archive.stats().counters.quarantined;
    ensure!(quarantined == 0, "{quarantined} segments were unreadable");
    let cutoff = told.now - writer::RETENTION_SECS * SECOND;
    let now = told.now;
    told.stored.retain(|_, (_, at)| *at >= cutoff);
    outcome.acknowledged = told.acknowledged;
    let mut lost = Vec::new();
    for (hash, (acknowledged, _)) in &told.stored {
        if !archive.contains(hash)? {
            ensure!(
                *acknowledged > now - WINDOW,
                "lost {hash}, acknowledged {} ms before the cut",
                (now - acknowledged) / 1_000_000
            );
            lost.push(*hash);
        }
    }
    outcome.lost_within_window += lost.len() as u64;
    outcome.cuts += 1;
    for hash in lost {
        told.stored.remove(&hash);
    }
    archive.close()?;
    let verified = verify(dir, &mut |_| {})?;
    ensure!(verified.is_sound(), "not sound: {verified:?}");
    Ok(())
}
