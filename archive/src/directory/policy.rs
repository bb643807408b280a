//! The `policy` file: all that the daemon tells whoever writes the archive, in one small JSON file in the archive's
//! directory that is replaced atomically. Without the file (a mailserver run alone) the mailserver prunes by itself.
//!
//! A policy that cannot be understood, or that went away under the writer, is the safe state, never a guess: nothing is
//! pruned, and the cut-off that held last goes on holding.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::directory::folder::Folder;
use crate::directory::names::POLICY;
use crate::error::Error;
use crate::mutex::may_wait;
use crate::nanos::Nanos;

/// The file's six values take less than 300 bytes.
const MAX_BYTES: u64 = 4096;
/// Everybody may read it: it holds nothing secret, and the writer is another account than the daemon.
const MODE: u32 = 0o644;

/// What the daemon wants of whoever writes the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How long envelopes are kept, in seconds.
    pub retention_secs: u64,
    /// Whether the system clock may be believed: then the cut-off is now − retention, and live ingest refuses what is
    /// more than 20 s from now. Untrusted, nothing is pruned and arrivals go to a provisional segment.
    pub clock_trusted: bool,
    /// The last cut-off that was computed with a trusted clock, nanoseconds since the Unix epoch: nothing older is
    /// ever served, even while the clock is not trusted.
    pub cutoff: Option<i64>,
    /// The clock has leapt and is believed, and nothing may be forgotten for it yet: what arrived while it was not
    /// believed stays provisional.
    #[serde(default)]
    pub held: bool,
    /// What the writer does about the disk.
    pub disk: DiskStage,
    /// How much the archive may take, in bytes on disk; `None` without a limit.
    pub quota_bytes: Option<u64>,
}

/// What is done about a disk that fills up, one step after the other (decided by the daemon, with hysteresis).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskStage {
    /// There is room.
    Fine,
    /// Room is getting short. The daemon says so; the writer does nothing about it.
    Warn,
    /// The oldest segments are dropped before their time.
    DropOldest,
    /// Nothing more is stored; relay goes on.
    ReadOnly,
}

impl Policy {
    /// The time before which nothing is served, seen from `now`.
    pub fn cutoff_at(&self, now: impl Into<Nanos>) -> Nanos {
        let known = self.cutoff.map_or(Nanos::MIN, Nanos::new);
        if self.clock_trusted {
            known.max(cutoff(now.into(), Duration::from_secs(self.retention_secs)))
        } else {
            known
        }
    }
}

/// now − retention.
pub(crate) fn cutoff(now: Nanos, retention: Duration) -> Nanos {
    now.earlier(retention)
}

/// Replaces the policy: whole or not at all, also across a power cut.
pub fn write_policy(dir: &Path, policy: &Policy) -> Result<(), Error> {
    let path = dir.join(POLICY);
    let text = serde_json::to_vec_pretty(policy).map_err(|error| Error::Policy {
        path,
        reason: error.to_string(),
    })?;
    std::fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
    let folder = Folder::open(dir).map_err(Error::file("open", dir))?;
    Ok(durable_file::replace_in(
        folder.handle(),
        dir,
        POLICY.as_ref(),
        &text,
        MODE,
    )?)
}

/// The policy as it stands; `None` without one.
pub fn read_policy(dir: &Path) -> Result<Option<Policy>, Error> {
    let path = dir.join(POLICY);
    let read = Folder::open(dir).and_then(|folder| folder.read(POLICY, MAX_BYTES));
    let text = match read {
        Ok((text, _)) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", &path)(error)),
    };
    parse(&text).map(Some).map_err(|reason| Error::Policy { path, reason })
}

fn parse(text: &[u8]) -> Result<Policy, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Reads the policy again when the file has been replaced, and only then.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    stamp: Option<(u64, i64, i64, u64)>,
}

impl Watch {
    /// What there is to read now, if that is another file than the last time.
    pub(crate) fn look(&mut self, dir: &Path) -> Option<Result<Option<Policy>, Error>> {
        may_wait();
        let stamp = std::fs::symlink_metadata(dir.join(POLICY))
            .ok()
            .map(|meta| (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()));
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        Some(read_policy(dir))
    }
}

/// What has become of the policy, for the log.
#[derive(Debug)]
pub(crate) enum News {
    Changed(Option<Policy>),
    Gone,
    NotUnderstood(Error),
}

impl News {
    pub(crate) fn log(&self) {
        match self {
            News::Changed(policy) => tracing::info!(?policy, "policy"),
            News::Gone => tracing::error!("the policy file is gone: nothing is pruned until it is back"),
            News::NotUnderstood(error) => {
                tracing::error!(%error, "policy not understood: nothing is pruned until it is");
            }
        }
    }
}

/// Takes over what was read. `now` is the caller's clock: what it makes of a trusted policy's cut-off holds when that
/// policy is lost.
pub(crate) fn obey(policy: &mut Option<Policy>, read: Result<Option<Policy>, Error>, now: Nanos) -> Option<News> {
    match read {
        Ok(None) if policy.is_some() => {
            *policy = Some(safe(policy.take(), now));
            Some(News::Gone)
        }
        Ok(read) => {
            let changed = read != *policy;
            policy.clone_from(&read);
            changed.then_some(News::Changed(read))
        }
        Err(error) => {
            *policy = Some(safe(policy.take(), now));
            Some(News::NotUnderstood(error))
        }
    }
}

/// The safe state, after `last` held.
fn safe(last: Option<Policy>, now: Nanos) -> Policy {
    let cutoff = last.as_ref().map(|policy| policy.cutoff_at(now));
    Policy {
        retention_secs: last.as_ref().map_or(u64::MAX, |policy| policy.retention_secs),
        clock_trusted: false,
        cutoff: cutoff.filter(|cutoff| *cutoff != Nanos::MIN).map(Nanos::get),
        held: true,
        disk: last.as_ref().map_or(DiskStage::Fine, |policy| policy.disk),
        quota_bytes: last.and_then(|policy| policy.quota_bytes),
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
            held: false,
            disk: DiskStage::Fine,
            quota_bytes: None,
        };
        let secs = Nanos::from_secs;
        let now = secs(100);
        for (policy, expected) in [
            (policy(true, None), secs(90)),
            (policy(true, Some(5)), secs(90)),
            (policy(true, Some(secs(95).get())), secs(95)),
            (policy(false, Some(secs(95).get())), secs(95)),
            (policy(false, None), Nanos::MIN),
        ] {
            assert_eq!(policy.cutoff_at(now), expected, "{policy:?}");
        }
    }

    /// The policy as a writer has it from one tick to the next.
    #[derive(Default)]
    struct Watched {
        watch: Watch,
        policy: Option<Policy>,
    }

    impl Watched {
        fn refresh(&mut self, dir: &Path, now: Nanos) {
            if let Some(read) = self.watch.look(dir) {
                obey(&mut self.policy, read, now);
            }
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
            held: false,
            disk: DiskStage::DropOldest,
            quota_bytes: Some(1 << 30),
        };
        write_policy(dir.path(), &policy).unwrap();
        assert_eq!(read_policy(dir.path()).unwrap(), Some(policy.clone()));

        let now = Nanos::from_secs(100_000);
        let held = Nanos::from_secs(100_000 - 86_400).get();
        let path = dir.path().join(POLICY);
        let whole = std::fs::read(&path).unwrap();
        for (broken, text) in [
            ("torn", Some(whole[..whole.len() / 2].to_vec())),
            ("empty", Some(vec![])),
            ("zeroes, as some file systems leave", Some(vec![0; whole.len()])),
            (
                "of a newer daemon",
                Some(b"{\"retention_secs\": 1, \"tomorrow\": true}".to_vec()),
            ),
            ("endless", Some(vec![b' '; 1 << 20])),
            ("gone", None),
        ] {
            write_policy(dir.path(), &policy).unwrap();
            let mut watched = Watched::default();
            watched.refresh(dir.path(), now);
            assert_eq!(watched.policy, Some(policy.clone()));
            match text {
                Some(text) => {
                    std::fs::write(&path, text).unwrap();
                    assert!(read_policy(dir.path()).is_err(), "{broken}");
                }
                None => std::fs::remove_file(&path).unwrap(),
            }
            watched.refresh(dir.path(), now);
            let safe = watched.policy.clone().unwrap();
            assert!(!safe.clock_trusted, "{broken}");
            assert_eq!(safe.cutoff, Some(held), "{broken}: what was forgotten stays so");
            assert_eq!(
                (safe.disk, safe.quota_bytes),
                (policy.disk, policy.quota_bytes),
                "{broken}"
            );
            // And it is believed again when it is whole again.
            write_policy(dir.path(), &policy).unwrap();
            watched.refresh(dir.path(), now);
            assert_eq!(watched.policy, Some(policy.clone()), "{broken}");
        }
        // Broken from the start: nothing is known, so nothing is forgotten.
        std::fs::write(&path, b"{").unwrap();
        let mut watched = Watched::default();
        watched.refresh(dir.path(), now);
        let safe = watched.policy.unwrap();
        assert_eq!((safe.clock_trusted, safe.cutoff, safe.quota_bytes), (false, None, None));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_policy_or_an_error(text: Vec<u8>, cut in 0usize..400, at in 0usize..400, byte: u8) {
            let _ = parse(&text);
            let policy = Policy {
                retention_secs: 86_400,
                clock_trusted: true,
                cutoff: Some(i64::MIN),
                held: true,
                disk: DiskStage::ReadOnly,
                quota_bytes: Some(u64::MAX),
            };
            let mut whole = serde_json::to_vec(&policy).unwrap();
            assert_eq!(parse(&whole), Ok(policy));
            if let Some(place) = whole.get_mut(at) {
                *place = byte;
            }
            whole.truncate(cut);
            // Whatever was understood can be computed with.
            if let Ok(policy) = parse(&whole) {
                policy.cutoff_at(0);
                policy.cutoff_at(i64::MIN);
                policy.cutoff_at(i64::MAX);
            }
        }
    }
}
