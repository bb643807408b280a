//! The `pillarbox` command: shows a running box and acts on it over its control socket, and works on an archive's files,
//! for which no box needs to be running.
//!
//! Everything it shows comes from the same snapshot as the page. Exit status: 0 when done, 1 when refused or not
//! possible, 2 for a bad command line; `status` and `health` end with 3 when the box is not working, so that scripts can
//! ask.

mod archive;
mod backup;
mod client;
mod manual;
mod show;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

use crate::config::{Config, Services, Shown};
use crate::control::{Answer, Request};
use crate::snapshot::{BoxState, Snapshot};

const EXIT_NOT_WELL: u8 = 3;

#[derive(Debug, Parser)]
#[command(
    name = "pillarbox",
    version,
    about = "Shows how a Pillarbox is doing, and acts on it"
)]
pub struct Arguments {
    /// The daemon's control socket [default: $PILLARBOX_SOCKET, or else /run/pillarbox/control or
    /// target/pillarbox/control, whichever exists first].
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how the box is, in a few lines.
    Status,
    /// List the services, one per line.
    Services,
    /// Show what is monitored, and the state of it.
    Health,
    /// Show the mailserver's addresses and how many peers it has.
    Peers,
    /// Show what the LEDs are showing, and what it means.
    Leds,
    /// Show the recent log.
    Logs {
        /// Only this service's output.
        service: Option<String>,
        #[arg(long, short = 'n', default_value_t = 50)]
        lines: usize,
    },
    /// Restart a service.
    Restart { service: String },
    /// Grant access to the browser that shows this number; without a number, list the browsers that are waiting.
    Unlock { number: Option<u8> },
    /// Print a report for somebody who helps you, without public addresses, keys and full peer IDs.
    Diagnose,
    /// Write identity and settings to a file, encrypted with a passphrase.
    Backup(backup::BackupArguments),
    /// Restore identity and settings from a backup; the current ones are set aside, and the box restarts.
    Restore(backup::RestoreArguments),
    /// Restart the box.
    Reboot,
    /// Power off the box.
    PowerOff,
    /// Confirm that the box's clock is right, if the box itself does not trust it.
    ConfirmTime,
    /// Press the simulated button of a developer's board.
    Press {
        /// How long to hold it.
        #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = span)]
        hold: std::time::Duration,
    },
    /// Inspect, export, import or prune an archive's files.
    Archive(archive::ArchiveArguments),
    /// Check or print settings without using them.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the completion script for a shell.
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages of pillarbox and pillarboxd to a folder.
    Man { folder: PathBuf },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and every service file for mistakes.
    Check { file: PathBuf },
    /// Print the settings as they are understood, including defaults and services; secrets are left out.
    Show { file: PathBuf },
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write a length of time, for example 100ms or 5s")]
struct NoSpan;

fn span(text: &str) -> Result<std::time::Duration, NoSpan> {
    crate::config::duration::parse(text).ok_or(NoSpan)
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pillarbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (json, socket) = (arguments.json, arguments.socket.as_deref());
    let done = |request: &Request, words: &str| done(socket, request, json, words);
    let text = match &arguments.command {
        Command::Config { command } => return config(command, json),
        Command::Archive(arguments) => return archive::run(arguments, json),
        Command::Status | Command::Health => return condition(arguments),
        Command::Services => shown(arguments, |snapshot| &snapshot.services, show::services)?,
        Command::Peers => shown(arguments, |snapshot| &snapshot.mailserver, show::peers)?,
        Command::Leds => shown(arguments, |snapshot| &snapshot.leds, show::leds)?,
        Command::Unlock { number: None } => shown(arguments, |snapshot| &snapshot.asking, show::asking)?,
        Command::Unlock { number: Some(number) } => done(
            &Request::Unlock { number: *number },
            "The browser with this number has access for five minutes.",
        )?,
        Command::Diagnose => diagnose(socket, json)?,
        Command::Backup(what) => backup::backup(what, socket, json)?,
        Command::Restore(what) => backup::restore(what, socket, json)?,
        Command::Reboot => done(&Request::Reboot, "The box is restarting.")?,
        Command::PowerOff => done(&Request::PowerOff, "The box is shutting down.")?,
        Command::ConfirmTime => done(
            &Request::ConfirmTime,
            "The box now trusts its clock. Old messages will be deleted again within a day.",
        )?,
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { folder } => manual::write(folder, json)?,
        Command::Logs { service, lines } => logs(socket, service.clone(), *lines, json)?,
        Command::Restart { service } => {
            let service = service.clone();
            let words = format!("{service} is restarting.");
            done(&Request::Restart { service }, &words)?
        }
        Command::Press { hold } => {
            let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
            done(&Request::Press { hold_ms }, "The button was pressed.")?
        }
    };
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// `status` and `health`, whose exit status says how the box is.
fn condition(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let snapshot = snapshot(arguments)?;
    let health = matches!(arguments.command, Command::Health);
    print(&match (health, arguments.json) {
        (false, false) => show::status(&snapshot),
        (false, true) => to_json(&snapshot)?,
        (true, false) => show::health(&snapshot),
        (true, true) => to_json(&snapshot.health)?,
    });
    Ok(match snapshot.state {
        BoxState::Failed => ExitCode::from(EXIT_NOT_WELL),
        BoxState::Starting | BoxState::Ok | BoxState::Degraded => ExitCode::SUCCESS,
    })
}

/// A part of the snapshot, as JSON or as text.
fn shown<T: serde::Serialize>(
    arguments: &Arguments,
    part: fn(&Snapshot) -> &T,
    text: fn(&Snapshot) -> String,
) -> anyhow::Result<String> {
    let snapshot = snapshot(arguments)?;
    if arguments.json {
        return to_json(part(&snapshot));
    }
    Ok(text(&snapshot))
}

fn snapshot(arguments: &Arguments) -> anyhow::Result<Box<Snapshot>> {
    match client::ask(arguments.socket.as_deref(), &Request::Status)? {
        Answer::Status(snapshot) => Ok(snapshot),
        other => bail!(unexpected(other)),
    }
}

fn diagnose(socket: Option<&Path>, json: bool) -> anyhow::Result<String> {
    match client::ask(socket, &Request::Diagnose)? {
        Answer::Text(report) if json => to_json(&report),
        Answer::Text(report) => Ok(report),
        other => bail!(unexpected(other)),
    }
}

fn logs(socket: Option<&Path>, service: Option<String>, lines: usize, json: bool) -> anyhow::Result<String> {
    match client::ask(socket, &Request::Logs { lines, service })? {
        Answer::Logs(entries) if json => to_json(&entries),
        Answer::Logs(entries) => Ok(show::logs(&entries)),
        other => bail!(unexpected(other)),
    }
}

fn config(command: &ConfigCommand, json: bool) -> anyhow::Result<ExitCode> {
    let file = match command {
        ConfigCommand::Check { file } => return check(file, json),
        ConfigCommand::Show { file } => file,
    };
    let shown = match Shown::read(file) {
        Ok(shown) => shown,
        Err(mistake) => {
            eprintln!("pillarbox: {mistake}");
            return Ok(ExitCode::from(crate::config::EXIT_CONFIG));
        }
    };
    print(&match json {
        true => to_json(&shown)?,
        false => toml::to_string_pretty(&shown).context("cannot write TOML")?,
    });
    Ok(ExitCode::SUCCESS)
}

/// Asks for an action, and says that it is done.
fn done(socket: Option<&Path>, request: &Request, json: bool, words: &str) -> anyhow::Result<String> {
    match client::ask(socket, request)? {
        Answer::Done if json => to_json(&serde_json::json!({ "done": true })),
        Answer::Done => Ok(format!("{words}\n")),
        other => bail!(unexpected(other)),
    }
}

fn unexpected(answer: Answer) -> String {
    match answer {
        Answer::Refused(why) => why,
        _ => "the daemon sent an unexpected answer; is it a different version?".to_owned(),
    }
}

fn check(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (mistakes, services) = match Config::read(file) {
        Ok(config) => {
            let Services {
                enabled,
                disabled,
                unheeded,
            } = config.services;
            let on: Vec<String> = enabled.into_iter().map(|service| service.name).collect();
            let mistakes = disabled.into_iter().filter_map(|disabled| disabled.mistake);
            (mistakes.chain(unheeded).collect(), on)
        }
        Err(mistake) => (vec![mistake], Vec::new()),
    };
    let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    print(&if json {
        to_json(&mistakes)?
    } else if mistakes.is_empty() {
        let services = services.join(", ");
        format!("{} has no mistakes; enabled services: {services}\n", file.display())
    } else {
        mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
    });
    Ok(if mistakes.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(crate::config::EXIT_CONFIG)
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    Ok(text)
}

fn print(text: &str) {
    // A reader that has seen enough (head) is not a failure.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
