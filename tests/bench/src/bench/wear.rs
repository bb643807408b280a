//! Bytes written a payload byte at 14 envelopes a second: by the process, and to the device below its file system.

use std::path::Path;

use anyhow::Result;

use super::loopback::Loopback;
use crate::layouts::{Layout, Sync, Which, open};
use crate::meter::written_bytes;
use crate::table::{Figure, Table};
use crate::workload::{PAYLOAD_BYTES, RATE, SECOND, envelope};

/// An hour, its sealing, and a little of the next.
const OURS: u64 = 3900 * RATE as u64;
/// The peers' rows are spread over the file: what they write depends on how much is there already.
const PEERS_FILLED: u64 = 60_000;
const PEERS: u64 = 4000;
const STEP: i64 = SECOND / RATE;
const DISK_BYTES: u64 = 1 << 30;

pub(crate) fn run(table: &mut Table, dir: &Path) -> Result<()> {
    let mut process = Vec::new();
    let mut device = Vec::new();
    for which in [Which::Ours, Which::Nwaku, Which::GoWaku] {
        let place = dir.join(format!("wear-{which:?}"));
        std::fs::create_dir_all(&place)?;
        let loopback = match Loopback::ext4(&place, DISK_BYTES) {
            Ok(loopback) => Some(loopback),
            Err(error) => {
                println!("no device to count at ({error}): the device's bytes are left out");
                None
            }
        };
        let files = loopback
            .as_ref()
            .map_or(&place, |loopback| &loopback.mount)
            .join("files");
        std::fs::create_dir_all(&files)?;
        let (first, count) = match which {
            Which::Ours => (0, OURS),
            Which::Nwaku | Which::GoWaku => (PEERS_FILLED, PEERS),
        };
        if first > 0 {
            let mut layout = open(which, &files, Sync::Normal)?;
            drive(&mut *layout, 0, first)?;
            layout.close()?;
        }
        let written = || loopback.as_ref().map(Loopback::written).transpose();
        let (before, device_before) = (written_bytes(), written()?);
        let mut layout = open(which, &files, Sync::Full)?;
        drive(&mut *layout, first, count)?;
        layout.close()?;
        let payload = count as f64 * PAYLOAD_BYTES as f64;
        let device_after = written()?;
        process.push((written_bytes() - before) as f64 / payload);
        if let (Some(before), Some(after)) = (device_before, device_after) {
            device.push((after - before) as f64 / payload);
        }
        drop(loopback);
        std::fs::remove_dir_all(&place)?;
    }
    let mut add = |name, figures: &[f64]| {
        if let [ours, nwaku, go_waku] = figures {
            table.add(Figure {
                name,
                value: *ours,
                unit: "",
                goal: Some("<= 3".into()),
                met: Some(*ours <= 3.0),
                envelopes: OURS,
                nwaku: Some(*nwaku),
                go_waku: Some(*go_waku),
            });
        }
    };
    add("bytes written a payload byte at 14/s, process", &process);
    add("bytes written a payload byte at 14/s, device (ext4)", &device);
    Ok(())
}

fn drive(layout: &mut dyn Layout, first: u64, count: u64) -> Result<()> {
    let mut ticked = 0;
    for number in first..first + count {
        let next = envelope(number, STEP);
        let now = next.timestamp;
        while ticked < now {
            ticked = if ticked == 0 { now } else { ticked + SECOND / 4 };
            layout.tick(ticked)?;
        }
        layout.insert(&next, now)?;
    }
    Ok(())
}
