//! The daemon's settings: one TOML file, read once at the start and again on SIGHUP, plus one file a service
//! ([`service`]). Every key is documented in `docs/operator.md`.
//!
//! Strict: a key that is not known, a value that is not one, or a path that leads nowhere stops the daemon with exit
//! code 78 and one message that names the file, the key and the mend ([`Mistake`]), because a setting that is silently
//! ignored is worse than none. Service files are different: a bad one switches that service off and nothing else,
//! unless it is listed in `required`.

pub mod duration;
mod network;
pub mod notify;
pub mod parse;
pub mod placeholder;
mod reports;
pub mod service;
mod services_dir;
mod show;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use board_configs::Board;
use serde::{Deserialize, Serialize};

pub use duration::Span;
pub use network::Network;
pub use notify::Notify;
pub use parse::Mistake;
pub use reports::Reported;
use reports::Reports;
pub use service::{Service, Services};
pub use show::Shown;

/// BSD's sysexits.h EX_CONFIG. The image's unit starts the daemon again even so, ever more slowly: settings may be mended
/// while nobody is at the box.
pub const EXIT_CONFIG: u8 = 78;

/// Nothing shorter makes sense: segments are a twenty-fourth of the retention, and at least a second long.
const MIN_RETENTION: Duration = Duration::from_secs(1);
/// They are asked one after the other, each for 5 s at most.
const MAX_TIME_SERVERS: usize = 16;

/// The file as it is written. Paths in it are relative to the folder that the file is in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    board: String,
    state_dir: PathBuf,
    services_dir: PathBuf,
    control: Option<PathBuf>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default = "day")]
    retention: Span,
    #[serde(default)]
    clock: ClockSource,
    #[serde(default = "time_servers")]
    time_servers: Vec<String>,
    #[serde(default)]
    power: Power,
    #[serde(default)]
    network: network::Section,
    #[serde(default)]
    page: Page,
    #[serde(default)]
    health: Health,
    #[serde(default)]
    notify: Notify,
    #[serde(default)]
    reports: Reports,
    backup: Option<Backup>,
    #[serde(default)]
    services: BTreeMap<String, Override>,
}

fn day() -> Span {
    Span(Duration::from_secs(24 * 3600))
}

/// Debian's pool, as its systemd-timesyncd asks where the router names no other (`FallbackNTP=`).
fn time_servers() -> Vec<String> {
    (0..4).map(|number| format!("{number}.debian.pool.ntp.org")).collect()
}

/// Whom the daemon believes about the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// The system's clock once it is synchronised (boards have no clock that runs without power).
    #[default]
    Synchronised,
    /// The system's clock as it is, for a machine that keeps time by other means.
    Trusted,
}

/// Whether the daemon may switch the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// It may not: a reboot is a start of the daemon from anew, and powering off an end of it.
    #[default]
    None,
    /// By `systemctl reboot` and `systemctl poweroff`.
    Systemctl,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub listen: SocketAddr,
    /// Host names that the page answers to, beside addresses, `localhost` and `pillarbox*.local`.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether to answer browsers that are neither at home nor on the same link.
    #[serde(default)]
    pub any_peer: bool,
    /// A file with a word that lets a browser in, for a box without a button.
    pub token_file: Option<PathBuf>,
}

impl Default for Page {
    fn default() -> Page {
        Page {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            names: Vec::new(),
            any_peer: false,
            token_file: None,
        }
    }
}

/// Where a person's settings are when they are not this file: a backup keeps them instead of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// As they are used now; there need be none.
    pub settings: PathBuf,
    /// Where a restore puts them, for whoever reads them before the daemon.
    pub restored: PathBuf,
}

/// What is looked at beside the services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    pub expects: Expects,
    /// What systemd sets the hardware watchdog to (`RuntimeWatchdogSec=`); without it nobody compares.
    pub watchdog: Option<Span>,
    /// Where the kernel's `proc` and `sys` are.
    pub root: PathBuf,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            expects: Expects::Internet,
            watchdog: None,
            root: PathBuf::from("/"),
        }
    }
}

/// Whose absence is a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expects {
    /// A box that serves others: a link, an address, a gateway, and some peer.
    #[default]
    Internet,
    /// A box that serves itself alone, such as a developer's: network and peers are shown, and none of it is a fault.
    Nothing,
}

/// What the main file changes in a service's own file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Override {
    pub enabled: Option<bool>,
    pub program: Option<PathBuf>,
    /// Added after the arguments of the service's file; the same placeholders hold.
    pub extra_arguments: Vec<String>,
    pub ports: BTreeMap<String, u16>,
    pub quota_mib: Option<NonZeroU32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that it came from.
    pub file: PathBuf,
    pub board: Board,
    pub state_dir: PathBuf,
    /// The Unix socket of the `pillarbox` command.
    pub control: PathBuf,
    pub retention: Duration,
    pub clock: ClockSource,
    /// Who is asked whether a leap of the clock is right; two have to agree.
    pub time_servers: Vec<String>,
    pub power: Power,
    pub network: Network,
    pub page: Page,
    pub health: Health,
    pub notify: Notify,
    pub reported: Reported,
    pub backup: Option<Backup>,
    pub services: Services,
}

impl Config {
    /// Reads and checks the file and every service file; touches nothing.
    pub fn read(file: &Path) -> Result<Config, Mistake> {
        Config::read_with(file, &services_dir::search_path())
    }

    /// As [`Config::read`], with the folders where programs named without a path are looked for.
    pub fn read_with(file: &Path, search: &[PathBuf]) -> Result<Config, Mistake> {
        let file = std::path::absolute(file)
            .map_err(|error| Mistake::in_file(file, format!("is not a path: {error}"), "name a file"))?;
        let raw: File = parse::read(&file)?;
        Config::understand(raw, file, search)
    }

    fn understand(raw: File, file: PathBuf, search: &[PathBuf]) -> Result<Config, Mistake> {
        let base = file.parent().unwrap_or(Path::new("/")).to_owned();
        check(&file, &raw)?;
        let state_dir = tidy(&base.join(raw.state_dir));
        let control = raw
            .control
            .map_or_else(|| state_dir.join("control"), |path| tidy(&base.join(path)));
        let mut config = Config {
            board: board(&file, &base, &raw.board)?,
            state_dir,
            control,
            retention: raw.retention.0,
            clock: raw.clock,
            time_servers: raw.time_servers,
            power: raw.power,
            network: raw.network.read(&file)?,
            page: Page {
                token_file: raw.page.token_file.map(|path| tidy(&base.join(path))),
                ..raw.page
            },
            health: Health {
                root: tidy(&base.join(raw.health.root)),
                ..raw.health
            },
            notify: Notify {
                ca_file: raw.notify.ca_file.map(|path| tidy(&base.join(path))),
                ..raw.notify
            },
            reported: raw.reports.read(&base),
            backup: raw.backup.map(|backup| Backup {
                settings: tidy(&base.join(backup.settings)),
                restored: tidy(&base.join(backup.restored)),
            }),
            services: Services::default(),
            file,
        };
        notify::check(&config.file, &config.notify)?;
        let directory = tidy(&base.join(&raw.services_dir));
        let context = services_dir::Context {
            config: &config,
            search,
        };
        config.services = services_dir::read_all(&context, &directory, &raw.required, &raw.services)?;
        Ok(config)
    }
}

/// The main file's text as somebody might have written it, for [`crate::fuzzed`]; a mistake says all that it has to.
#[cfg(feature = "fuzzed")]
pub(crate) fn read_main(text: &str) {
    let file = Path::new("/nonexistent/main.toml");
    let read = parse::parse(file, text).and_then(|raw| Config::understand(raw, file.to_owned(), &[]));
    if let Err(mistake) = read {
        assert!(!mistake.to_string().contains('\n'), "more than a line: {mistake}");
    }
}

/// A service's text, likewise, under the settings of a box.
#[cfg(feature = "fuzzed")]
pub(crate) fn read_service(text: &str) {
    let main = "board = \"dev\"\nstate_dir = \"state\"\nservices_dir = \"/proc/sys/fs\"\n";
    let file = Path::new("/nonexistent/one.toml");
    let raw: Result<File, Mistake> = parse::parse(file, main);
    let config = raw.and_then(|raw| Config::understand(raw, file.to_owned(), &[]));
    let config = config.expect("these settings are right");
    let search = [PathBuf::from("/bin")];
    let context = services_dir::Context {
        config: &config,
        search: &search,
    };
    let read = parse::parse(file, text).and_then(|raw| services_dir::understand(&context, file, "one", raw, None));
    if let Err(mistake) = read {
        assert!(!mistake.to_string().contains('\n'), "more than a line: {mistake}");
    }
}

/// A shipped board by name, or a file of one's own by its path.
fn board(file: &Path, base: &Path, name: &str) -> Result<Board, Mistake> {
    let found = if name.contains('/') || name.ends_with(".toml") {
        Board::from_file(&tidy(&base.join(name)))
    } else {
        Board::named(name)
    };
    found.map_err(|error| {
        let known = board_configs::names().join(", ");
        Mistake::in_key(
            file,
            "board",
            error.to_string(),
            format!("name one of {known}, or the path of a board's file"),
        )
    })
}

fn check(file: &Path, raw: &File) -> Result<(), Mistake> {
    if raw.retention.0 < MIN_RETENTION {
        return Err(Mistake::in_key(
            file,
            "retention",
            "is under a second",
            "write \"1s\" or more",
        ));
    }
    if raw.time_servers.len() > MAX_TIME_SERVERS {
        return Err(Mistake::in_key(
            file,
            "time_servers",
            format!("lists more than {MAX_TIME_SERVERS}"),
            "keep some that are run by different people",
        ));
    }
    Ok(())
}

/// `a/b/../c` as `a/c`: shorter in messages and on a child's command line. Symbolic links are not looked at, as a
/// person reading the file would not either.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                tidied.pop();
            }
            std::path::Component::CurDir => {}
            other => tidied.push(other),
        }
    }
    tidied
}

#[cfg(test)]
mod tests;
