//! Backup and restore of what makes a box this box: its services' identities and its settings. Never envelopes.
//!
//! A backup is a [`bundle`] (strict, bounded, files that are known by name only), encrypted by age with a passphrase
//! ([`seal`]), so that the plaintext exists nowhere but in memory. Making a key of a passphrase takes 64 MiB and a
//! second on purpose; therefore a short-lived process of the same program does it ([`worker`]), one at a time, and the
//! daemon only passes bytes on ([`Vault`]).
//!
//! A restore is staged beside the files that it replaces while everything still runs, so that whatever can be wrong is
//! said before anything stops. When all services have ended, [`files::commit`] sets the old files aside and puts the
//! staged ones in their place.

pub(crate) mod bundle;
pub mod files;
mod seal;
mod worker;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::config::notify::HIDDEN;
use crate::event::{Event, Request, Sender};
use crate::process::vault;

pub use seal::MAX_SEALED_BYTES;
pub(crate) use worker::work;

/// A backup lies about in mailboxes and on sticks: whoever finds it may guess for years.
pub const MIN_PASSPHRASE_CHARS: usize = 10;
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passphrase(String);

impl Passphrase {
    /// One that a new backup may have.
    pub fn new(text: &str) -> Result<Passphrase, String> {
        if text.chars().count() < MIN_PASSPHRASE_CHARS {
            return Err(format!(
                "the passphrase is too short; use at least {MIN_PASSPHRASE_CHARS} letters, better four or five words"
            ));
        }
        Passphrase::given(text)
    }

    /// One that some backup may have been made with.
    pub fn given(text: &str) -> Result<Passphrase, String> {
        if text.is_empty() {
            return Err("the passphrase is empty; type the one that the backup was made with".to_owned());
        }
        if text.len() > MAX_PASSPHRASE_BYTES {
            return Err(format!(
                "the passphrase is too long; use at most {MAX_PASSPHRASE_BYTES} bytes"
            ));
        }
        Ok(Passphrase(text.to_owned()))
    }

    fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// What the worker is told on its standard input's first line; for a restore the backup follows.
#[derive(Serialize, Deserialize)]
struct Order {
    config: PathBuf,
    passphrase: Passphrase,
    deed: Deed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Backup,
    Restore { identity_only: bool },
}

/// The daemon's side. Refusals are sentences for whoever asked.
#[derive(Clone, Debug)]
pub struct Vault {
    config: PathBuf,
    one: Arc<Semaphore>,
}

impl Vault {
    /// `config` is the daemon's settings file, which the worker reads for itself.
    pub fn new(config: PathBuf) -> Vault {
        Vault {
            config,
            one: Arc::new(Semaphore::new(1)),
        }
    }

    /// The encrypted backup.
    pub async fn backup(&self, passphrase: Passphrase) -> Result<Vec<u8>, String> {
        let _permit = self.one.try_acquire().map_err(|_| busy())?;
        self.order(passphrase, Deed::Backup, &[]).await
    }

    /// Stages what is in the backup and has the supervisor stop everything for it.
    pub async fn restore(
        &self,
        passphrase: Passphrase,
        sealed: &[u8],
        identity_only: bool,
        events: &Sender,
    ) -> Result<(), String> {
        let permit = self.one.try_acquire().map_err(|_| busy())?;
        self.order(passphrase, Deed::Restore { identity_only }, sealed).await?;
        events
            .try_send(Event::Asked(Request::Restore))
            .map_err(|_| "the daemon is busy; try again".to_owned())?;
        // What is staged now is what will be put in place: no other restore may begin.
        permit.forget();
        Ok(())
    }

    async fn order(&self, passphrase: Passphrase, deed: Deed, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let order = Order {
            config: self.config.clone(),
            passphrase,
            deed,
        };
        let mut input = serde_json::to_vec(&order).map_err(|error| format!("cannot write the order: {error}"))?;
        input.push(b'\n');
        input.extend_from_slice(sealed);
        vault::work(input).await
    }
}

fn busy() -> String {
    "another backup or restore is being made; wait a moment and try again".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrases() {
        for (text, new, given) in [
            ("", false, false),
            ("short", false, true),
            ("äöüäöüäöü", false, true),
            ("correct horse", true, true),
        ] {
            assert_eq!(
                (Passphrase::new(text).is_ok(), Passphrase::given(text).is_ok()),
                (new, given),
                "{text}"
            );
        }
        assert!(Passphrase::new(&"x".repeat(MAX_PASSPHRASE_BYTES + 1)).is_err());
        let shown = format!("{:?}", Passphrase::new("correct horse").unwrap());
        assert!(!shown.contains("horse"), "{shown}");
    }
}
