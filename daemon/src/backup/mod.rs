//! Backup and restore of what makes a box this box: its services' identities and its settings. Never envelopes.
//!
//! A backup is a [`bundle`] (strict, bounded, files that are known by name only), encrypted by age with a passphrase
//! ([`seal`]), so that the plaintext exists nowhere but in memory. Making a key of a passphrase takes 64 MiB and a
//! second on purpose; therefore a short-lived process of the same program does it ([`worker`]), one at a time, and the
//! daemon only passes bytes on ([`Vault`]).
//!
//! Of settings, a backup holds and a restore takes only what a person sets, by a list of keys ([`settings`]): never a
//! program, an argument, an account, a path or an environment. An identity has to be one ([`identity`]).
//!
//! A restore is staged beside the files that it replaces while everything still runs, so that whatever can be wrong is
//! said before anything stops. When all services have ended, [`files::commit`] sets the old files aside and puts the
//! staged ones in their place.

pub(crate) mod bundle;
pub mod files;
mod identity;
mod passphrase;
mod seal;
mod settings;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::event::{Ending, Event, Request, Sender};
use crate::process::vault;

pub use passphrase::{MAX_PASSPHRASE_BYTES, MIN_PASSPHRASE_CHARS, Passphrase, Unfit};
pub use seal::MAX_SEALED_BYTES;
pub(crate) use worker::work;

/// What the worker is told on its standard input's first line; for a restore the backup follows.
#[derive(Serialize, Deserialize)]
struct Order {
    config: PathBuf,
    passphrase: Passphrase,
    action: Action,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Backup,
    Restore { identity_only: bool },
}

/// Why there is no backup, or why one was not restored: a sentence for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("another backup or restore is being made; wait a moment and try again")]
    Busy,
    #[error("the daemon is busy; try again")]
    DaemonBusy,
    #[error(transparent)]
    Passphrase(#[from] Unfit),
    #[error("cannot write the order: {0}")]
    Order(serde_json::Error),
    #[error("the process for it answered nonsense: {0}")]
    Nonsense(serde_json::Error),
    #[error(transparent)]
    Work(#[from] vault::Error),
}

/// The daemon's side.
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
    pub async fn backup(&self, passphrase: Passphrase) -> Result<Vec<u8>, Refused> {
        let _permit = self.one.try_acquire().map_err(|_| Refused::Busy)?;
        self.order(passphrase, Action::Backup, &[]).await
    }

    /// Stages what is in the backup and has the supervisor stop everything for it. Answers with the settings that were
    /// left out, because a backup may not set them.
    pub async fn restore(
        &self,
        passphrase: Passphrase,
        sealed: &[u8],
        identity_only: bool,
        events: &Sender,
    ) -> Result<Vec<String>, Refused> {
        let permit = self.one.try_acquire().map_err(|_| Refused::Busy)?;
        let answer = self
            .order(passphrase, Action::Restore { identity_only }, sealed)
            .await?;
        let left_out: Vec<String> = serde_json::from_slice(&answer).map_err(Refused::Nonsense)?;
        if !left_out.is_empty() {
            tracing::warn!(settings = left_out.join(", "), "left out of the restored backup");
        }
        events
            .try_send(Event::Asked(Request::End(Ending::Restore)))
            .map_err(|_| Refused::DaemonBusy)?;
        // What is staged now is what will be put in place: no other restore may begin.
        permit.forget();
        Ok(left_out)
    }

    async fn order(&self, passphrase: Passphrase, action: Action, sealed: &[u8]) -> Result<Vec<u8>, Refused> {
        let order = Order {
            config: self.config.clone(),
            passphrase,
            action,
        };
        let mut input = serde_json::to_vec(&order).map_err(Refused::Order)?;
        input.push(b'\n');
        input.extend_from_slice(sealed);
        Ok(vault::work(input, MAX_SEALED_BYTES as u64).await?)
    }
}
