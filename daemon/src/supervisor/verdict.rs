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
use crate::detail::{ArchiveDetail, BoardDetail, ClockDetail, Detail, ServiceDetail};
use crate::event::Ending;
use crate::fault::Fault;
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
    faults: BTreeMap<Fault, Detail>,
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
        let (state, sentence) = self.box_state(found.faults.values().next());
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
            reason: sentence,
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
        let services = services.unwrap_or_else(|| Finding::ok(ServiceDetail::AllRunning));
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

    fn box_state(&self, first_fault: Option<&Detail>) -> (BoxState, Detail) {
        if self.stopping.is_some() {
            return (BoxState::Starting, Detail::Stopping);
        }
        let present = self.services.iter().filter(|service| !service.removed);
        let mut essential = present.filter(|service| service.spec.essential).peekable();
        if essential.peek().is_none() {
            let mistake = self.disabled.iter().find_map(|disabled| disabled.mistake.as_ref());
            let why = mistake.map_or(Detail::NoMailserver, Detail::said);
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
            (None, None, None) => (BoxState::Ok, Detail::AllWell),
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
                detail: ArchiveDetail::InTheWay { what: what.clone() }.into(),
            });
        }
        let quarantined = &first.status.quarantined;
        if let Some(file) = quarantined.first() {
            let detail = ArchiveDetail::SetAside {
                file: file.file.clone(),
                reason: file.reason.clone(),
                others: quarantined.len() - 1,
            };
            return Some(Finding {
                level: Level::Warn,
                detail: detail.into(),
            });
        }
        if let Some(segment) = first.status.unreadable.first() {
            let count = first.status.unreadable.len();
            let detail = ArchiveDetail::Unreadable {
                files: count,
                example: segment.clone(),
            };
            return Some(Finding {
                level: Level::Warn,
                detail: detail.into(),
            });
        }
        if let Some(segment) = first.status.newer.first() {
            let count = first.status.newer.len();
            let detail = ArchiveDetail::Newer {
                files: count,
                example: segment.clone(),
            };
            return Some(Finding {
                level: Level::Warn,
                detail: detail.into(),
            });
        }
        first
            .status
            .envelopes
            .map(|envelopes| Finding::ok(ArchiveDetail::Messages(envelopes)))
    }

    fn disk_finding(&self) -> Option<Finding> {
        if let Some(trouble) = &self.fixed.config.reported.disk {
            return Some(Finding {
                level: Level::Bad,
                detail: BoardDetail::LostOnPowerOff { why: trouble.clone() }.into(),
            });
        }
        let disk = self.surroundings.system.disk?;
        if disk.read_only {
            return Some(Finding {
                level: Level::Bad,
                detail: BoardDetail::CardReadOnly.into(),
            });
        }
        let level = match disk.stage {
            DiskStage::Fine => Level::Ok,
            DiskStage::Warn => Level::Warn,
            DiskStage::DropOldest | DiskStage::ReadOnly => Level::Bad,
        };
        let detail = BoardDetail::Free {
            bytes: disk.available_bytes,
            stage: disk.stage,
        };
        Some(Finding {
            level,
            detail: detail.into(),
        })
    }

    fn hardware_finding(&self) -> Finding {
        match self.missing.values().next() {
            Some(trouble) => Finding {
                level: Level::Warn,
                detail: Detail::said(trouble),
            },
            None => Finding::ok(BoardDetail::Complete),
        }
    }

    /// A service that is not held to its limits works all the same.
    fn limits_finding(&self) -> Option<Finding> {
        let limited = self.services.iter().filter(|service| service.spec.limits.is_some());
        let count = limited.count();
        if count == 0 {
            return None;
        }
        Some(match &self.unlimited {
            None => Finding::ok(BoardDetail::LimitsHeld { services: count }),
            Some(why) => Finding::ok(BoardDetail::LimitsMissing { why: why.clone() }),
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
            .or_else(|| self.lost.as_ref().map(Detail::said))
            .or_else(|| mistakes.map(Detail::said).next())
            .or_else(|| self.unheeded.as_ref().map(Detail::said))
            .or_else(|| self.fixed.config.reported.settings.as_ref().map(Detail::said))
        {
            Some(mistake) => Finding {
                level: Level::Warn,
                detail: mistake,
            },
            None => Finding::ok(Detail::NoMistakes),
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
            reason: disabled.mistake.as_ref().map(Detail::said),
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
        return Finding::ok(match outlook.leap {
            None => ClockDetail::Known,
            Some(leap) => ClockDetail::Leapt {
                known: utc(leap.old_ns),
                hours: leap.left().as_secs().div_ceil(3600),
            },
        });
    }
    let detail = match outlook.doubt {
        None | Some(Doubt::NotSynchronised) => ClockDetail::NotSynchronised,
        Some(Doubt::Past { known_ns }) => ClockDetail::Past {
            now: utc(now.wall_ns),
            known: utc(known_ns),
        },
        Some(Doubt::Leapt) => ClockDetail::SetToAnother,
        Some(Doubt::Alone { known_ns, answers }) => ClockDetail::Alone {
            now: utc(now.wall_ns),
            known: utc(known_ns),
            answers,
        },
    };
    Finding {
        level: Level::Warn,
        detail: detail.into(),
    }
}

fn trouble_of(service: &Service) -> Detail {
    let name = service.spec.name.clone();
    let detail = match (&service.state, &service.reason) {
        (ServiceState::Failed { cause, retry: Some(_) }, _) => ServiceDetail::GaveUp {
            service: name,
            cause: cause.clone(),
            times: service.failures,
        },
        (ServiceState::Failed { cause, retry: None }, _) => ServiceDetail::StaysDown {
            service: name,
            cause: cause.clone(),
        },
        (_, Some(cause)) => ServiceDetail::Trouble {
            service: name,
            cause: cause.clone(),
        },
        (ServiceState::Active { .. }, None) if service.health == Some(ServiceHealth::Failing) => {
            ServiceDetail::NotResponding { service: name }
        }
        (_, None) => ServiceDetail::Starting { service: name },
    };
    detail.into()
}
