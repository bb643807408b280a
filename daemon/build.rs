//! Puts the build's time into the program: no clock that is before it can be right (`src/clock/`). Reproducible builds
//! set SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch); PILLARBOX_BUILT_SECS goes before it.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-env-changed=PILLARBOX_BUILT_SECS");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=src");
    let built_secs = std::env::var("PILLARBOX_BUILT_SECS")
        .or_else(|_| std::env::var("SOURCE_DATE_EPOCH"))
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .or_else(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .map(|since| since.as_secs())
        })
        .unwrap_or(0);
    println!("cargo::rustc-env=PILLARBOX_BUILD_SECS={built_secs}");
}
