//! The board's hardware watchdog, which restarts a machine whose systemd no longer feeds it. A driver that cannot count
//! as far as it is asked to may keep a time of its own without a word, so what it counts to in effect is read back, from
//! sysfs below a root that tests can make (Linux, `Documentation/ABI/testing/sysfs-class-watchdog`).

use std::path::Path;
use std::time::Duration;

use crate::detail::BoardDetail;
use crate::snapshot::{Finding, Level, WatchdogStatus};

/// The kernel's first one; boards have one, and systemd opens this.
const FIRST: &str = "sys/class/watchdog/watchdog0";

/// `None` where there is no watchdog, or none that tells.
pub fn read(root: &Path) -> Option<WatchdogStatus> {
    let text = |name: &str| {
        let text = std::fs::read_to_string(root.join(FIRST).join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    Some(WatchdogStatus {
        name: text("identity")?,
        active: text("state")? == "active",
        timeout_secs: text("timeout")?.parse().ok()?,
    })
}

/// `wanted` is what systemd was told to set.
pub fn finding(status: &WatchdogStatus, wanted: Duration) -> Finding {
    let (name, secs) = (status.name.clone(), status.timeout_secs);
    let wanted_secs = wanted.as_secs();
    let (level, detail) = if !status.active {
        (Level::Warn, BoardDetail::WatchdogOff { name })
    } else if u64::from(secs) != wanted_secs {
        let detail = BoardDetail::WatchdogOther {
            name,
            secs,
            wanted_secs,
        };
        (Level::Warn, detail)
    } else {
        (Level::Ok, BoardDetail::WatchdogOn { name, secs })
    };
    Finding {
        level,
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The driver's files, and what is found.
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<Level>);

    #[test]
    fn what_the_driver_counts_to_is_compared() {
        let cases: &[Case<'_>] = &[
            (&[], None),
            (&[("identity", "X\n"), ("state", "active\n")], None),
            (
                &[("identity", "X\n"), ("state", "active\n"), ("timeout", "many\n")],
                None,
            ),
            (
                &[("identity", "X\n"), ("state", "active\n"), ("timeout", "12\n")],
                Some(Level::Ok),
            ),
            (
                &[("identity", "X\n"), ("state", "active\n"), ("timeout", "60\n")],
                Some(Level::Warn),
            ),
            (
                &[("identity", "X\n"), ("state", "inactive\n"), ("timeout", "12\n")],
                Some(Level::Warn),
            ),
        ];
        for (files, wanted) in cases {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join(FIRST)).unwrap();
            for (name, text) in *files {
                std::fs::write(root.path().join(FIRST).join(name), text).unwrap();
            }
            let level = read(root.path()).map(|status| finding(&status, Duration::from_secs(12)).level);
            assert_eq!(level, *wanted, "{files:?}");
        }
    }
}
