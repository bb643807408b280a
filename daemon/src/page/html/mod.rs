//! What the page looks like, from a [`View`](super::view::View): one file a section, drawn with maud, which escapes every
//! value. Pure: the same view makes the same HTML. Nothing here knows HTTP.

mod archive;
mod change;
mod chart;
mod day;
mod document;
mod facts;
mod health;
mod light;
mod log;
mod names;
mod parts;
mod qr;
mod services;
mod state;
mod system;
mod usage;

pub(super) use document::{SCRIPT, STYLE, document, left_out};
