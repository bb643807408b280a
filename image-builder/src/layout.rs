//! Where everything lies on the card. The layout is the one thing that an update can never change, so it is fixed here
//! for all boards: partition numbers, sizes and types.
//!
//! | # | name | what |
//! |---|---|---|
//! | 1 | `pillarbox` | FAT: the board's firmware, U-Boot, the boot script, a person's settings; never rewritten by an update |
//! | 2, 3 | `boot-a`, `boot-b` | ext4: kernel, initrd, device trees and command line of a slot (U-Boot reads no squashfs) |
//! | 4, 5 | `root-a`, `root-b` | squashfs: the read-only root of a slot |
//! | 6 | `bootstate` | raw: which slot boots ([`crate::bootstate`]) |
//! | 7 | `data` | ext4: what outlives an update; the last one, so that it can grow to the card |
//!
//! The types are Pillarbox's own random identifiers: systemd's generators mount nothing by itself then, and
//! systemd-repart finds exactly the one partition that it may grow.

use board_configs::PartitionTable;

/// What sector numbers count, on every card.
pub const SECTOR_BYTES: u64 = 512;
const MIB: u64 = 1024 * 1024;
/// The first partition starts here: flash erase blocks are at most this large, and a board's second-stage loader
/// (Allwinner, Rockchip) fits before it.
const FIRST_BYTES: u64 = 16 * MIB;
/// The backup table: 33 sectors, rounded up to keep the image a whole number of MiB.
const TAIL_BYTES: u64 = MIB;

/// What the data partition is known by to systemd-repart.
pub const DATA_TYPE: &str = "e1f6ae3a-6ac2-4f0c-9c5b-3d1f1a0b7a52";
const SLOT_TYPE: &str = "7c8f6d7e-0f36-4c50-8a8e-6c7a1d3f9b11";
const STATE_TYPE: &str = "2b0f7f0c-54a3-4d3e-a1c4-0f6de2a5c8d4";
/// "Microsoft basic data" (UEFI's table of known types): what every computer opens when the card is put into it.
const FAT_TYPE: &str = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";

/// The partitions, in the order in which they lie on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// FAT, for the board's firmware and a person's settings.
    Firmware,
    /// Kernel and initrd of slot A.
    BootA,
    /// Kernel and initrd of slot B.
    BootB,
    /// The read-only root of slot A.
    RootA,
    /// The read-only root of slot B.
    RootB,
    /// Which slot boots.
    Bootstate,
    /// What outlives an update.
    Data,
}

/// Where a partition lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which one it is.
    pub part: Part,
    /// 1-based, as in the table and in `/dev/mmcblk0pN`.
    pub number: u32,
    /// Its name in the table.
    pub name: &'static str,
    /// Its type in the table.
    pub type_guid: &'static str,
    /// From the start of the card.
    pub start_bytes: u64,
    /// In bytes, a whole number of MiB.
    pub size_bytes: u64,
}

impl Partition {
    /// Where it starts, in sectors.
    pub fn start_sector(&self) -> u64 {
        self.start_bytes / SECTOR_BYTES
    }
}

const SIZES: &[(Part, &str, &str, u64)] = &[
    (Part::Firmware, "pillarbox", FAT_TYPE, 64 * MIB),
    (Part::BootA, "boot-a", SLOT_TYPE, 80 * MIB),
    (Part::BootB, "boot-b", SLOT_TYPE, 80 * MIB),
    (Part::RootA, "root-a", SLOT_TYPE, 320 * MIB),
    (Part::RootB, "root-b", SLOT_TYPE, 320 * MIB),
    (Part::Bootstate, "bootstate", STATE_TYPE, 4 * MIB),
    (Part::Data, "data", DATA_TYPE, 128 * MIB),
];

/// All of them, in the order of their numbers.
pub fn partitions() -> Vec<Partition> {
    let mut start_bytes = FIRST_BYTES;
    let mut partitions = Vec::with_capacity(SIZES.len());
    for (number, (part, name, type_guid, size_bytes)) in (1..).zip(SIZES) {
        partitions.push(Partition {
            part: *part,
            number,
            name,
            type_guid,
            start_bytes,
            size_bytes: *size_bytes,
        });
        start_bytes += size_bytes;
    }
    partitions
}

/// One of them.
pub fn partition(part: Part) -> Partition {
    partitions()
        .into_iter()
        .find(|partition| partition.part == part)
        .expect("every part is in SIZES, a test says so")
}

/// The flashed image's size; the card may be any amount larger.
pub fn image_bytes() -> u64 {
    let last = partition(Part::Data);
    last.start_bytes + last.size_bytes + TAIL_BYTES
}

/// What sfdisk reads. The identifiers are the same on every card of a board, so two builds are alike and nothing may
/// tell cards apart by them.
pub fn sfdisk_script(seed: &str) -> String {
    let mut script = format!("label: gpt\nlabel-id: {}\nunit: sectors\n", guid(seed, "disk"));
    for partition in partitions() {
        script.push_str(&format!(
            "start={}, size={}, type={}, uuid={}, name=\"{}\"{}\n",
            partition.start_sector(),
            partition.size_bytes / SECTOR_BYTES,
            partition.type_guid,
            guid(seed, partition.name),
            partition.name,
            // U-Boot looks for its script on the partition with this attribute, and on no other.
            if partition.part == Part::Firmware {
                ", attrs=\"LegacyBIOSBootable\""
            } else {
                ""
            },
        ));
    }
    script
}

/// A random-looking identifier that the same build always gets again (RFC 9562, version 8).
pub fn guid(seed: &str, name: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("pillarbox/{seed}/{name}"));
    let mut bytes: [u8; 16] = digest[..16].try_into().expect("a SHA-256 has 32 bytes");
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

/// The MBR's four entries (64 bytes from offset 446), or `None` where sfdisk's protective one stays.
///
/// The hybrid form keeps a protective entry in front of the FAT partition, for programs that look for one, and repeats
/// the FAT partition as type 0x0c for boot ROMs that read no GPT.
pub fn mbr_entries(table: PartitionTable) -> Option<[u8; 64]> {
    match table {
        PartitionTable::Gpt => None,
        PartitionTable::Hybrid => {
            let fat = partition(Part::Firmware);
            let mut entries = [0; 64];
            entries[..16].copy_from_slice(&mbr_entry(0x0c, fat.start_sector(), fat.size_bytes / SECTOR_BYTES));
            entries[16..32].copy_from_slice(&mbr_entry(0xee, 1, fat.start_sector() - 1));
            Some(entries)
        }
    }
}

fn mbr_entry(kind: u8, start: u64, sectors: u64) -> [u8; 16] {
    let narrow = |value: u64| {
        u32::try_from(value)
            .expect("the FAT partition lies in the first 2 TiB")
            .to_le_bytes()
    };
    let mut entry = [0; 16];
    // Cylinder, head and sector at their limits: "use the sector numbers instead".
    entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
    entry[4] = kind;
    entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&narrow(start));
    entry[12..16].copy_from_slice(&narrow(sectors));
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_in_order_aligned_and_apart() {
        let all = partitions();
        let mut end = FIRST_BYTES;
        for partition in &all {
            assert_eq!(
                partition.start_bytes, end,
                "{} leaves a gap or overlaps",
                partition.name
            );
            assert_eq!(
                partition.start_bytes % (4 * MIB),
                0,
                "{} is not aligned",
                partition.name
            );
            end += partition.size_bytes;
        }
        assert_eq!(all.last().unwrap().part, Part::Data, "only the last one can grow");
        assert_eq!(image_bytes(), end + TAIL_BYTES);
    }

    #[test]
    fn slots_are_alike_and_within_the_goal() {
        let size = |part| partition(part).size_bytes;
        assert_eq!(
            (size(Part::BootA), size(Part::RootA)),
            (size(Part::BootB), size(Part::RootB))
        );
        assert!(size(Part::BootA) + size(Part::RootA) <= 400 * MIB);
    }

    #[test]
    fn only_data_has_datas_type_and_only_fat_is_bootable() {
        let typed: Vec<_> = partitions().into_iter().filter(|p| p.type_guid == DATA_TYPE).collect();
        assert_eq!(typed.len(), 1);
        let script = sfdisk_script("x");
        assert_eq!(script.matches("LegacyBIOSBootable").count(), 1);
        assert!(script.lines().nth(3).unwrap().contains("name=\"pillarbox\""));
    }

    #[test]
    fn identifiers_are_stable_and_distinct() {
        assert_eq!(guid("rpi-3", "data"), guid("rpi-3", "data"));
        assert_ne!(guid("rpi-3", "data"), guid("rpi-4", "data"));
        assert_eq!(guid("rpi-3", "data").as_bytes()[14], b'8', "version 8");
    }

    #[test]
    fn the_hybrid_mbr_shows_the_fat_partition() {
        let entries = mbr_entries(PartitionTable::Hybrid).unwrap();
        assert_eq!(entries[4], 0x0c);
        assert_eq!(u32::from_le_bytes(entries[8..12].try_into().unwrap()), 32768);
        assert_eq!(entries[16 + 4], 0xee);
        assert_eq!(mbr_entries(PartitionTable::Gpt), None);
    }
}
