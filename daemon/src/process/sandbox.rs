//! Landlock (kernel.org, userspace-api/landlock): a service that is taken over by somebody else can still read what its
//! account may read, but writes to its own places only. It holds for all that the service starts, and cannot be undone.
//!
//! Where the kernel has no landlock, or an older one, as much is enforced as it can.

use std::path::{Path, PathBuf};

use anyhow::Context;
use landlock::{ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr};

/// Writing, creating, removing, renaming between folders, truncating: all that changes files, up to this version.
const CHANGES: ABI = ABI::V3;
/// What every program may throw things away to.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

pub(super) fn write_only_to(paths: &[PathBuf]) -> anyhow::Result<()> {
    let changes = AccessFs::from_write(CHANGES);
    let mut rules = Ruleset::default()
        .handle_access(changes)
        .and_then(Ruleset::create)
        .context("cannot make a sandbox")?;
    for path in paths {
        rules = allow(rules, path, changes)?;
    }
    for device in DEVICES.iter().map(Path::new).filter(|device| device.exists()) {
        rules = allow(rules, device, AccessFs::WriteFile | AccessFs::Truncate)?;
    }
    rules.restrict_self().context("cannot enter the sandbox")?;
    Ok(())
}

fn allow(
    rules: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> anyhow::Result<landlock::RulesetCreated> {
    let place = PathFd::new(path).with_context(|| format!("sandbox: cannot open {}", path.display()))?;
    rules
        .add_rule(PathBeneath::new(place, access))
        .with_context(|| format!("sandbox: cannot allow {}", path.display()))
}
