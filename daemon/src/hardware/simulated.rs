//! Lights and a button for a computer that has none: a light is a file that holds `0` or `1`, the button is a FIFO
//! that takes the lines `down` and `up`. Anybody can watch and press them from a shell, and so do the tests.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Error, Lamp};
use crate::button::Edge;

pub(super) struct SimulatedLamp {
    file: File,
    path: PathBuf,
}

impl SimulatedLamp {
    pub(super) fn create(path: &Path) -> Result<SimulatedLamp, Error> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(Error::file(dir))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path)
            .map_err(Error::file(path))?;
        let mut lamp = SimulatedLamp {
            file,
            path: path.to_owned(),
        };
        lamp.set(false)?;
        Ok(lamp)
    }
}

impl Lamp for SimulatedLamp {
    fn set(&mut self, lit: bool) -> Result<(), Error> {
        self.file
            .write_all_at(if lit { b"1\n" } else { b"0\n" }, 0)
            .map_err(Error::file(&self.path))
    }
}

impl Drop for SimulatedLamp {
    fn drop(&mut self) {
        // The directory may be gone at the end, and nobody looks any more.
        let _ = self.set(false);
    }
}

/// Longer lines than the two that mean something are thrown away.
const LINE_BYTES: usize = 64;

pub(super) struct SimulatedButton {
    fifo: File,
    path: PathBuf,
    pending: Vec<u8>,
}

impl SimulatedButton {
    pub(super) fn create(path: &Path) -> Result<SimulatedButton, Error> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(Error::file(dir))?;
        }
        match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(Error::file(path)(errno.into())),
        }
        // Opened for writing as well, or every writer that closes would look like the end.
        let fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(Error::file(path))?;
        Ok(SimulatedButton {
            fifo,
            path: path.to_owned(),
            pending: Vec::new(),
        })
    }

    /// The next edge, stamped by `now` when it was read, or nothing within `wait`.
    pub(super) fn next_edge(&mut self, wait: Duration, now: fn() -> Duration) -> Result<Option<Edge>, Error> {
        if let Some(edge) = self.take_edge(now) {
            return Ok(Some(edge));
        }
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.fifo.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(errno) => return Err(Error::file(&self.path)(errno.into())),
        }
        let mut bytes = [0; LINE_BYTES];
        match self.fifo.read(&mut bytes) {
            Ok(count) => self.pending.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Error::file(&self.path)(error)),
        }
        Ok(self.take_edge(now))
    }

    fn take_edge(&mut self, now: fn() -> Duration) -> Option<Edge> {
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            match line.trim_ascii() {
                b"down" => return Some(Edge::Down { at: now() }),
                b"up" => return Some(Edge::Up { at: now() }),
                _ => {}
            }
        }
        if self.pending.len() > LINE_BYTES {
            self.pending.clear();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_lamp_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leds/status");
        let mut lamp = SimulatedLamp::create(&path).unwrap();
        for (lit, text) in [(true, "1\n"), (false, "0\n"), (true, "1\n")] {
            lamp.set(lit).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        drop(lamp);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n");
    }

    #[test]
    fn a_button_takes_lines_from_any_writer_and_ignores_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("button");
        let mut button = SimulatedButton::create(&path).unwrap();
        let now = || Duration::from_secs(7);
        assert_eq!(button.next_edge(Duration::ZERO, now).unwrap(), None);
        std::fs::write(&path, "hello\ndown\nup\n").unwrap();
        std::fs::write(&path, [b'x'; 200]).unwrap();
        let at = Duration::from_secs(7);
        assert_eq!(button.next_edge(WAIT, now).unwrap(), Some(Edge::Down { at }));
        assert_eq!(button.next_edge(WAIT, now).unwrap(), Some(Edge::Up { at }));
        for _ in 0..4 {
            assert_eq!(button.next_edge(Duration::ZERO, now).unwrap(), None);
        }
        std::fs::write(&path, "\ndown\n").unwrap();
        assert_eq!(button.next_edge(WAIT, now).unwrap(), Some(Edge::Down { at }));
    }
}
