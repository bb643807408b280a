//! `scripts/bench image`: what the image and a box that runs it cost, on the emulated board. Times are of an emulator on
//! whatever machine this is, so a start is measured beside that of a plain Debian in the same run.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use test_support::report::{MIB, Report};

use crate::bench::{BOOT_LIMIT, peer_id, wait_for_status};
use crate::card::Card;
use crate::lan::Lan;
use crate::machine::{Cable, Machine, Model};
use crate::shell::Shell;
use crate::{page, report};

const MB: f64 = 1e6;
/// What is done after a start, such as growing the data partition, is over by then.
const SETTLED_AFTER: Duration = Duration::from_secs(120);
const SECTOR_BYTES: f64 = 512.0;

#[derive(Args)]
pub(crate) struct Order {
    /// The uncompressed image of the board qemu-virt, as it ships
    #[arg(long)]
    image: PathBuf,
    /// The same compressed
    #[arg(long)]
    compressed: PathBuf,
    /// What a slot's parts take: its root and what its boot partition holds
    #[arg(long = "slot-part")]
    slot_parts: Vec<PathBuf>,
    /// A disk with a plain Debian root of the same packages and programs
    #[arg(long)]
    plain: Option<PathBuf>,
    /// Seconds that a build from nothing took
    #[arg(long)]
    cold_build_secs: Option<f64>,
    /// How often each is started for the time to the page
    #[arg(long, default_value_t = 3)]
    starts: usize,
    /// How long an idle box is watched
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Writes the figures here, too
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(order: &Order, u_boot: &Path) -> Result<bool> {
    let home = tempfile::tempdir().context("cannot make a directory")?;
    let _lan = Lan::lay(home.path())?;
    let mut figures = Report::default();
    figures.at_most("compressed image", megabytes(&order.compressed)?, "MB", 100.0);
    let parts = order.slot_parts.iter().map(|part| allocated_megabytes(part));
    figures.at_most("a slot's content", parts.sum::<Result<f64>>()?, "MB", 400.0);
    if let Some(secs) = order.cold_build_secs {
        figures.at_most("build from nothing", secs / 60.0, "min", 12.0);
    }
    idle(order, u_boot, home.path(), &mut figures)?;
    starts(order, u_boot, home.path(), &mut figures)?;
    figures.print();
    if let Some(path) = &order.json {
        figures.write(path)?;
    }
    Ok(true)
}

fn megabytes(file: &Path) -> Result<f64> {
    let bytes = std::fs::metadata(file)
        .with_context(|| format!("cannot look at {}", file.display()))?
        .len();
    Ok(bytes as f64 / MB)
}

/// Without what is empty: a file system's file is as large as its partition.
fn allocated_megabytes(file: &Path) -> Result<f64> {
    let meta = std::fs::metadata(file).with_context(|| format!("cannot look at {}", file.display()))?;
    Ok(meta.blocks() as f64 * SECTOR_BYTES / MB)
}

fn power_on(card: &Card, u_boot: &Path, dir: &Path, name: &str) -> Result<Machine> {
    Machine::start(Model::Virt { u_boot }, card, dir, name, Cable::In)
}

fn to_the_page(machine: &mut Machine) -> Result<Duration> {
    machine.wait_for("the page", BOOT_LIMIT, |_| page::status().map(Some))?;
    Ok(machine.since_power_on())
}

/// First starts from power-on to the page, ours and plain Debian's by turns: what else the machine does meets both.
fn starts(order: &Order, u_boot: &Path, dir: &Path, figures: &mut Report) -> Result<()> {
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    let first_start = |image: &Path, name: &str| -> Result<f64> {
        let card = Card::flash(image, dir)?;
        let mut machine = power_on(&card, u_boot, dir, name)?;
        let time = to_the_page(&mut machine)?.as_secs_f64();
        machine.cut_power();
        report(&format!("e2e: {name}: {time:.1} s from power-on to the page"));
        Ok(time)
    };
    for _ in 0..order.starts.max(1) {
        ours.push(first_start(&order.image, "ours")?);
        if let Some(image) = &order.plain {
            plain.push(first_start(image, "plain")?);
        }
    }
    let ours = median(ours);
    figures.note("power-on to the page, median", ours, "s");
    if order.plain.is_some() {
        let plain = median(plain);
        figures.note("the same, plain Debian", plain, "s");
        figures.at_most("ours beside it", ours / plain, "×", 1.0);
    }
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Starts a box with a key for SSH, and watches it while it has nothing to do.
fn idle(order: &Order, u_boot: &Path, dir: &Path, figures: &mut Report) -> Result<()> {
    let card = Card::flash(&order.image, dir)?;
    let shell = Shell::new(dir)?;
    card.put(
        "pillarbox.toml",
        &format!("[ssh]\nkeys = [\"{}\"]\n", shell.public_key()?),
    )?;
    let mut machine = power_on(&card, u_boot, dir, "idle")?;
    peer_id(&mut machine)?;
    wait_for_status(&mut machine, "a trusted clock", |status| {
        (status["health"]["clock"]["level"] == "ok").then_some(())
    })?;
    machine.wait_for("SSH", BOOT_LIMIT, |_| shell.run("true").map(Some))?;
    std::thread::sleep(SETTLED_AFTER);
    report(&format!("e2e: the box is idle; {} minutes of watching", order.minutes));
    let before = Sample::take(&shell)?;
    std::thread::sleep(Duration::from_secs_f64(order.minutes * 60.0));
    let after = Sample::take(&shell)?;
    let hours = (after.uptime_secs - before.uptime_secs) / 3600.0;
    figures.at_most("memory in use, whole box, idle", after.used_bytes / MIB, "MiB", 160.0);
    figures.note(
        "written to the card by an idle box, an hour",
        (after.written_bytes - before.written_bytes) / hours / 1024.0,
        "KiB",
    );
    for (name, bytes) in after.since(&before) {
        report(&format!("e2e:   written by {name}: {:.0} bytes an hour", bytes / hours));
    }
    machine.cut_power();
    Ok(())
}

struct Sample {
    uptime_secs: f64,
    used_bytes: f64,
    written_bytes: f64,
    /// Process and what it had written, as the kernel counts it.
    writers: Vec<(String, f64)>,
}

impl Sample {
    fn take(shell: &Shell) -> Result<Sample> {
        // Fields of the block layer's statistics: kernel.org, block/stat; the seventh is sectors written.
        let text = shell.run(
            "cut -d ' ' -f 1 /proc/uptime
            awk '/^MemTotal/ {t=$2} /^MemAvailable/ {a=$2} END {print (t - a) * 1024}' /proc/meminfo
            awk '{print $7}' /sys/block/vda/stat
            for p in /proc/[0-9]*; do echo \"$(awk '/^write_bytes/ {print $2}' $p/io) ${p##*/} $(cat $p/comm)\"; done 2> /dev/null",
        )?;
        let mut lines = text.lines();
        let mut number = || -> Result<f64> {
            let line = lines
                .next()
                .ok_or_else(|| anyhow!("the box says too little: {text:?}"))?;
            line.parse().with_context(|| format!("the box says {line:?}"))
        };
        Ok(Sample {
            uptime_secs: number()?,
            used_bytes: number()?,
            written_bytes: number()? * SECTOR_BYTES,
            writers: lines
                .filter_map(|line| {
                    let (bytes, name) = line.split_once(' ')?;
                    Some((name.to_owned(), bytes.parse().ok()?))
                })
                .collect(),
        })
    }

    /// Who wrote since then, and how much.
    fn since(&self, before: &Sample) -> Vec<(String, f64)> {
        let had = |name: &String| {
            before
                .writers
                .iter()
                .find(|(known, _)| known == name)
                .map_or(0.0, |(_, bytes)| *bytes)
        };
        let wrote = self
            .writers
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes - had(name)));
        wrote.filter(|(_, bytes)| *bytes > 0.0).collect()
    }
}
