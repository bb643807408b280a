//! What is measured, in its order: idle first, then under a crowd.

use std::path::Path;
use std::time::Duration;

use test_support::report::{MIB, Report};

use super::target::Target;
use super::{crowd, light, restarts};

/// Until the light has taken up the pattern of a working box.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn all(binary: &Path, mailserver: &Path, seconds: u64, kills: u32) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let span = Duration::from_secs(seconds);
    let megabytes = std::fs::metadata(binary)?.len() as f64 / MIB;
    report.note("binary, stripped", megabytes, "MiB");
    let target = Target::start(binary, mailserver)?;
    target.until_ok()?;
    std::thread::sleep(SETTLE);

    let before_secs = target.cpu_secs()?;
    let seen = light::watch(&target.led(), span);
    let used_percent = (target.cpu_secs()? - before_secs) / span.as_secs_f64() * 100.0;
    report.at_most("memory, idle", target.memory_mib("VmRSS:")?, "MiB", 12.0);
    report.note("memory of a service's keeper", target.keeper_mib()?, "MiB");
    report.at_most("processor, idle, of one core", used_percent, "%", 1.0);
    report.at_most("LED's largest error, idle", light::largest_error_ms(&seen)?, "ms", 50.0);
    let idle = restarts::measure(&target, kills)?;
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
    let crowded = restarts::measure(&target, kills)?;
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
