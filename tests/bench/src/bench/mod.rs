//! `scripts/bench archive`: issue 4's table.

mod flood;
mod loopback;
mod pages;
pub(crate) mod probe;
mod size;
pub(crate) mod verifying;
mod wear;

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::layouts::ALL;
use crate::table::Table;
use crate::workload::FULL;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Bytes written at the community's rate
    Wear,
    /// Everything that is measured at several sizes
    Size,
    /// Floods beside ordinary traffic
    Flood,
    /// Our own schema in pages of 1, 2, 4 and 8 KiB; only when asked for
    Pages,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) full: bool,
    pub(crate) only: Option<Part>,
    pub(crate) alone: bool,
}

pub(crate) fn run(wanted: Wanted, json: Option<&Path>, dir: Option<&Path>) -> Result<()> {
    let Wanted { full, only, alone } = wanted;
    let temporary = tempfile::tempdir()?;
    let dir = dir.unwrap_or(temporary.path());
    std::fs::create_dir_all(dir)?;
    let sizes: &[u64] = if full {
        &[10_000, FULL / 10, FULL]
    } else {
        &[10_000, FULL / 10]
    };
    let mut table = Table::default();
    println!(
        "envelopes of {} bytes, simulated 24 h each, in {}; load average {}",
        crate::workload::PAYLOAD_BYTES,
        dir.display(),
        std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim()
    );
    Table::head();
    let wanted = |this: Part| only.map_or(this != Part::Pages, |part| part == this);
    if wanted(Part::Pages) {
        pages::run(&mut table, dir)?;
    }
    if wanted(Part::Wear) {
        wear::run(&mut table, dir)?;
    }
    if wanted(Part::Size) {
        for &envelopes in sizes {
            let layouts = if alone { &ALL[..1] } else { &ALL[..] };
            size::run(&mut table, dir, envelopes, layouts)?;
        }
    }
    if wanted(Part::Flood) {
        flood::run(&mut table, dir, full)?;
    }
    println!(
        "{} of {} goals missed; load average {}",
        table.missed(),
        table.with_goals(),
        std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim()
    );
    if let Some(path) = json {
        let text = serde_json::to_vec_pretty(&table)?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
