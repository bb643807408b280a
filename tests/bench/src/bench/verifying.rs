//! How long `pillarbox archive verify` takes on a live archive: a process of its own reads all of it from the disk while
//! this one goes on writing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::layouts::Layout;
use crate::workload::{HOUR, RATE, START, envelope};

/// The process: reads and checks everything, from a disk that nothing has been read from.
pub(crate) fn run(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sqlite") {
            posix_fadvise(
                std::fs::File::open(&path)?,
                0,
                0,
                PosixFadviseAdvice::POSIX_FADV_DONTNEED,
            )?;
        }
    }
    let begun = Instant::now();
    let verified = archive::verify(dir, &mut |_| {})?;
    ensure!(verified.is_sound(), "not sound: {verified:?}");
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// The seconds it takes while 14 envelopes a second arrive in `layout`, whose files are in `dir`.
pub(crate) fn while_written(layout: &mut dyn Layout, dir: &Path, envelopes: u64) -> Result<f64> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg("verify")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let end = START + 24 * HOUR;
    let _ticker = layout.ticker(end)?;
    for more in 1.. {
        if process.try_wait()?.is_some() {
            break;
        }
        let mut next = envelope(envelopes + more, 1);
        next.timestamp = end + more.cast_signed();
        layout.insert(&next, end)?;
        std::thread::sleep(Duration::from_secs(1) / RATE as u32);
    }
    let output = process.wait_with_output()?;
    ensure!(output.status.success(), "verifying failed: {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    said.trim()
        .parse()
        .with_context(|| format!("the process said {said:?}"))
}
