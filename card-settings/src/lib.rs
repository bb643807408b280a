//! `pillarbox.toml` on the card's FAT partition: what a person may say to a box before its first start.
//!
//! The box never changes the FAT partition's structure: a card that is pulled out in the middle of a write must still
//! open on every computer. [`fat`] therefore reads the partition without mounting it, and writes only over the bytes
//! of a file that was made with the image and has room enough. [`settings`] turns the text into values that are known
//! to be good, or one sentence; a file with one mistake is not used at all, because half of it might be the half that
//! cuts the box off. [`apply`] puts the values where systemd, the SSH server and the daemon look for them, and
//! [`answer`] says what became of the file, to be read where it was written.

pub mod answer;
pub mod apply;
pub mod daemon;
pub mod fat;
pub mod network;
pub mod settings;
pub mod ssh;
