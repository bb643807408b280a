//! A service that is killed: how soon the supervisor asks for the next one, seen by the keeper that it starts for it,
//! and how soon the next one runs.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::target::Target;

const PATIENCE: Duration = Duration::from_secs(30);
/// Between two deaths, so that each is one of its own.
const PAUSE: Duration = Duration::from_millis(250);

pub(crate) struct Restarts {
    pub(crate) slowest_request_ms: f64,
    pub(crate) median_start_ms: f64,
    pub(crate) slowest_start_ms: f64,
}

/// The clock that all processes share.
fn now_ns() -> anyhow::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(now.tv_sec())? * 1_000_000_000 + u64::try_from(now.tv_nsec())?)
}

/// The victim: one line with its pid and the time, then nothing for as long as it is left alone.
pub(crate) fn child(file: &Path) -> anyhow::Result<()> {
    let now = now_ns()?;
    let mut file = std::fs::File::options().create(true).append(true).open(file)?;
    file.write_all(format!("{} {now}\n", std::process::id()).as_bytes())?;
    loop {
        std::thread::sleep(PATIENCE);
    }
}

pub(crate) fn measure(target: &Target, kills: u32) -> anyhow::Result<Restarts> {
    ensure!(kills > 0, "one kill at least");
    let (mut requests_ms, mut starts_ms) = (Vec::new(), Vec::new());
    let (mut count, mut victim) = latest(target, 1)?;
    for _ in 0..kills {
        std::thread::sleep(PAUSE);
        let before = target.keepers()?;
        let killed_ns = now_ns()?;
        kill(Pid::from_raw(victim.pid), Signal::SIGKILL)?;
        requests_ms.push(until_another_keeper(target, &before)?.saturating_sub(killed_ns) as f64 / 1e6);
        let (next_count, next) = latest(target, count + 1)?;
        starts_ms.push(next.at_ns.saturating_sub(killed_ns) as f64 / 1e6);
        (count, victim) = (next_count, next);
    }
    requests_ms.sort_by(f64::total_cmp);
    starts_ms.sort_by(f64::total_cmp);
    Ok(Restarts {
        slowest_request_ms: requests_ms[requests_ms.len() - 1],
        median_start_ms: starts_ms[starts_ms.len() / 2],
        slowest_start_ms: starts_ms[starts_ms.len() - 1],
    })
}

/// When the supervisor had asked: the first look that sees a keeper that was not there.
fn until_another_keeper(target: &Target, before: &BTreeSet<u32>) -> anyhow::Result<u64> {
    let begun = std::time::Instant::now();
    loop {
        if target.keepers()?.difference(before).next().is_some() {
            return now_ns();
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "no restart was asked for within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_micros(500));
    }
}

struct Start {
    pid: i32,
    at_ns: u64,
}

/// The last start, once there were so many.
fn latest(target: &Target, wanted: usize) -> anyhow::Result<(usize, Start)> {
    let begun = std::time::Instant::now();
    loop {
        let text = std::fs::read_to_string(target.starts()).unwrap_or_default();
        let whole: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
        if whole.len() >= wanted {
            let (pid, at) = whole[whole.len() - 1]
                .trim()
                .split_once(' ')
                .context("a start's line")?;
            let start = Start {
                pid: pid.parse()?,
                at_ns: at.parse()?,
            };
            return Ok((whole.len(), start));
        }
        ensure!(begun.elapsed() < PATIENCE, "no start after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
