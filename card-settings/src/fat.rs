//! A FAT32 file system in a file or on a block device: finds a file of the root directory, reads it, and overwrites
//! its bytes in place. Nothing else is ever written: no directory entry, no allocation table, no "dirty" mark.
//!
//! The partition comes from a person's computer, so nothing in it is believed: every number is checked against the
//! device's size, and a chain of clusters is never followed for longer than its file can be.
//!
//! Sources: Microsoft, "FAT: General Overview of On-Disk Format" 1.03, for all offsets.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// A directory of more clusters than this is refused (at 512 bytes a cluster: 2,048 entries).
const MAX_DIRECTORY_CLUSTERS: u32 = 4096;
const MAX_DIRECTORY_BYTES: u64 = 2 << 20;
const ENTRY_BYTES: usize = 32;
/// A cluster number has 28 bits; from here on it is no cluster but the end of a chain, or a bad one.
const NO_CLUSTER: u32 = 0x0fff_fff7;
const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;

#[derive(Debug, thiserror::Error)]
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
    pub bytes: u64,
}

impl<D: Read + Seek> Fat<D> {
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
        let mut cluster = self.root;
        for _ in 0..MAX_DIRECTORY_CLUSTERS {
            let start = self.start_of(cluster)?;
            let before = content.len();
            content.resize(
                before + usize::try_from(self.bytes_per_cluster).expect("at most 512 KiB"),
                0,
            );
            self.device.seek(SeekFrom::Start(start))?;
            self.device.read_exact(&mut content[before..])?;
            match self.next(cluster)? {
                Some(next) if (content.len() as u64) < MAX_DIRECTORY_BYTES => cluster = next,
                Some(_) => break,
                None => return Ok(content),
            }
        }
        Err(Error::Damaged("its root directory does not end"))
    }

    /// Where a file's bytes lie on the device, in pieces of a cluster at most.
    fn extents(&mut self, file: &File) -> Result<Vec<(u64, u64)>> {
        let mut extents = Vec::new();
        let mut left = file.bytes;
        let mut cluster = file.first;
        while left > 0 {
            let length = left.min(self.bytes_per_cluster);
            extents.push((self.start_of(cluster)?, length));
            left -= length;
            if left > 0 {
                cluster = self
                    .next(cluster)?
                    .ok_or(Error::Damaged("a file is shorter than its directory says"))?;
            }
        }
        Ok(extents)
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
        // Found before anything is written: a damaged chain must not leave half of it.
        let extents = self.extents(file)?;
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    const SECTOR: usize = 512;
    const RESERVED: usize = 32;
    const FAT_SECTORS: usize = 8;
    const DATA: usize = (RESERVED + 2 * FAT_SECTORS) * SECTOR;

    /// A FAT32 file system by hand: clusters of a sector, the root directory in cluster 2, files one after another
    /// with a gap between their clusters, so that a reader who does not follow the chain reads wrong.
    pub(crate) fn volume(files: &[(&str, &[u8])]) -> Vec<u8> {
        let sectors = 1024;
        let mut image = vec![0; sectors * SECTOR];
        image[11..13].copy_from_slice(&512_u16.to_le_bytes());
        image[13] = 1;
        image[14..16].copy_from_slice(&(RESERVED as u16).to_le_bytes());
        image[16] = 2;
        image[32..36].copy_from_slice(&(sectors as u32).to_le_bytes());
        image[36..40].copy_from_slice(&(FAT_SECTORS as u32).to_le_bytes());
        image[44..48].copy_from_slice(&2_u32.to_le_bytes());
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        let set = |image: &mut Vec<u8>, cluster: usize, next: u32| {
            for copy in 0..2 {
                let at = (RESERVED + copy * FAT_SECTORS) * SECTOR + cluster * 4;
                image[at..at + 4].copy_from_slice(&next.to_le_bytes());
            }
        };
        set(&mut image, 2, 0x0fff_fff8);
        let mut entry_at = DATA;
        let mut cluster = 3;
        for (number, (name, content)) in files.iter().enumerate() {
            let first = if content.is_empty() { 0 } else { cluster };
            let pieces: Vec<&[u8]> = content.chunks(SECTOR).collect();
            for (index, piece) in pieces.iter().enumerate() {
                let at = DATA + (cluster - 2) * SECTOR;
                image[at..at + piece.len()].copy_from_slice(piece);
                let next = if index + 1 < pieces.len() {
                    cluster as u32 + 2
                } else {
                    0x0fff_ffff
                };
                set(&mut image, cluster, next);
                cluster += 2;
            }
            let mut short = *b"FILE~0  TXT";
            short[5] = b'0' + number as u8;
            let sum = short
                .iter()
                .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
            let units: Vec<u16> = name.encode_utf16().collect();
            let parts: Vec<&[u16]> = units.chunks(13).collect();
            for (index, part) in parts.iter().enumerate().rev() {
                let entry = &mut image[entry_at..entry_at + 32];
                let last = if index + 1 == parts.len() { 0x40 } else { 0 };
                entry[0] = last | (index as u8 + 1);
                entry[11] = LONG_NAME;
                entry[13] = sum;
                let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
                for (place, unit) in places.zip(part.iter().copied().chain([0]).chain([0xffff; 13])) {
                    entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
                }
                entry_at += 32;
            }
            let entry = &mut image[entry_at..entry_at + 32];
            entry[..11].copy_from_slice(&short);
            entry[11] = 0x20;
            entry[20..22].copy_from_slice(&((first >> 16) as u16).to_le_bytes());
            entry[26..28].copy_from_slice(&(first as u16).to_le_bytes());
            entry[28..32].copy_from_slice(&(content.len() as u32).to_le_bytes());
            entry_at += 32;
        }
        image
    }

    fn open(image: &[u8]) -> Fat<Cursor<Vec<u8>>> {
        Fat::open(Cursor::new(image.to_vec())).unwrap()
    }

    #[test]
    fn files_are_found_by_long_and_short_names() {
        let long: Vec<u8> = (0..1500_u32).map(|n| n as u8).collect();
        let mut fat = open(&volume(&[
            ("pillarbox.toml", b"name = 1"),
            ("a long name.bin", &long),
            ("empty", b""),
        ]));
        for (name, wanted) in [
            ("pillarbox.toml", Some(&b"name = 1"[..])),
            ("PILLARBOX.TOML", Some(b"name = 1")),
            ("file~1.txt", Some(&long)),
            ("a long name.bin", Some(&long)),
            ("empty", Some(b"")),
            ("pillarbox", None),
        ] {
            let found = fat.find(name).unwrap();
            let content = found.map(|file| fat.read(&file, 4096).unwrap());
            assert_eq!(content.as_deref(), wanted, "{name}");
        }
        let file = fat.find("a long name.bin").unwrap().unwrap();
        assert!(matches!(fat.read(&file, 1499), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn overwriting_changes_the_files_bytes_and_nothing_else() {
        let image = volume(&[
            ("before", &[1; 700]),
            ("answer.txt", &[b'x'; 1100]),
            ("after", &[2; 700]),
        ]);
        let mut fat = open(&image);
        let file = fat.find("answer.txt").unwrap().unwrap();
        let content: Vec<u8> = (0..1100_u32).map(|n| n as u8 | 0x80).collect();
        fat.overwrite(&file, &content).unwrap();
        assert_eq!(fat.read(&file, 4096).unwrap(), content);
        let after = fat.into_device().into_inner();
        let changed: Vec<usize> = (0..image.len()).filter(|at| image[*at] != after[*at]).collect();
        assert_eq!(changed.len(), 1100);
        let mut fat = open(&after);
        for (name, byte) in [("before", 1), ("after", 2)] {
            let file = fat.find(name).unwrap().unwrap();
            assert_eq!(fat.read(&file, 4096).unwrap(), [byte; 700]);
        }
    }

    #[test]
    fn a_chain_that_ends_early_or_leads_nowhere_is_damage() {
        let image = volume(&[("long", &[7; 1500])]);
        for next in [0x0fff_ffff_u32, 0, 1, 900_000] {
            let mut image = image.clone();
            let at = RESERVED * SECTOR + 3 * 4;
            image[at..at + 4].copy_from_slice(&next.to_le_bytes());
            let mut fat = open(&image);
            let file = fat.find("long").unwrap().unwrap();
            assert!(matches!(fat.read(&file, 4096), Err(Error::Damaged(_))), "{next}");
            assert!(
                matches!(fat.overwrite(&file, &[0; 1500]), Err(Error::Damaged(_))),
                "{next}"
            );
            assert_eq!(fat.into_device().into_inner(), image, "{next}");
        }
    }

    #[test]
    fn a_directory_in_a_circle_ends() {
        let mut image = volume(&[]);
        let at = RESERVED * SECTOR + 2 * 4;
        image[at..at + 4].copy_from_slice(&2_u32.to_le_bytes());
        assert!(matches!(open(&image).find("x"), Err(Error::Damaged(_))));
    }

    proptest! {
        /// Whatever a computer left there: an answer, and never a write outside the file.
        #[test]
        fn damage_is_survived(flips in prop::collection::vec((0_usize..40_000, any::<u8>()), 1..40)) {
            let mut image = volume(&[("pillarbox.toml", &[b'#'; 900]), ("pillarbox-answer.txt", &[b' '; 1024])]);
            for (at, byte) in flips {
                // Mostly where the structure is.
                let at = if at < 20_000 { at % 64 } else if at < 30_000 { RESERVED * SECTOR + at % 64 } else { DATA + at % 256 };
                image[at] = byte;
            }
            if let Ok(mut fat) = Fat::open(Cursor::new(image)) {
                for name in ["pillarbox.toml", "pillarbox-answer.txt"] {
                    if let Ok(Some(file)) = fat.find(name)
                        && let Ok(content) = fat.read(&file, 4096)
                    {
                        prop_assert_eq!(content.len() as u64, file.bytes);
                    }
                }
            }
        }
    }
}
