//! The list of what is known and not yet put right. A line is `circle FILE`, `long FILE` or `long FILE FUNCTION`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

#[derive(Debug, Default)]
pub(crate) struct Known {
    entries: BTreeSet<String>,
    met: BTreeSet<String>,
}

impl Known {
    pub(crate) fn read(list: &Path) -> Result<Known> {
        let text = std::fs::read_to_string(list).with_context(|| format!("reading {}", list.display()))?;
        Ok(Known::parse(&text))
    }

    pub(crate) fn parse(text: &str) -> Known {
        let lines = text.lines().map(str::trim);
        Known {
            entries: lines.filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            met: BTreeSet::new(),
        }
    }

    /// Whether this is known; it is needed then.
    pub(crate) fn has(&mut self, entry: &str) -> bool {
        let known = self.entries.contains(entry);
        if known {
            self.met.insert(entry.to_owned());
        }
        known
    }

    pub(crate) fn not_needed(&self) -> Vec<String> {
        let left = self.entries.difference(&self.met);
        left.map(|entry| {
            format!(
                "known.txt has {entry:?}, which is put right: cargo run -p pillarbox-checks -- --shrink takes it out"
            )
        })
        .collect()
    }

    /// Writes what is still needed.
    pub(crate) fn shrink(&self, list: &Path) -> Result<()> {
        let text: String = self.met.iter().map(|entry| format!("{entry}\n")).collect();
        std::fs::write(list, text).with_context(|| format!("writing {}", list.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_met_is_not_needed() {
        let mut known = Known::parse("circle a.rs\n\nlong b.rs f\n");
        assert!(known.has("circle a.rs") && !known.has("circle c.rs"));
        let left = known.not_needed();
        assert_eq!(left.len(), 1);
        assert!(left[0].contains("long b.rs f"), "{left:?}");
        let list = tempfile::NamedTempFile::new().unwrap();
        known.shrink(list.path()).unwrap();
        assert_eq!(std::fs::read_to_string(list.path()).unwrap(), "circle a.rs\n");
    }
}
