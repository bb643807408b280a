//! What a press of the button means. While a browser asks to be let in ([`crate::asking`]), it lets in the browser whose
//! number the light blinks, and does nothing else; while none asks, it restarts what is unhealthy, and everything when
//! it comes again within 30 s. It never serves two purposes: before a number has been blinked once, and for a moment
//! after a question has ended, a press does nothing at all, for it was meant for something else than it would do.

use std::net::IpAddr;
use std::time::Duration;

use super::State;
use super::backoff::Random;
use crate::asking::{Asker, Queue};
use crate::clock::Now;
use crate::event::{Action, Ending, Gesture};
use crate::program::Program;
use crate::snapshot::Unlock;

/// A second press within this time restarts everything.
const AGAIN: Duration = Duration::from_secs(30);
/// How long actions stay unlocked.
const GRANT: Duration = Duration::from_secs(5 * 60);
/// A finger that is on its way when a question ends still arrives: longer than a person takes to think better of it.
const LINGER: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Default)]
pub(super) struct Presses {
    last: Option<Duration>,
    queue: Queue,
    grant: Option<Grant>,
    /// Until when a press is for a question that has ended.
    lingers_until: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Grant {
    browser: u64,
    until: Duration,
    /// The end in nanoseconds since the Unix epoch, for people.
    until_wall_ns: i64,
}

impl Presses {
    /// A browser asks. What cannot be is dropped; the page reads the snapshot and says why.
    pub(super) fn asked(&mut self, browser: u64, address: IpAddr, program: Program, random: &mut Random, now: Now) {
        self.tick(now.mono);
        // Nobody takes over a grant.
        if self.grant.is_none() {
            let chance = |bound| random.below(bound);
            let _refused = self.queue.ask(browser, address, program, chance, now.mono);
        }
    }

    /// A browser proved itself in another way than by a press; a grant that stands is nobody's to take over.
    pub(super) fn unlocked(&mut self, browser: u64, now: Now) {
        self.tick(now.mono);
        if self.grant.is_none() {
            self.grants(browser, now);
        }
    }

    fn grants(&mut self, browser: u64, now: Now) {
        self.queue.end(browser, now.mono);
        // Who still waits hears that another was let in, and may ask again after it.
        self.queue.clear();
        self.lingers_until = Some(now.mono.saturating_add(LINGER));
        let grant_ns = i64::try_from(GRANT.as_nanos()).unwrap_or(i64::MAX);
        self.grant = Some(Grant {
            browser,
            until: now.mono.saturating_add(GRANT),
            until_wall_ns: now.wall_ns.saturating_add(grant_ns),
        });
    }

    /// Whether a press at this time concerns a browser that asks, or asked a moment ago, and nothing else.
    fn is_taken(&self, now: Duration) -> bool {
        !self.queue.is_empty() || self.lingers_until.is_some_and(|until| until > now)
    }

    /// Lets in the browser whose number is shown; true when the press was for a question, answered or not.
    fn pressed(&mut self, now: Now) -> bool {
        self.tick(now.mono);
        let taken = self.is_taken(now.mono);
        if let Some(browser) = self.queue.ready(now.mono) {
            self.grants(browser, now);
        }
        taken
    }

    /// Refuses the browser whose number is shown.
    fn refused(&mut self, now: Now) {
        self.tick(now.mono);
        if let Some(browser) = self.queue.ready(now.mono) {
            self.queue.end(browser, now.mono);
            self.lingers_until = Some(now.mono.saturating_add(LINGER));
        }
    }

    pub(super) fn tick(&mut self, now: Duration) {
        self.grant = self.grant.filter(|grant| grant.until > now);
        self.lingers_until = self.lingers_until.filter(|until| *until > now);
        if self.queue.tick(now) {
            self.lingers_until = Some(now.saturating_add(LINGER));
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let grant = self.grant.map(|grant| grant.until);
        grant
            .into_iter()
            .chain(self.lingers_until)
            .chain(self.queue.deadline())
            .min()
    }

    pub(super) fn asking(&self, now: Duration) -> Vec<Asker> {
        self.queue.asking(now)
    }

    pub(super) fn unlock(&self, now: Duration) -> Unlock {
        Unlock {
            granted: self.grant.map(|grant| grant.browser),
            resting: self.queue.resting(now).collect(),
            takes_press: self.is_taken(now),
        }
    }

    /// Seconds since the Unix epoch.
    pub(super) fn unlocked_until(&self) -> Option<i64> {
        self.grant.map(|grant| grant.until_wall_ns.div_euclid(1_000_000_000))
    }
}

impl State {
    pub(super) fn button(&mut self, gesture: Gesture, now: Now, actions: &mut Vec<Action>) {
        match gesture {
            Gesture::Press => self.press(now, actions),
            Gesture::Refuse => self.presses.refused(now),
            Gesture::Reboot => self.stop(Some(Ending::Reboot), now.mono, actions),
            Gesture::FactoryReset => self.stop(Some(Ending::FactoryReset), now.mono, actions),
        }
    }

    fn press(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.presses.pressed(now) || self.stopping.is_some() {
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
