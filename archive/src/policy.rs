//! The `policy` file: all that the daemon tells whoever writes the archive, in one small JSON file in the archive's
//! directory that is replaced atomically. Without the file (a mailserver run alone) the mailserver prunes by itself.
//!
//! A policy that cannot be understood is the safe state, never a guess: nothing is pruned, and the last cut-off that
//! was understood holds.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, layout};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub retention_secs: u64,
    /// Whether the system clock may be believed: then the cut-off is now − retention, and live ingest refuses what is
    /// more than 20 s from now. Untrusted, nothing is pruned and arrivals go to a provisional segment.
    pub clock_trusted: bool,
    /// The last cut-off that was computed with a trusted clock, nanoseconds since the Unix epoch: nothing older is
    /// ever served, even while the clock is not trusted.
    pub cutoff: Option<i64>,
    pub disk: DiskStage,
    pub quota_bytes: Option<u64>,
}

/// The disk ladder's step (with hysteresis, decided by the daemon).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskStage {
    Fine,
    Warn,
    /// The oldest segments are dropped before their time.
    DropOldest,
    /// Nothing more is stored; relay goes on.
    ReadOnly,
}

impl Policy {
    /// The time before which nothing is served, seen from `now` (nanoseconds since the Unix epoch).
    pub fn cutoff_at(&self, now: i64) -> i64 {
        let known = self.cutoff.unwrap_or(i64::MIN);
        if self.clock_trusted {
            known.max(cutoff(now, self.retention_secs))
        } else {
            known
        }
    }
}

/// now − retention.
pub(crate) fn cutoff(now: i64, retention_secs: u64) -> i64 {
    let retention = i64::try_from(retention_secs)
        .unwrap_or(i64::MAX)
        .saturating_mul(layout::NANOS);
    now.saturating_sub(retention)
}

/// Replaces the policy: whole or not at all, also across a power cut.
pub fn write_policy(dir: &Path, policy: &Policy) -> Result<(), Error> {
    let path = dir.join(layout::POLICY);
    let temporary = dir.join(format!("{}.new", layout::POLICY));
    let text = serde_json::to_vec_pretty(policy).map_err(|error| Error::Policy {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    std::fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
    std::fs::File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        })
        .map_err(Error::file("write", &temporary))?;
    std::fs::rename(&temporary, &path).map_err(Error::file("replace", &path))?;
    layout::sync_dir(dir)
}

/// The policy as it stands; `None` without one.
pub fn read_policy(dir: &Path) -> Result<Option<Policy>, Error> {
    let path = dir.join(layout::POLICY);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", &path)(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| Error::Policy {
        path,
        reason: error.to_string(),
    })
}

/// What the writer knows of the policy, read again only when the file has been replaced.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    stamp: Option<(u64, i64, i64, u64)>,
    pub(crate) policy: Option<Policy>,
}

impl Watched {
    pub(crate) fn refresh(&mut self, dir: &Path) {
        let stamp = std::fs::metadata(dir.join(layout::POLICY))
            .ok()
            .map(|meta| (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()));
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match read_policy(dir) {
            Ok(policy) => {
                if policy != self.policy {
                    tracing::info!(?policy, "policy");
                }
                self.policy = policy;
            }
            Err(error) => {
                tracing::error!(%error, "policy not understood: nothing is pruned until it is");
                let last = self.policy.take();
                self.policy = Some(Policy {
                    retention_secs: last.as_ref().map_or(u64::MAX, |policy| policy.retention_secs),
                    clock_trusted: false,
                    cutoff: last.as_ref().and_then(|policy| policy.cutoff),
                    disk: last.as_ref().map_or(DiskStage::Fine, |policy| policy.disk),
                    quota_bytes: last.and_then(|policy| policy.quota_bytes),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutoffs() {
        let policy = |clock_trusted, cutoff| Policy {
            retention_secs: 10,
            clock_trusted,
            cutoff,
            disk: DiskStage::Fine,
            quota_bytes: None,
        };
        let now = 100 * layout::NANOS;
        for (policy, expected) in [
            (policy(true, None), 90 * layout::NANOS),
            (policy(true, Some(5)), 90 * layout::NANOS),
            (policy(true, Some(95 * layout::NANOS)), 95 * layout::NANOS),
            (policy(false, Some(95 * layout::NANOS)), 95 * layout::NANOS),
            (policy(false, None), i64::MIN),
        ] {
            assert_eq!(policy.cutoff_at(now), expected, "{policy:?}");
        }
    }

    #[test]
    fn a_policy_survives_the_file_and_a_broken_one_is_the_safe_state() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_policy(dir.path()).unwrap(), None);
        let policy = Policy {
            retention_secs: 86_400,
            clock_trusted: true,
            cutoff: Some(7),
            disk: DiskStage::DropOldest,
            quota_bytes: Some(1 << 30),
        };
        write_policy(dir.path(), &policy).unwrap();
        assert_eq!(read_policy(dir.path()).unwrap(), Some(policy.clone()));

        let mut watched = Watched::default();
        watched.refresh(dir.path());
        assert_eq!(watched.policy, Some(policy));
        std::fs::write(
            dir.path().join(layout::POLICY),
            b"{\"retention_secs\": 1, \"tomorrow\": true}",
        )
        .unwrap();
        watched.refresh(dir.path());
        let safe = watched.policy.unwrap();
        assert!(!safe.clock_trusted);
        assert_eq!(safe.cutoff, Some(7));
        assert!(read_policy(dir.path()).is_err());
    }
}
