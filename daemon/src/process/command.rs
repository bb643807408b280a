//! Short commands that are waited for, such as a health check by command.

use std::process::Stdio;

use tokio::process::Command;

/// Whether the program ends with 0. Dropping the future kills it.
pub async fn succeeds(words: &[String]) -> Result<(), String> {
    let [program, arguments @ ..] = words else {
        return Err("no command".to_owned());
    };
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {status}"))
    }
}
