//! Figures about Pillarbox against named peers and limits (`scripts/bench`), and long campaigns against what a unit test
//! cannot reach (`scripts/campaign`). Every figure is printed with what it was measured on, and a missed goal is said.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod bench;
mod campaign;
mod layouts;
mod meter;
mod table;
mod workload;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Benchmarks and campaigns of Pillarbox")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The archive beside nwaku's and go-waku's layouts
    Archive {
        /// All 1.2 million envelopes, not a tenth
        #[arg(long)]
        full: bool,
        /// Only this part of it
        #[arg(long)]
        only: Option<bench::Part>,
        /// Without the peers' layouts, which take most of the time; goals against them are not judged
        #[arg(long)]
        alone: bool,
        /// Writes the figures here, too
        #[arg(long)]
        json: Option<PathBuf>,
        /// Where the files go; a temporary directory by default
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    #[command(flatten)]
    Campaign(campaign::What),
    /// Opens an archive and says how long it took and how much memory
    #[command(hide = true)]
    Probe { dir: PathBuf, queries: u32 },
    /// Verifies an archive that another process writes and says how long it took
    #[command(hide = true)]
    Verify { dir: PathBuf },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::Archive {
            full,
            only,
            alone,
            json,
            dir,
        } => {
            let wanted = bench::Wanted { full, only, alone };
            bench::run(wanted, json.as_deref(), dir.as_deref())
        }
        What::Campaign(what) => what.run(),
        What::Probe { dir, queries } => bench::probe::run(&dir, queries),
        What::Verify { dir } => bench::verifying::run(&dir),
    }
}
