//! Browsers that request access, one after the other. Pure: no clock, no chance of its own.
//!
//! Each asker has a number, which its page shows and, while it is its turn, the light blinks. A press of the button
//! confirms that number and gives access to that one browser. Others on the network may ask, too, as often as they
//! like; so an address has one question at a time and a quiet minute after it, a turn ends after a minute, and those
//! that wait are served in the order in which they came. Nobody displaces anybody.
//!
//! An address is a whole one, also of IPv6: all hosts of a home share one /64. A host may therefore have many, and
//! those of one /64 have a part of the queue only: hosts that ask over IPv4 find room beside them.

use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pattern::Pattern;
use crate::program::Program;
use crate::wording::Wording;

/// How long a browser's number is shown. The longest takes 11 s to blink, so that it is seen five times.
pub(crate) const TURN: Duration = Duration::from_secs(60);
/// An address is quiet so long after its question, whatever became of it.
pub(crate) const REST: Duration = Duration::from_secs(60);
/// Browsers that ask at once: more than the devices of a home whose owners would. The last waits 11 turns.
pub(crate) const MOST_ASKING: usize = 12;
/// Of them, those of one IPv6 /64.
const MOST_OF_A_NETWORK: usize = 4;
/// Addresses that are quiet. By turns that run out there are two at most; by refusals, one for each hold of the button.
const MOST_RESTING: usize = 12;
/// A number has two digits from 1 to this, each of which is counted at a glance.
const HIGHEST_DIGIT: u8 = 5;

/// A browser that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// By what number the page knows it; never shown.
    #[serde(skip)]
    pub browser: u64,
    /// What page and light show, and what a person compares.
    pub number: u8,
    pub address: IpAddr,
    /// What it says that it is, in a few words.
    pub program: Program,
    pub turn: Turn,
}

impl Asker {
    /// A browser that requests access, in a line.
    pub fn in_words(&self, wording: &Wording) -> String {
        let program = self.program.in_words(wording);
        let values: [(&str, &dyn Display); 3] = [
            ("number", &self.number),
            ("program", &program),
            ("address", &self.address),
        ];
        wording.change.asker.fill(&values)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Others are before it.
    #[default]
    Waiting,
    /// The light blinks its number, but not once whole yet: nobody can have counted it, and a press lets nobody in.
    Showing,
    /// A press lets it in.
    Ready,
}

/// An address that asked a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    pub address: IpAddr,
    pub left: Duration,
}

/// Why an address may not ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A browser has access.
    Taken,
    /// Another browser at the same address asks already.
    Another,
    /// It asked a moment ago.
    Resting { left: Duration },
    /// Too many ask.
    Full,
}

impl Refusal {
    pub fn in_words(self, wording: &Wording) -> String {
        let words = &wording.change;
        match self {
            Self::Taken => words.taken.to_owned(),
            Self::Another => words.another.to_owned(),
            Self::Full => words.full.to_owned(),
            Self::Resting { left } => words.resting.fill(left.as_secs().max(1), &[]),
        }
    }
}

/// Why this address may not ask beside these, if it may not.
pub(crate) fn refusal(
    asking: &[Asker],
    mut resting: impl Iterator<Item = Resting>,
    address: IpAddr,
) -> Option<Refusal> {
    if asking.iter().any(|asker| asker.address == address) {
        return Some(Refusal::Another);
    }
    if let Some(Resting { left, .. }) = resting.find(|resting| resting.address == address) {
        return Some(Refusal::Resting { left });
    }
    let neighbours = asking.iter().filter(|asker| same_network(asker.address, address));
    if asking.len() >= MOST_ASKING || neighbours.count() >= MOST_OF_A_NETWORK {
        return Some(Refusal::Full);
    }
    None
}

fn same_network(one: IpAddr, other: IpAddr) -> bool {
    let network = |address: Ipv6Addr| address.to_bits() >> 64;
    match (one, other) {
        (IpAddr::V6(one), IpAddr::V6(other)) => network(one) == network(other),
        _ => false,
    }
}

#[derive(Clone, Debug)]
struct Quiet {
    address: IpAddr,
    /// Nobody else gets it yet: a late press must not give access to another.
    number: u8,
    until: Duration,
}

/// Those that ask, in order; the first one's number is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    asking: Vec<Asker>,
    /// Since when it is the first one's turn.
    since: Duration,
    /// Its number has been blinked once, as far as the clock was looked at.
    shown: bool,
    quiet: Vec<Quiet>,
}

impl Queue {
    /// `chance` picks the number. A browser that asks already keeps its place.
    pub(crate) fn ask(
        &mut self,
        browser: u64,
        address: IpAddr,
        program: Program,
        chance: impl FnOnce(u64) -> u64,
        now: Duration,
    ) -> Result<(), Refusal> {
        if self.asking.iter().any(|asker| asker.browser == browser) {
            return Ok(());
        }
        let address = address.to_canonical();
        if let Some(refusal) = refusal(&self.asking, self.resting(now), address) {
            return Err(refusal);
        }
        let free: Vec<u8> = numbers().filter(|number| self.is_free(*number)).collect();
        let pick = usize::try_from(chance(free.len() as u64)).unwrap_or_default();
        let number = *free.get(pick).or(free.first()).ok_or(Refusal::Full)?;
        if self.asking.is_empty() {
            self.begin(now);
        }
        self.asking.push(Asker {
            browser,
            number,
            address,
            program,
            turn: Turn::Waiting,
        });
        Ok(())
    }

    fn begin(&mut self, now: Duration) {
        self.since = now;
        self.shown = false;
    }

    fn is_free(&self, number: u8) -> bool {
        let asking = self.asking.iter().any(|asker| asker.number == number);
        !asking && !self.quiet.iter().any(|quiet| quiet.number == number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.asking.is_empty()
    }

    /// The browser that a press gives access to: its number has been blinked once.
    pub(crate) fn ready(&self, now: Duration) -> Option<u64> {
        let first = self.asking.first()?;
        (now >= self.ready_at(first.number)).then_some(first.browser)
    }

    fn ready_at(&self, number: u8) -> Duration {
        self.since.saturating_add(blinked_once(number))
    }

    /// Ends a turn that is over; true when one was. The next one's begins now, for nobody saw it earlier.
    pub(crate) fn tick(&mut self, now: Duration) -> bool {
        self.quiet.retain(|quiet| quiet.until > now);
        self.shown = self.ready(now).is_some();
        let over = self.asking.first().map(|first| first.browser);
        match over {
            Some(browser) if now >= self.since.saturating_add(TURN) => {
                self.end(browser, now);
                true
            }
            _ => false,
        }
    }

    /// This browser's question is answered, or nobody answered it.
    pub(crate) fn end(&mut self, browser: u64, now: Duration) {
        let Some(at) = self.asking.iter().position(|asker| asker.browser == browser) else {
            return;
        };
        let asker = self.asking.remove(at);
        if at == 0 {
            self.begin(now);
        }
        if self.quiet.len() >= MOST_RESTING {
            self.quiet.remove(0);
        }
        self.quiet.push(Quiet {
            address: asker.address,
            number: asker.number,
            until: now.saturating_add(REST),
        });
    }

    /// Nobody asks any more: somebody has access.
    pub(crate) fn clear(&mut self) {
        self.asking.clear();
    }

    /// When something changes without anybody's doing.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let first = self.asking.first()?;
        Some(if self.shown {
            self.since.saturating_add(TURN)
        } else {
            self.ready_at(first.number)
        })
    }

    pub(crate) fn asking(&self, now: Duration) -> Vec<Asker> {
        let mut asking = self.asking.clone();
        let ready = self.ready(now).is_some();
        if let Some(first) = asking.first_mut() {
            first.turn = if ready { Turn::Ready } else { Turn::Showing };
        }
        asking
    }

    pub(crate) fn resting(&self, now: Duration) -> impl Iterator<Item = Resting> {
        self.quiet
            .iter()
            .filter(move |quiet| quiet.until > now)
            .map(move |quiet| Resting {
                address: quiet.address,
                left: quiet.until.saturating_sub(now),
            })
    }
}

/// All numbers, by which an asker can be told: 11 to 55.
fn numbers() -> impl Iterator<Item = u8> {
    (1..=HIGHEST_DIGIT).flat_map(|tens| (1..=HIGHEST_DIGIT).map(move |ones| tens * 10 + ones))
}

/// From the first flash to the end of the last one that belongs to the number.
fn blinked_once(number: u8) -> Duration {
    let steps = Pattern::Asking(number).steps();
    let last = steps.iter().rposition(|step| step.lit).unwrap_or_default();
    let ms: u32 = steps.iter().take(last + 1).map(|step| step.ms).sum();
    Duration::from_millis(u64::from(ms))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, last])
    }

    fn v6(network: u16, host: u16) -> IpAddr {
        IpAddr::from([0xfd00, 0, 0, network, 0, 0, 0, host])
    }

    fn ask(queue: &mut Queue, browser: u64, address: IpAddr, now: Duration) -> Result<(), Refusal> {
        queue.ask(browser, address, Program::default(), |bound| browser % bound, now)
    }

    #[test]
    fn one_question_for_an_address_and_a_minute_of_quiet_after_it() {
        let mut queue = Queue::default();
        assert_eq!(ask(&mut queue, 1, v4(1), secs(0)), Ok(()));
        assert_eq!(ask(&mut queue, 1, v4(1), secs(1)), Ok(()), "the same browser");
        assert_eq!(ask(&mut queue, 2, v4(1), secs(1)), Err(Refusal::Another));
        let mapped = "::ffff:192.168.1.1".parse().unwrap();
        assert_eq!(ask(&mut queue, 2, mapped, secs(1)), Err(Refusal::Another));
        assert_eq!(queue.asking(secs(1)).len(), 1);
        assert!(!queue.tick(secs(59)));
        assert!(queue.tick(secs(60)));
        assert!(queue.is_empty());
        for (at, left) in [(60, 60), (119, 1)] {
            let resting = Refusal::Resting { left: secs(left) };
            assert_eq!(ask(&mut queue, 3, v4(1), secs(at)), Err(resting));
        }
        assert_eq!(ask(&mut queue, 3, v4(1), secs(120)), Ok(()));
    }

    #[test]
    fn turns_follow_each_other_in_order() {
        let mut queue = Queue::default();
        for browser in 1..=3 {
            ask(&mut queue, browser, v4(browser as u8), secs(browser)).unwrap();
        }
        let first = queue.asking(secs(3));
        assert_eq!(
            first
                .iter()
                .map(|asker| (asker.browser, asker.turn))
                .collect::<Vec<_>>(),
            [(1, Turn::Showing), (2, Turn::Waiting), (3, Turn::Waiting)]
        );
        assert_eq!(queue.ready(secs(3)), None);
        assert_eq!(queue.ready(secs(12)), Some(1));
        assert_eq!(queue.asking(secs(12))[0].turn, Turn::Ready);
        // A box that slept does not skip those that nobody could see.
        assert!(queue.tick(secs(1000)));
        assert!(!queue.tick(secs(1000)));
        assert_eq!(queue.ready(secs(1000)), None);
        assert_eq!(queue.ready(secs(1012)), Some(2));
        queue.end(2, secs(1012));
        assert_eq!((queue.ready(secs(1012)), queue.ready(secs(1024))), (None, Some(3)));
        queue.end(99, secs(1024));
        assert_eq!(queue.ready(secs(1024)), Some(3));
    }

    #[test]
    fn the_queue_is_bounded_and_no_network_has_all_of_it() {
        let mut queue = Queue::default();
        for host in 0..4 {
            assert_eq!(ask(&mut queue, u64::from(host), v6(1, host), secs(0)), Ok(()));
        }
        assert_eq!(ask(&mut queue, 90, v6(1, 90), secs(0)), Err(Refusal::Full));
        assert_eq!(ask(&mut queue, 91, v6(2, 1), secs(0)), Ok(()));
        for last in 0..7 {
            assert_eq!(ask(&mut queue, 100 + u64::from(last), v4(last), secs(0)), Ok(()));
        }
        assert_eq!(ask(&mut queue, 92, v4(99), secs(0)), Err(Refusal::Full));
        assert_eq!(queue.asking(secs(0)).len(), MOST_ASKING);
        // The longest that many wait: numbers stay different, and everybody has had a turn.
        let mut shown = BTreeSet::new();
        for turn in 1..=MOST_ASKING as u64 {
            let asking = queue.asking(secs(60 * turn - 1));
            let numbers: BTreeSet<u8> = asking.iter().map(|asker| asker.number).collect();
            assert_eq!(numbers.len(), asking.len());
            shown.insert(asking[0].browser);
            queue.tick(secs(60 * turn));
        }
        assert_eq!(shown.len(), MOST_ASKING);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_number_rests_with_its_address() {
        let mut queue = Queue::default();
        // Refused as fast as can be, more often than addresses are remembered.
        let mut at = secs(0);
        for browser in 0..40 {
            ask(&mut queue, browser, v4(browser as u8), at).unwrap();
            let number = queue.asking(at)[0].number;
            assert!(!queue.quiet.iter().any(|quiet| quiet.number == number));
            queue.end(browser, at);
            at += secs(1);
        }
        assert!(queue.quiet.len() <= MOST_RESTING);
        assert!(
            numbers().count() > MOST_ASKING + MOST_RESTING,
            "there is a number for everybody"
        );
    }

    #[test]
    fn each_number_is_seen_five_times_in_a_turn() {
        for number in numbers() {
            let round = Duration::from_millis(u64::from(Pattern::Asking(number).round_ms()));
            assert!(round * 5 <= TURN, "{number}");
            assert!(
                blinked_once(number) < round && blinked_once(number) >= secs(4),
                "{number}"
            );
        }
    }
}
