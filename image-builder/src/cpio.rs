//! The kernel's initrd format: cpio "newc" (kernel documentation, driver-api/early-userspace/buffer-format). Written
//! here rather than by a program, so that owners, times and inode numbers are the same in every build.

use std::io::{self, Write};

const KIND_DIRECTORY: u32 = 0o040_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_LINK: u32 = 0o120_000;
const KIND_CHARACTER: u32 = 0o020_000;

/// Writes an archive entry by entry; a directory comes before what is in it.
pub(crate) struct Archive<W: Write> {
    out: W,
    written: usize,
    inode: u32,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Archive<W> {
        Archive {
            out,
            written: 0,
            inode: 0,
        }
    }

    pub(crate) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, KIND_DIRECTORY | 0o755, (0, 0), b"")
    }

    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.entry(path, KIND_FILE | permissions, (0, 0), content)
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, KIND_LINK | 0o777, (0, 0), target.as_bytes())
    }

    pub(crate) fn character_device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(path, KIND_CHARACTER | 0o600, (major, minor), b"")
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.header("TRAILER!!!", 0, (0, 0), 0, 0)?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(|_| io::Error::other(format!("{path} is too large")))?;
        self.header(path, mode, device, size, self.inode)?;
        self.put(content)?;
        self.pad()
    }

    fn header(&mut self, path: &str, mode: u32, device: (u32, u32), size: u32, inode: u32) -> io::Result<()> {
        let name_size = path.len() + 1;
        // magic, inode, mode, owner, group, links, time, size, device of the file (2), of a node (2), name, checksum
        let header = format!(
            "070701{inode:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}{name_size:08x}{:08x}",
            0, 0, 1, 0, 0, 0, device.0, device.1, 0
        );
        self.put(header.as_bytes())?;
        self.put(path.as_bytes())?;
        self.put(b"\0")?;
        self.pad()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    /// Headers and contents start at multiples of four.
    fn pad(&mut self) -> io::Result<()> {
        let missing = self.written.next_multiple_of(4) - self.written;
        self.put(&[0; 3][..missing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_110_bytes_and_everything_is_aligned() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("bin").unwrap();
        archive.file("bin/x", 0o755, b"hello").unwrap();
        archive.link("bin/y", "x").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(bytes.len() % 4, 0);
        let second = (110 + 4usize).next_multiple_of(4);
        assert_eq!(&bytes[second..second + 6], b"070701");
        assert_eq!(&bytes[second + 110..second + 116], b"bin/x\0");
        let content = second + (110 + 6usize).next_multiple_of(4);
        assert_eq!(&bytes[content..content + 5], b"hello");
        assert!(bytes.windows(11).any(|window| window == b"TRAILER!!!\0"));
    }
}
