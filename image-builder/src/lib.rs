//! A flashable image from a board's TOML.
//!
//! [`image`] says what each stage is made from and how; [`stage`] orders the stages and gives them keys, [`workshop`]
//! runs them, [`tool`] alone starts outside programs. What lies where on a card is [`layout`]; which slot boots is
//! [`bootstate`] and [`bootscript`]; what every image holds is [`recipe`], and what it turned out to be made of [`sbom`].
//! [`deb`] makes a package of the same programs instead.

pub mod bootscript;
pub mod bootstate;
pub mod check;
pub mod cpio;
pub mod deb;
pub mod disk;
mod files;
pub mod image;
mod initrd;
pub mod layout;
pub mod modules;
pub mod plain;
mod publish;
pub mod recipe;
mod root;
pub mod sbom;
pub mod stage;
pub mod tool;
pub mod workshop;
