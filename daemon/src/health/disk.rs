//! The disk's ladder: fine, warn, drop the oldest envelopes, store nothing more. Down at once, up again only with a fifth
//! more room than led down, so that a disk at the edge does not flicker between two.

use archive::DiskStage;

use crate::snapshot::DiskStatus;

const MIB: u64 = 1024 * 1024;

/// The room below which a stage begins: a share of the disk, within bounds that fit a small card and a large disk.
struct Step {
    stage: DiskStage,
    percent: u64,
    min_bytes: u64,
    max_bytes: u64,
}

/// From the worst up.
const LADDER: [Step; 3] = [
    Step {
        stage: DiskStage::ReadOnly,
        percent: 2,
        min_bytes: 32 * MIB,
        max_bytes: 256 * MIB,
    },
    Step {
        stage: DiskStage::DropOldest,
        percent: 5,
        min_bytes: 64 * MIB,
        max_bytes: 512 * MIB,
    },
    Step {
        stage: DiskStage::Warn,
        percent: 10,
        min_bytes: 128 * MIB,
        max_bytes: 1024 * MIB,
    },
];

/// The stage that follows `before` with this much room.
pub fn stage(before: DiskStage, disk: &DiskStatus) -> DiskStage {
    if disk.read_only {
        return DiskStage::ReadOnly;
    }
    for step in LADDER {
        let below = (disk.total_bytes / 100 * step.percent).clamp(step.min_bytes, step.max_bytes);
        let bound = if before >= step.stage { below + below / 5 } else { below };
        if disk.available_bytes < bound {
            return step.stage;
        }
    }
    DiskStage::Fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladder() {
        use DiskStage::{DropOldest, Fine, ReadOnly, Warn};
        // 10,000 MiB: the steps are at 200, 500 and 1,000 MiB.
        for (before, available_mib, wanted) in [
            (Fine, 1000, Fine),
            (Fine, 999, Warn),
            (Warn, 1100, Warn),
            (Warn, 1200, Fine),
            (Warn, 499, DropOldest),
            (DropOldest, 500, DropOldest),
            (DropOldest, 600, Warn),
            (DropOldest, 1199, Warn),
            (Fine, 199, ReadOnly),
            (ReadOnly, 230, ReadOnly),
            (ReadOnly, 240, DropOldest),
            (ReadOnly, 5000, Fine),
            (Fine, 0, ReadOnly),
        ] {
            let disk = DiskStatus {
                total_bytes: 10_000 * MIB,
                available_bytes: available_mib * MIB,
                stage: before,
                read_only: false,
            };
            assert_eq!(stage(before, &disk), wanted, "{before:?} with {available_mib} MiB");
        }
    }

    #[test]
    fn small_cards_and_large_disks_have_bounds() {
        let disk = |total_bytes, available_bytes| DiskStatus {
            total_bytes,
            available_bytes,
            stage: DiskStage::Fine,
            read_only: false,
        };
        assert_eq!(stage(DiskStage::Fine, &disk(512 * MIB, 100 * MIB)), DiskStage::Warn);
        assert_eq!(
            stage(DiskStage::Fine, &disk(4_000_000 * MIB, 1024 * MIB)),
            DiskStage::Fine
        );
    }
}
