//! What systemd is told of the daemon (sd_notify(3)): ready, a line of status, stopping, and that it lives.
//!
//! Told from the supervisor's own loop only, so that a loop that hangs is a watchdog that is not fed. Without systemd
//! all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::snapshot::Snapshot;

pub(crate) struct Systemd {
    ready: bool,
    stopping: bool,
    said: String,
    /// Twice as often as systemd asks for (sd_watchdog_enabled(3)).
    feed_every: Option<Duration>,
    fed: Option<Duration>,
}

impl Systemd {
    pub(crate) fn new() -> Systemd {
        let feed_every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Systemd {
            ready: false,
            stopping: false,
            said: String::new(),
            feed_every,
            fed: None,
        }
    }

    /// To be called after every step; `now` is the loop's monotonic time.
    pub(crate) fn beat(&mut self, snapshot: &Snapshot, stopping: bool, now: Duration) {
        let mut states = Vec::new();
        if !self.ready {
            self.ready = true;
            states.push(NotifyState::Ready);
        }
        if stopping && !self.stopping {
            self.stopping = true;
            states.push(NotifyState::Stopping);
        }
        if self
            .feed_every
            .is_some_and(|every| self.fed.is_none_or(|fed| now.saturating_sub(fed) >= every))
        {
            self.fed = Some(now);
            states.push(NotifyState::Watchdog);
        }
        let reason = snapshot.reason.to_string();
        if self.said != reason {
            self.said = reason;
            states.push(NotifyState::Status(&self.said));
        }
        if !states.is_empty() {
            // Systemd's end may be gone; its watchdog says so better than a log line could.
            let _ = sd_notify::notify(&states);
        }
    }
}
