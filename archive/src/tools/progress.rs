//! How far something long has come: reading gigabytes off a card takes minutes.

use std::path::Path;

use crate::directory::files::size_with_sidecars;
use crate::directory::names::SegmentName;

/// So many rows are read between two words.
pub(crate) const ROWS_A_WORD: u64 = 512;

/// How far the work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Read so far.
    pub envelopes: u64,
    /// Of all, from 0 to 1; an estimate.
    pub done: f64,
}

/// Hears of progress.
pub type Told<'a> = &'a mut dyn FnMut(Progress);

/// Progress over an archive's segments, one after the other.
pub(crate) struct Files<'a, 'b> {
    told: &'a mut Told<'b>,
    /// Of those that are still to come, the current one first.
    sizes: std::collections::VecDeque<u64>,
    total_bytes: u64,
    finished_bytes: u64,
    envelopes: u64,
}

impl<'a, 'b> Files<'a, 'b> {
    pub(crate) fn new(told: &'a mut Told<'b>, dir: &Path, segments: &[SegmentName]) -> Self {
        let sizes = segments.iter().map(|name| size_with_sidecars(&name.path(dir)));
        let sizes: std::collections::VecDeque<u64> = sizes.collect();
        Files {
            told,
            total_bytes: sizes.iter().sum(),
            sizes,
            finished_bytes: 0,
            envelopes: 0,
        }
    }

    /// The `row`th of `rows` of the current segment was read.
    pub(crate) fn row(&mut self, row: u64, rows: u64) {
        self.envelopes += 1;
        if self.envelopes.is_multiple_of(ROWS_A_WORD) {
            let part = (row as f64 / rows.max(1) as f64).min(1.0);
            let bytes = self.sizes.front().copied().unwrap_or(0);
            self.tell(bytes as f64 * part);
        }
    }

    /// The current segment was read; the next one's turn.
    pub(crate) fn next(&mut self) {
        self.finished_bytes += self.sizes.pop_front().unwrap_or(0);
        self.tell(0.0);
    }

    fn tell(&mut self, more_bytes: f64) {
        let bytes = self.finished_bytes as f64 + more_bytes;
        (self.told)(Progress {
            envelopes: self.envelopes,
            done: (bytes / self.total_bytes.max(1) as f64).min(1.0),
        });
    }
}
