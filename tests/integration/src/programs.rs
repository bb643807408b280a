//! The programs under test, built once by the cargo that runs the tests, in the profile the tests have.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that holds `pillarboxd`, `pillarbox` and `pillarbox-mailserver`, freshly built.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own path");
        let folder = test.ancestors().nth(2).expect("tests run from PROFILE/deps").to_owned();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "pillarboxd",
            "-p",
            "pillarbox-mailserver",
        ]);
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        cargo
            .arg("--target-dir")
            .arg(folder.parent().expect("a profile folder lies in the target folder"));
        cargo.current_dir(workspace());
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "the programs do not build: {status}");
        folder
    })
}

/// The root of the checkout.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the checkout is there")
}
