//! The thread that watches the button: edges go through the pure classifier; what comes out goes two ways. A gesture
//! becomes an event. What a held button would do now goes straight to the lights, which must answer a finger even while
//! the supervisor is busy.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use board_configs::{Button, ButtonDriver};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;

use super::gpio::GpioButton;
use super::simulated::SimulatedButton;
use super::{Error, RETRY};
use crate::button::{Classifier, Edge, Held};
use crate::event::{Event, Gesture, Part, Sender};

/// What the lights need to know of the button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hand {
    pub held: Option<Held>,
    /// Presses since the start; each one makes the lights blink the address.
    pub presses: u64,
}

/// How often an idle watcher looks whether the daemon still runs.
const IDLE: Duration = Duration::from_secs(2);

/// Watches the button on a thread of its own until the events' receiver is gone. A simulated button lives in `dir`.
pub fn watch_button(button: &Button, dir: &Path, events: Sender) -> std::io::Result<watch::Receiver<Hand>> {
    let (hand, seen) = watch::channel(Hand::default());
    let watcher = Watcher {
        button: button.clone(),
        fifo: dir.join("button"),
        events,
        hand,
        lost: 0,
    };
    thread::Builder::new()
        .name("button".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || watcher.run())?;
    Ok(seen)
}

enum Source {
    Gpio(GpioButton),
    Simulated(SimulatedButton),
}

struct Watcher {
    button: Button,
    fifo: PathBuf,
    events: Sender,
    hand: watch::Sender<Hand>,
    /// Gestures that a full channel swallowed.
    lost: u64,
}

impl Watcher {
    fn run(mut self) {
        while !self.events.is_closed() {
            let trouble = match self.open() {
                Ok(source) => {
                    self.report(None);
                    self.watch(source).err()
                }
                Err(error) => Some(error),
            };
            let Some(error) = trouble else { return };
            tracing::warn!(%error, "button not usable");
            self.report(Some(format!("The button: {error}")));
            thread::sleep(RETRY);
        }
    }

    fn open(&self) -> Result<Source, Error> {
        Ok(match &self.button.driver {
            ButtonDriver::Simulated => Source::Simulated(SimulatedButton::create(&self.fifo)?),
            ButtonDriver::Gpiocdev(line) => Source::Gpio(GpioButton::request(line, self.button.debounce)?),
        })
    }

    /// Returns without an error only when the daemon ends.
    fn watch(&mut self, mut source: Source) -> Result<(), Error> {
        let mut classifier = Classifier::default();
        while !self.events.is_closed() {
            let now = monotonic();
            let wait = classifier
                .next_change(now)
                .map_or(IDLE, |change| change.saturating_sub(now).min(IDLE));
            let edge = match &mut source {
                // A millisecond more, so that the threshold has really passed.
                Source::Gpio(button) => button.next_edge(wait + Duration::from_millis(1))?,
                Source::Simulated(button) => button.next_edge(wait + Duration::from_millis(1), monotonic)?,
            };
            if let Some(gesture) = edge.and_then(|edge: Edge| classifier.edge(edge)) {
                self.gesture(gesture);
            }
            let held = classifier.held(monotonic());
            self.hand
                .send_if_modified(|hand| std::mem::replace(&mut hand.held, held) != held);
        }
        Ok(())
    }

    fn gesture(&mut self, gesture: Gesture) {
        tracing::info!(?gesture, "button");
        if gesture == Gesture::Press {
            self.hand.send_modify(|hand| hand.presses += 1);
        }
        if let Err(TrySendError::Full(_)) = self.events.try_send(Event::Button(gesture)) {
            self.lost += 1;
            tracing::warn!(?gesture, lost = self.lost, "supervisor too busy for the button");
        }
    }

    fn report(&self, trouble: Option<String>) {
        // From a thread: may wait until there is room, and ends with the receiver.
        let _ = self.events.blocking_send(Event::Missing {
            part: Part::Button,
            trouble,
        });
    }
}

/// The clock that the kernel stamps GPIO edges with.
fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(Duration::from)
        .unwrap_or_default()
}
