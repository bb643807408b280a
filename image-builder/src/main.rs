//! `pillarbox-image`: builds a board's image, or a Debian package. `scripts/build-image` and `scripts/build-deb` install
//! what is needed and compile the programs.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pillarbox_image::deb::{self, Architecture};
use pillarbox_image::image::{self, Order};
use pillarbox_image::{check, plain};

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
        /// Stops after this stage; `disk` leaves the image uncompressed, for an emulator. Said twice, the last counts.
        #[arg(long, overrides_with = "until")]
        until: Option<String>,
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
        /// As of `build`.
        #[arg(long)]
        programs: PathBuf,
        #[arg(long, default_value = "target/image")]
        out: PathBuf,
        #[arg(long, default_value = ".")]
        repository: PathBuf,
        #[arg(long)]
        epoch: u64,
        #[arg(long = "mirror")]
        mirrors: Vec<String>,
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

fn main() -> ExitCode {
    // Who builds with which habits is no part of what is built.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    // The only line on stdout, for scripts.
    let said = run(Arguments::parse().command).and_then(|line| Ok(writeln!(std::io::stdout(), "{line}")?));
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pillarbox-image: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<String> {
    match command {
        Command::Build {
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
        } => {
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
            Ok(image::build(order)?.display().to_string())
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
        Command::Plain {
            programs,
            out,
            repository,
            epoch,
            mirrors,
        } => {
            let disk = plain::build(&repository, &programs, &out, epoch, &mirrors)?;
            Ok(disk.display().to_string())
        }
        Command::Check { out, mirrors } => {
            let boards = check::check(&out, &mirrors)?;
            Ok(format!("every file is there: {}", boards.join(", ")))
        }
    }
}
