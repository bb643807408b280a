//! The two closed lists: everything that can happen to the daemon ([`Event`]) and everything it can do ([`Action`]).
//!
//! All events go through one bounded channel ([`channel`]). Its senders wait when it is full, except where the sender
//! must not: the button and the page use `try_send` and treat a full channel as "busy, try again" (it holds
//! [`CAPACITY`] events and is emptied in microseconds, so that means that the daemon itself is stuck). No event is ever
//! dropped silently: a lost child's exit would be a service that never comes back.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use archive::Policy;
use archive::retention::Leap;
use tokio::sync::mpsc;

use crate::config::service::{ArchiveRules, Service, StopSignal};
use crate::config::{Config, Mistake};
use crate::health::check;
use crate::pattern::Pattern;
use crate::program::Program;
use crate::retention::{self, PruneReport};
use crate::snapshot::{MailserverStatus, NetworkStatus, ServiceStateName, ServiceStatus, SystemStatus, WriterStatus};

/// Room for every service's exit and check at once, several times over (at most 64 services).
pub const CAPACITY: usize = 512;

pub type Sender = mpsc::Sender<Event>;
pub type Receiver = mpsc::Receiver<Event>;

pub fn channel() -> (Sender, Receiver) {
    mpsc::channel(CAPACITY)
}

/// A service by its place in the supervisor's table; stable for the daemon's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub usize);

/// One start of one service. Events of an earlier run than the present one are stale and change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// An archive that the daemon prunes, by its place in the supervisor's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveId(pub usize);

#[derive(Debug)]
pub enum Event {
    /// The time that the supervisor asked to be woken at has come.
    Tick,
    Spawned {
        service: ServiceId,
        run: RunId,
        pid: u32,
    },
    SpawnFailed {
        service: ServiceId,
        run: RunId,
        error: String,
    },
    /// The child and everything it started is gone. `last_line` is the last that it wrote to stderr or stdout.
    Exited {
        service: ServiceId,
        run: RunId,
        exit: Exit,
        last_line: Option<String>,
    },
    /// A health check's result.
    Checked {
        service: ServiceId,
        run: RunId,
        result: Result<(), check::Failed>,
    },
    /// Load, memory, disk, temperature and supply were read, and the network's tables.
    Sampled(SystemStatus, NetworkStatus),
    /// The mailserver told its addresses and peers.
    MailserverSeen(MailserverStatus),
    /// The archive's writer told what it counts.
    WriterSeen(WriterStatus),
    /// A pruning run ended.
    Pruned {
        archive: ArchiveId,
        result: Result<PruneReport, retention::Error>,
    },
    Button(Gesture),
    Asked(Request),
    /// A browser requests access: who it is to the page, from where, and what it calls itself.
    UnlockAsked {
        browser: u64,
        address: IpAddr,
        program: Program,
    },
    /// Somebody who holds the box in other ways than its button lets this browser in.
    Unlocked {
        browser: u64,
    },
    /// The indicator shows these patterns now.
    Indicated(BTreeMap<String, Pattern>),
    /// Parts that cannot be had (a busy pin, the page's port), each a sentence; empty when all is well again. Reporters
    /// are told apart by `part`.
    Missing {
        part: Part,
        trouble: Option<String>,
    },
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP: the settings, read again.
    Reread(Box<Result<Config, Mistake>>),
}

/// The parts of the box that report trouble of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Leds,
    Button,
    Page,
    Control,
}

/// What the button was made to say, decided on release by the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gesture {
    /// Lets in the browser whose number the light blinks; while none asks, restarts what is unhealthy, or everything when
    /// pressed again within 30 s.
    Press,
    /// Held at least 2 s: refuses the browser whose number the light blinks.
    Refuse,
    /// Held at least 5 s.
    Reboot,
    /// Held at least 10 s.
    FactoryReset,
}

/// What the page (unlocked) or the CLI asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Restart {
        service: String,
    },
    /// Stop all services, and then this.
    End(Ending),
    /// A person says that the box's clock is right.
    ConfirmTime,
}

/// What follows when all services have ended, beside the daemon's own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Reboot,
    PowerOff,
    /// Set the state aside, and start anew.
    FactoryReset,
    /// Put what a restore has staged in its place, and restart.
    Restore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// The keeper died with its child, so how the child ended is not known.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit {code}"),
            Exit::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "{name}"),
                Err(_) => write!(f, "signal {signal}"),
            },
            Exit::Unknown => write!(f, "unknown"),
        }
    }
}

/// Each carries all that is needed to do it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Spawn {
        service: ServiceId,
        run: RunId,
        spec: Arc<Service>,
    },
    /// Ask a run to end: this signal to the whole process group.
    Terminate {
        service: ServiceId,
        run: RunId,
        signal: StopSignal,
    },
    /// End a run now: SIGKILL to everything it started.
    Kill { service: ServiceId, run: RunId },
    /// Write the policy file and remove what is older than the policy's cut-off; after a leap of the clock, also what is
    /// over among what is younger than that.
    Prune {
        archive: ArchiveId,
        rules: Arc<ArchiveRules>,
        policy: Policy,
        leap: Option<Leap>,
    },
    /// Take the present time for right, whatever was saved.
    ConfirmTime,
    /// All children are gone (or the time for it is over): leave the loop, and do what was asked for.
    Leave(Option<Ending>),
}

/// A service is in another state than before the event.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub from: ServiceStateName,
    /// Of the service, now.
    pub status: ServiceStatus,
    /// In a row.
    pub failures: u32,
}

/// What the supervisor made of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// What is to be done, in this order.
    pub actions: Vec<Action>,
    /// What became of the services.
    pub transitions: Vec<Transition>,
}
