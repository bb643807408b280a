//! Samples of the machine: load, memory, the disk that holds the state, the processor's temperature, supply and
//! network. What the machine does not tell is `None`. What comes from sysfs and proc is read below a root, `/` but in
//! tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::DiskStage;
use nix::sys::statvfs::{FsFlags, statvfs};
use tokio::time::sleep;

use super::{network, power, watchdog};
use crate::event::{Event, Sender};
use crate::snapshot::{DiskStatus, MemoryStatus, NetworkStatus, SystemStatus};

const EVERY: Duration = Duration::from_secs(5);
const LOAD: &str = "proc/loadavg";
const MEMORY: &str = "proc/meminfo";
const THERMAL: &str = "sys/class/thermal";
/// Types of thermal zones that mean the processor, on the boards and on a PC.
const PROCESSOR_ZONES: [&str; 5] = ["cpu", "soc", "x86_pkg_temp", "package", "bigcore"];

/// Samples for as long as the daemon lives. On threads of their own: a stuck disk must not stop the supervisor.
pub async fn watch(root: PathBuf, state_dir: PathBuf, events: Sender) {
    loop {
        let (root, dir) = (root.clone(), state_dir.clone());
        let taken = tokio::task::spawn_blocking(move || sample(&root, &dir));
        let Ok((system, network)) = taken.await else {
            return;
        };
        if events.send(Event::Sampled(system, network)).await.is_err() {
            return;
        }
        sleep(EVERY).await;
    }
}

fn sample(root: &Path, state_dir: &Path) -> (SystemStatus, NetworkStatus) {
    let read = |file: &str| std::fs::read_to_string(root.join(file)).ok();
    let sample = SystemStatus {
        load: read(LOAD).as_deref().and_then(load),
        memory: read(MEMORY).as_deref().and_then(memory),
        disk: disk(state_dir),
        temperature: temperature(&root.join(THERMAL)),
        cores: std::thread::available_parallelism()
            .ok()
            .and_then(|cores| u32::try_from(cores.get()).ok()),
        power: power::read(root),
        watchdog: watchdog::read(root),
        updating: is_updating(root),
    };
    (sample, network::read(root))
}

/// The averages over one, five and fifteen minutes (proc_loadavg(5)).
pub(crate) fn load(text: &str) -> Option<[f64; 3]> {
    let mut averages = text.split_ascii_whitespace().map(str::parse::<f64>);
    let mut next = || averages.next()?.ok().filter(|average| average.is_finite());
    Some([next()?, next()?, next()?])
}

/// All of it, and what could be had without swapping (proc_meminfo(5)).
pub(crate) fn memory(text: &str) -> Option<MemoryStatus> {
    let bytes = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let memory = MemoryStatus {
        total_bytes: bytes("MemTotal")?,
        available_bytes: bytes("MemAvailable")?,
    };
    (memory.total_bytes > 0).then_some(memory)
}

/// Whoever installs a new version writes its process number there; one that died is no update.
const UPDATING: &str = "run/pillarbox/updating";

fn is_updating(root: &Path) -> bool {
    let pid = std::fs::read_to_string(root.join(UPDATING))
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok());
    pid.is_some_and(|pid| root.join("proc").join(pid.to_string()).exists())
}

fn disk(dir: &Path) -> Option<DiskStatus> {
    let disk = statvfs(dir).ok()?;
    let block_bytes = disk.fragment_size();
    Some(DiskStatus {
        total_bytes: disk.blocks().saturating_mul(block_bytes),
        // Without what is reserved for root: services do not run as root.
        available_bytes: disk.blocks_available().saturating_mul(block_bytes),
        // The supervisor's to say.
        stage: DiskStage::Fine,
        read_only: disk.flags().contains(FsFlags::ST_RDONLY),
    })
}

/// The hottest of the processor's zones, in °C; sysfs has thousandths (kernel.org, sysfs-api of thermal).
fn temperature(thermal: &Path) -> Option<f32> {
    let zones = std::fs::read_dir(thermal).ok()?;
    zones
        .flatten()
        .filter_map(|zone| {
            let kind = std::fs::read_to_string(zone.path().join("type")).ok()?;
            if !PROCESSOR_ZONES
                .iter()
                .any(|processor| kind.to_ascii_lowercase().contains(processor))
            {
                return None;
            }
            let thousandths: i32 = std::fs::read_to_string(zone.path().join("temp"))
                .ok()?
                .trim()
                .parse()
                .ok()?;
            Some(thousandths as f32 / 1000.0)
        })
        .max_by(f32::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_a_disk() {
        let (sample, _) = sample(Path::new("/"), Path::new("/"));
        let (memory, disk) = (sample.memory.unwrap(), sample.disk.unwrap());
        assert!(memory.available_bytes > 0 && memory.available_bytes <= memory.total_bytes);
        assert!(disk.available_bytes <= disk.total_bytes && disk.total_bytes > 0);
        assert!(sample.cores.unwrap() > 0);
        assert!(sample.load.unwrap().iter().all(|load| *load >= 0.0));
    }

    #[test]
    fn memory_and_load_are_those_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let (absent, _) = sample(root.path(), Path::new("/"));
        assert_eq!((absent.memory, absent.load), (None, None));
        std::fs::create_dir(root.path().join("proc")).unwrap();
        let text = "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     400 kB\n";
        std::fs::write(root.path().join(MEMORY), text).unwrap();
        std::fs::write(root.path().join(LOAD), "0.25 1.50 12.00 2/345 6789\n").unwrap();
        let (found, _) = sample(root.path(), Path::new("/"));
        let expected = MemoryStatus {
            total_bytes: 1_024_000,
            available_bytes: 409_600,
        };
        assert_eq!((found.memory, found.load), (Some(expected), Some([0.25, 1.5, 12.0])));
    }

    #[test]
    fn nonsense_is_not_known() {
        for text in [
            "",
            "MemTotal: 5",
            "MemTotal: x kB\nMemAvailable: 1 kB",
            "MemTotal: 0 kB\nMemAvailable: 0 kB",
        ] {
            assert_eq!(memory(text), None, "{text:?}");
        }
        for text in ["", "1 2", "1 2 x", "NaN 1 1", "inf 1 1"] {
            assert_eq!(load(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_a_living_update_counts() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/pillarbox")).unwrap();
        std::fs::create_dir_all(root.path().join("proc/77")).unwrap();
        assert!(!is_updating(root.path()));
        for (text, wanted) in [("77\n", true), ("78\n", false), ("", false), ("../..", false)] {
            std::fs::write(root.path().join(UPDATING), text).unwrap();
            assert_eq!(is_updating(root.path()), wanted, "{text:?}");
        }
    }

    #[test]
    fn only_processor_zones_count() {
        let thermal = tempfile::tempdir().unwrap();
        assert_eq!(temperature(thermal.path()), None);
        for (zone, kind, temp) in [
            ("thermal_zone0", "acpitz\n", "90000\n"),
            ("thermal_zone1", "cpu-thermal\n", "51250\n"),
            ("thermal_zone2", "soc_thermal\n", "48000\n"),
            ("thermal_zone3", "cpu1\n", "broken\n"),
        ] {
            let zone = thermal.path().join(zone);
            std::fs::create_dir(&zone).unwrap();
            std::fs::write(zone.join("type"), kind).unwrap();
            std::fs::write(zone.join("temp"), temp).unwrap();
        }
        assert_eq!(temperature(thermal.path()), Some(51.25));
        assert_eq!(temperature(&thermal.path().join("absent")), None);
    }
}
