//! `pillarbox archive …`: an archive's files, without a daemon. Everything works beside a running mailserver, except
//! `import`, which writes and so needs it stopped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use archive::{Archive, Options, Policy, export, foreign, retention};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{print, span, to_json};
use crate::clock;

#[derive(Debug, Args)]
pub(super) struct ArchiveArguments {
    /// The archive's directory.
    #[arg(long, value_name = "PATH")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How many envelopes there are, since when, and what was set aside.
    Stats,
    /// Read every segment and say what is damaged.
    Verify,
    /// Write every envelope that is not expired to a file, or as JSON to standard output (`-`).
    Export {
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        target: PathBuf,
    },
    /// Read the envelopes of a nwaku SQLite file; the mailserver must not run.
    Import {
        source: PathBuf,
        /// What is older is not read in.
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = span)]
        retention: Duration,
    },
    /// Remove what is older, by the system's clock.
    Prune {
        #[arg(long, value_name = "TIME", value_parser = span)]
        older_than: Duration,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A line of JSON an envelope.
    Json,
    /// A SQLite file that nwaku reads.
    Nwaku,
}

pub(super) fn run(arguments: &ArchiveArguments, json: bool) -> anyhow::Result<ExitCode> {
    let dir = arguments.dir.as_path();
    if !dir.is_dir() && !matches!(arguments.command, Command::Import { .. }) {
        bail!("there is no archive {}", dir.display());
    }
    match &arguments.command {
        Command::Stats => stats(dir, json),
        Command::Verify => verify(dir, json),
        Command::Export { format, target } => export_to(dir, *format, target),
        Command::Import { source, retention } => import(dir, source, *retention, json),
        Command::Prune { older_than } => {
            let removed = retention::remove_expired(dir, before(*older_than))?;
            let (segments, envelopes) = (removed.segments, removed.envelopes);
            print(&if json {
                to_json(&json!({ "segments": segments, "envelopes": envelopes, "bytes": removed.bytes }))?
            } else {
                format!(
                    "removed {envelopes} envelopes in {segments} segments, {} KiB\n",
                    removed.bytes / 1024
                )
            });
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn stats(dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let survey = retention::survey(dir)?;
    let secs = |ns: Option<i64>| ns.map(|ns| ns.div_euclid(1_000_000_000));
    let (oldest, newest) = (secs(survey.oldest), secs(survey.newest));
    let aside: Vec<_> = survey
        .quarantined
        .iter()
        .map(|file| json!({ "file": file.file, "reason": file.reason }))
        .collect();
    print(&if json {
        to_json(&json!({
            "segments": survey.segments, "envelopes": survey.envelopes, "bytes": survey.bytes,
            "oldest": oldest, "newest": newest, "quarantined": aside,
        }))?
    } else {
        let time = |secs: Option<i64>| secs.map_or_else(|| "-".to_owned(), |secs| secs.to_string());
        format!(
            "{} envelopes in {} segments, {} KiB; oldest {}, newest {} (seconds since 1970); {} files set aside\n",
            survey.envelopes,
            survey.segments,
            survey.bytes / 1024,
            time(oldest),
            time(newest),
            aside.len()
        )
    });
    Ok(ExitCode::SUCCESS)
}

fn verify(dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let verified = archive::verify(dir)?;
    let segments: Vec<_> = verified
        .segments
        .iter()
        .map(|segment| {
            let name = segment.name.to_string();
            json!({ "segment": name, "envelopes": segment.envelopes, "faults": segment.faults })
        })
        .collect();
    print(&if json {
        to_json(&segments)?
    } else {
        let mut text = String::new();
        for segment in &verified.segments {
            let found = if segment.faults.is_empty() {
                "sound".to_owned()
            } else {
                segment.faults.join("; ")
            };
            text.push_str(&format!("{}: {} envelopes, {found}\n", segment.name, segment.envelopes));
        }
        text
    });
    Ok(if verified.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn export_to(dir: &Path, format: Format, target: &Path) -> anyhow::Result<ExitCode> {
    let cutoff =
        retention::read_policy(dir)?.map_or(i64::MIN, |policy: Policy| policy.cutoff_at(before(Duration::ZERO)));
    let exported = match format {
        Format::Nwaku => export::to_sqlite(dir, cutoff, target)?,
        Format::Json if target == Path::new("-") => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let exported = export::to_json_lines(dir, cutoff, &mut out)?;
            out.flush().context("cannot write to standard output")?;
            exported
        }
        Format::Json => {
            let file =
                std::fs::File::create_new(target).with_context(|| format!("cannot create {}", target.display()))?;
            let mut out = std::io::BufWriter::new(file);
            let exported = export::to_json_lines(dir, cutoff, &mut out)?;
            out.flush()
                .with_context(|| format!("cannot write {}", target.display()))?;
            exported
        }
    };
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
    let archive = Archive::open(
        dir,
        Options {
            retention,
            ..Options::default()
        },
    )?;
    let imported = foreign::import(&archive, source, before(Duration::ZERO))?;
    archive.close()?;
    let (stored, duplicates, refused) = (imported.stored, imported.duplicates, imported.refused);
    print(&if json {
        to_json(&json!({ "stored": stored, "duplicates": duplicates, "refused": refused }))?
    } else {
        format!(
            "{stored} envelopes read in, {duplicates} were there already, {refused} refused as too old or no mail\n"
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// So long ago, nanoseconds since the Unix epoch.
fn before(span: Duration) -> i64 {
    let span_ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    clock::unix_time().saturating_mul(1_000_000_000).saturating_sub(span_ns)
}
