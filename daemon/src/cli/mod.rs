//! The `pillarbox` command: looks at a running box and acts on it over its control socket, and works on an archive's
//! files where no box need run.
//!
//! Everything it shows comes from the same snapshot as the page. Exit status: 0 when done, 1 when refused or not
//! possible, 2 for a bad command line; `status` and `health` end with 3 when the box does not do its job, so that
//! scripts can ask.

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
#[command(name = "pillarbox", version, about = "Looks at a Pillarbox and acts on it")]
pub struct Arguments {
    /// The daemon's control socket [default: $PILLARBOX_SOCKET, or the first there is of /run/pillarbox/control and
    /// target/pillarbox/control].
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
    /// How the box is, in a few lines.
    Status,
    /// The services, one a line.
    Services,
    /// What is looked at, and how it is.
    Health,
    /// The mailserver's addresses and how many peers it has.
    Peers,
    /// What the LEDs show.
    Leds,
    /// The last log lines.
    Logs {
        /// Only this service's output.
        service: Option<String>,
        #[arg(long, short = 'n', default_value_t = 50)]
        lines: usize,
    },
    /// Restart a service.
    Restart { service: String },
    /// Let a browser in that asks on the page, by the number that it shows; without one, list those that ask.
    Unlock { number: Option<u8> },
    /// Print a report for somebody who helps, without public addresses, keys and whole peer IDs.
    Diagnose,
    /// Write identity and settings into a file, encrypted with a passphrase.
    Backup(backup::BackupArguments),
    /// Take identity and settings from a backup; what they replace is set aside, and the box starts anew.
    Restore(backup::RestoreArguments),
    /// Restart the box.
    Reboot,
    /// Switch the box off.
    PowerOff,
    /// Say that the box's clock is right, when the box itself does not believe it.
    ConfirmTime,
    /// Press the simulated button of a developer's board.
    Press {
        /// How long it is held.
        #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = span)]
        hold: std::time::Duration,
    },
    /// Work on an archive's files.
    Archive(archive::ArchiveArguments),
    /// Read settings without running them.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print what a shell completes the command's words with.
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages of pillarbox and pillarboxd into a folder.
    Man { folder: PathBuf },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the settings and every service file are right.
    Check { file: PathBuf },
    /// Print the settings as they are understood, defaults and services included; secrets are left out.
    Show { file: PathBuf },
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write a span of time such as 100ms or 5s")]
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
    let text = match &arguments.command {
        Command::Config { command } => return config(command, json),
        Command::Archive(arguments) => return archive::run(arguments, json),
        Command::Status => return look(arguments, |snapshot| snapshot, show::status),
        Command::Health => return look(arguments, |snapshot| &snapshot.health, show::health),
        Command::Services => seen(arguments, |snapshot| &snapshot.services, show::services)?,
        Command::Peers => seen(arguments, |snapshot| &snapshot.mailserver, show::peers)?,
        Command::Leds => seen(arguments, |snapshot| &snapshot.leds, show::leds)?,
        Command::Unlock { number: None } => seen(arguments, |snapshot| &snapshot.asking, show::asking)?,
        Command::Unlock { number: Some(number) } => done(
            socket,
            &Request::Unlock { number: *number },
            json,
            "The browser with this number is let in for five minutes.",
        )?,
        Command::Diagnose => diagnose(socket, json)?,
        Command::Logs { service, lines } => logs(socket, service.as_deref(), *lines, json)?,
        Command::Backup(what) => backup::backup(what, socket, json)?,
        Command::Restore(what) => backup::restore(what, socket, json)?,
        Command::Reboot => done(socket, &Request::Reboot, json, "The box restarts now.")?,
        Command::PowerOff => done(socket, &Request::PowerOff, json, "The box switches off now.")?,
        Command::ConfirmTime => done(
            socket,
            &Request::ConfirmTime,
            json,
            "The box takes its clock for right. Old messages are removed again within a day.",
        )?,
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { folder } => manual::write(folder, json)?,
        Command::Restart { service } => {
            let request = Request::Restart {
                service: service.clone(),
            };
            done(socket, &request, json, &format!("{service} is being restarted."))?
        }
        Command::Press { hold } => {
            let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
            done(socket, &Request::Press { hold_ms }, json, "The button was pressed.")?
        }
    };
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn config(command: &ConfigCommand, json: bool) -> anyhow::Result<ExitCode> {
    let file = match command {
        ConfigCommand::Check { file } => return check(file, json),
        ConfigCommand::Show { file } => file,
    };
    let text = match Shown::read(file) {
        Ok(shown) if json => to_json(&shown)?,
        Ok(shown) => toml::to_string_pretty(&shown).context("cannot write TOML")?,
        Err(mistake) => {
            eprintln!("pillarbox: {mistake}");
            return Ok(ExitCode::from(crate::config::EXIT_CONFIG));
        }
    };
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// As [`seen`], and a box that has failed is another exit code.
fn look<T: serde::Serialize>(
    arguments: &Arguments,
    part: fn(&Snapshot) -> &T,
    words: fn(&Snapshot) -> String,
) -> anyhow::Result<ExitCode> {
    let snapshot = snapshot(arguments)?;
    print(&shown(arguments.json, &snapshot, part, words)?);
    Ok(match snapshot.state {
        BoxState::Failed => ExitCode::from(EXIT_NOT_WELL),
        BoxState::Starting | BoxState::Ok | BoxState::Degraded => ExitCode::SUCCESS,
    })
}

/// A part of the snapshot as JSON, or the same in words.
fn seen<T: serde::Serialize>(
    arguments: &Arguments,
    part: fn(&Snapshot) -> &T,
    words: fn(&Snapshot) -> String,
) -> anyhow::Result<String> {
    shown(arguments.json, &*snapshot(arguments)?, part, words)
}

fn shown<T: serde::Serialize>(
    json: bool,
    snapshot: &Snapshot,
    part: fn(&Snapshot) -> &T,
    words: fn(&Snapshot) -> String,
) -> anyhow::Result<String> {
    if json {
        to_json(part(snapshot))
    } else {
        Ok(words(snapshot))
    }
}

fn diagnose(socket: Option<&Path>, json: bool) -> anyhow::Result<String> {
    match client::ask(socket, &Request::Diagnose)? {
        Answer::Text(report) if json => to_json(&report),
        Answer::Text(report) => Ok(report),
        other => bail!(unexpected(other)),
    }
}

fn logs(socket: Option<&Path>, service: Option<&str>, lines: usize, json: bool) -> anyhow::Result<String> {
    let service = service.map(str::to_owned);
    match client::ask(socket, &Request::Logs { lines, service })? {
        Answer::Logs(entries) if json => to_json(&entries),
        Answer::Logs(entries) => Ok(show::logs(&entries)),
        other => bail!(unexpected(other)),
    }
}

fn snapshot(arguments: &Arguments) -> anyhow::Result<Box<Snapshot>> {
    match client::ask(arguments.socket.as_deref(), &Request::Status)? {
        Answer::Status(snapshot) => Ok(snapshot),
        other => bail!(unexpected(other)),
    }
}

/// Asks for a deed, and says that it is done.
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
        _ => "the daemon gave another answer than was asked for; is it of another version?".to_owned(),
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
        format!("{} is right; services that are on: {services}\n", file.display())
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
    // A reader that has seen enough (head) is no failure.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
