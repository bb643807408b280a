//! The light as somebody across the room sees it: the built program and the file that stands for its LED.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Files, Program, wait_until};

/// Within this time a light has left `ok` when the daemon is dead or hangs.
const SOON: Duration = Duration::from_secs(5);

struct Room {
    program: Program,
    led: PathBuf,
    _files: Files,
}

/// A box that does its job, its light winking.
fn working_box() -> Room {
    let files = Files::new("").service("mailserver", "exec sleep 1000", "essential = true");
    let program = Program::start(&files);
    let room = Room {
        program,
        led: files.path("state/simulated/leds/status"),
        _files: files,
    };
    // `ok` is lit far longer than dark; `starting` is not.
    wait_until("a light that is lit and winks", || {
        let (lit, dark, changes) = room.watch(Duration::from_secs(4));
        changes >= 2 && dark > 0 && lit > 5 * dark
    });
    room
}

impl Room {
    fn lit(&self) -> bool {
        std::fs::read_to_string(&self.led).is_ok_and(|level| level.starts_with('1'))
    }

    /// How often it was seen lit and dark, and how often that changed.
    fn watch(&self, time: Duration) -> (u32, u32, u32) {
        let begun = Instant::now();
        let (mut lit, mut dark, mut changes) = (0, 0, 0);
        let mut before = self.lit();
        while begun.elapsed() < time {
            let now = self.lit();
            if now {
                lit += 1
            } else {
                dark += 1
            }
            changes += u32::from(now != before);
            before = now;
            std::thread::sleep(Duration::from_millis(10));
        }
        (lit, dark, changes)
    }
}

#[test]
fn a_stopped_daemons_light_does_not_look_like_ok() {
    let room = working_box();
    room.program.signal(Signal::SIGSTOP);
    let (_, _, changes) = room.watch(SOON);
    assert!(changes <= 1, "it still winks");
    room.program.signal(Signal::SIGCONT);
    wait_until("winking again", || room.watch(Duration::from_secs(4)).2 >= 2);
}

#[test]
fn a_killed_daemons_light_does_not_look_like_ok() {
    let room = working_box();
    room.program.signal(Signal::SIGKILL);
    let (_, _, changes) = room.watch(SOON);
    assert!(changes <= 1, "it still winks");
}

#[test]
fn a_daemon_that_ends_leaves_the_light_dark() {
    let mut room = working_box();
    room.program.signal(Signal::SIGTERM);
    room.program.child.wait().unwrap();
    assert!(!room.lit());
}
