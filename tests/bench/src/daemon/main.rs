//! `scripts/bench daemon`: a built `pillarboxd` as it is shipped, with a real mailserver, a service that is killed again
//! and again, and a crowd on its page.
//!
//! Everything is seen from outside, by the kernel's counts and by the file that stands for the LED: what is printed is
//! what a board would do.

mod crowd;
mod light;
mod measure;
mod restarts;
mod target;

use std::path::PathBuf;

use clap::Parser;

#[derive(Parser)]
#[command(name = "bench-daemon", about = "The daemon's size and speed")]
struct Arguments {
    /// The program to measure, as it is shipped
    #[arg(long, default_value = "target/release/pillarboxd")]
    binary: PathBuf,
    /// The mailserver that it runs
    #[arg(long, default_value = "target/release/pillarbox-mailserver")]
    mailserver: PathBuf,
    /// Seconds of idling, and of the crowd
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Times that the service is killed
    #[arg(long, default_value_t = 40)]
    kills: u32,
    /// Writes the figures here, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Says when it was started, and waits (the service that is killed)
    #[arg(long, hide = true)]
    child: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.child {
        return restarts::child(file);
    }
    let report = measure::all(
        &arguments.binary,
        &arguments.mailserver,
        arguments.seconds,
        arguments.kills,
    )?;
    report.print();
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    Ok(())
}
