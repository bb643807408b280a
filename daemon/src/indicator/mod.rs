//! The lights: each LED has a thread of its own that plays the pattern which the newest snapshot asks for, so that
//! neither a busy supervisor, nor a reader of the page, nor another LED whose driver hangs can make it stutter.
//!
//! A light says `ok` only on fresh word from the supervisor: after [`SILENCE`] without a snapshot it shows
//! [`Pattern::Silent`]. So the supervisor's loop publishes at least once a second, changed or not.

mod address;
pub mod pattern;
pub mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use board_configs::{Board, LedDriver, Shows};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use crate::pattern::{Pattern, Step};
pub use address::last_number;

use crate::event::{Event, Part, Sender};
use crate::hardware::{Hand, Lamp, RETRY, open_lamp};
use crate::snapshot::Snapshot;

/// After this long without a snapshot the supervisor counts as hung. With a snapshot a second, and two more for a busy
/// machine, a light has left `ok` four seconds after the last word.
pub const SILENCE: Duration = Duration::from_secs(3);

/// What all lights watch.
#[derive(Clone)]
pub struct Sources {
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    pub hand: watch::Receiver<Hand>,
    /// The last number of the box's address, asked when it is to be blinked.
    pub address: fn() -> Option<u8>,
}

/// The running lights. Dropping it darkens them and waits until their threads have ended.
pub struct Indicator {
    stop: Option<watch::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts every LED of the board. Simulated ones live in `dir`.
pub fn start(board: &Board, dir: &Path, sources: Sources, events: Sender) -> std::io::Result<Indicator> {
    let (stop, stopped) = watch::channel(());
    let reporter = Arc::new(Reporter {
        events,
        shared: Mutex::default(),
    });
    let mut indicator = Indicator {
        stop: Some(stop),
        threads: Vec::new(),
    };
    for (name, led) in &board.leds {
        let light = Light {
            name: name.clone(),
            shows: led.shows,
            driver: led.driver.clone(),
            dir: dir.to_owned(),
            reporter: reporter.clone(),
        };
        let (sources, stopped) = (sources.clone(), stopped.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let run = move || runtime.block_on(light.play(sources, stopped));
        let thread = thread::Builder::new()
            .name(format!("led-{name}"))
            .stack_size(256 * 1024)
            .spawn(run)?;
        indicator.threads.push(thread);
    }
    Ok(indicator)
}

impl Drop for Indicator {
    fn drop(&mut self) {
        self.stop.take();
        for thread in self.threads.drain(..) {
            // A light that panicked is dark already.
            let _ = thread.join();
        }
    }
}

/// Collects what the lights show and what troubles them, and tells the supervisor when either changes.
struct Reporter {
    events: Sender,
    shared: Mutex<Report>,
}

#[derive(Default)]
struct Report {
    patterns: BTreeMap<String, Pattern>,
    troubles: BTreeMap<String, String>,
}

impl Reporter {
    /// False when the channel was full: then the light reports again at its next step.
    fn shows(&self, led: &str, pattern: Pattern) -> bool {
        let patterns = {
            let mut report = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            report.patterns.insert(led.to_owned(), pattern);
            report.patterns.clone()
        };
        self.events.try_send(Event::Indicated(patterns)).is_ok()
    }

    fn trouble(&self, led: &str, trouble: Option<String>) -> bool {
        let all = {
            let mut report = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            match trouble {
                Some(text) => report
                    .troubles
                    .insert(led.to_owned(), format!("The LED {led:?}: {text}")),
                None => report.troubles.remove(led),
            };
            report.troubles.values().cloned().collect::<Vec<_>>().join("; ")
        };
        let trouble = (!all.is_empty()).then_some(all);
        self.events
            .try_send(Event::Missing {
                part: Part::Leds,
                trouble,
            })
            .is_ok()
    }
}

struct Light {
    name: String,
    shows: Shows,
    driver: LedDriver,
    dir: PathBuf,
    reporter: Arc<Reporter>,
}

/// The lamp, or when to ask for it again.
enum Socket {
    Fitted(Box<dyn Lamp>),
    Empty { retry_at: Instant, told: Option<String> },
}

impl Light {
    async fn play(self, mut sources: Sources, mut stopped: watch::Receiver<()>) {
        let mut socket = Socket::Empty {
            retry_at: Instant::now(),
            told: None,
        };
        let mut heard_at = Instant::now();
        let mut supervised = true;
        let mut watched = true;
        let mut presses = sources.hand.borrow().presses;
        let mut address: Option<(u8, Instant)> = None;
        let mut player = Player::new(Pattern::Off, heard_at);
        let mut reported = false;
        loop {
            let now = Instant::now();
            address = address.filter(|(_, until)| *until > now);
            let pattern = self.choose(&sources, now >= heard_at + SILENCE, address.map(|(last, _)| last));
            if pattern != player.pattern {
                player = Player::new(pattern, now);
                reported = false;
            }
            let lit = player.at(now);
            socket = self.set(socket, lit, now);
            if !reported {
                reported = self.reporter.shows(&self.name, pattern);
            }
            let mut wake = player.next_edge().min(now + SILENCE);
            if let Some((_, until)) = address {
                wake = wake.min(until);
            }
            if now < heard_at + SILENCE {
                wake = wake.min(heard_at + SILENCE);
            }
            tokio::select! {
                () = sleep_until(wake) => {}
                changed = sources.snapshots.changed(), if supervised => match changed {
                    Ok(()) => heard_at = Instant::now(),
                    Err(_) => supervised = false,
                },
                changed = sources.hand.changed(), if watched => {
                    watched = changed.is_ok();
                    let now_pressed = sources.hand.borrow_and_update().presses;
                    if now_pressed != std::mem::replace(&mut presses, now_pressed) {
                        address = self.address(&sources);
                    }
                },
                _ = stopped.changed() => return,
            }
        }
    }

    /// The finger first, then the address, then what the supervisor said, if it is still there.
    fn choose(&self, sources: &Sources, silent: bool, address: Option<u8>) -> Pattern {
        if self.shows != Shows::Fault {
            if let Some(held) = sources.hand.borrow().held {
                return Pattern::Holding(held);
            }
            // While a browser asks, a press may mean it alone: then nothing but its number is shown.
            if let Some(last) = address.filter(|_| sources.snapshots.borrow().asking.is_empty()) {
                return Pattern::Address(last);
            }
            if silent {
                return Pattern::Silent;
            }
        }
        Pattern::of(&sources.snapshots.borrow(), self.shows)
    }

    /// What to blink for a press, and until when: one round, unless the press is for a browser that asks.
    fn address(&self, sources: &Sources) -> Option<(u8, Instant)> {
        if sources.snapshots.borrow().unlock.takes_press {
            return None;
        }
        let last = (sources.address)()?;
        let round = Duration::from_millis(u64::from(Pattern::Address(last).round_ms()));
        Some((last, Instant::now() + round))
    }

    fn set(&self, socket: Socket, lit: bool, now: Instant) -> Socket {
        let (fitted, told) = match socket {
            Socket::Fitted(lamp) => (Ok(lamp), None),
            Socket::Empty { retry_at, told } if retry_at > now => return Socket::Empty { retry_at, told },
            Socket::Empty { told, .. } => (open_lamp(&self.name, &self.driver, &self.dir), told),
        };
        let outcome = fitted.and_then(|mut lamp| lamp.set(lit).map(|()| lamp));
        match outcome {
            Ok(lamp) => {
                if told.is_some() {
                    tracing::info!(led = self.name, "LED usable again");
                    self.reporter.trouble(&self.name, None);
                }
                Socket::Fitted(lamp)
            }
            Err(error) => {
                let message = error.to_string();
                if told.as_ref() == Some(&message) {
                    return Socket::Empty {
                        retry_at: now + RETRY,
                        told,
                    };
                }
                tracing::warn!(led = self.name, %error, "LED not usable");
                // Unsaid troubles are said at the next try.
                let told = self
                    .reporter
                    .trouble(&self.name, Some(message.clone()))
                    .then_some(message);
                Socket::Empty {
                    retry_at: now + RETRY,
                    told,
                }
            }
        }
    }
}

/// Where a pattern stands.
struct Player {
    pattern: Pattern,
    steps: Vec<Step>,
    current: usize,
    until: Instant,
}

impl Player {
    fn new(pattern: Pattern, now: Instant) -> Player {
        let steps = pattern.steps();
        let until = now + length(steps[0]);
        Player {
            pattern,
            steps,
            current: 0,
            until,
        }
    }

    /// Whether the light is on at `now`. Edges follow each other without drift; a machine that was suspended begins the
    /// round again instead of catching up.
    fn at(&mut self, now: Instant) -> bool {
        if now > self.until + Duration::from_millis(u64::from(self.pattern.round_ms())) {
            *self = Player::new(self.pattern, now);
        }
        while self.until <= now {
            self.current = (self.current + 1) % self.steps.len();
            self.until += length(self.steps[self.current]);
        }
        self.steps[self.current].lit
    }

    fn next_edge(&self) -> Instant {
        self.until
    }
}

fn length(step: Step) -> Duration {
    Duration::from_millis(u64::from(step.ms))
}

#[cfg(test)]
mod tests;
