//! Which kernel modules an image keeps, and in which order the initrd loads its own; from `modules.dep`. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Each module's path below the version's directory, with all it needs, as depmod lists them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modules {
    needs: BTreeMap<String, Vec<String>>,
}

impl Modules {
    /// Lines of `modules.dep`: `path: need need …`, the nearest need first.
    pub(crate) fn parse(text: &str) -> Modules {
        let needs = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(path, needs)| (path.to_owned(), needs.split_whitespace().map(str::to_owned).collect()))
            .collect();
        Modules { needs }
    }

    /// All that lie under none of `cuts` or under one of `wanted`, with what they need. Paths are below `kernel/`.
    pub(crate) fn keep(&self, cuts: &[&str], wanted: &[String]) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        for (path, needs) in &self.needs {
            let short = path.strip_prefix("kernel/").unwrap_or(path);
            let is_wanted = wanted.iter().any(|prefix| below(short, prefix));
            if is_wanted || !cuts.iter().any(|prefix| below(short, prefix)) {
                kept.insert(path.clone());
                kept.extend(needs.iter().cloned());
            }
        }
        kept
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.needs
            .keys()
            .any(|path| module_name(path) == name.replace('-', "_"))
    }

    /// Paths of the named modules and of all they need, each after its needs. `Err` names one that is not there.
    pub(crate) fn load_order(&self, names: &[String]) -> Result<Vec<String>, String> {
        let mut ordered: Vec<String> = Vec::new();
        for name in names {
            let (path, needs) = self
                .needs
                .iter()
                .find(|(path, _)| module_name(path) == name.replace('-', "_"))
                .ok_or_else(|| name.clone())?;
            // depmod lists the nearest need first, so the farthest is loaded first.
            for path in needs.iter().rev().chain([path]) {
                if !ordered.contains(path) {
                    ordered.push(path.clone());
                }
            }
        }
        Ok(ordered)
    }
}

/// `prefix` is a directory of `path`, or the path itself.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The name that `lsmod` shows: no directory, no ending, underscores.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz\n\
                       kernel/fs/jbd2/jbd2.ko.xz: kernel/lib/crc16.ko.xz\n\
                       kernel/lib/crc16.ko.xz:\n\
                       kernel/drivers/net/usb/smsc95xx.ko.xz: kernel/drivers/net/usb/usbnet.ko.xz\n\
                       kernel/drivers/net/usb/usbnet.ko.xz:\n\
                       kernel/drivers/net/usbother.ko.xz:\n\
                       kernel/drivers/mmc/host/sdhci-iproc.ko.xz:\n";

    #[test]
    fn needs_are_loaded_first_and_once() {
        let modules = Modules::parse(DEP);
        let order = modules
            .load_order(&["jbd2".to_owned(), "ext4".to_owned(), "sdhci_iproc".to_owned()])
            .unwrap();
        assert_eq!(
            order,
            [
                "kernel/lib/crc16.ko.xz",
                "kernel/fs/jbd2/jbd2.ko.xz",
                "kernel/fs/ext4/ext4.ko.xz",
                "kernel/drivers/mmc/host/sdhci-iproc.ko.xz"
            ]
        );
        assert_eq!(modules.load_order(&["nonesuch".to_owned()]), Err("nonesuch".to_owned()));
        assert!(modules.has("sdhci_iproc") && !modules.has("crc32c_generic"));
    }

    #[test]
    fn cuts_spare_what_is_wanted_and_what_is_needed() {
        let modules = Modules::parse(DEP);
        let kept = modules.keep(&["drivers/net/usb", "lib"], &[]);
        assert!(!kept.contains("kernel/drivers/net/usb/smsc95xx.ko.xz"));
        assert!(
            kept.contains("kernel/drivers/net/usbother.ko.xz"),
            "a cut is a directory, not letters"
        );
        assert!(kept.contains("kernel/lib/crc16.ko.xz"), "ext4 needs it");
        let kept = modules.keep(&["drivers/net"], &["drivers/net/usb/smsc95xx.ko.xz".to_owned()]);
        assert!(kept.contains("kernel/drivers/net/usb/usbnet.ko.xz"));
        assert!(!kept.contains("kernel/drivers/net/usbother.ko.xz"));
    }
}
