//! `pillarbox archive …`: an archive's files, without a daemon. Everything works beside a running mailserver, except
//! `import`, which writes and so needs it stopped.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use archive::{Archive, Options, Policy, Progress, Refusal, export, foreign, retention};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{print, span, to_json};
use crate::clock;

#[derive(Debug, Args)]
pub(super) struct ArchiveArguments {
    /// The archive's directory [default: /data/pillarbox/archive or target/pillarbox/archive, whichever exists first].
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// Where the image and `scripts/run` have it.
const USUAL: [&str; 2] = ["/data/pillarbox/archive", "target/pillarbox/archive"];

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how many envelopes there are, since when, and what was set aside.
    Stats,
    /// Read every segment and list what is damaged.
    Verify,
    /// Write every envelope that has not expired to a file, or as JSON to standard output (`-`).
    Export {
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        target: PathBuf,
    },
    /// Import the envelopes of a nwaku SQLite file; the mailserver must not be running. nwaku keeps its newest envelopes
    /// in a second file, with -wal at the end of its name: keep both in one folder.
    Import {
        source: PathBuf,
        /// Envelopes that are older are not imported.
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = span)]
        retention: Duration,
    },
    /// Delete older envelopes, by the system's clock and in whole segments.
    Prune {
        #[arg(long, value_name = "TIME", value_parser = span)]
        older_than: Duration,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A line of JSON for each envelope.
    Json,
    /// A SQLite file that nwaku can read.
    Nwaku,
}

pub(super) fn run(arguments: &ArchiveArguments, json: bool) -> anyhow::Result<ExitCode> {
    let usual = || USUAL.map(PathBuf::from).into_iter().find(|dir| dir.is_dir());
    let Some(dir) = arguments.dir.clone().or_else(usual) else {
        bail!("no archive found here; name its directory with --dir (it is `archive.path` in the service's file)");
    };
    let dir = dir.as_path();
    if !dir.is_dir() && !matches!(arguments.command, Command::Import { .. }) {
        bail!("there is no archive in {}", dir.display());
    }
    match &arguments.command {
        Command::Stats => stats(dir, json),
        Command::Verify => verify(dir, json),
        Command::Export { format, target } => export_to(dir, *format, target),
        Command::Import { source, retention } => import(dir, source, *retention, json),
        Command::Prune { older_than } => prune(dir, *older_than, json),
    }
}

fn prune(dir: &Path, older_than: Duration, json: bool) -> anyhow::Result<ExitCode> {
    if retention::read_policy(dir)?.is_some_and(|policy| !policy.clock_trusted || policy.held) {
        bail!("the daemon does not trust the clock yet, so nothing can be called old: nothing was deleted");
    }
    let removed = retention::remove_expired(dir, before(older_than))?;
    let (segments, envelopes) = (removed.segments, removed.envelopes);
    print(&if json {
        to_json(&json!({ "segments": segments, "envelopes": envelopes, "bytes": removed.bytes }))?
    } else {
        format!(
            "deleted {envelopes} envelopes in {segments} segments, {}\n",
            mib(removed.bytes)
        )
    });
    Ok(ExitCode::SUCCESS)
}

fn stats(dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let survey = retention::survey(dir)?;
    let secs = |time: Option<archive::Nanos>| time.map(archive::Nanos::secs);
    let (oldest, newest) = (secs(survey.oldest), secs(survey.newest));
    let names = |segments: &[archive::SegmentName]| segments.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (newer, unreadable) = (names(&survey.newer), names(&survey.unreadable));
    if json {
        print(&to_json(&json!({
            "segments": survey.segments, "envelopes": survey.envelopes, "bytes": survey.bytes,
            "oldest": oldest, "newest": newest, "newer": newer, "unreadable": unreadable,
            "quarantined": aside(&survey.quarantined),
        }))?);
        return Ok(ExitCode::SUCCESS);
    }
    let time = |secs: Option<i64>| secs.map_or_else(|| "-".to_owned(), clock::utc_of);
    let mut text = format!(
        "{} envelopes in {} segments, {}\noldest {}\nnewest {}\n",
        survey.envelopes,
        survey.segments,
        mib(survey.bytes),
        time(oldest),
        time(newest)
    );
    for segment in newer {
        text.push_str(&format!("{segment}: written by a newer Pillarbox, ignored\n"));
    }
    for obstacle in &survey.in_the_way {
        text.push_str(&format!("{obstacle} where a file belongs: remove it\n"));
    }
    for segment in unreadable {
        text.push_str(&format!("{segment}: cannot be read right now\n"));
    }
    text.push_str(&aside_lines(dir, &survey.quarantined));
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn verify(dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut meter = Meter::new("verifying");
    let verified = archive::verify(dir, &mut |progress| meter.tell(progress))?;
    meter.finish();
    let sound = verified.is_sound();
    if json {
        let segments = verified.segments.iter().map(|segment| {
            let name = segment.name.to_string();
            json!({
                "segment": name, "envelopes": segment.envelopes, "newer_version": segment.newer, "faults": segment.faults,
            })
        });
        print(&to_json(&json!({
            "sound": sound, "segments": segments.collect::<Vec<_>>(), "quarantined": aside(&verified.quarantined),
        }))?);
    } else {
        let mut text = String::new();
        for segment in &verified.segments {
            let found = match (segment.newer, segment.faults.is_empty()) {
                (Some(version), _) => format!("version {version}, from a newer Pillarbox: not checked"),
                (None, true) => format!("{} envelopes, sound", segment.envelopes),
                (None, false) => format!(
                    "{} envelopes, DAMAGED: {}",
                    segment.envelopes,
                    segment.faults.join("; ")
                ),
            };
            text.push_str(&format!("{}: {found}\n", segment.name));
        }
        let envelopes: u64 = verified.segments.iter().map(|segment| segment.envelopes).sum();
        let damaged = verified
            .segments
            .iter()
            .filter(|segment| !segment.faults.is_empty())
            .count();
        text.push_str(&match damaged {
            0 => format!("{envelopes} envelopes in {} segments, nothing damaged\n", verified.segments.len()),
            damaged => format!(
                "{damaged} of {} segments damaged: the mailserver sets them aside when it reads them; the rest is sound\n",
                verified.segments.len()
            ),
        });
        text.push_str(&aside_lines(dir, &verified.quarantined));
        print(&text);
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn aside(files: &[retention::Quarantined]) -> Vec<serde_json::Value> {
    let files = files.iter();
    files
        .map(|file| json!({ "file": file.file, "reason": file.reason }))
        .collect()
}

fn aside_lines(dir: &Path, files: &[retention::Quarantined]) -> String {
    let folder = dir.join("quarantine");
    let lines = files
        .iter()
        .map(|file| format!("set aside ({}): {}\n", file.reason, folder.join(&file.file).display()));
    lines.collect()
}

fn export_to(dir: &Path, format: Format, target: &Path) -> anyhow::Result<ExitCode> {
    let cutoff = retention::read_policy(dir)?.map_or(archive::Nanos::MIN, |policy: Policy| {
        policy.cutoff_at(before(Duration::ZERO))
    });
    let mut meter = Meter::new("exporting");
    let told: archive::Told<'_> = &mut |progress| meter.tell(progress);
    let exported = match format {
        Format::Nwaku => export::to_sqlite(dir, cutoff, target, told)?,
        Format::Json if target == Path::new("-") => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let written = export::to_json_lines(dir, cutoff, &mut out, told);
            match written.and_then(|exported| {
                let flushed = out.flush().map(|()| exported);
                flushed.map_err(|source| archive::Error::File {
                    what: "write",
                    path: "standard output".into(),
                    source,
                })
            }) {
                // A reader that has seen enough (head) is no failure.
                Err(archive::Error::File { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(ExitCode::SUCCESS);
                }
                written => written?,
            }
        }
        Format::Json => {
            let file =
                std::fs::File::create_new(target).with_context(|| format!("cannot create {}", target.display()))?;
            let mut out = std::io::BufWriter::new(file);
            let written = export::to_json_lines(dir, cutoff, &mut out, told).map_err(anyhow::Error::from);
            let written = written.and_then(|exported| {
                out.flush()?;
                out.get_ref().sync_all()?;
                Ok(exported)
            });
            written.inspect_err(|_| {
                // Half an export looks like a whole one.
                let _ = std::fs::remove_file(target);
            })?
        }
    };
    meter.finish();
    eprintln!("exported {} envelopes", exported.envelopes);
    for (segment, reason) in &exported.skipped {
        eprintln!("left out {segment}: {reason}");
    }
    Ok(if exported.skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn import(dir: &Path, source: &Path, retention: Duration, json: bool) -> anyhow::Result<ExitCode> {
    // Before an archive is made for it.
    std::fs::File::open(source).with_context(|| format!("cannot read {}", source.display()))?;
    let archive = Archive::open(
        dir,
        Options {
            retention,
            ..Options::default()
        },
    )?;
    let mut meter = Meter::new("importing");
    let imported = foreign::import(&archive, source, before(Duration::ZERO), &mut |progress| {
        meter.tell(progress)
    })
    .context("what was imported before that is kept")?;
    meter.finish();
    archive.close()?;
    let (stored, duplicates, unreadable) = (imported.stored, imported.duplicates, imported.unreadable);
    let refused: BTreeMap<String, u64> = imported
        .refused
        .iter()
        .map(|(why, count)| (why.to_string(), *count))
        .collect();
    print(&if json {
        to_json(&json!({
            "stored": stored, "duplicates": duplicates, "unreadable": unreadable,
            "refused": refused.values().sum::<u64>(), "refused_by_reason": refused,
        }))?
    } else {
        let mut text = format!("{stored} envelopes imported, {duplicates} were already there\n");
        for (why, count) in &imported.refused {
            text.push_str(&format!("{count} refused: {}\n", reason(*why)));
        }
        if unreadable > 0 {
            text.push_str(&format!(
                "{unreadable} rows left out: they are not envelopes, or are larger than 1 MiB\n"
            ));
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Expired => "too old to be kept",
        Refusal::Future => "dated in the future",
        Refusal::Share => "their topics have used up their share of the archive's quota",
        Refusal::ReadOnly => "the disk is nearly full",
        Refusal::DiskFull => "the disk is full",
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Says on standard error how far something long has come: in one line on a terminal, now and then elsewhere.
struct Meter {
    what: &'static str,
    begun: Instant,
    said: Option<Instant>,
    terminal: bool,
}

/// What is done sooner needs no words.
const PATIENCE: Duration = Duration::from_secs(2);

impl Meter {
    fn new(what: &'static str) -> Meter {
        Meter {
            what,
            begun: Instant::now(),
            said: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn tell(&mut self, progress: Progress) {
        let pause = if self.terminal { PATIENCE / 8 } else { PATIENCE * 5 };
        let spent = self.begun.elapsed();
        if spent < PATIENCE || self.said.is_some_and(|said| said.elapsed() < pause) {
            return;
        }
        self.said = Some(Instant::now());
        let left = spent.as_secs_f64() * (1.0 - progress.done) / progress.done;
        // The first percents say little about the rest.
        let left = if progress.done < 0.03 {
            String::new()
        } else {
            format!(", about {left:.0} s left")
        };
        let (percent, envelopes) = (progress.done * 100.0, progress.envelopes);
        let line = format!("{}: {percent:.0} %, {envelopes} envelopes{left}", self.what);
        if self.terminal {
            eprint!("\r{line}\x1b[K");
        } else {
            eprintln!("{line}");
        }
    }

    /// Clears the line for what comes.
    fn finish(&self) {
        if self.terminal && self.said.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// So long ago, nanoseconds since the Unix epoch.
fn before(span: Duration) -> i64 {
    let span_ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    clock::unix_time().saturating_mul(1_000_000_000).saturating_sub(span_ns)
}
