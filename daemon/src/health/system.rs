//! Samples of the machine: load, memory, the disk that holds the state, the processor's temperature, supply and
//! network. What the machine does not tell is `None`. What comes from sysfs and proc is read below a root, `/` but in
//! tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::DiskStage;
use nix::sys::statvfs::{FsFlags, statvfs};
use sysinfo::System;
use tokio::time::sleep;

use super::{network, power, watchdog};
use crate::event::{Event, Sender};
use crate::snapshot::{DiskStatus, MemoryStatus, NetworkStatus, SystemStatus};

const EVERY: Duration = Duration::from_secs(5);
const THERMAL: &str = "sys/class/thermal";
/// Types of thermal zones that mean the processor, on the boards and on a PC.
const PROCESSOR_ZONES: [&str; 5] = ["cpu", "soc", "x86_pkg_temp", "package", "bigcore"];

/// Samples for as long as the daemon lives. On threads of their own: a stuck disk must not stop the supervisor.
pub async fn watch(root: PathBuf, state_dir: PathBuf, events: Sender) {
    let mut system = System::new().ok();
    loop {
        let (root, dir) = (root.clone(), state_dir.clone());
        let taken = tokio::task::spawn_blocking(move || {
            let sample = sample(system.as_mut(), &root, &dir);
            (system, sample)
        });
        let Ok((back, (system_now, network))) = taken.await else {
            return;
        };
        system = back;
        if events.send(Event::Sampled(system_now, network)).await.is_err() {
            return;
        }
        sleep(EVERY).await;
    }
}

fn sample(system: Option<&mut System>, root: &Path, state_dir: &Path) -> (SystemStatus, NetworkStatus) {
    let memory = system.map(|system| {
        system.refresh_memory();
        MemoryStatus {
            total_bytes: system.total_memory(),
            available_bytes: system.available_memory(),
        }
    });
    let sample = SystemStatus {
        load: System::load_average()
            .ok()
            .map(|load| [load.one, load.five, load.fifteen]),
        memory: memory.filter(|memory| memory.total_bytes > 0),
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
        let (sample, _) = sample(System::new().ok().as_mut(), Path::new("/"), Path::new("/"));
        let (memory, disk) = (sample.memory.unwrap(), sample.disk.unwrap());
        assert!(memory.available_bytes > 0 && memory.available_bytes <= memory.total_bytes);
        assert!(disk.available_bytes <= disk.total_bytes && disk.total_bytes > 0);
        assert!(sample.cores.unwrap() > 0);
        assert!(sample.load.unwrap().iter().all(|load| *load >= 0.0));
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
