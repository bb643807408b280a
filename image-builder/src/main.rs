//! `pillarbox-image`: builds a board's image. `scripts/build-image` installs what it needs and compiles the programs.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pillarbox_image::image::{self, Order};

#[derive(Parser)]
#[command(name = "pillarbox-image", version, about = "A flashable image from a board's TOML")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the image of a board.
    Build {
        /// A board that ships, or the path of a board's TOML file.
        board: String,
        /// Directory of pillarboxd, pillarbox and pillarbox-mailserver, compiled for the board.
        #[arg(long)]
        programs: PathBuf,
        /// Where stages and results go.
        #[arg(long, default_value = "target/image")]
        out: PathBuf,
        /// The checked-out repository.
        #[arg(long, default_value = ".")]
        repository: PathBuf,
        /// The newest time in the image, in seconds since the Unix epoch.
        #[arg(long)]
        epoch: u64,
        /// A line of a sources.list to take packages from; those of this machine's apt when absent. May be repeated.
        #[arg(long = "mirror")]
        mirrors: Vec<String>,
        /// What `cargo tree --prefix none --format '{p}|{l}'` says of the programs, for the list of components.
        #[arg(long)]
        crates: PathBuf,
        /// The folder on the web where the image will be, for the manifest of Raspberry Pi Imager.
        #[arg(long)]
        published_at: Option<String>,
        /// Compresses the root less, for an image that only an emulator starts.
        #[arg(long)]
        fast: bool,
        /// Stops after this stage; `disk` leaves the image uncompressed, for an emulator.
        #[arg(long)]
        until: Option<String>,
    },
}

fn main() -> ExitCode {
    let Command::Build {
        board,
        programs,
        out,
        repository,
        epoch,
        mirrors,
        crates,
        published_at,
        fast,
        until,
    } = Arguments::parse().command;
    let order = Order {
        board,
        repository,
        programs,
        out,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch,
        mirrors,
        crates,
        published_at,
        fast,
        until,
    };
    match image::build(order) {
        Ok(dir) => {
            // The only line on stdout, for scripts.
            let said = writeln!(std::io::stdout(), "{}", dir.display());
            if said.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pillarbox-image: {error:#}");
            ExitCode::FAILURE
        }
    }
}
