//! What is looked at, and the states of it, by name.

use archive::Refusal;

use crate::snapshot::{Level, ServiceHealth, ServiceStateName, Subject};
use crate::wording::Wording;

pub(super) fn subject(subject: Subject, wording: &Wording) -> &'static str {
    let names = &wording.names;
    match subject {
        Subject::Services => names.services,
        Subject::Archive => names.archive,
        Subject::Clock => names.clock,
        Subject::Disk => names.disk,
        Subject::Memory => names.memory,
        Subject::Load => names.load,
        Subject::Temperature => names.temperature,
        Subject::Power => names.power,
        Subject::Network => names.network,
        Subject::Peers => names.peers,
        Subject::Hardware => names.hardware,
        Subject::Settings => names.settings,
        Subject::LastEnvelope => names.last_envelope,
        Subject::Reachability => names.reachability,
        Subject::Limits => names.limits,
        Subject::Watchdog => names.watchdog,
    }
}

pub(super) fn level(level: Level, wording: &Wording) -> &'static str {
    match level {
        Level::Ok => wording.names.level_ok,
        Level::Warn => wording.names.level_warn,
        Level::Bad => wording.names.level_bad,
    }
}

pub(super) fn service_state(state: ServiceStateName, wording: &Wording) -> &'static str {
    let names = &wording.names;
    match state {
        ServiceStateName::Disabled => names.service_disabled,
        ServiceStateName::Inactive => names.service_inactive,
        ServiceStateName::Activating => names.service_activating,
        ServiceStateName::Active => names.service_active,
        ServiceStateName::Deactivating => names.service_deactivating,
        ServiceStateName::Backoff => names.service_backoff,
        ServiceStateName::Failed => names.service_failed,
    }
}

pub(super) fn service_health(health: Option<ServiceHealth>, wording: &Wording) -> &'static str {
    match health {
        None => wording.names.not_checked,
        Some(ServiceHealth::Ok) => wording.names.answering,
        Some(ServiceHealth::Failing) => wording.names.not_answering,
    }
}

/// Why envelopes were not stored. A mailserver of another version may have reasons that we do not know: those are said as
/// it says them.
pub(super) fn refusal(label: &str, wording: &Wording) -> String {
    let names = &wording.names;
    let known = Refusal::ALL.into_iter().find(|refusal| refusal.to_string() == label);
    match known {
        Some(Refusal::Expired) => names.refused_expired.to_owned(),
        Some(Refusal::Future) => names.refused_future.to_owned(),
        Some(Refusal::Share) => names.refused_share.to_owned(),
        Some(Refusal::ReadOnly) => names.refused_read_only.to_owned(),
        Some(Refusal::DiskFull) => names.refused_disk_full.to_owned(),
        None => label.replace('_', " "),
    }
}
