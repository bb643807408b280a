//! The Unix socket that the `pillarbox` command talks to: a request in one line of JSON, an answer in one line.
//!
//! Whoever is on the machine may look; only root and the daemon's own account may act or read the logs, which the
//! kernel's word about the peer decides. At most [`CONNECTIONS`] are served at once, each within [`TIMEOUT`]; more wait
//! in the listener's queue.

mod answer;
mod press;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub use answer::Desk;

use crate::backup::{MAX_SEALED_BYTES, Passphrase};
use crate::event::{Event, Part, Sender};
use crate::log::Entry;
use crate::snapshot::Snapshot;

const CONNECTIONS: usize = 16;
const MAX_REQUEST_BYTES: u64 = 4096;
/// Of whoever may act: a backup in base64, and the rest of the request.
const MAX_RESTORE_BYTES: u64 = MAX_SEALED_BYTES as u64 * 4 / 3 + 8192;
/// Longer than the longest press that means something.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Between attempts to have the socket.
const RETRY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Status,
    Logs {
        lines: usize,
        service: Option<String>,
    },
    Restart {
        service: String,
    },
    /// Lets the browser in that asks under this number.
    Unlock {
        number: u8,
    },
    /// The report for somebody who helps.
    Diagnose,
    /// A backup, encrypted with this passphrase.
    Backup {
        passphrase: Passphrase,
    },
    /// `sealed` is a backup in base64.
    Restore {
        passphrase: Passphrase,
        sealed: String,
        identity_only: bool,
    },
    Reboot,
    PowerOff,
    /// The box's clock is right, whatever the box makes of it.
    ConfirmTime,
    /// The simulated button, held for so long.
    Press {
        hold_ms: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Status(Box<Snapshot>),
    Logs(Vec<Entry>),
    Text(String),
    /// A backup in base64.
    Sealed(String),
    Done,
    /// A restore began; these settings of the backup were left out.
    Restored(Vec<String>),
    Refused(String),
}

/// The kernel's word about who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
}

/// Serves for as long as the daemon lives. A socket that cannot be had is reported and tried for again.
pub async fn serve(path: PathBuf, desk: Desk, events: Sender) {
    let listener = loop {
        match bind(&path) {
            Ok(listener) => break listener,
            Err(error) => {
                let trouble = format!("the command line cannot be answered on {}: {error}", path.display());
                tracing::warn!(socket = %path.display(), %error, "control socket");
                let part = Part::Control;
                let _ = events
                    .send(Event::Missing {
                        part,
                        trouble: Some(trouble),
                    })
                    .await;
                sleep(RETRY).await;
            }
        }
    };
    let _ = events
        .send(Event::Missing {
            part: Part::Control,
            trouble: None,
        })
        .await;
    let desk = Arc::new(desk);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    // A client that is slow or gone is not worth a word.
                    let _ = timeout(TIMEOUT, converse(stream, &desk)).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, most likely; it passes.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

fn bind(path: &Path) -> std::io::Result<UnixListener> {
    // What is there is a dead daemon's: the state directory has one daemon at a time.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

async fn converse(mut stream: UnixStream, desk: &Desk) -> std::io::Result<()> {
    let peer = Peer {
        uid: stream.peer_cred()?.uid(),
    };
    let (reading, mut writing) = stream.split();
    let mut line = String::new();
    let most = if answer::may_act(peer) {
        MAX_RESTORE_BYTES
    } else {
        MAX_REQUEST_BYTES
    };
    BufReader::new(reading.take(most)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => desk.answer(request, peer).await,
        Err(error) => Answer::Refused(format!("not a request: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    writing.write_all(&line).await
}
