//! Whether a reading of the clocks is to be believed: the decision, without a clock.

use std::time::Duration;

use super::Doubt;
use super::evidence::Evidence;
use super::leap::{DAY, DAY_NS, Leap, Standing};
use super::reading::Reading;
use crate::config::ClockSource;

/// How long a clock that leapt has to run evenly before it is believed again.
const SETTLE: Duration = Duration::from_secs(600);

pub(super) struct Judge {
    source: ClockSource,
    pub(super) floor_ns: i64,
    /// Where the time was last known without a leap: the floor at the start, and then what was believed.
    line: Reading,
    /// The last reading that was believed.
    anchor: Option<Reading>,
    last: Option<Reading>,
    leapt_at: Option<Duration>,
    pub(super) evidence: Evidence,
    /// What a person confirmed.
    confirmed: Option<Reading>,
    pub(super) standing: Option<Standing>,
    pub(super) doubt: Option<Doubt>,
    pub(super) leap: Option<Leap>,
}

impl Judge {
    pub(super) fn new(source: ClockSource, floor_ns: i64) -> Judge {
        Judge {
            source,
            floor_ns,
            line: Reading::at(Duration::ZERO, floor_ns),
            anchor: None,
            last: None,
            leapt_at: None,
            evidence: Evidence::NotAsked,
            confirmed: None,
            standing: None,
            doubt: None,
            leap: None,
        }
    }

    pub(super) fn judge(&mut self, mono: Duration, wall_ns: i64, synchronised: bool) -> bool {
        let synchronised = synchronised || self.source == ClockSource::Trusted;
        let reading = Reading {
            mono,
            wall_ns,
            synchronised,
        };
        self.doubt = self.doubt_of(&reading);
        self.leap = None;
        if self.doubt.is_some() {
            return false;
        }
        self.leapt_at = None;
        self.anchor = Some(reading);
        self.leap = self.leap_of(&reading);
        if self.leap.is_none() {
            self.standing = None;
            self.line = reading;
        }
        true
    }

    fn doubt_of(&mut self, reading: &Reading) -> Option<Doubt> {
        let last = self.last.replace(*reading);
        // A person's word is as good: a router may let no time server through.
        if !reading.synchronised && !self.is_confirmed(reading) {
            return Some(Doubt::NotSynchronised);
        }
        if reading.wall_ns < self.floor_ns {
            let known_ns = self.floor_ns;
            return Some(Doubt::Past { known_ns });
        }
        let proved = self.is_proved(reading);
        let newly_synchronised = last.is_some_and(|last| !last.synchronised);
        let undone = self.line.leads_to(reading);
        let even = self.anchor.is_none_or(|anchor| anchor.leads_to(reading));
        let at_once = proved || newly_synchronised || undone || even;
        if !at_once && !self.has_settled(last, reading) {
            return Some(Doubt::Leapt);
        }
        if self.is_ahead(reading) && !proved && self.source == ClockSource::Synchronised {
            return Some(Doubt::Alone {
                known_ns: self.line.wall_ns,
                answers: match self.evidence {
                    Evidence::Short { answers } => Some(answers),
                    Evidence::NotAsked | Evidence::Agreed(_) => None,
                },
            });
        }
        None
    }

    fn is_confirmed(&self, reading: &Reading) -> bool {
        self.confirmed.is_some_and(|said| said.leads_to(reading))
    }

    fn is_proved(&self, reading: &Reading) -> bool {
        let agreed = match self.evidence {
            Evidence::Agreed(said) => Some(said),
            Evidence::NotAsked | Evidence::Short { .. } => None,
        };
        agreed.is_some_and(|said| said.leads_to(reading)) || self.is_confirmed(reading)
    }

    fn has_settled(&mut self, last: Option<Reading>, reading: &Reading) -> bool {
        let since = *self.leapt_at.get_or_insert(reading.mono);
        if !last.is_none_or(|last| last.leads_to(reading)) {
            self.leapt_at = Some(reading.mono);
            return false;
        }
        reading.mono.saturating_sub(since) >= SETTLE
    }

    fn is_ahead(&self, reading: &Reading) -> bool {
        reading.wall_ns > self.line.expected_at(reading.mono).saturating_add(DAY_NS)
    }

    /// The leap that a believed reading stands on. One that has stood long enough is the time.
    fn leap_of(&mut self, reading: &Reading) -> Option<Leap> {
        if !self.is_ahead(reading) {
            return None;
        }
        let standing = Standing::with(self.standing, reading);
        self.standing = Some(standing);
        (standing.stood < DAY).then(|| Leap {
            old_ns: self.line.expected_at(reading.mono),
            since_ns: self.line.wall_ns.saturating_add(DAY_NS),
            stood: standing.stood,
        })
    }

    /// The floor is never below `lowest_ns`.
    pub(super) fn confirm(&mut self, reading: Reading, lowest_ns: i64) {
        self.floor_ns = self.floor_ns.min(reading.wall_ns).max(lowest_ns);
        if self.line.expected_at(reading.mono) > reading.wall_ns {
            self.line = reading;
        }
        self.confirmed = Some(reading);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::NS_PER_SEC;

    const YEARS_10: i64 = 10 * 365 * 86_400 * NS_PER_SEC;
    const TODAY: i64 = 1_800_000_000 * NS_PER_SEC;

    /// Reads the clock every second: `(seconds, leap applied before them, synchronised, trusted at their end)`.
    fn run(source: ClockSource, floor_ns: i64, script: &[(u64, i64, bool, bool)]) {
        let mut judge = Judge::new(source, floor_ns);
        let (mut mono, mut wall_ns) = (Duration::ZERO, TODAY);
        for (row, (secs, leap_ns, synchronised, wanted)) in script.iter().enumerate() {
            wall_ns += leap_ns;
            let mut trusted = false;
            for _ in 0..*secs {
                trusted = judge.judge(mono, wall_ns, *synchronised);
                mono += Duration::from_secs(1);
                wall_ns += NS_PER_SEC;
            }
            assert_eq!(trusted, *wanted, "row {row} of {script:?}");
        }
    }

    #[test]
    fn trust() {
        use ClockSource::{Synchronised, Trusted};
        let hours = |hours: i64| hours * 3_600 * NS_PER_SEC;
        let floor = TODAY - hours(20);
        run(
            Synchronised,
            floor,
            &[(5, 0, false, false), (1, 0, true, true), (5, 0, false, false)],
        );
        // A leap that comes with synchronisation is believed at once, up to a day.
        run(Synchronised, floor, &[(5, 0, false, false), (1, hours(3), true, true)]);
        run(
            Synchronised,
            floor,
            &[(5, 0, false, false), (999, hours(5), true, false)],
        );
        // One that comes later is not, in either direction, until it is undone or has settled.
        for leap in [hours(10), -hours(10)] {
            run(
                Synchronised,
                floor,
                &[(5, 0, true, true), (300, leap, true, false), (1, -leap, true, true)],
            );
            run(
                Synchronised,
                floor,
                &[(5, 0, true, true), (300, leap, true, false), (400, 0, true, true)],
            );
        }
        for leap in [YEARS_10, -YEARS_10] {
            run(
                Trusted,
                0,
                &[(5, 0, false, true), (590, leap, false, false), (20, 0, false, true)],
            );
            run(
                Trusted,
                0,
                &[
                    (5, 0, false, true),
                    (590, leap, false, false),
                    (20, leap / 2, false, false),
                ],
            );
        }
        // Slewing and small corrections are no leaps.
        run(Trusted, 0, &[(5, 0, false, true), (1, 2 * NS_PER_SEC, false, true)]);
        // Before the floor nothing is believed, however synchronised.
        run(
            Trusted,
            TODAY + 100 * NS_PER_SEC,
            &[(99, 0, true, false), (10, 0, true, true)],
        );
        run(
            Synchronised,
            TODAY + 100 * NS_PER_SEC,
            &[(99, 0, true, false), (10, 0, true, true)],
        );
    }

    /// Days that pass one way or the other; a clock reads every ten seconds.
    struct Days {
        judge: Judge,
        mono: Duration,
        wall_ns: i64,
    }

    impl Days {
        fn of(source: ClockSource, floor_ns: i64) -> Days {
            Days {
                judge: Judge::new(source, floor_ns),
                mono: Duration::ZERO,
                wall_ns: TODAY,
            }
        }

        fn pass(&mut self, hours: u64) -> Option<Doubt> {
            for _ in 0..hours * 360 {
                self.mono += Duration::from_secs(10);
                self.wall_ns += 10 * NS_PER_SEC;
                self.judge.judge(self.mono, self.wall_ns, true);
            }
            self.judge.doubt
        }

        /// As if the box were off for a moment.
        fn restart(&mut self) {
            let mut next = Judge::new(self.judge.source, self.judge.floor_ns);
            next.standing = self
                .judge
                .standing
                .and_then(|standing| Standing::of_text(&standing.to_text()));
            self.judge = next;
            self.mono = Duration::ZERO;
        }
    }

    #[test]
    fn a_leap_of_years_counts_for_nothing_until_it_has_stood_for_a_day() {
        let mut days = Days::of(ClockSource::Trusted, TODAY - 3_600 * NS_PER_SEC);
        assert_eq!((days.pass(1), days.judge.leap), (None, None), "an hour is no leap");
        days.wall_ns += YEARS_10;
        assert_eq!(days.pass(1), None, "settled");
        let leap = days.judge.leap.expect("a leap");
        assert!(
            leap.old_ns < days.wall_ns - YEARS_10 + 60 * NS_PER_SEC,
            "the old time goes on: {leap:?}"
        );
        assert!(leap.since_ns < TODAY + 2 * DAY_NS, "{leap:?}");
        // Twenty hours, a restart and another three are not a day; four are.
        assert_eq!((days.pass(19), days.judge.leap.is_some()), (None, true));
        days.restart();
        assert_eq!((days.pass(3), days.judge.leap.is_some()), (None, true));
        assert_eq!((days.pass(2), days.judge.leap), (None, None));
        // And back: at once, for it never was a floor, or after it was one as any leap back.
        let mut days = Days::of(ClockSource::Trusted, TODAY);
        days.wall_ns += YEARS_10;
        assert_eq!((days.pass(5), days.judge.leap.is_some()), (None, true));
        days.restart();
        days.wall_ns -= YEARS_10;
        assert_eq!((days.pass(1), days.judge.leap, days.judge.standing), (None, None, None));
    }

    #[test]
    fn one_answer_is_no_evidence_for_a_leap_of_years() {
        let mut days = Days::of(ClockSource::Synchronised, TODAY - 3_600 * NS_PER_SEC);
        days.wall_ns += YEARS_10;
        let alone = |doubt: Option<Doubt>| matches!(doubt, Some(Doubt::Alone { .. }));
        assert!(alone(days.pass(48)), "however long it lasts");
        assert_eq!(days.judge.standing, None);
        // Servers that agree on something else are none for this.
        days.judge.evidence = Evidence::Agreed(Reading::at(days.mono, days.wall_ns - YEARS_10));
        assert!(alone(days.pass(1)));
        days.judge.evidence = Evidence::Agreed(Reading::at(days.mono, days.wall_ns));
        assert_eq!((days.pass(1), days.judge.leap.is_some()), (None, true));
        // While it runs, too.
        let mut days = Days::of(ClockSource::Synchronised, TODAY);
        assert_eq!(days.pass(30), None, "a day that passes is no leap");
        days.wall_ns += 2 * DAY_NS;
        days.pass(1);
        assert!(alone(days.pass(1)), "{:?}", days.judge.doubt);
        days.wall_ns -= 2 * DAY_NS;
        assert_eq!((days.pass(1), days.judge.leap), (None, None));
    }

    #[test]
    fn a_person_lowers_a_floor_that_is_wrong() {
        let mut days = Days::of(ClockSource::Synchronised, TODAY + 2 * YEARS_10);
        let wrong = TODAY + 2 * YEARS_10;
        assert_eq!(days.pass(1), Some(Doubt::Past { known_ns: wrong }));
        days.judge.confirm(Reading::at(days.mono, days.wall_ns), 0);
        assert_eq!((days.pass(1), days.judge.leap), (None, None));
        assert!(days.judge.floor_ns <= days.wall_ns);
        // And says that a leap is right, which nothing is forgotten for all the same.
        let mut days = Days::of(ClockSource::Synchronised, TODAY - YEARS_10);
        assert!(matches!(days.pass(1), Some(Doubt::Alone { .. })));
        days.judge.confirm(Reading::at(days.mono, days.wall_ns), 0);
        assert_eq!((days.pass(1), days.judge.leap.is_some()), (None, true));
        assert_eq!((days.pass(24), days.judge.leap), (None, None));
    }
}
