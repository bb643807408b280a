//! The daemon's own files in a root file system: its services, each with its account, and the board in its settings.

use std::path::Path;

use anyhow::Result;

use crate::files;

/// Copies the services that ship into `root`.
pub(crate) fn add_services(services: &Path, root: &Path) -> Result<()> {
    for path in files::walk(services)? {
        let text = files::text(&services.join(&path))?;
        let to = root.join("usr/lib/pillarbox/services").join(&path);
        files::write(&to, with_account(&path, &text).as_bytes(), 0o644)?;
    }
    Ok(())
}

/// On a card every service has an account of its own (`overlay/root/usr/lib/sysusers.d`), named after it. A service's
/// file does not say so, because a developer's machine has no such account.
pub(crate) fn with_account(path: &Path, text: &str) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("user = \"pillarbox-{name}\"\n{text}")
}

/// Writes the board's name into the daemon's settings.
pub(crate) fn name_board(root: &Path, board: &str) -> Result<()> {
    let config = root.join("etc/pillarbox/pillarboxd.toml");
    let text = files::text(&config)?;
    files::write(&config, text.replace("@BOARD@", board).as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_a_key_of_the_service_itself() {
        let text = with_account(Path::new("mailserver.toml"), "program = \"x\"\n[health]\n");
        let parsed: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(parsed["user"].as_str(), Some("pillarbox-mailserver"));
    }

    /// Every service that ships has an account in the image.
    #[test]
    fn every_service_has_its_account() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let accounts = repository.join("image-builder/overlay/root/usr/lib/sysusers.d/pillarbox.conf");
        let accounts = files::text(&accounts).unwrap();
        for path in files::walk(&repository.join("daemon/services")).unwrap() {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(accounts.contains(&format!("u pillarbox-{name} ")), "{name}");
        }
    }
}
