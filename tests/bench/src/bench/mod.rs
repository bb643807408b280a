//! `scripts/bench archive`: issue 4's table.

mod flood;
mod loopback;
pub(crate) mod probe;
mod size;
mod wear;

use std::path::Path;

use anyhow::{Context, Result};

use crate::table::Table;
use crate::workload::FULL;

pub(crate) fn run(full: bool, json: Option<&Path>, dir: Option<&Path>) -> Result<()> {
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
        "envelopes of {} bytes, simulated 24 h each, in {}",
        crate::workload::PAYLOAD_BYTES,
        dir.display()
    );
    Table::head();
    wear::run(&mut table, dir)?;
    for &envelopes in sizes {
        size::run(&mut table, dir, envelopes)?;
    }
    flood::run(&mut table, dir, full)?;
    println!("{} of {} figures miss their goals", table.missed(), table.figures.len());
    if let Some(path) = json {
        let text = serde_json::to_vec_pretty(&table)?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
