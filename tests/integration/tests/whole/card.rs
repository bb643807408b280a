//! What a person may write on the card is something that the daemon takes: a wish that is good for one and not for the
//! other would leave the box without its page.

use std::process::Command;

use card_settings::{daemon, settings};
use pillarbox_integration::programs;

/// The file as it ships, with every wish in use.
fn every_wish() -> String {
    let shipped = include_str!("../../../../image-builder/overlay/firmware/pillarbox.toml");
    let used = |line: &str| match line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) {
        Some(rest) => rest.to_owned() + "\n",
        None => line.to_owned() + "\n",
    };
    shipped.lines().map(used).collect()
}

#[test]
fn what_the_card_may_say_is_what_the_daemon_takes() {
    let folder = tempfile::tempdir().unwrap();
    let services = programs::workspace().join("daemon/services");
    let base = format!(
        "board = \"dev\"\nstate_dir = {:?}\nservices_dir = {services:?}\nrequired = [\"mailserver\"]\n[network]\ncluster = 16\nshards = [32]\n[page]\nlisten = \"127.0.0.1:0\"\n[services.mailserver]\n\
         program = {:?}\n",
        folder.path().join("state"),
        programs::folder().join("pillarbox-mailserver"),
    );
    let word = folder.path().join("word");
    for wishes in [String::new(), every_wish()] {
        let settings = settings::parse(wishes.as_bytes()).unwrap();
        let file = folder.path().join("pillarboxd.toml");
        std::fs::write(&file, daemon::overlay(&base, &settings, Some(&word)).unwrap()).unwrap();
        let check = Command::new(programs::folder().join("pillarboxd"))
            .arg("--config")
            .arg(&file)
            .arg("--check")
            .output()
            .unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
}
