//! What ran before the daemon may have left it a sentence for the page, in files that the main file names.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A report is a sentence for the page.
const MAX_REPORT_BYTES: u64 = 400;

/// The files. One that is not there is no trouble.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reports {
    settings: Option<PathBuf>,
    disk: Option<PathBuf>,
}

/// The sentences that were there when the settings were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Why a person's settings are not used.
    pub settings: Option<String>,
    /// Why what is kept is not on the disk that it belongs on.
    pub disk: Option<String>,
}

impl Reports {
    pub(super) fn read(&self, base: &Path) -> Reported {
        let sentence = |path: &Option<PathBuf>| {
            let mut text = Vec::new();
            let file = std::fs::File::open(base.join(path.as_ref()?)).ok()?;
            file.take(MAX_REPORT_BYTES).read_to_end(&mut text).ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            text.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
        };
        Reported {
            settings: sentence(&self.settings),
            disk: sentence(&self.disk),
        }
    }
}
