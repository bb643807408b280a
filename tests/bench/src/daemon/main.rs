//! `scripts/bench daemon`: a built `pillarboxd` as it is shipped, with a real mailserver, a service that is killed again
//! and again, and a crowd on its page.
//!
//! Everything is seen from outside, by the kernel's counts and by the file that stands for the LED: what is printed is
//! what a board would do.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod crowd;
mod light;
#[path = "../mailserver/report.rs"]
mod report;
mod restarts;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use self::report::Report;
use self::target::Target;

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
    let report = measure(&arguments)?;
    report.print();
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    Ok(())
}

const SETTLE: Duration = Duration::from_secs(5);

fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let span = Duration::from_secs(arguments.seconds);
    let megabytes = std::fs::metadata(&arguments.binary)?.len() as f64 / report::MIB;
    report.note("binary, stripped", megabytes, "MiB");
    let target = Target::start(&arguments.binary, &arguments.mailserver)?;
    target.until_ok()?;
    // Until the light has taken up the pattern of a working box.
    std::thread::sleep(SETTLE);

    let before_secs = target.cpu_secs()?;
    let seen = light::watch(&target.led(), span);
    let used_percent = (target.cpu_secs()? - before_secs) / span.as_secs_f64() * 100.0;
    report.at_most("memory, idle", target.memory_mib("VmRSS:")?, "MiB", 12.0);
    report.note("memory of a service's keeper", target.keeper_mib()?, "MiB");
    report.at_most("processor, idle, of one core", used_percent, "%", 1.0);
    report.at_most("LED's largest error, idle", light::largest_error_ms(&seen)?, "ms", 50.0);
    let idle = restarts::measure(&target, arguments.kills)?;
    report.at_most(
        "death to the request of a restart, slowest",
        idle.slowest_request_ms,
        "ms",
        100.0,
    );
    report.note("death to the next start, median", idle.median_start_ms, "ms");
    report.note("death to the next start, slowest", idle.slowest_start_ms, "ms");

    let crowd = crowd::gather(target.page());
    crowd.until_there();
    let (seen, pages) = std::thread::scope(|scope| {
        let pages = scope.spawn(|| crowd::browse(target.page(), span));
        (light::watch(&target.led(), span), pages.join())
    });
    let slowest_page_ms = pages.map_err(|_| anyhow::anyhow!("the browser's thread ended early"))?? * 1e3;
    let crowded = restarts::measure(&target, arguments.kills)?;
    report.at_least("crowd: connections held at once", crowd.held() as f64, "", 2200.0);
    report.note("crowd: connections opened", crowd.opened() as f64, "");
    report.at_most(
        "crowd: LED's largest error",
        light::largest_error_ms(&seen)?,
        "ms",
        50.0,
    );
    report.at_most(
        "crowd: death to the request, slowest",
        crowded.slowest_request_ms,
        "ms",
        100.0,
    );
    report.note("crowd: death to the next start, median", crowded.median_start_ms, "ms");
    report.note(
        "crowd: death to the next start, slowest",
        crowded.slowest_start_ms,
        "ms",
    );
    report.at_most("crowd: slowest page", slowest_page_ms, "ms", 2000.0);
    report.note("crowd: memory, highest ever", target.memory_mib("VmHWM:")?, "MiB");
    drop(crowd);
    target.stop()?;
    Ok(report)
}
