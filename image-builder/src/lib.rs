//! A flashable image from a board's TOML.
//!
//! [`image`] is the order of the stages; each [`stage`] is a type with its inputs and its work side by side, `workshop`
//! runs them, `tool` alone starts outside programs. What lies where on a card is [`layout`]; which slot boots is
//! [`bootstate`] and `bootscript`; what every image holds is `recipe`, and what it turned out to be made of `sbom`.
//! [`deb`] makes a package of the same programs instead.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

mod bootscript;
pub mod bootstate;
pub mod check;
mod cpio;
mod daemon;
pub mod deb;
mod disk;
mod files;
pub mod image;
mod initrd;
pub mod layout;
mod modules;
pub mod plain;
mod recipe;
mod sbom;
pub mod stage;
mod tool;
mod unpacked;
mod workshop;
