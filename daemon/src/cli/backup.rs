//! `pillarbox backup` and `pillarbox restore`. The passphrase comes from the terminal or a file, never from the command
//! line, which everybody on the machine can read.

use std::fs::OpenOptions;
use std::io::{BufRead, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use data_encoding::BASE64;

use super::{client, to_json, unexpected};
use crate::backup::{MAX_PASSPHRASE_BYTES, MAX_SEALED_BYTES, Passphrase};
use crate::control::{Answer, Request};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArguments {
    /// A new file, or - for standard output.
    file: PathBuf,
    #[command(flatten)]
    from: From,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArguments {
    /// The backup, or - for standard input.
    file: PathBuf,
    /// Restore only the identity, and keep the current settings.
    #[arg(long)]
    identity_only: bool,
    #[command(flatten)]
    from: From,
}

#[derive(Debug, clap::Args)]
struct From {
    /// Read the passphrase from the first line of this file, or from standard input with -; without this option you are
    /// asked on the terminal.
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
}

pub(super) fn backup(arguments: &BackupArguments, socket: Option<&Path>, json: bool) -> anyhow::Result<String> {
    let file = &arguments.file;
    let to_stdout = file == Path::new("-");
    ensure!(
        to_stdout || !file.exists(),
        "{} already exists; name a new file",
        file.display()
    );
    let text = match arguments.from.read()? {
        Some(text) => text,
        None => {
            let text = ask("Passphrase for the backup: ")?;
            ensure!(
                ask("Repeat the passphrase: ")? == text,
                "the two passphrases differ; try again"
            );
            text
        }
    };
    let passphrase = Passphrase::new(&text)?;
    let sealed = match client::ask(socket, &Request::Backup { passphrase })? {
        Answer::Sealed(sealed) => BASE64.decode(sealed.as_bytes()).context("the backup arrived damaged")?,
        other => bail!(unexpected(other)),
    };
    if to_stdout {
        std::io::stdout()
            .lock()
            .write_all(&sealed)
            .context("cannot write the backup")?;
        return Ok(String::new());
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot create {}", file.display()))?;
    out.write_all(&sealed)
        .and_then(|()| out.sync_all())
        .with_context(|| format!("cannot write {}", file.display()))?;
    if json {
        return to_json(&serde_json::json!({ "file": file, "bytes": sealed.len() }));
    }
    Ok(format!(
        "{}: {} bytes. It cannot be opened without the passphrase.\n",
        file.display(),
        sealed.len()
    ))
}

pub(super) fn restore(arguments: &RestoreArguments, socket: Option<&Path>, json: bool) -> anyhow::Result<String> {
    let from_stdin = arguments.file == Path::new("-");
    ensure!(
        !(from_stdin && arguments.from.is_stdin()),
        "backup and passphrase cannot both come from standard input"
    );
    let sealed = read(&arguments.file, MAX_SEALED_BYTES)?;
    ensure!(
        sealed.len() <= MAX_SEALED_BYTES,
        "{} is larger than {MAX_SEALED_BYTES} bytes, so it is not a backup",
        arguments.file.display()
    );
    let text = match arguments.from.read()? {
        Some(text) => text,
        None => ask("Passphrase of the backup: ")?,
    };
    let request = Request::Restore {
        passphrase: Passphrase::given(&text)?,
        sealed: BASE64.encode(&sealed),
        identity_only: arguments.identity_only,
    };
    let left_out = match client::ask(socket, &request)? {
        Answer::Restored(left_out) => left_out,
        other => bail!(unexpected(other)),
    };
    if json {
        return to_json(&serde_json::json!({ "done": true, "left_out": left_out }));
    }
    let mut text = "Restored; the box is restarting.\n".to_owned();
    if !left_out.is_empty() {
        text.push_str("Left out, because a backup may only restore what people set for themselves:\n");
        text.extend(left_out.iter().map(|key| format!("  {key}\n")));
    }
    Ok(text)
}

impl From {
    fn is_stdin(&self) -> bool {
        self.passphrase_file.as_deref() == Some(Path::new("-"))
    }

    fn read(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.passphrase_file else {
            return Ok(None);
        };
        let bytes = read(path, MAX_PASSPHRASE_BYTES)?;
        let line = bytes.lines().next().transpose();
        let line = line.with_context(|| format!("the passphrase in {} is not text", path.display()))?;
        Ok(Some(line.unwrap_or_default()))
    }
}

/// The first bytes of a file, one more than `most` if it has more.
fn read(path: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = most as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

fn ask(question: &str) -> anyhow::Result<String> {
    rpassword::prompt_password(question)
        .context("there is no terminal to ask for the passphrase; name a file with --passphrase-file")
}
