//! How much the units of the image may do, by systemd's own measure (systemd-analyze(1), "security").

use std::path::Path;
use std::process::Command;

/// Tenths of systemd's exposure level, at most. The daemon starts its services as other users and gives them their
/// directories, so it keeps capabilities that cost it points; what it starts has none (`tests/e2e` looks).
const LIMITS: &[(&str, u32)] = &[("pillarboxd.service", 32), ("pillarbox-card.service", 32)];

#[test]
fn units_stay_below_their_exposure() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlay/root/usr/lib/systemd/system");
    for (unit, limit) in LIMITS {
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager"])
            .arg(format!("--threshold={limit}"))
            .arg(units.join(unit))
            .output()
            .expect("systemd-analyze starts; it is in Debian's package systemd");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{unit} is above {limit} tenths:\n{said}");
        // A unit that cannot be read has no level at all.
        assert!(said.contains("Overall exposure level"), "{unit}: {said}");
    }
}
