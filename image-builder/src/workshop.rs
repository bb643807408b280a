//! Runs one stage at a time: reuses what is finished, says what is going on and for how long, names the log of what
//! failed. A stage works in a `.partial` directory that is renamed when it is whole, so a stopped build leaves nothing
//! half done that looks finished.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::files;
use crate::stage::{KeyHasher, STAGES, order};
use crate::tool::Tools;

pub struct Workshop {
    dir: PathBuf,
    epoch: u64,
    started: Instant,
    finished: BTreeMap<&'static str, Finished>,
}

struct Finished {
    key: String,
    dir: PathBuf,
}

impl Workshop {
    pub fn new(dir: PathBuf, epoch: u64) -> Result<Workshop> {
        files::make_dir(&dir.join("log"))?;
        Ok(Workshop {
            dir,
            epoch,
            started: Instant::now(),
            finished: BTreeMap::new(),
        })
    }

    /// Where a finished stage left its output. A stage asks only for what it `needs`.
    pub fn output(&self, stage: &str) -> &Path {
        &self
            .finished
            .get(stage)
            .expect("stages run in the order of their needs")
            .dir
    }

    /// Runs every stage in order, to the end or to the one named `until`. `inputs` adds what the stage is made from; `work` makes it in a directory.
    pub fn run(
        &mut self,
        until: Option<&str>,
        inputs: impl Fn(&'static str, &mut KeyHasher) -> Result<()>,
        work: impl Fn(&Workshop, &'static str, &Tools, &Path) -> Result<()>,
    ) -> Result<()> {
        let ordered = order(STAGES)?;
        for (index, stage) in ordered.iter().enumerate() {
            let mut hasher = KeyHasher::new(stage.name);
            // Packages are the same whatever is built from them later; what is made of them is dated.
            if !stage.needs.is_empty() {
                hasher.add("epoch", &self.epoch.to_le_bytes());
            }
            for need in stage.needs {
                hasher.add(need, self.finished[need].key.as_bytes());
            }
            inputs(stage.name, &mut hasher).with_context(|| format!("the inputs of stage {}", stage.name))?;
            let key = hasher.finish();
            let dir = self.dir.join(format!("{}-{key}", stage.name));
            let place = format!("[{}/{}] {:<14}", index + 1, ordered.len(), stage.name);
            if dir.is_dir() {
                self.say(&format!("{place} unchanged"));
            } else if let Some(twin) = self.twin(&dir)? {
                self.make(stage.name, &dir, |_, _, tools, into| Ok(tools.copy_tree(&twin, into)?))?;
                self.say(&format!("{place} as in {}", twin.display()));
            } else {
                self.say(&format!("{place} …"));
                let took = self.make(stage.name, &dir, &work)?;
                self.say(&format!("{place} done in {}", clock(took)));
            }
            self.finished.insert(stage.name, Finished { key, dir });
            if until == Some(stage.name) {
                break;
            }
        }
        Ok(())
    }

    /// The same stage from the same inputs, made for another board before.
    fn twin(&self, dir: &Path) -> Result<Option<PathBuf>> {
        let (Some(boards), Some(name)) = (self.dir.parent(), dir.file_name()) else {
            return Ok(None);
        };
        for entry in std::fs::read_dir(boards).context("cannot list the boards' build directories")? {
            let path = entry
                .context("cannot list the boards' build directories")?
                .path()
                .join(name);
            if path.is_dir() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn make(
        &self,
        stage: &'static str,
        dir: &Path,
        work: impl Fn(&Workshop, &'static str, &Tools, &Path) -> Result<()>,
    ) -> Result<Duration> {
        let started = Instant::now();
        let log = self.dir.join("log").join(format!("{stage}.log"));
        files::remove(&log)?;
        let partial = dir.with_extension("partial");
        files::remove(&partial)?;
        files::make_dir(&partial)?;
        let tools = Tools::new(log.clone(), self.epoch);
        work(self, stage, &tools, &partial).with_context(|| {
            format!(
                "stage {stage} failed after {}; its log is {}",
                clock(started.elapsed()),
                log.display()
            )
        })?;
        // Older outputs of this stage are of no use any more, and large.
        let prefix = format!("{stage}-");
        for entry in std::fs::read_dir(&self.dir).context("cannot list the build directory")? {
            let path = entry.context("cannot list the build directory")?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_key = |rest: &str| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
            if name.strip_prefix(&prefix).is_some_and(is_key) {
                files::remove(&path)?;
            }
        }
        std::fs::rename(&partial, dir).with_context(|| format!("cannot rename {}", partial.display()))?;
        Ok(started.elapsed())
    }

    pub fn say(&self, line: &str) {
        // Progress is for whoever watches; a closed terminal must not end the build.
        let _ = writeln!(std::io::stderr(), "{} {line}", clock(self.started.elapsed()));
    }
}

/// Minutes and seconds.
fn clock(elapsed: Duration) -> String {
    let secs = elapsed.as_secs();
    format!("{:02}:{:02}", secs / 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn build(dir: &Path, packages: &[u8], fail_at: Option<&str>) -> (Vec<&'static str>, Result<()>) {
        let made = RefCell::new(Vec::new());
        let mut workshop = Workshop::new(dir.to_owned(), 1).unwrap();
        let result = workshop.run(
            None,
            |stage, hasher| {
                hasher.add("packages", if stage == "packages" { packages } else { b"" });
                Ok(())
            },
            |_, stage, _, into| {
                made.borrow_mut().push(stage);
                anyhow::ensure!(fail_at != Some(stage), "broken on purpose");
                files::write(&into.join("x"), b"x", 0o644)
            },
        );
        (made.into_inner(), result)
    }

    #[test]
    fn only_what_changed_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(build(dir.path(), b"one", None).0.len(), STAGES.len());
        assert!(build(dir.path(), b"one", None).0.is_empty());
        assert_eq!(
            build(dir.path(), b"two", None).0,
            ["packages", "root", "disk", "publish"]
        );
    }

    #[test]
    fn another_boards_stage_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(build(&dir.path().join("one"), b"one", None).0.len(), STAGES.len());
        let twin = dir.path().join("two");
        assert!(build(&twin, b"one", None).0.is_empty());
        let copied = std::fs::read_dir(&twin).unwrap().flatten();
        assert!(copied.map(|entry| entry.path().join("x")).any(|path| path.is_file()));
        assert_eq!(
            build(&twin, b"two", None).0,
            ["packages", "root", "disk", "publish"],
            "but only from the same inputs"
        );
    }

    #[test]
    fn a_failed_stage_names_its_log_and_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (_, result) = build(dir.path(), b"one", Some("root"));
        let message = format!("{:#}", result.unwrap_err());
        assert!(
            message.contains("stage root") && message.contains("log/root.log"),
            "{message}"
        );
        let (made, result) = build(dir.path(), b"one", None);
        result.unwrap();
        assert_eq!(made.first(), Some(&"root"));
    }
}
