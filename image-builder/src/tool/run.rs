//! How a tool is started, waited for and logged, and what is said when it fails.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Tools;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{program} cannot be started: {source}; scripts/build-image installs what a build needs")]
    Start { program: String, source: std::io::Error },
    #[error("{program} failed ({status}); its last line was: {last}; see {}", log.display())]
    Failed {
        program: String,
        status: String,
        last: String,
        log: PathBuf,
    },
    #[error("the log {} cannot be written: {source}", log.display())]
    Log { log: PathBuf, source: std::io::Error },
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl Tools {
    pub(super) fn run(&self, command: Command) -> Result<()> {
        self.run_with_input(command, b"")
    }

    pub(super) fn run_with_input(&self, mut command: Command, input: &[u8]) -> Result<()> {
        command.env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        self.wait(command, input)
    }

    pub(super) fn run_keeping_environment(&self, command: Command) -> Result<()> {
        self.wait(command, b"")
    }

    fn wait(&self, mut command: Command, input: &[u8]) -> Result<()> {
        let program = name_of(&command);
        let log = self.start_of_log(&command)?;
        let clone = |file: &File| {
            file.try_clone().map_err(|source| Error::Log {
                log: self.log.clone(),
                source,
            })
        };
        command
            .env("LC_ALL", "C.UTF-8")
            // FAT has local times.
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(clone(&log)?)
            .stderr(log);
        let start = |source| Error::Start {
            program: program.clone(),
            source,
        };
        let mut child = command.spawn().map_err(start)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that has read enough closes its end; its exit status tells what matters.
            let _ = stdin.write_all(input);
        }
        let status = child.wait().map_err(start)?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(program, status))
        }
    }

    pub(super) fn output(&self, command: Command) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.output_bytes(command)?).into_owned())
    }

    pub(super) fn output_bytes(&self, mut command: Command) -> Result<Vec<u8>> {
        let program = name_of(&command);
        let log = self.start_of_log(&command)?;
        let output = command
            .stdin(Stdio::null())
            .stderr(log)
            .output()
            .map_err(|source| Error::Start {
                program: program.clone(),
                source,
            })?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(self.failed(program, output.status))
        }
    }

    fn start_of_log(&self, command: &Command) -> Result<File> {
        let failed = |source| Error::Log {
            log: self.log.clone(),
            source,
        };
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(failed)?;
        let mut line: Vec<OsString> = vec!["$".into(), command.get_program().to_owned()];
        line.extend(command.get_args().map(OsStr::to_owned));
        writeln!(log, "{}", line.join(OsStr::new(" ")).to_string_lossy()).map_err(failed)?;
        Ok(log)
    }

    fn failed(&self, program: String, status: std::process::ExitStatus) -> Error {
        let last = std::fs::read(&self.log)
            .ok()
            .and_then(|bytes| {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                text.lines()
                    .rev()
                    .find(|line| !line.trim().is_empty())
                    .map(str::to_owned)
            })
            .unwrap_or_default();
        Error::Failed {
            program,
            status: status.to_string(),
            last,
            log: self.log.clone(),
        }
    }
}

/// The program that a person would look for: not the one that only starts it.
fn name_of(command: &Command) -> String {
    let after_options = || command.get_args().skip_while(|argument| *argument != "--").nth(1);
    let program = match command.get_program() {
        program if program == "unshare" => after_options().unwrap_or(program),
        program => program,
    };
    program.to_string_lossy().into_owned()
}
