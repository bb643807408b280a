//! A FAT32 file system in a file or on a block device: finds a file of the root directory, reads it, and overwrites
//! its bytes in place. Nothing else is ever written: no directory entry, no allocation table, no "dirty" mark.
//!
//! The partition comes from a person's computer, so nothing in it is believed: every number is checked against the
//! device's size, and a chain of clusters is never followed for longer than its file can be.
//!
//! Sources: Microsoft, "FAT: General Overview of On-Disk Format" 1.03, for all offsets.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// A directory of more clusters than this is refused (at 512 bytes a cluster: 2,048 entries).
const MAX_DIRECTORY_CLUSTERS: u64 = 4096;
const MAX_DIRECTORY_BYTES: u64 = 2 << 20;
const ENTRY_BYTES: usize = 32;
/// A cluster number has 28 bits; from here on it is no cluster but the end of a chain, or a bad one.
const NO_CLUSTER: u32 = 0x0fff_fff7;
const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;

/// Why a partition or a file on it cannot be read or written over.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what is wrong, and with what")]
pub enum Error {
    #[error("the FAT partition cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error("the partition is no FAT32 file system: {0}")]
    NotFat(&'static str),
    #[error("the FAT partition is damaged: {0}")]
    Damaged(&'static str),
    #[error("the file has {bytes} bytes; at most {limit} are read")]
    TooLarge { bytes: u64, limit: u64 },
}

type Result<T> = std::result::Result<T, Error>;

/// A FAT partition that is read and written over without being mounted.
pub struct Fat<D> {
    device: D,
    bytes_per_sector: u64,
    bytes_per_cluster: u64,
    first_fat: u64,
    first_data: u64,
    clusters: u32,
    root: u32,
}

/// A file of the root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    first: u32,
    /// The file's length.
    pub bytes: u64,
}

impl<D: Read + Seek> Fat<D> {
    /// Reads the partition's first sector.
    ///
    /// # Errors
    /// When the device cannot be read, or is no FAT partition.
    pub fn open(mut device: D) -> Result<Fat<D>> {
        let device_bytes = device.seek(SeekFrom::End(0))?;
        device.rewind()?;
        let mut sector = [0; 512];
        device.read_exact(&mut sector).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::NotFat("it is too short"),
            _ => Error::Io(error),
        })?;
        let u16_at = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let u32_at = |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
        if sector[510..] != [0x55, 0xaa] {
            return Err(Error::NotFat("its first sector has no signature"));
        }
        let bytes_per_sector = u16_at(11);
        let sectors_per_cluster = u64::from(sector[13]);
        let (reserved, fats) = (u16_at(14), u64::from(sector[16]));
        let (fat_sectors, sectors) = (u64::from(u32_at(36)), u64::from(u32_at(32)));
        if ![512, 1024, 2048, 4096].contains(&bytes_per_sector) || !sectors_per_cluster.is_power_of_two() {
            return Err(Error::NotFat("its sectors or clusters have an impossible size"));
        }
        if u16_at(17) != 0 || u16_at(22) != 0 || fat_sectors == 0 || reserved == 0 || !(1..=2).contains(&fats) {
            return Err(Error::NotFat("it is an older kind of FAT"));
        }
        let first_data = reserved + fats * fat_sectors;
        if sectors <= first_data || sectors * bytes_per_sector > device_bytes {
            return Err(Error::Damaged("it is larger than its partition"));
        }
        // The table's room bounds the clusters as well as the partition's does.
        let by_table = fat_sectors * bytes_per_sector / 4;
        let clusters = ((sectors - first_data) / sectors_per_cluster)
            .min(by_table.saturating_sub(2))
            .min(u64::from(NO_CLUSTER) - 2);
        Ok(Fat {
            device,
            bytes_per_sector,
            bytes_per_cluster: bytes_per_sector * sectors_per_cluster,
            first_fat: reserved * bytes_per_sector,
            first_data: first_data * bytes_per_sector,
            clusters: u32::try_from(clusters).expect("bounded above"),
            root: u32_at(44) & 0x0fff_ffff,
        })
    }

    /// The file of that name, whatever its letters' case, in the root directory.
    pub fn find(&mut self, name: &str) -> Result<Option<File>> {
        let directory = self.directory()?;
        let mut long = LongName::default();
        for entry in directory.as_chunks::<ENTRY_BYTES>().0 {
            match entry[0] {
                0 => break,
                0xe5 => long = LongName::default(),
                _ if entry[11] & 0x3f == LONG_NAME => long.piece(entry),
                _ => {
                    let long_name = std::mem::take(&mut long).complete(entry);
                    if entry[11] & (VOLUME_LABEL | DIRECTORY) != 0 {
                        continue;
                    }
                    let same = |own: &str| own.eq_ignore_ascii_case(name);
                    if long_name.is_some_and(|own| same(&own)) || same(&short_name(entry)) {
                        let high = u16::from_le_bytes([entry[20], entry[21]]);
                        let low = u16::from_le_bytes([entry[26], entry[27]]);
                        return Ok(Some(File {
                            first: u32::from(high) << 16 | u32::from(low),
                            bytes: u64::from(u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]])),
                        }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// All of a file that has at most `limit` bytes.
    pub fn read(&mut self, file: &File, limit: u64) -> Result<Vec<u8>> {
        if file.bytes > limit {
            return Err(Error::TooLarge {
                bytes: file.bytes,
                limit,
            });
        }
        let mut content = Vec::new();
        for (start, length) in self.extents(file)? {
            let before = content.len();
            content.resize(before + usize::try_from(length).expect("a cluster at most"), 0);
            self.device.seek(SeekFrom::Start(start))?;
            self.device.read_exact(&mut content[before..])?;
        }
        Ok(content)
    }

    fn directory(&mut self) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        for cluster in self.directory_clusters()? {
            let before = content.len();
            content.resize(
                before + usize::try_from(self.bytes_per_cluster).expect("at most 512 KiB"),
                0,
            );
            let start = self.start_of(cluster)?;
            self.device.seek(SeekFrom::Start(start))?;
            self.device.read_exact(&mut content[before..])?;
        }
        Ok(content)
    }

    fn directory_clusters(&mut self) -> Result<Vec<u32>> {
        let most = (MAX_DIRECTORY_BYTES / self.bytes_per_cluster).min(MAX_DIRECTORY_CLUSTERS);
        let clusters = self.chain(self.root, most + 1)?;
        if clusters.len() as u64 > most {
            return Err(Error::Damaged("its root directory does not end"));
        }
        Ok(clusters)
    }

    /// Where a file's bytes lie on the device, in pieces of a cluster at most.
    fn extents(&mut self, file: &File) -> Result<Vec<(u64, u64)>> {
        let wanted = file.bytes.div_ceil(self.bytes_per_cluster);
        let clusters = self.chain(file.first, wanted)?;
        if (clusters.len() as u64) < wanted {
            return Err(Error::Damaged("a file is shorter than its directory says"));
        }
        let mut left = file.bytes;
        let extent = |cluster| {
            let length = left.min(self.bytes_per_cluster);
            left -= length;
            Ok((self.start_of(cluster)?, length))
        };
        clusters.into_iter().map(extent).collect()
    }

    /// The clusters from this one on, `most` at most. None comes twice, and all lie inside of the file system.
    fn chain(&mut self, first: u32, most: u64) -> Result<Vec<u32>> {
        let mut clusters = Vec::new();
        let mut seen = BTreeSet::new();
        let mut at = Some(first);
        while let Some(cluster) = at
            && (clusters.len() as u64) < most
        {
            self.start_of(cluster)?;
            if !seen.insert(cluster) {
                return Err(Error::Damaged("a chain of clusters leads back into itself"));
            }
            clusters.push(cluster);
            at = self.next(cluster)?;
        }
        Ok(clusters)
    }

    fn start_of(&self, cluster: u32) -> Result<u64> {
        match cluster.checked_sub(2) {
            Some(index) if index < self.clusters => Ok(self.first_data + u64::from(index) * self.bytes_per_cluster),
            _ => Err(Error::Damaged("a cluster lies outside of it")),
        }
    }

    fn next(&mut self, cluster: u32) -> Result<Option<u32>> {
        // One sector at a time would read a whole sector for four bytes; block devices do that anyway.
        let at = self.first_fat + u64::from(cluster) * 4;
        debug_assert!(self.bytes_per_sector >= 4);
        self.device.seek(SeekFrom::Start(at))?;
        let mut bytes = [0; 4];
        self.device.read_exact(&mut bytes)?;
        let next = u32::from_le_bytes(bytes) & 0x0fff_ffff;
        Ok((next < NO_CLUSTER).then_some(next))
    }
}

impl<D: Read + Write + Seek> Fat<D> {
    /// Writes over a file's bytes; `content` must be exactly as long as the file is.
    pub fn overwrite(&mut self, file: &File, content: &[u8]) -> Result<()> {
        assert_eq!(
            content.len() as u64,
            file.bytes,
            "a file is only ever written over as a whole"
        );
        // Found before anything is written: a damaged chain must not leave half of it, nor lead into the directory.
        let extents = self.extents(file)?;
        for cluster in self.directory_clusters()? {
            let start = self.start_of(cluster)?;
            if extents.iter().any(|(at, _)| *at == start) {
                return Err(Error::Damaged("a file lies where the root directory is"));
            }
        }
        let mut rest = content;
        for (start, length) in extents {
            let (piece, after) = rest.split_at(usize::try_from(length).expect("a cluster at most"));
            self.device.seek(SeekFrom::Start(start))?;
            self.device.write_all(piece)?;
            rest = after;
        }
        self.device.flush()?;
        Ok(())
    }

    /// The device that was opened.
    pub fn into_device(self) -> D {
        self.device
    }
}

/// `NAME.EXT` of a directory entry.
fn short_name(entry: &[u8; ENTRY_BYTES]) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (name, extension) = (part(&entry[..8]), part(&entry[8..11]));
    if extension.is_empty() {
        name
    } else {
        format!("{name}.{extension}")
    }
}

/// The pieces of a long name, which stand before their entry, the last piece first.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    next: u8,
    sum: u8,
}

impl LongName {
    const LAST: u8 = 0x40;
    /// 255 characters in pieces of 13.
    const MAX_PIECES: u8 = 20;

    fn piece(&mut self, entry: &[u8; ENTRY_BYTES]) {
        let number = entry[0] & !LongName::LAST;
        if entry[0] & LongName::LAST != 0 {
            *self = LongName {
                units: Vec::new(),
                next: number,
                sum: entry[13],
            };
        }
        if number == 0 || number > LongName::MAX_PIECES || number != self.next || entry[13] != self.sum {
            *self = LongName::default();
            return;
        }
        self.next = number - 1;
        let unit = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
        let mut piece: Vec<u16> = places.map(unit).take_while(|unit| *unit != 0).collect();
        piece.append(&mut self.units);
        self.units = piece;
    }

    /// The name, if all of its pieces were there and belong to this entry.
    fn complete(self, entry: &[u8; ENTRY_BYTES]) -> Option<String> {
        let sum = entry[..11]
            .iter()
            .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        (self.next == 0 && self.sum == sum && !self.units.is_empty()).then(|| String::from_utf16_lossy(&self.units))
    }
}
