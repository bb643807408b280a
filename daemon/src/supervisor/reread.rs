//! Settings read again on SIGHUP: services whose own part changed are restarted with it, new ones start, removed ones
//! end, the others are not touched. What cannot change while the daemon runs (board, state directory, page) is said to
//! need a restart. Settings with a mistake change nothing but the page.

use std::sync::Arc;
use std::time::Duration;

use super::{Pruning, Service, State, Then};
use crate::clock::Now;
use crate::config::{Config, Mistake};
use crate::detail::Detail;
use crate::event::{Action, ArchiveId, ServiceId};

impl State {
    pub(super) fn reread(&mut self, read: Result<Config, Mistake>, now: Now, actions: &mut Vec<Action>) {
        if self.stopping.is_some() {
            return;
        }
        let config = match read {
            Ok(config) => config,
            Err(mistake) => {
                self.mistake = Some(Detail::SettingsNotTaken(mistake.to_string()));
                return;
            }
        };
        self.mistake = self
            .fixed
            .differ(&config)
            .map(|key| Detail::SettingChanged { key: key.to_owned() });
        for service in &mut self.services {
            let wanted = config
                .services
                .enabled
                .iter()
                .find(|spec| spec.name == service.spec.name);
            match wanted {
                Some(spec) if service.removed || *spec != *service.spec => {
                    service.removed = false;
                    service.spec = Arc::new(spec.clone());
                    actions.extend(service.restart(now.mono));
                }
                Some(_) => {}
                None => {
                    service.removed = true;
                    service.wanted = false;
                    actions.extend(service.stop(Then::Stop, now.mono, None));
                }
            }
        }
        for spec in &config.services.enabled {
            if !self.services.iter().any(|service| service.spec.name == spec.name) {
                self.services
                    .push(Service::new(ServiceId(self.services.len()), spec.clone()));
            }
        }
        self.disabled = config.services.disabled;
        self.unheeded = config.services.unheeded;
        self.fixed.config.reported = config.reported;
        self.add_archives(config.retention);
    }

    /// Every archive of a service has its pruning, which outlives the service: what is there is forgotten in time.
    pub(super) fn add_archives(&mut self, retention: Duration) {
        for pruning in &mut self.archives {
            pruning.set_retention(retention);
        }
        for service in &self.services {
            let Some(rules) = &service.spec.archive else {
                continue;
            };
            match self
                .archives
                .iter_mut()
                .find(|pruning| pruning.rules.path == rules.path)
            {
                Some(pruning) => pruning.rules = Arc::new(rules.clone()),
                None => {
                    let id = ArchiveId(self.archives.len());
                    self.archives
                        .push(Pruning::new(id, rules.clone(), retention, self.past_ns));
                }
            }
        }
    }
}
