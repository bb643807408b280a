//! `scripts/bench mailserver`: a built mailserver under load over real sockets, pinned to one core of its own.
//!
//! Load comes from a second process, so that neither its work nor its memory is counted: a relay node that publishes
//! envelopes of 2 KB at a steady rate, while this process asks for pages of a hundred. What is printed is what was
//! measured; a goal that was missed says so.
#![expect(clippy::print_stdout, reason = "an envelope count is what the second process tells")]

mod load;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use test_support::report::{MIB, Report};

use self::target::Target;

#[derive(Parser)]
#[command(name = "bench-mailserver", about = "A mailserver's speed and size")]
struct Arguments {
    /// The program to measure, as it is shipped: built with --profile dist
    #[arg(long, default_value = "target/dist/pillarbox-mailserver")]
    binary: PathBuf,
    /// Envelopes a second
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Envelopes a second in a second run, for the memory that the rate costs
    #[arg(long, default_value_t = 6000)]
    high_rate: u32,
    /// Seconds of load
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Writes the figures here, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Publishes to this address and ends (the process that makes the load)
    #[arg(long, hide = true)]
    publish_to: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(address) = &arguments.publish_to {
        let sent = runtime.block_on(load::publish(address, arguments.rate, arguments.seconds))?;
        println!("{sent}");
        return Ok(());
    }
    let report = runtime.block_on(measure(&arguments))?;
    report.print();
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let mut report = Report::default();
    report.at_most(
        "binary, stripped",
        std::fs::metadata(&arguments.binary)?.len() as f64 / MIB,
        "MiB",
        12.0,
    );
    let target = Target::start(&arguments.binary).await?;
    let crowd = load::crowd(&target, 20).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    report.at_most("memory, idle with 20 peers", target.memory_mib("VmRSS:")?, "MiB", 25.0);
    drop(crowd);
    load::run(&target, arguments.rate, arguments.seconds, &mut report).await?;
    report.at_most(
        "memory, highest under that load",
        target.memory_mib("VmHWM:")?,
        "MiB",
        80.0,
    );
    target.stop().await?;

    let target = Target::start(&arguments.binary).await?;
    load::press(&target, arguments.high_rate, arguments.seconds, &mut report).await?;
    report.at_most(
        &format!("memory, highest at {} a second", arguments.high_rate),
        target.memory_mib("VmHWM:")?,
        "MiB",
        80.0,
    );
    target.stop().await?;
    Ok(report)
}
