//! `pillarbox.toml` on the card's FAT partition: what a person may say to a box before its first start.
//!
//! The box never changes the FAT partition's structure: a card that is pulled out in the middle of a write must still
//! open on every computer. [`fat`] therefore reads the partition without mounting it, and writes only over the bytes
//! of a file that was made with the image and has room enough. [`settings`] turns the text into values that are known
//! to be good, or one sentence; a file with one mistake is not used at all, because half of it might be the half that
//! cuts the box off. [`imager`] does the same for what Raspberry Pi Imager writes. [`apply`] puts the values where systemd,
//! wpa_supplicant, the SSH server and the daemon look for them, and [`answer`] says what became of the card, to be read
//! where it was written. [`secrets`] leave the card for the data partition ([`kept`]); [`trial`] judges a network that was
//! changed.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

pub mod address;
pub mod answer;
pub mod apply;
pub mod daemon;
pub mod fat;
#[cfg(feature = "fuzzed")]
pub mod fuzzed;
pub mod imager;
pub mod kept;
pub mod network;
pub mod run;
pub mod secrets;
pub mod settings;
pub mod ssh;
pub mod trial;
pub mod wifi;
pub mod word;
