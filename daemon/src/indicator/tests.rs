//! The lights as they are: real threads, real files, real time. Every wait is for a condition with a generous deadline.

use std::time::Instant as StdInstant;

use super::*;
use crate::asking::{Asker, Turn};
use crate::button::Held;
use crate::event::{self, Receiver};
use crate::program::Program;
use crate::snapshot::BoxState;

const DEADLINE: Duration = Duration::from_secs(20);

struct Bench {
    dir: tempfile::TempDir,
    snapshots: watch::Sender<Arc<Snapshot>>,
    hand: watch::Sender<Hand>,
    events: Receiver,
    indicator: Option<Indicator>,
}

fn bench(snapshot: Snapshot) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (snapshots, seen) = watch::channel(Arc::new(snapshot));
    let (hand, felt) = watch::channel(Hand::default());
    let (sender, events) = event::channel();
    let sources = Sources {
        snapshots: seen,
        hand: felt,
        address: || Some(21),
    };
    let board = Board::named("dev").unwrap();
    let indicator = Some(start(&board, dir.path(), sources, sender).unwrap());
    Bench {
        dir,
        snapshots,
        hand,
        events,
        indicator,
    }
}

fn snapshot(state: BoxState, code: Option<u8>) -> Snapshot {
    Snapshot {
        state,
        code,
        ..Snapshot::at_start("dev")
    }
}

impl Bench {
    fn lit(&self) -> bool {
        std::fs::read_to_string(self.dir.path().join("leds/status")).is_ok_and(|text| text.starts_with('1'))
    }

    /// Waits until the lights say that they show `pattern`, telling the present snapshot all the while.
    fn wait_for(&mut self, pattern: Pattern) {
        self.wait(pattern, true);
    }

    fn wait(&mut self, pattern: Pattern, speak: bool) {
        let deadline = StdInstant::now() + DEADLINE;
        loop {
            assert!(StdInstant::now() < deadline, "never showed {pattern}");
            if speak {
                self.snapshots.send_modify(|_| {});
            }
            while let Ok(event) = self.events.try_recv() {
                if let Event::Indicated(patterns) = event
                    && patterns["status"] == pattern
                {
                    return;
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_lit(&self, lit: bool) {
        let deadline = StdInstant::now() + DEADLINE;
        while self.lit() != lit {
            assert!(StdInstant::now() < deadline, "never became lit = {lit}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn lights_follow_the_snapshot_and_go_dark_at_the_end() {
    let mut bench = bench(snapshot(BoxState::Starting, None));
    bench.wait_for(Pattern::Starting);
    bench.wait_lit(true);
    bench.wait_lit(false);
    bench.snapshots.send_replace(Arc::new(snapshot(BoxState::Ok, None)));
    bench.wait_for(Pattern::Ok);
    bench
        .snapshots
        .send_replace(Arc::new(snapshot(BoxState::Failed, Some(3))));
    bench.wait_for(Pattern::Failed(3));
    bench.wait_lit(true);
    bench.indicator.take();
    assert!(!bench.lit());
}

#[test]
fn a_silent_supervisor_takes_ok_away() {
    let mut bench = bench(snapshot(BoxState::Ok, None));
    bench.wait_for(Pattern::Ok);
    bench.wait(Pattern::Silent, false);
    bench.wait_for(Pattern::Ok);
}

#[test]
fn a_supervisor_that_is_gone_takes_ok_away() {
    let mut bench = bench(snapshot(BoxState::Ok, None));
    bench.wait_for(Pattern::Ok);
    let (orphan, _) = watch::channel(Arc::new(snapshot(BoxState::Ok, None)));
    drop(std::mem::replace(&mut bench.snapshots, orphan));
    bench.wait(Pattern::Silent, false);
}

#[test]
fn a_finger_is_answered_while_the_events_channel_is_full() {
    let mut bench = bench(snapshot(BoxState::Ok, None));
    bench.wait_for(Pattern::Ok);
    // Nobody empties the channel: the light must change all the same.
    bench.hand.send_modify(|hand| hand.held = Some(Held::Cancelled));
    bench.wait_lit(false);
    thread::sleep(Duration::from_millis(400));
    assert!(!bench.lit(), "a wink of ok is over by now, so this is the held pattern");
    bench.hand.send_modify(|hand| hand.held = None);
    bench.wait_lit(true);
}

#[test]
fn a_press_blinks_the_address_once() {
    let mut bench = bench(snapshot(BoxState::Ok, None));
    bench.wait_for(Pattern::Ok);
    bench.hand.send_modify(|hand| hand.presses += 1);
    bench.wait_for(Pattern::Address(21));
    bench.wait_for(Pattern::Ok);
}

#[test]
fn a_press_that_a_browser_waits_for_blinks_no_address() {
    let mut waiting = snapshot(BoxState::Ok, None);
    waiting.asking.push(Asker {
        browser: 1,
        number: 21,
        address: [10, 0, 0, 5].into(),
        program: Program::default(),
        turn: Turn::Ready,
    });
    waiting.unlock.takes_press = true;
    let mut bench = bench(waiting);
    bench.wait_for(Pattern::Asking(21));
    bench.hand.send_modify(|hand| hand.presses += 1);
    bench.snapshots.send_replace(Arc::new(snapshot(BoxState::Ok, None)));
    bench.wait_for(Pattern::Ok);
}

#[test]
fn a_lamp_that_cannot_be_had_is_reported_not_fatal() {
    let dir = tempfile::tempdir().unwrap();
    // Where the lamp's directory should be, there is a file.
    std::fs::write(dir.path().join("leds"), "").unwrap();
    let (_snapshots, seen) = watch::channel(Arc::new(snapshot(BoxState::Ok, None)));
    let (_hand, felt) = watch::channel(Hand::default());
    let (sender, mut events) = event::channel();
    let sources = Sources {
        snapshots: seen,
        hand: felt,
        address: || None,
    };
    let _indicator = start(&Board::named("dev").unwrap(), dir.path(), sources, sender).unwrap();
    let deadline = StdInstant::now() + DEADLINE;
    loop {
        assert!(StdInstant::now() < deadline);
        match events.try_recv() {
            Ok(Event::Missing {
                part: Part::Leds,
                trouble: Some(trouble),
            }) => {
                assert!(trouble.contains("status") && trouble.contains("leds"), "{trouble}");
                break;
            }
            _ => thread::sleep(Duration::from_millis(10)),
        }
    }
}

#[test]
fn a_player_keeps_time_and_forgets_a_long_sleep() {
    let start = Instant::now();
    let ms = |ms: u64| start + Duration::from_millis(ms);
    let mut player = Player::new(Pattern::Ok, start);
    for (at, lit) in [
        (0, true),
        (1849, true),
        (1850, false),
        (1999, false),
        (2000, true),
        (5500, true),
        (5900, false),
    ] {
        assert_eq!(player.at(ms(at)), lit, "at {at} ms");
    }
    assert!(player.at(ms(3_600_900)), "begins anew");
    assert_eq!(player.next_edge(), ms(3_600_900 + 1850));
}
