//! Short commands that are waited for, such as a health check by command.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no command")]
    None,
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program}: {status}")]
    Ended { program: String, status: ExitStatus },
}

/// Whether the program ends with 0. Dropping the future kills it.
pub async fn succeeds(words: &[String]) -> Result<(), Error> {
    let [program, arguments @ ..] = words else {
        return Err(Error::None);
    };
    let ended = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    let program = program.clone();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Ended { program, status }),
        Err(source) => Err(Error::Start { program, source }),
    }
}
