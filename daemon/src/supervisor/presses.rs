//! What a press of the button means: it grants a waiting unlock; else it restarts what is unhealthy, and everything when
//! it comes again within 30 s.
//!
//! Unlocking is asked for by a browser and granted by whoever can touch the box. If two browsers wait, a press could
//! unlock the wrong one, so it unlocks none.

use std::time::Duration;

use super::{Finally, State};
use crate::event::{Action, Gesture, Now};
use crate::snapshot::Unlock;

/// A second press within this time restarts everything.
const AGAIN: Duration = Duration::from_secs(30);
/// How long a browser waits for the press.
const WAIT: Duration = Duration::from_secs(60);
/// How long actions stay unlocked.
const GRANT: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Debug, Default)]
pub(super) struct Presses {
    last: Option<Duration>,
    unlock: Unlock,
    /// When the wait or the grant ends.
    until: Option<Duration>,
    /// The grant's end in nanoseconds since the Unix epoch, for people.
    until_wall_ns: i64,
}

impl Presses {
    pub(super) fn unlock_asked(&mut self, browser: u64, now: Now) {
        self.tick(now.mono);
        self.unlock = match self.unlock {
            Unlock::Granted { browser: granted } => {
                // Nobody takes over a grant; whoever has it may go on.
                self.unlock = Unlock::Granted { browser: granted };
                return;
            }
            Unlock::Waiting { browser: first } if first != browser => Unlock::Contested,
            Unlock::Contested => Unlock::Contested,
            Unlock::Locked | Unlock::Waiting { .. } => Unlock::Waiting { browser },
        };
        self.until = Some(now.mono.saturating_add(WAIT));
    }

    /// As a press would, or for one browser that proved itself; a grant that stands is nobody's to take over.
    pub(super) fn unlocked(&mut self, browser: Option<u64>, now: Now) {
        self.tick(now.mono);
        match (browser, self.unlock) {
            (None, _) => {
                self.grants(now);
            }
            (Some(_), Unlock::Granted { .. }) => {}
            (Some(browser), _) => {
                self.unlock = Unlock::Waiting { browser };
                self.grants(now);
            }
        }
    }

    /// Whether the press was used up by an unlock.
    fn grants(&mut self, now: Now) -> bool {
        self.tick(now.mono);
        match self.unlock {
            Unlock::Waiting { browser } => {
                self.unlock = Unlock::Granted { browser };
                self.until = Some(now.mono.saturating_add(GRANT));
                let grant_ns = i64::try_from(GRANT.as_nanos()).unwrap_or(i64::MAX);
                self.until_wall_ns = now.wall_ns.saturating_add(grant_ns);
                true
            }
            Unlock::Contested => {
                self.unlock = Unlock::Locked;
                self.until = None;
                true
            }
            Unlock::Locked | Unlock::Granted { .. } => false,
        }
    }

    pub(super) fn tick(&mut self, now: Duration) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            self.unlock = Unlock::Locked;
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.until
    }

    pub(super) fn unlock(&self) -> Unlock {
        self.unlock
    }

    /// Seconds since the Unix epoch.
    pub(super) fn unlocked_until(&self) -> Option<i64> {
        matches!(self.unlock, Unlock::Granted { .. }).then_some(self.until_wall_ns.div_euclid(1_000_000_000))
    }
}

impl State {
    pub(super) fn button(&mut self, gesture: Gesture, now: Now, actions: &mut Vec<Action>) {
        match gesture {
            Gesture::Press => self.press(now, actions),
            Gesture::Reboot => self.stop(Finally::Reboot, now.mono, actions),
            Gesture::FactoryReset => self.stop(Finally::FactoryReset, now.mono, actions),
        }
    }

    fn press(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.presses.grants(now) || self.stopping.is_some() {
            return;
        }
        let again = self
            .presses
            .last
            .is_some_and(|last| now.mono.saturating_sub(last) <= AGAIN);
        self.presses.last = Some(now.mono);
        for service in &mut self.services {
            if again || !service.is_healthy() {
                actions.extend(service.restart(now.mono));
            }
        }
    }
}
