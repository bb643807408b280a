//! The spans of time that the archive lacks, oldest first, in a file beside it: a restart in the middle forgets none.
//!
//! A gap is open from the moment the node is out of touch until it is back, and only the last can be. They are sorted
//! and apart from each other; a time that is in none is one in which the node listened, or that was filled since.

use std::io;
use std::path::{Path, PathBuf};
use std::{fs, mem};

/// In the archive's directory. A line a gap: its first and its last nanosecond since the Unix epoch, the last one
/// `-` where it is open.
const FILE: &str = "gaps";
const MODE: u32 = 0o644;
/// Of more, those closest to each other become one: what lies between them is asked for once more.
const MAX_GAPS: usize = 64;
/// [`MAX_GAPS`] lines of two numbers are a third of it.
const MAX_FILE_BYTES: u64 = 8 * 1024;
/// Shorter gaps are what relay's own history covers.
const MIN_GAP_NANOS: i64 = 10 * 1_000_000_000;
/// The end of a gap that is open.
const OPEN: i64 = i64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: i64,
    pub to: i64,
}

#[derive(Debug)]
pub(super) struct Gaps {
    path: PathBuf,
    gaps: Vec<Gap>,
}

impl Gaps {
    /// What an earlier run left to be filled.
    pub(super) fn load(archive: &Path) -> Self {
        let path = archive.join(FILE);
        let gaps = match read(&path) {
            Ok(gaps) => gaps,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what earlier runs missed is not known");
                Vec::new()
            }
        };
        let mut loaded = Self { path, gaps: Vec::new() };
        gaps.into_iter().for_each(|gap| loaded.insert(gap));
        loaded
    }

    /// The node is out of touch, at least since `from`.
    pub(super) async fn open(&mut self, from: i64) {
        self.insert(Gap { from, to: OPEN });
        self.save().await;
    }

    /// The node is back since `to`. How long the gap was, in nanoseconds, if it is worth being filled.
    pub(super) async fn close(&mut self, to: i64) -> Option<i64> {
        let last = self.gaps.pop_if(|gap| gap.to == OPEN)?;
        let length = to.saturating_sub(last.from);
        if length >= MIN_GAP_NANOS {
            self.gaps.push(Gap { to, ..last });
        }
        self.save().await;
        (length >= MIN_GAP_NANOS).then_some(length)
    }

    /// The beginning of the oldest closed gap, no longer than `most` nanoseconds. What lies before `cutoff` is forgotten.
    pub(super) fn oldest(&mut self, cutoff: i64, most: i64) -> Option<Gap> {
        self.gaps.retain(|gap| gap.to > cutoff);
        let first = self.gaps.first_mut()?;
        first.from = first.from.max(cutoff);
        let to = first.to.min(first.from.saturating_add(most));
        (first.to != OPEN).then_some(Gap { to, ..*first })
    }

    /// The oldest gap is filled up to `to`.
    pub(super) async fn filled(&mut self, to: i64) {
        if let Some(first) = self.gaps.first_mut() {
            first.from = to;
        }
        self.gaps.retain(|gap| gap.from < gap.to);
        self.save().await;
    }

    /// Joins what overlaps, and keeps the number in bounds.
    fn insert(&mut self, mut new: Gap) {
        for gap in mem::take(&mut self.gaps) {
            if gap.to < new.from || new.to < gap.from {
                self.gaps.push(gap);
            } else {
                new = Gap {
                    from: new.from.min(gap.from),
                    to: new.to.max(gap.to),
                };
            }
        }
        self.gaps.push(new);
        self.gaps.sort_unstable_by_key(|gap| gap.from);
        while self.gaps.len() > MAX_GAPS {
            let between = |index: &usize| self.gaps[index + 1].from.saturating_sub(self.gaps[*index].to);
            let Some(closest) = (0..self.gaps.len() - 1).min_by_key(between) else {
                return;
            };
            self.gaps[closest].to = self.gaps.remove(closest + 1).to;
        }
    }

    /// Without the file a restart forgets what was not filled; the run itself goes on.
    async fn save(&self) {
        let (path, text) = (self.path.clone(), to_text(&self.gaps));
        let write = move || durable_file::replace(&path, text.as_bytes(), MODE);
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "keeping what is still to be filled"),
            Err(error) if error.is_panic() => tracing::error!(%error, "keeping what is still to be filled"),
            // The runtime is going down.
            Err(_) => {}
        }
    }
}

/// The file's text.
pub fn to_text(gaps: &[Gap]) -> String {
    let line = |gap: &Gap| match gap.to {
        OPEN => format!("{} -\n", gap.from),
        to => format!("{} {to}\n", gap.from),
    };
    gaps.iter().map(line).collect()
}

/// A line of the file that is no gap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no gap")]
pub struct NotAGap(String);

/// The gaps in a file's text.
pub fn from_text(text: &str) -> Result<Vec<Gap>, NotAGap> {
    text.lines()
        .map(|line| parse(line).ok_or_else(|| NotAGap(line.to_owned())))
        .collect()
}

fn read(path: &Path) -> io::Result<Vec<Gap>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "{bytes} bytes, at most {MAX_FILE_BYTES} are read"
        )));
    }
    from_text(&fs::read_to_string(path)?).map_err(io::Error::other)
}

fn parse(line: &str) -> Option<Gap> {
    let (from, to) = line.split_once(' ')?;
    let from = from.parse().ok()?;
    let to = if to == "-" { OPEN } else { to.parse().ok()? };
    (from < to).then_some(Gap { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn empty() -> (tempfile::TempDir, Gaps) {
        let dir = tempfile::tempdir().unwrap();
        let gaps = Gaps::load(dir.path());
        (dir, gaps)
    }

    #[tokio::test]
    async fn a_restart_in_the_middle_forgets_none() {
        let (dir, mut gaps) = empty();
        gaps.open(100 * SECOND).await;
        assert_eq!(gaps.oldest(0, i64::MAX), None, "the node is still out of touch");
        assert_eq!(gaps.close(400 * SECOND).await, Some(300 * SECOND));
        gaps.open(1_000 * SECOND).await;
        let mut gaps = Gaps::load(dir.path());
        let slice = Gap {
            from: 100 * SECOND,
            to: 200 * SECOND,
        };
        assert_eq!(gaps.oldest(0, 100 * SECOND), Some(slice));
        gaps.filled(slice.to).await;
        // The run that opened the second one never came back; this one did, and finds what it has since.
        let mut gaps = Gaps::load(dir.path());
        gaps.open(1_500 * SECOND).await;
        assert_eq!(gaps.close(2_000 * SECOND).await, Some(1_000 * SECOND));
        let spans = [(200, 400), (1_000, 2_000)];
        for (from, to) in spans.map(|(from, to)| (from * SECOND, to * SECOND)) {
            assert_eq!(gaps.oldest(0, i64::MAX), Some(Gap { from, to }), "oldest first");
            gaps.filled(to).await;
        }
        assert_eq!(gaps.oldest(0, i64::MAX), None);
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "");
    }

    #[tokio::test]
    async fn what_is_not_wanted_is_forgotten() {
        let (_dir, mut gaps) = empty();
        gaps.open(100 * SECOND).await;
        assert_eq!(gaps.close(109 * SECOND).await, None, "relay has it in its history");
        gaps.open(i64::MIN).await;
        gaps.close(500 * SECOND).await;
        let kept = Gap {
            from: 450 * SECOND,
            to: 500 * SECOND,
        };
        assert_eq!(
            gaps.oldest(450 * SECOND, i64::MAX),
            Some(kept),
            "the retention's part of it"
        );
        assert_eq!(gaps.oldest(500 * SECOND, i64::MAX), None);
        assert_eq!(gaps.close(600 * SECOND).await, None, "nothing was open");
    }

    #[test]
    fn gaps_are_few_sorted_and_apart() {
        let (_dir, mut gaps) = empty();
        for start in (0..200).rev() {
            // The further on, the further apart.
            let from = start * 100 + start * start;
            gaps.insert(Gap { from, to: from + 50 });
            gaps.insert(Gap {
                from: from + 40,
                to: from + 60,
            });
        }
        assert_eq!(gaps.gaps.len(), MAX_GAPS);
        assert!(gaps.gaps.windows(2).all(|pair| pair[0].to < pair[1].from));
        let last = Gap {
            from: 19_900 + 199 * 199,
            to: 19_960 + 199 * 199,
        };
        assert_eq!((gaps.gaps[0].from, gaps.gaps.last()), (0, Some(&last)));
    }

    #[test]
    fn a_file_that_is_none_is_not_believed() {
        let (dir, _) = empty();
        let large = "1 2\n".repeat(4_000);
        for text in [
            "x",
            "1",
            "2 1\n",
            "1 2 3\n",
            "1 2\n\n",
            "- 5\n",
            "99999999999999999999 5\n",
            large.as_str(),
        ] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(Gaps::load(dir.path()).gaps, [], "{text:?}");
        }
        fs::write(dir.path().join(FILE), "7 9\n3 8\n20 -\n").unwrap();
        let expected = [Gap { from: 3, to: 9 }, Gap { from: 20, to: OPEN }];
        assert_eq!(Gaps::load(dir.path()).gaps, expected);
    }
}
