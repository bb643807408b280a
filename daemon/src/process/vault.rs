//! The process that encrypts a backup or opens one ([`crate::backup`]): takes a second and 64 MiB, and is gone.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Scrypt takes about two seconds on the slowest board; the page gives up after 30 s.
const WITHIN: Duration = Duration::from_secs(25);
const MAX_SENTENCE_BYTES: u64 = 2048;

/// Why the worker did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start a process for it: {0}")]
    Start(io::Error),
    #[error("not done within {} s; is the box busy? Try again", WITHIN.as_secs())]
    Late,
    #[error("no pipes to the process")]
    NoPipes,
    #[error("the process is lost: {0}")]
    Lost(io::Error),
    /// In the worker's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the process for it ended with {0}; is memory short?")]
    Ended(ExitStatus),
}

/// What the worker answers, at most `max_bytes` of it, or the sentence that it ends with. Dropping the future kills it.
pub(crate) async fn work(input: Vec<u8>, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let worker = Command::new(super::own_program())
        .arg(super::VAULT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::Start)?;
    tokio::time::timeout(WITHIN, converse(worker, input, max_bytes))
        .await
        .map_err(|_| Error::Late)?
}

async fn converse(mut worker: Child, input: Vec<u8>, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (worker.stdin.take(), worker.stdout.take(), worker.stderr.take())
    else {
        return Err(Error::NoPipes);
    };
    let (mut answer, mut sentence) = (Vec::new(), String::new());
    let give = async move {
        // A worker that refuses may not have read all of it.
        let _ = stdin.write_all(&input).await;
    };
    let mut stdout = stdout.take(max_bytes);
    let mut stderr = stderr.take(MAX_SENTENCE_BYTES);
    let ((), read, said) = tokio::join!(
        give,
        stdout.read_to_end(&mut answer),
        stderr.read_to_string(&mut sentence)
    );
    let status = worker.wait().await.map_err(Error::Lost)?;
    match (status.success(), read, said) {
        (true, Ok(_), _) => Ok(answer),
        (false, _, Ok(length)) if length > 0 => Err(Error::Refused(sentence.trim_end().to_owned())),
        _ => Err(Error::Ended(status)),
    }
}
