//! Where a measured value stops being fine, and how far it has to come back to be fine again: a value at the edge must
//! not make a light change its mind every five seconds.

use crate::detail::BoardDetail;
use crate::snapshot::{Finding, Level, MemoryStatus, PowerStatus, SystemStatus};
use std::time::Duration;

/// A value's bounds, the larger the worse.
struct Bounds {
    warn: f64,
    bad: f64,
    /// How far below a bound the value has to come before its level is left.
    back: f64,
}

/// The Raspberry Pi's processors slow down at 80 °C (raspberrypi.com/documentation, "Frequency management and thermal
/// control"); the other boards' trip points are within 5 °C of it.
const CELSIUS: Bounds = Bounds {
    warn: 75.0,
    bad: 80.0,
    back: 5.0,
};
/// With less than a tenth of memory available the kernel starts to reclaim the programs' own pages.
const MEMORY_USED_PERCENT: Bounds = Bounds {
    warn: 90.0,
    bad: 96.0,
    back: 3.0,
};
/// Over five minutes, a core. A high load alone is no fault, so it gets no code and is never more than worth a look.
const LOAD_PER_CORE: Bounds = Bounds {
    warn: 4.0,
    bad: f64::INFINITY,
    back: 1.0,
};
/// A dip of the supply lasts milliseconds and comes back; it is shown for so long after the last one.
const DIP_SHOWN: Duration = Duration::from_secs(60);

fn next(before: Level, value: f64, bounds: &Bounds) -> Level {
    let over = |bound: f64, level: Level| value >= if before >= level { bound - bounds.back } else { bound };
    if over(bounds.bad, Level::Bad) {
        Level::Bad
    } else if over(bounds.warn, Level::Warn) {
        Level::Warn
    } else {
        Level::Ok
    }
}

/// What the samples so far amount to.
#[derive(Clone, Copy, Debug)]
pub struct Levels {
    temperature: Level,
    memory: Level,
    load: Level,
    last_dip: Option<Duration>,
    last_throttled: Option<Duration>,
    now: Duration,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            temperature: Level::Ok,
            memory: Level::Ok,
            load: Level::Ok,
            last_dip: None,
            last_throttled: None,
            now: Duration::ZERO,
        }
    }
}

impl Levels {
    /// Takes a sample; what it does not tell stays as it was.
    pub fn take(&mut self, sample: &SystemStatus, now: Duration) {
        self.now = now;
        if let Some(celsius) = sample.temperature {
            self.temperature = next(self.temperature, f64::from(celsius), &CELSIUS);
        }
        if let Some(memory) = sample.memory {
            self.memory = next(self.memory, used_percent(memory), &MEMORY_USED_PERCENT);
        }
        if let (Some(load), Some(cores)) = (sample.load, sample.cores) {
            self.load = next(self.load, load[1] / f64::from(cores.max(1)), &LOAD_PER_CORE);
        }
        if sample.power.under_voltage == Some(true) {
            self.last_dip = Some(now);
        }
        if sample.power.throttled == Some(true) {
            self.last_throttled = Some(now);
        }
    }

    fn lately(&self, then: Option<Duration>) -> bool {
        then.is_some_and(|then| self.now.saturating_sub(then) < DIP_SHOWN)
    }

    pub fn temperature(&self, celsius: Option<f32>) -> Option<Finding> {
        let slowed = self.lately(self.last_throttled);
        let level = if slowed {
            self.temperature.max(Level::Warn)
        } else {
            self.temperature
        };
        let detail = match (celsius, slowed) {
            (Some(celsius), slowed) => BoardDetail::Temperature { celsius, slowed },
            (None, true) => BoardDetail::Slowed,
            (None, false) => return None,
        };
        Some(Finding {
            level,
            detail: detail.into(),
        })
    }

    pub fn memory(&self, memory: MemoryStatus) -> Finding {
        let detail = BoardDetail::MemoryAvailable {
            available_bytes: memory.available_bytes,
            total_bytes: memory.total_bytes,
        };
        Finding {
            level: self.memory,
            detail: detail.into(),
        }
    }

    pub fn load(&self, load: [f64; 3]) -> Finding {
        Finding {
            level: self.load,
            detail: BoardDetail::Load(load[1]).into(),
        }
    }

    pub fn power(&self, power: PowerStatus) -> Option<Finding> {
        let (level, detail) = match power.under_voltage? {
            true => (Level::Bad, BoardDetail::VoltageLow),
            false if self.lately(self.last_dip) => (Level::Warn, BoardDetail::VoltageWasLow),
            false => (Level::Ok, BoardDetail::VoltageOk),
        };
        Some(Finding {
            level,
            detail: detail.into(),
        })
    }
}

fn used_percent(memory: MemoryStatus) -> f64 {
    100.0 * (1.0 - memory.available_bytes as f64 / memory.total_bytes.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_left_later_than_it_is_reached() {
        use Level::{Bad, Ok, Warn};
        for (before, value, wanted) in [
            (Ok, 74.9, Ok),
            (Ok, 75.0, Warn),
            (Warn, 70.1, Warn),
            (Warn, 69.9, Ok),
            (Warn, 79.9, Warn),
            (Warn, 80.0, Bad),
            (Bad, 75.1, Bad),
            (Bad, 74.9, Warn),
            (Bad, 69.9, Ok),
            (Ok, 99.0, Bad),
        ] {
            assert_eq!(next(before, value, &CELSIUS), wanted, "{value} after {before:?}");
        }
    }

    fn sample(celsius: f32, available_bytes: u64, load: f64) -> SystemStatus {
        SystemStatus {
            load: Some([0.0, load, 0.0]),
            memory: Some(MemoryStatus {
                total_bytes: 1000,
                available_bytes,
            }),
            temperature: Some(celsius),
            cores: Some(4),
            ..SystemStatus::default()
        }
    }

    #[test]
    fn samples_become_levels_and_gaps_change_nothing() {
        let mut levels = Levels::default();
        levels.take(&sample(76.0, 95, 16.0), Duration::ZERO);
        assert_eq!(
            [levels.temperature, levels.memory, levels.load],
            [Level::Warn; 3],
            "{levels:?}"
        );
        levels.take(&SystemStatus::default(), Duration::ZERO);
        assert_eq!([levels.temperature, levels.memory, levels.load], [Level::Warn; 3]);
        levels.take(&sample(72.0, 125, 13.0), Duration::ZERO);
        assert_eq!([levels.temperature, levels.memory, levels.load], [Level::Warn; 3]);
        levels.take(&sample(69.0, 135, 11.0), Duration::ZERO);
        assert_eq!([levels.temperature, levels.memory, levels.load], [Level::Ok; 3]);
        levels.take(&sample(90.0, 10, 4000.0), Duration::ZERO);
        assert_eq!(
            [levels.temperature, levels.memory, levels.load],
            [Level::Bad, Level::Bad, Level::Warn]
        );
    }

    #[test]
    fn a_dip_stays_visible_for_a_minute() {
        let mut levels = Levels::default();
        let mut at = |secs: u64, under_voltage: Option<bool>, throttled: Option<bool>| {
            let power = PowerStatus {
                under_voltage,
                throttled,
            };
            let sample = SystemStatus {
                power,
                ..SystemStatus::default()
            };
            levels.take(&sample, Duration::from_secs(secs));
            let level = |finding: Option<Finding>| finding.map(|finding| finding.level);
            (level(levels.power(power)), level(levels.temperature(None)))
        };
        assert_eq!(
            at(0, None, None),
            (None, None),
            "what the board cannot tell is not told"
        );
        assert_eq!(at(5, Some(false), Some(false)), (Some(Level::Ok), None));
        assert_eq!(at(10, Some(true), Some(true)), (Some(Level::Bad), Some(Level::Warn)));
        assert_eq!(at(69, Some(false), Some(false)), (Some(Level::Warn), Some(Level::Warn)));
        assert_eq!(at(70, Some(false), Some(false)), (Some(Level::Ok), None));
    }
}
