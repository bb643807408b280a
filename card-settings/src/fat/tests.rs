use super::*;
use proptest::prelude::*;
use std::io::Cursor;
use std::path::Path;

const SECTOR: usize = 512;
const RESERVED: usize = 32;
const FAT_SECTORS: usize = 8;
const DATA: usize = (RESERVED + 2 * FAT_SECTORS) * SECTOR;

pub(crate) fn volume(files: &[(&str, &[u8])]) -> Vec<u8> {
    volume_of(1024, RESERVED, FAT_SECTORS, files)
}

/// A FAT32 file system by hand, in sectors: clusters of a sector, the root directory in cluster 2, files one after
/// another with a gap between their clusters, so that a reader who does not follow the chain reads wrong.
fn volume_of(sectors: usize, reserved: usize, fat_sectors: usize, files: &[(&str, &[u8])]) -> Vec<u8> {
    let data = (reserved + 2 * fat_sectors) * SECTOR;
    let mut image = vec![0; sectors * SECTOR];
    image[11..13].copy_from_slice(&512_u16.to_le_bytes());
    image[13] = 1;
    image[14..16].copy_from_slice(&(reserved as u16).to_le_bytes());
    image[16] = 2;
    image[32..36].copy_from_slice(&(sectors as u32).to_le_bytes());
    image[36..40].copy_from_slice(&(fat_sectors as u32).to_le_bytes());
    image[44..48].copy_from_slice(&2_u32.to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    let set = |image: &mut Vec<u8>, cluster: usize, next: u32| {
        for copy in 0..2 {
            let at = (reserved + copy * fat_sectors) * SECTOR + cluster * 4;
            image[at..at + 4].copy_from_slice(&next.to_le_bytes());
        }
    };
    set(&mut image, 2, 0x0fff_fff8);
    let mut entry_at = data;
    let mut cluster = 3;
    for (number, (name, content)) in files.iter().enumerate() {
        let first = if content.is_empty() { 0 } else { cluster };
        let pieces: Vec<&[u8]> = content.chunks(SECTOR).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let at = data + (cluster - 2) * SECTOR;
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
fn a_file_that_leads_into_itself_or_into_the_directory_is_not_written() {
    let first = volume(&[("long", &[7; 1500])]);
    let mut circle = first.clone();
    circle[RESERVED * SECTOR + 3 * 4..][..4].copy_from_slice(&3_u32.to_le_bytes());
    let mut crossed = first.clone();
    crossed[RESERVED * SECTOR + 3 * 4..][..4].copy_from_slice(&2_u32.to_le_bytes());
    crossed[RESERVED * SECTOR + 2 * 4..][..4].copy_from_slice(&5_u32.to_le_bytes());
    for image in [circle, crossed] {
        let mut fat = open(&image);
        let file = fat.find("long").unwrap().unwrap();
        assert!(matches!(fat.overwrite(&file, &[0; 1500]), Err(Error::Damaged(_))));
        assert_eq!(fat.into_device().into_inner(), image);
    }
}

/// Small enough for a fuzzer's input. `UPDATE_GOLDEN=1` writes them anew.
#[test]
fn the_seeds_are_volumes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/card-settings/fat");
    let text = b"name = \"kitchen\"\n";
    let long = [b' '; 600];
    for (name, files) in [
        ("wishes", &[("pillarbox.toml", &text[..])][..]),
        ("answer", &[("pillarbox-answer.txt", &long)]),
        ("imager", &[("user-data", b"#cloud-config\n"), ("firstrun.sh", b"")]),
    ] {
        let image = volume_of(8, 1, 1, files);
        let path = folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &image).unwrap();
        }
        assert!(
            std::fs::read(&path).is_ok_and(|seed| seed == image),
            "{name}: UPDATE_GOLDEN=1 writes it anew"
        );
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
