//! The box as it is at one moment: what `/status.json` shows, and all that the page, the LEDs, the notifications and
//! the CLI ever learn of the supervisor.
//!
//! A snapshot is immutable and is published through a `watch` channel as `Arc<Snapshot>`; a reader that is slow sees
//! the newest one next and never holds up the supervisor. Its JSON is a promise to scripts: fields are only added.
//! What is not known is `null`, never a guess. Times are seconds since the Unix epoch.

use std::collections::BTreeMap;

use archive::DiskStage;
use serde::{Deserialize, Serialize};

use crate::asking::{Asker, Resting};
use crate::detail::Detail;
use crate::pattern::Pattern;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: String,
    pub board: String,
    pub state: BoxState,
    /// The heaviest fault's code (`fault::Fault::code`), null when nothing is wrong.
    pub code: Option<u8>,
    /// One sentence for a person: what is wrong, or what the box is doing.
    pub reason: Detail,
    /// What keeps the box from its usual self for a while.
    pub activity: Option<Activity>,
    pub health: BTreeMap<Subject, Option<Finding>>,
    /// Until when the page's actions are unlocked.
    pub unlocked_until: Option<i64>,
    /// Browsers that request access, first the one whose number the light blinks.
    #[serde(default)]
    pub asking: Vec<Asker>,
    #[serde(skip)]
    pub unlock: Unlock,
    pub uptime_secs: u64,
    pub services: Vec<ServiceStatus>,
    pub archive: ArchiveStatus,
    pub mailserver: MailserverStatus,
    /// Pattern by LED, as the indicator last reported them.
    pub leds: BTreeMap<String, Pattern>,
    pub system: SystemStatus,
    pub network: NetworkStatus,
    pub traffic: TrafficStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxState {
    /// An essential service has not answered yet since the daemon's start.
    Starting,
    Ok,
    /// The mailserver is working, or is about to again, but something needs attention.
    Degraded,
    /// The box is not working.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// A new version is being installed.
    Updating,
    /// The state is being set aside.
    Resetting,
}

/// What is looked at, one entry each in `health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Services,
    Archive,
    Clock,
    Disk,
    Memory,
    Load,
    Temperature,
    Power,
    Network,
    Peers,
    Hardware,
    Settings,
    /// When the newest envelope that is kept was sent.
    LastEnvelope,
    /// Whether other nodes can open connections to the mailserver, as they told it.
    Reachability,
    /// Whether services are held to their limits on memory and processor time; null when none has any.
    Limits,
    /// The hardware watchdog, compared with what it was to be set to; null where there is none.
    Watchdog,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub level: Level,
    /// A few words for a person, with the measured value where there is one.
    pub detail: Detail,
}

impl Finding {
    /// All is well, and how well.
    pub fn ok(detail: impl Into<Detail>) -> Finding {
        let (level, detail) = (Level::Ok, detail.into());
        Finding { level, detail }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    Warn,
    Bad,
}

/// The page's lock, as far as it is nobody's business but the page's and the lights'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlock {
    /// The browser that has access.
    pub granted: Option<u64>,
    /// Addresses that asked a moment ago and may not ask now.
    pub resting: Vec<Resting>,
    /// A press now concerns a browser that asks, or asked a moment ago, and nothing else.
    pub takes_press: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    pub name: String,
    pub state: ServiceStateName,
    pub pid: Option<u32>,
    /// Starts after the first one, since the daemon's start.
    pub restarts: u64,
    pub last_exit: Option<String>,
    /// `null` until the first check, and for a service without one.
    pub health: Option<ServiceHealth>,
    /// Why it is in backoff, failed or disabled: the child's last line, or the mistake in its file.
    pub reason: Option<Detail>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStateName {
    /// Its file cannot be used, or it is switched off.
    Disabled,
    Inactive,
    Activating,
    Active,
    Deactivating,
    Backoff,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceHealth {
    Ok,
    /// The last check failed; as many in a row as the service's file allows count as a hung process.
    Failing,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArchiveStatus {
    pub envelopes: Option<u64>,
    pub bytes: Option<u64>,
    pub oldest: Option<i64>,
    pub newest: Option<i64>,
    pub retention_secs: Option<u64>,
    /// Envelopes removed by this daemon since its start.
    pub pruned_total: u64,
    pub last_prune: Option<i64>,
    pub quarantined: Vec<QuarantinedFile>,
    /// Segments that a newer Pillarbox wrote: ignored until they expire, and not served.
    pub newer: Vec<String>,
    /// Segments that cannot be read just now, though nothing says that they are damaged: not served meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Links, pipes and folders where a file of the archive's belongs, each a few words: somebody put them there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_the_way: Vec<String>,
    pub writer: WriterStatus,
}

/// What the archive's writer counts, from its own metrics; each `null` while it does not say. All but the wear of a day
/// is since the writer's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WriterStatus {
    pub written_bytes_last_day: Option<u64>,
    /// Bytes written for each byte of payload.
    pub written_per_payload: Option<f64>,
    /// Envelopes removed before their time, for want of room.
    pub dropped_early: Option<u64>,
    /// Envelopes not stored, by reason.
    pub refused: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedFile {
    pub file: String,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailserverStatus {
    pub peer_id: Option<String>,
    pub multiaddrs: Vec<String>,
    pub peers: Option<u64>,
    /// Of them, those that came to us and those that we went to, as far as they speak Waku's metadata protocol.
    pub peers_in: Option<u64>,
    pub peers_out: Option<u64>,
    /// Connected peers whose address is a public one: the proof that there is a way to the internet.
    pub peers_public: Option<u64>,
    /// What other nodes found when they called back; null until enough of them have.
    pub reachable: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemStatus {
    /// Averages over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    pub memory: Option<MemoryStatus>,
    pub disk: Option<DiskStatus>,
    /// °C of the processor, where the board can say.
    pub temperature: Option<f32>,
    /// Processors that the load is shared by.
    pub cores: Option<u32>,
    pub power: PowerStatus,
    /// The hardware watchdog, by its driver.
    pub watchdog: Option<WatchdogStatus>,
    /// A program that lives has written its number into `/run/pillarbox/updating`.
    pub updating: bool,
}

/// A hardware watchdog as it is in effect, not as it was asked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogStatus {
    /// What the driver calls it.
    pub name: String,
    /// Counting.
    pub active: bool,
    /// Without a sign of life for so long, it restarts the machine.
    pub timeout_secs: u32,
}

/// What the board tells of its supply and of slowing itself down; null where it cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerStatus {
    /// The supply's voltage is too low at this moment.
    pub under_voltage: Option<bool>,
    /// The processor is being slowed down because it is hot.
    pub throttled: Option<bool>,
}

/// How the box is connected, by the kernel's own tables; nobody is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// Interfaces with a carrier, loopback aside; null where the kernel does not tell.
    pub links: Option<Vec<String>>,
    /// Its own addresses, without loopback and link-local ones.
    pub addresses: Vec<String>,
    pub gateway: Option<String>,
    /// True while the mailserver has a peer on the internet; null without such evidence, for its absence proves nothing.
    pub internet: Option<bool>,
    /// Bytes that its links received and sent since they are there.
    #[serde(skip)]
    pub counters: Option<(u64, u64)>,
}

/// All of the box's traffic this month, as far as the daemon ran; the month (`2026-11`, UTC) is null until the time is
/// known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficStatus {
    pub month: Option<String>,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// What the services may receive a second, and send as much; null where nothing is capped.
    pub cap_kib_per_sec: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    pub total_bytes: u64,
    pub available_bytes: u64,
}

/// The filesystem that holds the state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    pub total_bytes: u64,
    pub available_bytes: u64,
    pub stage: DiskStage,
    /// Mounted read-only, or made so by the kernel after an error of the card.
    pub read_only: bool,
}

impl Snapshot {
    /// What is known before anything has happened.
    pub fn at_start(board: &str) -> Snapshot {
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            board: board.to_owned(),
            state: BoxState::Starting,
            code: None,
            reason: Detail::Starting,
            activity: None,
            health: BTreeMap::new(),
            unlocked_until: None,
            asking: Vec::new(),
            unlock: Unlock::default(),
            uptime_secs: 0,
            services: Vec::new(),
            archive: ArchiveStatus::default(),
            mailserver: MailserverStatus::default(),
            leds: BTreeMap::new(),
            system: SystemStatus::default(),
            network: NetworkStatus::default(),
            traffic: TrafficStatus::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that scripts rely on.
    #[test]
    fn json_has_every_promised_field() {
        let mut snapshot = Snapshot::at_start("dev");
        snapshot.services.push(ServiceStatus {
            name: "mailserver".to_owned(),
            state: ServiceStateName::Active,
            pid: Some(7),
            restarts: 0,
            last_exit: None,
            health: None,
            reason: None,
        });
        let json = serde_json::to_value(&snapshot).unwrap();
        for path in [
            "version",
            "board",
            "state",
            "code",
            "reason",
            "health",
            "unlocked_until",
            "asking",
            "uptime_secs",
            "services/0/name",
            "services/0/state",
            "services/0/pid",
            "services/0/restarts",
            "services/0/last_exit",
            "services/0/health",
            "archive/envelopes",
            "archive/bytes",
            "archive/oldest",
            "archive/newest",
            "archive/retention_secs",
            "archive/pruned_total",
            "archive/last_prune",
            "archive/quarantined",
            "archive/newer",
            "archive/writer/written_bytes_last_day",
            "archive/writer/written_per_payload",
            "archive/writer/dropped_early",
            "archive/writer/refused",
            "mailserver/peer_id",
            "mailserver/multiaddrs",
            "mailserver/peers",
            "leds",
            "system/load",
            "system/memory",
            "system/disk",
            "system/temperature",
        ] {
            assert!(
                json.pointer(&format!("/{path}")).is_some(),
                "{path} is missing from {json}"
            );
        }
        assert_eq!(json["state"], "starting");
        assert_eq!(json["services"][0]["state"], "active");
        let back: Snapshot = serde_json::from_value(json).unwrap();
        // A detail comes back as it was said.
        snapshot.reason = Detail::said("starting");
        assert_eq!(back, snapshot);
    }
}
