//! The short-lived process that encrypts and decrypts: an [`Order`] and a backup on standard input, a backup (or the
//! settings that a restore leaves out, as JSON) on standard output, or one sentence on standard error. It stages a restore; the daemon puts it in place.

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, ensure};

use super::bundle::Bundle;
use super::seal::MAX_SEALED_BYTES;
use super::{Action, Order, files, seal};
use crate::config::Config;

pub(crate) fn work() -> ExitCode {
    // Whatever memory is short of, this process goes first (proc(5), oom_score_adj); the kernel lets nobody lower it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    match try_work() {
        Ok(answer) if std::io::stdout().lock().write_all(&answer).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_work() -> anyhow::Result<Vec<u8>> {
    let mut input = std::io::stdin().lock();
    let mut first = String::new();
    input.read_line(&mut first).context("cannot read the order")?;
    let order: Order = serde_json::from_str(&first).context("cannot read the order")?;
    let config = Config::read(&order.config)?;
    match order.action {
        Action::Backup => {
            let bundle = files::collect(&config)?;
            Ok(seal::seal(&order.passphrase, &bundle.to_bytes()?)?)
        }
        Action::Restore { identity_only } => {
            let mut sealed = Vec::new();
            input
                .take(MAX_SEALED_BYTES as u64 + 1)
                .read_to_end(&mut sealed)
                .context("cannot read the backup")?;
            ensure!(
                !sealed.is_empty(),
                "the backup is empty; choose the file that was downloaded"
            );
            let bundle = Bundle::parse(&seal::open(&order.passphrase, &sealed)?)?;
            let left_out = files::stage(&config, bundle, identity_only)?;
            serde_json::to_vec(&left_out).context("cannot write the answer")
        }
    }
}
