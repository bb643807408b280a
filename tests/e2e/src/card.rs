//! The card: flashed with the image, put into a computer between two starts to change a file on its FAT partition.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pillarbox_image::layout::{self, Part};

const USUAL_BYTES: u64 = 4 << 30;

pub(crate) struct Card {
    pub(crate) path: PathBuf,
}

impl Card {
    pub(crate) fn flash(image: &Path, dir: &Path) -> Result<Card> {
        Card::flash_to(image, dir, USUAL_BYTES)
    }

    /// To a card of some size.
    pub(crate) fn flash_to(image: &Path, dir: &Path, bytes: u64) -> Result<Card> {
        let path = dir.join("card.img");
        // Sparse, because most of the image and nearly all of the card is empty.
        let mut command = Command::new("cp");
        run(command
            .args(["--sparse=always", "--reflink=auto"])
            .arg(image)
            .arg(&path))?;
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(bytes))
            .with_context(|| format!("cannot make {} as large as a card", path.display()))?;
        Ok(Card { path })
    }

    /// Puts a file on the FAT partition, over one of that name.
    pub(crate) fn put(&self, name: &str, text: &str) -> Result<()> {
        let file = self.path.with_extension("put");
        std::fs::write(&file, text).context("cannot write the file for the card")?;
        let mut command = Command::new("mcopy");
        run(command
            .args(["-o", "-i", &self.fat()])
            .arg(&file)
            .arg(format!("::{name}")))
    }

    /// A text file of the FAT partition.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let output = Command::new("mtype")
            .args(["-i", &self.fat(), &format!("::{name}")])
            .output()
            .context("cannot start mtype; it is in Debian's mtools")?;
        ensure!(output.status.success(), "the card has no {name}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Copies a file of the FAT partition into a directory of the computer.
    pub(crate) fn take(&self, name: &str, dir: &Path) -> Result<PathBuf> {
        let to = dir.join(name);
        let mut command = Command::new("mcopy");
        run(command
            .args(["-n", "-o", "-i", &self.fat(), &format!("::{name}")])
            .arg(&to))?;
        Ok(to)
    }

    /// How mtools name a file system inside of a file.
    fn fat(&self) -> String {
        format!(
            "{}@@{}",
            self.path.display(),
            layout::partition(Part::Firmware).start_bytes
        )
    }

    pub(crate) fn write_state(&self, content: &[u8]) -> Result<()> {
        let mut file = File::options()
            .write(true)
            .open(&self.path)
            .context("cannot open the card")?;
        file.seek(SeekFrom::Start(layout::partition(Part::Bootstate).start_bytes))
            .context("cannot seek")?;
        file.write_all(content).context("cannot write the boot state")
    }

    pub(crate) fn read_state(&self) -> Result<Vec<u8>> {
        let partition = layout::partition(Part::Bootstate);
        let mut file = File::open(&self.path).context("cannot open the card")?;
        file.seek(SeekFrom::Start(partition.start_bytes))
            .context("cannot seek")?;
        let mut content = vec![0; usize::try_from(partition.size_bytes).context("a small number")?];
        file.read_exact(&mut content).context("cannot read the boot state")?;
        Ok(content)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
