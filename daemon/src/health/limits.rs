//! Where a measured value stops being fine.

use crate::snapshot::{Finding, Level, MemoryStatus};

/// The Raspberry Pi's processors slow down at 80 °C (raspberrypi.com/documentation, "Frequency management and thermal
/// control"); the other boards' trip points are within 5 °C of it.
const HOT_C: f32 = 80.0;
const WARM_C: f32 = 75.0;
/// Below this share of memory available the kernel starts to reclaim the programs' own pages.
const MEMORY_LOW_PERCENT: u64 = 10;
const MEMORY_OUT_PERCENT: u64 = 4;

pub fn temperature(celsius: f32) -> Finding {
    let level = match celsius {
        hot if hot >= HOT_C => Level::Bad,
        warm if warm >= WARM_C => Level::Warn,
        _ => Level::Ok,
    };
    Finding {
        level,
        detail: format!("{celsius:.0} °C"),
    }
}

pub fn memory(memory: MemoryStatus) -> Finding {
    let percent = memory.available_bytes.saturating_mul(100) / memory.total_bytes.max(1);
    let level = match percent {
        out if out < MEMORY_OUT_PERCENT => Level::Bad,
        low if low < MEMORY_LOW_PERCENT => Level::Warn,
        _ => Level::Ok,
    };
    Finding {
        level,
        detail: format!("{} MiB available", memory.available_bytes / (1024 * 1024)),
    }
}

/// A high load alone is no fault: shown, never more.
pub fn load(load: [f64; 3]) -> Finding {
    Finding {
        level: Level::Ok,
        detail: format!("{:.2} {:.2} {:.2}", load[0], load[1], load[2]),
    }
}
