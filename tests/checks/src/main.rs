//! What `scripts/test style` looks at beside the compiler, clippy and shellcheck: circles of files, files and functions
//! that are too long, dependencies that nothing uses, licences and sources of what is linked, two versions of a
//! crate.

mod circles;
mod length;
mod licence;
mod packages;
mod source;
mod unused;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use packages::Metadata;

fn main() -> Result<ExitCode> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = here.ancestors().nth(2).context("the crate lies in tests/checks")?;
    let metadata = Metadata::of(repository)?;
    let members = metadata.members(repository)?;

    let mut mistakes = Vec::new();
    for member in &members {
        mistakes.extend(circles::check(member));
        mistakes.extend(length::check(member));
        mistakes.extend(unused::check(member));
    }
    mistakes.extend(metadata.licences_and_sources());
    mistakes.extend(metadata.features_for_fuzzing());
    mistakes.extend(metadata.duplicates());
    let mut out = std::io::stderr().lock();
    for mistake in &mistakes {
        writeln!(out, "{mistake}")?;
    }
    Ok(match mistakes.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
