//! What `scripts/test style` looks at beside the compiler, clippy and shellcheck: circles of files, files and functions
//! that are too long, dependencies that nothing uses, licences and sources of what is linked, two versions of a
//! crate.
//!
//! What is known and not yet put right stands in `known.txt`, which may only shrink: an entry that is not needed any more
//! is a mistake as well, and `--shrink` takes it out. Nothing adds to it.

mod circles;
mod known;
mod length;
mod licence;
mod packages;
mod source;
mod unused;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use known::Known;
use packages::Metadata;

fn main() -> Result<ExitCode> {
    let shrink = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--shrink") => true,
        Some(other) => anyhow::bail!("{other} is not known: pillarbox-checks [--shrink]"),
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = here.ancestors().nth(2).context("the crate lies in tests/checks")?;
    let metadata = Metadata::of(repository)?;
    let members = metadata.members(repository)?;
    let list = here.join("known.txt");
    let mut known = Known::read(&list)?;

    let mut mistakes = Vec::new();
    for member in &members {
        mistakes.extend(circles::check(member, &mut known));
        mistakes.extend(length::check(member, &mut known));
        mistakes.extend(unused::check(member));
    }
    mistakes.extend(metadata.licences_and_sources());
    mistakes.extend(metadata.features_for_fuzzing());
    mistakes.extend(metadata.duplicates());
    if shrink {
        known.shrink(&list)?;
    } else {
        mistakes.extend(known.not_needed());
    }
    let mut out = std::io::stderr().lock();
    for mistake in &mistakes {
        writeln!(out, "{mistake}")?;
    }
    Ok(match mistakes.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
