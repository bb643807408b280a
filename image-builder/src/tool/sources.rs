//! Where packages come from.

use std::process::Command;

use super::Tools;
use super::run::Result;
use crate::recipe;

/// A package archive that apt knows, as `apt-get indextargets` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archive {
    pub(crate) uri: String,
    pub(crate) label: String,
}

impl Tools {
    /// The package archives of Debian that this machine's own apt uses. Empty on a machine that is no Debian.
    pub(crate) fn debian_archives(&self) -> Result<Vec<Archive>> {
        let mut command = Command::new("apt-get");
        command.args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(LABEL)",
            "Created-By: Packages",
            "Origin: Debian",
        ]);
        let text = self.output(command)?;
        let mut archives: Vec<Archive> = Vec::new();
        for (uri, label) in text.lines().filter_map(|line| line.split_once(' ')) {
            let archive = Archive {
                uri: uri.to_owned(),
                label: label.to_owned(),
            };
            if !archives.contains(&archive) {
                archives.push(archive);
            }
        }
        Ok(archives)
    }

    /// How this machine's apt reaches its archives (proxies, checks of validity), as lines of an apt.conf.
    pub(crate) fn apt_transport_options(&self) -> Result<Vec<String>> {
        let mut command = Command::new("apt-config");
        command.args(["dump", "--no-empty", "Acquire"]);
        let wanted = ["Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries"];
        Ok(self
            .output(command)?
            .lines()
            .filter(|line| wanted.iter().any(|prefix| line.starts_with(prefix)))
            .map(str::to_owned)
            .collect())
    }
}

/// Where packages come from: lines of a sources.list, none for mmdebstrap's own default, and apt's options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) lines: Vec<String>,
    pub(crate) apt_options: Vec<String>,
}

impl Sources {
    /// The given lines of a sources.list, or those of this machine's own archives when there are none. `also` is a suite
    /// beside the image's own.
    pub(crate) fn found(tools: &Tools, mirrors: &[String], also: Option<&str>) -> Result<Sources> {
        let mut sources = Sources::of(&tools.debian_archives()?, also, tools.apt_transport_options()?);
        if !mirrors.is_empty() {
            sources.lines = mirrors.to_vec();
        }
        Ok(sources)
    }

    /// The image's suite from the archives that this machine's apt already uses; no archive is named anywhere else.
    pub(crate) fn of(archives: &[Archive], also: Option<&str>, apt_options: Vec<String>) -> Sources {
        let components = recipe::COMPONENTS.replace(',', " ");
        let suite = recipe::SUITE;
        let line = |archive: &Archive, suite: String| format!("deb {} {suite} {components}", archive.uri);
        let labelled = |label: &str| archives.iter().find(|archive| archive.label == label);
        let mut lines = Vec::new();
        if let Some(main) = labelled("Debian") {
            lines.push(line(main, suite.to_owned()));
            lines.push(line(main, format!("{suite}-updates")));
            lines.extend(labelled("Debian-Security").map(|archive| line(archive, format!("{suite}-security"))));
            lines.extend(also.map(|suite| line(main, suite.to_owned())));
        }
        Sources { lines, apt_options }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(uri: &str, label: &str) -> Archive {
        Archive {
            uri: uri.to_owned(),
            label: label.to_owned(),
        }
    }

    #[test]
    fn the_suite_comes_from_the_machines_own_archives() {
        let sources = Sources::of(
            &[
                archive("m:/debian/", "Debian"),
                archive("m:/security/", "Debian-Security"),
            ],
            Some("trixie-backports"),
            Vec::new(),
        );
        assert_eq!(sources.lines.len(), 4);
        assert!(sources.lines[2].starts_with("deb m:/security/ trixie-security main"));
        assert!(sources.lines[3].starts_with("deb m:/debian/ trixie-backports main"));
        assert!(
            Sources::of(&[archive("m:/u/", "Ubuntu")], None, Vec::new())
                .lines
                .is_empty()
        );
    }
}
