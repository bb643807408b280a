//! Services are data: one TOML file each in the services directory; the file's name is the service's.
//!
//! A file that cannot be used becomes a [`Disabled`] service, shown with its mistake, and troubles no other. Only when
//! the main file lists the service in `required` does it stop the daemon.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;

use super::duration::Span;
use super::parse::Mistake;

/// More would outgrow the event channel; a board runs two or three.
pub const MAX_SERVICES: usize = 64;
/// Together with the daemon's own end this stays under the 10 s in which everything has to be over.
pub const MAX_GRACE: Duration = Duration::from_secs(8);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) description: String,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) essential: bool,
    #[serde(default)]
    pub(super) order: u8,
    pub(super) program: PathBuf,
    #[serde(default)]
    pub(super) arguments: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) identity: Vec<String>,
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) stop: StopRules,
    #[serde(default)]
    pub(super) restart: RestartRules,
    pub(super) health: Option<HealthFile>,
    pub(super) archive: Option<ArchiveFile>,
    pub(super) sandbox: Option<SandboxFile>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) ports: BTreeMap<String, Port>,
    pub(super) node: Option<Node>,
    #[serde(default)]
    pub(super) output: OutputRules,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub description: String,
    /// The box does its job only while this service is healthy.
    pub essential: bool,
    /// Services of a lower order start first.
    pub order: u8,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: BTreeMap<String, String>,
    /// Files in its directory that a factory reset keeps.
    pub identity: Vec<PathBuf>,
    /// The account that it runs as, when the daemon is root.
    pub user: Option<String>,
    /// Its working directory, made before the start.
    pub directory: PathBuf,
    /// The only places that it may write to; `None` leaves that to the account's rights.
    pub writes_to: Option<Vec<PathBuf>>,
    pub limits: Limits,
    pub stop: StopRules,
    pub restart: RestartRules,
    pub health: Option<HealthRules>,
    pub archive: Option<ArchiveRules>,
    pub ports: BTreeMap<String, Port>,
    pub node: Option<Node>,
    pub output: OutputRules,
    /// The cap on traffic, where its arguments tell it.
    pub bandwidth_kib_per_sec: Option<NonZeroU32>,
}

/// A service that is not run: switched off, or its file is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    pub name: String,
    pub mistake: Option<Mistake>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// In start order, then by name.
    pub enabled: Vec<Service>,
    pub disabled: Vec<Disabled>,
    /// What none of them can do though the main file asks for it.
    pub unheeded: Option<Mistake>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopRules {
    pub signal: StopSignal,
    pub grace: Span,
}

impl Default for StopRules {
    fn default() -> StopRules {
        StopRules {
            signal: StopSignal::Sigterm,
            grace: Span(MAX_GRACE),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    Sigterm,
    Sigint,
    Sigquit,
    Sighup,
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Signal {
        match signal {
            StopSignal::Sigterm => Signal::SIGTERM,
            StopSignal::Sigint => Signal::SIGINT,
            StopSignal::Sigquit => Signal::SIGQUIT,
            StopSignal::Sighup => Signal::SIGHUP,
        }
    }
}

/// Restart after min(base · 2ⁿ, max) less up to half of it by chance, n being the failures in a row before this one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartRules {
    pub policy: RestartPolicy,
    pub base: Span,
    pub max: Span,
    /// So many failures in a row end in `failed`, which the button leaves.
    pub start_limit: u32,
    /// How long after the start limit it is tried once more, again and again.
    pub slow: Span,
    /// A run that was healthy for so long makes the failures before it forgotten.
    pub stable_after: Span,
}

impl Default for RestartRules {
    fn default() -> RestartRules {
        RestartRules {
            policy: RestartPolicy::Always,
            base: Span(Duration::from_millis(100)),
            max: Span(Duration::from_secs(60)),
            start_limit: 20,
            slow: Span(Duration::from_secs(600)),
            stable_after: Span(Duration::from_secs(60)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthFile {
    pub(super) http: Option<String>,
    pub(super) tcp: Option<String>,
    pub(super) command: Option<Vec<String>>,
    #[serde(default = "two_seconds")]
    pub(super) interval: Span,
    #[serde(default = "two_seconds")]
    pub(super) timeout: Span,
    #[serde(default = "three")]
    pub(super) failures: u32,
    #[serde(default = "minute")]
    pub(super) start_timeout: Span,
}

fn two_seconds() -> Span {
    Span(Duration::from_secs(2))
}

fn three() -> u32 {
    3
}

fn minute() -> Span {
    Span(Duration::from_secs(60))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRules {
    pub check: Check,
    pub interval: Duration,
    pub timeout: Duration,
    /// So many failed checks in a row count as a hung process, which is killed.
    pub failures: u32,
    /// How long after its start the first check may take to succeed.
    pub start_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Healthy when a GET is answered with a status from 200 to 299.
    Http(HttpAddress),
    /// Healthy when a connection is accepted.
    Tcp(String),
    /// Healthy when the program ends with 0.
    Command(Vec<String>),
}

/// `http://HOST:PORT/PATH`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAddress {
    /// Host and port.
    pub authority: String,
    pub path: String,
}

impl HttpAddress {
    pub fn parse(url: &str) -> Option<HttpAddress> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, "/"),
        };
        let (host, port) = authority.rsplit_once(':')?;
        let usable =
            !host.is_empty() && port.parse::<u16>().is_ok() && path.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| HttpAddress {
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArchiveFile {
    pub(super) path: String,
    #[serde(default)]
    pub(super) schema: Schema,
    pub(super) quota_mib: Option<NonZeroU32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxFile {
    pub(super) write: Vec<String>,
}

/// What a service may use at most, with all that it starts; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Past it the kernel ends the service, which then starts anew.
    pub memory_mib: Option<NonZeroU32>,
    /// Of one processor: 150 is one and a half.
    pub cpu_percent: Option<NonZeroU32>,
}

impl Limits {
    pub fn is_some(&self) -> bool {
        *self != Limits::default()
    }
}

/// An archive that the daemon prunes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRules {
    pub path: PathBuf,
    pub schema: Schema,
    /// `None` is half of the filesystem.
    pub quota_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schema {
    /// A directory of segments.
    #[default]
    Pillarbox,
    /// nwaku's SQLite file, which is pruned while nwaku writes it.
    Nwaku,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    pub port: u16,
    #[serde(default)]
    pub protocol: Protocol,
    /// To be shown to people, and opened in the firewall.
    #[serde(default)]
    pub public: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

/// Where a Waku node tells about itself, in nwaku's shapes: `/debug/v1/info`, metrics in Prometheus's text format, and
/// its connected peers as `/admin/v1/peers/connected` has them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub info: String,
    pub metrics: Option<String>,
    pub peers: Option<String>,
}

/// How much of what a child writes is kept; the rest is counted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputRules {
    pub lines_per_sec: u32,
    pub line_bytes: usize,
}

impl Default for OutputRules {
    fn default() -> OutputRules {
        OutputRules {
            lines_per_sec: 50,
            line_bytes: 1024,
        }
    }
}
