//! The command line of `pillarbox-image`, and what each command does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pillarbox_image::deb::{self, Architecture};
use pillarbox_image::image::{self, Order};
use pillarbox_image::stage::Stage;
use pillarbox_image::{check, plain};

#[derive(Parser)]
#[command(name = "pillarbox-image", version, about = "A flashable image from a board's TOML")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Builds the image of a board.
    Build {
        /// A board that ships, or the path of a board's TOML file.
        board: String,
        #[command(flatten)]
        inputs: Inputs,
        /// What `cargo tree --prefix none --format '{p}|{l}'` says of the programs, for the list of components.
        #[arg(long)]
        crates: PathBuf,
        /// The folder on the web where the image will be, for the manifest of Raspberry Pi Imager.
        #[arg(long)]
        published_at: Option<String>,
        /// Compresses the root less, for an image that only an emulator starts.
        #[arg(long)]
        fast: bool,
        /// Stops after this stage; `disk` leaves the image uncompressed, for an emulator. Said twice, the last counts.
        #[arg(long, overrides_with = "until", default_value = "publish")]
        until: Stage,
    },
    /// Builds a Debian package of the daemon, the mailserver and the command.
    Deb {
        architecture: Architecture,
        /// Directory of pillarboxd, pillarbox and pillarbox-mailserver, compiled for that architecture.
        #[arg(long)]
        programs: PathBuf,
        #[arg(long, default_value = "target/deb")]
        out: PathBuf,
        /// The checked-out repository.
        #[arg(long, default_value = ".")]
        repository: PathBuf,
        /// The time of everything in the package, in seconds since the Unix epoch.
        #[arg(long)]
        epoch: u64,
    },
    /// Builds a disk with a plain Debian of the same packages and programs, for `scripts/bench image`.
    Plain {
        #[command(flatten)]
        inputs: Inputs,
    },
    /// Checks that the packages have every file and module that the boards' files name.
    Check {
        /// Packages are unpacked below it.
        #[arg(long, default_value = "target/image")]
        out: PathBuf,
        /// As of `build`.
        #[arg(long = "mirror")]
        mirrors: Vec<String>,
    },
}

/// What a disk is made from.
#[derive(Args)]
pub(crate) struct Inputs {
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
}

/// Does it, and returns the line for whoever called: where the result lies.
pub(crate) fn run(command: Command) -> anyhow::Result<String> {
    match command {
        Command::Build {
            board,
            inputs,
            crates,
            published_at,
            fast,
            until,
        } => {
            let order = Order {
                board,
                repository: inputs.repository,
                programs: inputs.programs,
                out: inputs.out,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                epoch: inputs.epoch,
                mirrors: inputs.mirrors,
                crates,
                published_at,
                fast,
                until,
            };
            Ok(image::build(&order)?.display().to_string())
        }
        Command::Deb {
            architecture,
            programs,
            out,
            repository,
            epoch,
        } => {
            let order = deb::Order {
                architecture,
                repository,
                programs,
                out,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                epoch,
            };
            Ok(deb::build(&order)?.display().to_string())
        }
        Command::Plain { inputs } => {
            let Inputs {
                repository,
                programs,
                out,
                epoch,
                mirrors,
            } = inputs;
            let disk = plain::build(&repository, &programs, &out, epoch, &mirrors)?;
            Ok(disk.display().to_string())
        }
        Command::Check { out, mirrors } => {
            let boards = check::check(&out, &mirrors)?;
            Ok(format!("every file is there: {}", boards.join(", ")))
        }
    }
}
