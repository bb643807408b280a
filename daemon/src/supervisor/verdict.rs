//! The verdict: from all that is known to one state, one code and one sentence, and the rest of the snapshot.
//!
//! The box is `failed` while an essential service is given up or keeps failing, `starting` until each has been healthy
//! once, `degraded` while anything is wrong that leaves the mailserver at work, and `ok` otherwise.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use archive::DiskStage;

use super::surroundings::last_envelope_finding;
use super::{Service, ServiceState, State};
use crate::clock::{Doubt, Now, Outlook, utc_of};
use crate::event::Ending;
use crate::fault::Fault;
use crate::figures::bytes;
use crate::health::watchdog;
use crate::snapshot::{
    Activity, ArchiveStatus, BoxState, Finding, Level, ServiceHealth, ServiceStateName, ServiceStatus, Snapshot,
    Subject, TrafficStatus,
};

/// So many failures in a row are no longer a hiccup.
const KEEPS_FAILING: u32 = 3;
/// What was in the way of the archive's files is told for so long, though it may be gone at once.
const IN_THE_WAY_FOR: Duration = Duration::from_secs(24 * 3600);

/// What was found of the box: each subject's finding, and the faults among them, the heaviest first.
#[derive(Default)]
struct Found {
    health: BTreeMap<Subject, Option<Finding>>,
    faults: BTreeMap<Fault, String>,
}

impl Found {
    /// Without a fault it is only ever said.
    fn add(&mut self, subject: Subject, fault: Option<Fault>, finding: Option<Finding>) {
        if let (Some(fault), Some(finding)) = (fault, &finding)
            && finding.level > Level::Ok
        {
            self.faults.entry(fault).or_insert_with(|| finding.detail.clone());
        }
        self.health.insert(subject, finding);
    }
}

impl State {
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let archive = self.archive_status();
        let found = self.found(&archive, now);
        let (state, reason) = self.box_state(found.faults.values().next());
        let code = match state {
            BoxState::Starting | BoxState::Ok => None,
            BoxState::Degraded => found.faults.keys().next().copied(),
            BoxState::Failed => Some(Fault::ServiceDown),
        };
        let around = &self.surroundings;
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            board: self.fixed.config.board.name.clone(),
            state,
            code: code.map(Fault::code),
            reason,
            activity: self.activity(),
            health: found.health,
            unlocked_until: self.presses.unlocked_until(),
            asking: self.presses.asking(now.mono),
            unlock: self.presses.unlock(now.mono),
            uptime_secs: now.mono.as_secs(),
            services: self.service_statuses(),
            archive,
            mailserver: around.mailserver.clone(),
            leds: self.leds.clone(),
            system: around.system.clone(),
            network: around.network_status(),
            traffic: TrafficStatus {
                cap_kib_per_sec: self.cap_kib_per_sec(),
                ..self.traffic.status()
            },
        }
    }

    fn archive_status(&self) -> ArchiveStatus {
        let first = self.archives.first();
        ArchiveStatus {
            writer: self.writer.clone(),
            ..first.map_or_else(ArchiveStatus::default, |pruning| pruning.status.clone())
        }
    }

    /// Each subject, what is found of it, and which fault that is if it is bad.
    fn found(&self, archive: &ArchiveStatus, now: Now) -> Found {
        let around = &self.surroundings;
        let (levels, system) = (&around.levels, &around.system);
        let essential_trouble = self.services_trouble(true);
        let services_fault = match essential_trouble {
            Some(_) => Fault::ServiceDown,
            None => Fault::SideService,
        };
        let services = essential_trouble.or_else(|| self.services_trouble(false));
        let services = services.unwrap_or_else(|| Finding::ok("all run"));
        // An archive that cannot be written for want of a disk is not damaged.
        let archive_fault = match self.disk_stage {
            DiskStage::ReadOnly => Fault::Disk,
            DiskStage::Fine | DiskStage::Warn | DiskStage::DropOldest => Fault::Archive,
        };
        let clock = clock_finding(now, &self.outlook);
        let memory = system.memory.map(|memory| levels.memory(memory));
        let load = system.load.map(|load| levels.load(load));
        let temperature = levels.temperature(system.temperature);
        let mut found = Found::default();
        found.add(Subject::Services, Some(services_fault), Some(services));
        found.add(Subject::Clock, Some(Fault::Clock), Some(clock));
        found.add(Subject::Disk, Some(Fault::Disk), self.disk_finding());
        found.add(Subject::Archive, Some(archive_fault), self.archive_finding(now));
        found.add(Subject::Memory, Some(Fault::Memory), memory);
        found.add(Subject::Load, None, load);
        found.add(Subject::Temperature, Some(Fault::Temperature), temperature);
        found.add(Subject::Power, Some(Fault::Power), levels.power(system.power));
        found.add(Subject::Network, Some(Fault::Network), around.network_finding());
        found.add(Subject::Peers, Some(Fault::Peers), around.peers_finding());
        found.add(Subject::Reachability, None, around.reachability_finding());
        found.add(Subject::Hardware, Some(Fault::Hardware), Some(self.hardware_finding()));
        found.add(Subject::Limits, None, self.limits_finding());
        found.add(Subject::Watchdog, None, self.watchdog_finding());
        found.add(Subject::Settings, Some(Fault::Settings), Some(self.settings_finding()));
        found.add(Subject::LastEnvelope, None, last_envelope_finding(archive, now));
        found
    }

    /// One for all that can be held to it.
    fn cap_kib_per_sec(&self) -> Option<u32> {
        let present = self.services.iter().filter(|service| !service.removed);
        present
            .filter_map(|service| service.spec.bandwidth_kib_per_sec)
            .map(NonZeroU32::get)
            .next()
    }

    fn activity(&self) -> Option<Activity> {
        let resetting = self
            .stopping
            .is_some_and(|stopping| stopping.finally == Some(Ending::FactoryReset));
        if resetting {
            Some(Activity::Resetting)
        } else {
            self.surroundings.system.updating.then_some(Activity::Updating)
        }
    }

    fn box_state(&self, first_fault: Option<&String>) -> (BoxState, String) {
        if self.stopping.is_some() {
            return (BoxState::Starting, "stopping".to_owned());
        }
        let present = self.services.iter().filter(|service| !service.removed);
        let mut essential = present.filter(|service| service.spec.essential).peekable();
        if essential.peek().is_none() {
            let mistake = self.disabled.iter().find_map(|disabled| disabled.mistake.as_ref());
            let why = mistake.map_or_else(|| "no mailserver is set up".to_owned(), |mistake| mistake.to_string());
            return (BoxState::Failed, why);
        }
        let mut starting = None;
        let mut restarting = None;
        for service in essential {
            let gave_up = matches!(service.state, ServiceState::Failed { .. });
            if gave_up || service.failures >= KEEPS_FAILING && !service.is_active() {
                return (BoxState::Failed, trouble_of(service));
            }
            if !service.is_active() && !service.is_healthy() {
                let slot = if service.was_active {
                    &mut restarting
                } else {
                    &mut starting
                };
                slot.get_or_insert_with(|| trouble_of(service));
            }
        }
        match (starting, restarting, first_fault) {
            (Some(why), ..) => (BoxState::Starting, why),
            (None, Some(why), _) => (BoxState::Degraded, why),
            (None, None, Some(why)) => (BoxState::Degraded, why.clone()),
            (None, None, None) => (BoxState::Ok, "all is well".to_owned()),
        }
    }

    fn services_trouble(&self, essential: bool) -> Option<Finding> {
        let mut candidates = self
            .services
            .iter()
            .filter(|service| service.spec.essential == essential && !service.removed);
        candidates.find(|service| !service.is_healthy()).map(|service| {
            let failing = matches!(service.state, ServiceState::Failed { .. }) || service.failures >= KEEPS_FAILING;
            Finding {
                level: if failing { Level::Bad } else { Level::Warn },
                detail: trouble_of(service),
            }
        })
    }

    fn archive_finding(&self, now: Now) -> Option<Finding> {
        let first = self.archives.first()?;
        if let Some(trouble) = self.archives.iter().find_map(|pruning| pruning.trouble.as_ref()) {
            return Some(Finding {
                level: Level::Bad,
                detail: trouble.clone(),
            });
        }
        let mut in_the_way = self.archives.iter().filter_map(|pruning| pruning.in_the_way.as_ref());
        if let Some((what, _)) = in_the_way.find(|(_, seen)| now.mono.saturating_sub(*seen) < IN_THE_WAY_FOR) {
            return Some(Finding {
                level: Level::Warn,
                detail: format!(
                    "{what}, in the archive's folder, where nothing but the mailserver writes: \
                     update the box, and do a factory reset if it happens again"
                ),
            });
        }
        let quarantined = &first.status.quarantined;
        if let Some(file) = quarantined.first() {
            let others = match quarantined.len() {
                1 => String::new(),
                count => format!(", and {} more", count - 1),
            };
            let detail = format!("{} set aside: {}{others}", file.file, file.reason);
            return Some(Finding {
                level: Level::Warn,
                detail,
            });
        }
        if let Some(segment) = first.status.unreadable.first() {
            let count = first.status.unreadable.len();
            let detail = format!("{count} files cannot be read just now, as {segment}");
            let level = Level::Warn;
            return Some(Finding { level, detail });
        }
        if let Some(segment) = first.status.newer.first() {
            let count = first.status.newer.len();
            let detail = format!("{count} segments of a newer version are left alone, as {segment}");
            let level = Level::Warn;
            return Some(Finding { level, detail });
        }
        first
            .status
            .envelopes
            .map(|envelopes| Finding::ok(format!("{envelopes} envelopes")))
    }

    fn disk_finding(&self) -> Option<Finding> {
        if let Some(trouble) = &self.fixed.config.reported.disk {
            return Some(Finding {
                level: Level::Bad,
                detail: format!("what is stored now is lost when the power goes: {trouble}"),
            });
        }
        let disk = self.surroundings.system.disk?;
        let free = bytes(disk.available_bytes);
        if disk.read_only {
            return Some(Finding {
                level: Level::Bad,
                detail: "the card became read-only: nothing more is stored".to_owned(),
            });
        }
        let (level, what) = match disk.stage {
            DiskStage::Fine => (Level::Ok, ""),
            DiskStage::Warn => (Level::Warn, "; nearly full"),
            DiskStage::DropOldest => (Level::Bad, "; the oldest envelopes are dropped early"),
            DiskStage::ReadOnly => (Level::Bad, "; nothing more is stored"),
        };
        Some(Finding {
            level,
            detail: format!("{free} free{what}"),
        })
    }

    fn hardware_finding(&self) -> Finding {
        match self.missing.values().next() {
            Some(trouble) => Finding {
                level: Level::Warn,
                detail: trouble.clone(),
            },
            None => Finding::ok("all there"),
        }
    }

    /// A service that is not held to its limits does its job all the same.
    fn limits_finding(&self) -> Option<Finding> {
        let limited = self.services.iter().filter(|service| service.spec.limits.is_some());
        let count = limited.count();
        if count == 0 {
            return None;
        }
        Some(match &self.unlimited {
            None => Finding::ok(format!("{count} services are held to theirs")),
            Some(why) => Finding::ok(format!("services run without theirs: {why}")),
        })
    }

    fn watchdog_finding(&self) -> Option<Finding> {
        let wanted = self.fixed.config.health.watchdog?;
        let status = self.surroundings.system.watchdog.as_ref()?;
        Some(watchdog::finding(status, wanted.0))
    }

    fn settings_finding(&self) -> Finding {
        let mistakes = self.disabled.iter().filter_map(|disabled| disabled.mistake.as_ref());
        match self
            .mistake
            .clone()
            .or_else(|| self.lost.clone())
            .or_else(|| mistakes.map(ToString::to_string).next())
            .or_else(|| self.unheeded.as_ref().map(ToString::to_string))
            .or_else(|| self.fixed.config.reported.settings.clone())
        {
            Some(mistake) => Finding {
                level: Level::Warn,
                detail: mistake,
            },
            None => Finding::ok("no mistakes"),
        }
    }

    fn service_statuses(&self) -> Vec<ServiceStatus> {
        let disabled = self.disabled.iter().map(|disabled| ServiceStatus {
            name: disabled.name.clone(),
            state: ServiceStateName::Disabled,
            pid: None,
            restarts: 0,
            last_exit: None,
            health: None,
            reason: disabled.mistake.as_ref().map(ToString::to_string),
        });
        let present = self
            .services
            .iter()
            .filter(|service| !service.removed || service.run().is_some());
        present.map(Service::status).chain(disabled).collect()
    }
}

fn clock_finding(now: Now, outlook: &Outlook) -> Finding {
    let utc = |ns: i64| utc_of(ns.div_euclid(1_000_000_000));
    if now.trusted {
        return match outlook.leap {
            None => Finding::ok("the time is known"),
            Some(leap) => Finding::ok(format!(
                "the time is known; it is more than a day ahead of what was known before ({}), so nothing is removed for it in \
                 the next {} h",
                utc(leap.old_ns),
                leap.left().as_secs().div_ceil(3600)
            )),
        };
    }
    let detail = match outlook.doubt {
        None | Some(Doubt::NotSynchronised) => {
            "the clock is not synchronised: nothing is removed until it is".to_owned()
        }
        Some(Doubt::Past { known_ns }) => format!(
            "the clock says {}, but this box has been past {}: no message is kept and none removed. If the clock is right, \
             confirm it on this page or with `pillarbox confirm-time`, or do a factory reset",
            utc(now.wall_ns),
            utc(known_ns)
        ),
        Some(Doubt::Leapt) => "the clock was set to another time: nothing is removed until it has run evenly for ten \
                               minutes"
            .to_owned(),
        Some(Doubt::Alone { known_ns, answers }) => format!(
            "the clock says {}, more than a day after {}, the last time that this box was sure of: nothing is removed until \
             two time servers say so, too ({}). If the clock is right, confirm it on this page or with `pillarbox \
             confirm-time`",
            utc(now.wall_ns),
            utc(known_ns),
            match answers {
                None => "they were not asked yet, or say something else".to_owned(),
                Some(0) => "none answered; let the router pass NTP, UDP port 123".to_owned(),
                Some(answers) => format!("{answers} answered"),
            }
        ),
    };
    Finding {
        level: Level::Warn,
        detail,
    }
}

fn trouble_of(service: &Service) -> String {
    let name = &service.spec.name;
    match (&service.state, &service.reason) {
        (ServiceState::Failed { reason, .. }, _) => format!("{name} was given up: {reason}"),
        (_, Some(reason)) => format!("{name} {reason}"),
        (ServiceState::Active { .. }, None) if service.health == Some(ServiceHealth::Failing) => {
            format!("{name} does not answer")
        }
        (_, None) => format!("{name} is starting"),
    }
}
