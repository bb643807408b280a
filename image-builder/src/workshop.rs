//! Runs one stage at a time: reuses what is finished, says what is going on and for how long, names the log of what
//! failed. A stage works in a `.partial` directory that is renamed when it is whole, so a stopped build leaves nothing
//! half done that looks finished.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::files;
use crate::stage::{Output, Stage, Work};
use crate::tool::Tools;

/// Where a build's stages run.
pub(crate) struct Workshop {
    dir: PathBuf,
    epoch: u64,
    until: Stage,
    started: Instant,
}

/// Why no further stage runs. As the error of [`Workshop::run`], so that `?` ends a line of stages.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The last stage that was asked for is finished.
    Reached(Output),
    /// A stage failed.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::Failed(error)
    }
}

impl Workshop {
    /// Stages leave their output below `dir`; `until` is the last one that runs.
    pub(crate) fn new(dir: PathBuf, epoch: u64, until: Stage) -> Result<Workshop> {
        files::make_dir(&dir.join("log"))?;
        Ok(Workshop {
            dir,
            epoch,
            until,
            started: Instant::now(),
        })
    }

    /// Makes the stage, or finds it made.
    pub(crate) fn run(&self, work: &impl Work) -> std::result::Result<Output, Stop> {
        let output = self.finished(work)?;
        if output.stage == self.until {
            return Err(Stop::Reached(output));
        }
        Ok(output)
    }

    fn finished(&self, work: &impl Work) -> Result<Output> {
        let stage = work.stage();
        let inputs = work.inputs(self.epoch);
        let key = inputs
            .with_context(|| format!("the inputs of stage {}", stage.name()))?
            .finish();
        let dir = self.dir.join(format!("{}-{key}", stage.name()));
        let stages = Stage::value_variants();
        let number = stages.iter().take_while(|other| **other <= stage).count();
        let place = format!("[{number}/{}] {:<14}", stages.len(), stage.name());
        if dir.is_dir() {
            self.say(&format!("{place} unchanged"));
        } else if let Some(twin) = self.twin(&dir)? {
            self.make(stage, &dir, |tools, into| Ok(tools.copy_tree(&twin, into)?))?;
            self.say(&format!("{place} as in {}", twin.display()));
        } else {
            self.say(&format!("{place} …"));
            let took = self.make(stage, &dir, |tools, into| work.make(tools, into))?;
            self.say(&format!("{place} done in {}", clock(took)));
        }
        Ok(Output { stage, key, dir })
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

    fn make(&self, stage: Stage, dir: &Path, work: impl Fn(&Tools, &Path) -> Result<()>) -> Result<Duration> {
        let started = Instant::now();
        let stage = stage.name();
        let log = self.dir.join("log").join(format!("{stage}.log"));
        files::remove(&log)?;
        let partial = dir.with_extension("partial");
        files::remove(&partial)?;
        files::make_dir(&partial)?;
        let tools = Tools::new(log.clone(), self.epoch);
        work(&tools, &partial).with_context(|| {
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

    fn say(&self, line: &str) {
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
    use crate::stage::KeyHasher;
    use std::cell::RefCell;

    struct Step<'a> {
        stage: Stage,
        needs: &'a [&'a Output],
        /// Counts for `Packages` alone.
        packages: &'a [u8],
        fail_at: Option<Stage>,
        made: &'a RefCell<Vec<&'static str>>,
    }

    impl Work for Step<'_> {
        fn stage(&self) -> Stage {
            self.stage
        }

        fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
            let mut key = KeyHasher::of(self.stage, epoch, self.needs);
            let is_packages = self.stage == Stage::Packages;
            key.add("packages", if is_packages { self.packages } else { b"" });
            Ok(key)
        }

        fn make(&self, _: &Tools, into: &Path) -> Result<()> {
            self.made.borrow_mut().push(self.stage.name());
            anyhow::ensure!(self.fail_at != Some(self.stage), "broken on purpose");
            files::write(&into.join("x"), b"x", 0o644)
        }
    }

    fn stages(
        workshop: &Workshop,
        packages: &[u8],
        fail_at: Option<Stage>,
        made: &RefCell<Vec<&'static str>>,
    ) -> std::result::Result<Output, Stop> {
        let run = |stage, needs: &[&Output]| {
            workshop.run(&Step {
                stage,
                needs,
                packages,
                fail_at,
                made,
            })
        };
        let boot_packages = run(Stage::BootPackages, &[])?;
        let packages = run(Stage::Packages, &[])?;
        let root = run(Stage::Root, &[&boot_packages, &packages])?;
        let slot_boot = run(Stage::SlotBoot, &[&boot_packages])?;
        let firmware = run(Stage::Firmware, &[&boot_packages])?;
        let disk = run(Stage::Disk, &[&root, &slot_boot, &firmware])?;
        run(Stage::Publish, &[&disk, &packages, &boot_packages])
    }

    fn build(dir: &Path, packages: &[u8], until: Stage, fail_at: Option<Stage>) -> (Vec<&'static str>, Result<Output>) {
        let made = RefCell::new(Vec::new());
        let workshop = Workshop::new(dir.to_owned(), 1, until).unwrap();
        let result = match stages(&workshop, packages, fail_at, &made) {
            Ok(output) | Err(Stop::Reached(output)) => Ok(output),
            Err(Stop::Failed(error)) => Err(error),
        };
        (made.into_inner(), result)
    }

    #[test]
    fn it_stops_where_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let (made, output) = build(dir.path(), b"one", Stage::Root, None);
        assert_eq!(made, ["boot-packages", "packages", "root"]);
        let output = output.unwrap();
        assert_eq!(output.stage, Stage::Root);
        assert!(output.dir.join("x").is_file());
        let (made, _) = build(dir.path(), b"one", Stage::Publish, None);
        assert_eq!(made, ["slot-boot", "firmware", "disk", "publish"]);
    }

    #[test]
    fn only_what_changed_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            build(dir.path(), b"one", Stage::Publish, None).0.len(),
            Stage::value_variants().len()
        );
        assert!(build(dir.path(), b"one", Stage::Publish, None).0.is_empty());
        assert_eq!(
            build(dir.path(), b"two", Stage::Publish, None).0,
            ["packages", "root", "disk", "publish"]
        );
    }

    #[test]
    fn another_boards_stage_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            build(&dir.path().join("one"), b"one", Stage::Publish, None).0.len(),
            Stage::value_variants().len()
        );
        let twin = dir.path().join("two");
        assert!(build(&twin, b"one", Stage::Publish, None).0.is_empty());
        let copied = std::fs::read_dir(&twin).unwrap().flatten();
        assert!(copied.map(|entry| entry.path().join("x")).any(|path| path.is_file()));
        assert_eq!(
            build(&twin, b"two", Stage::Publish, None).0,
            ["packages", "root", "disk", "publish"],
            "but only from the same inputs"
        );
    }

    #[test]
    fn a_failed_stage_names_its_log_and_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (_, result) = build(dir.path(), b"one", Stage::Publish, Some(Stage::Root));
        let message = format!("{:#}", result.unwrap_err());
        assert!(
            message.contains("stage root") && message.contains("log/root.log"),
            "{message}"
        );
        let (made, result) = build(dir.path(), b"one", Stage::Publish, None);
        result.unwrap();
        assert_eq!(made.first(), Some(&"root"));
    }
}
