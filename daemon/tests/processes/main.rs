//! The daemon with real child processes: small shell programs that crash, hang, fork, flood and refuse to die.
//!
//! Conditions are waited for with generous deadlines; nothing here measures time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod backup;
mod clock;
mod command_line;
mod crashes;
mod files;
mod floods;
mod full_disk;
mod health;
mod leap;
mod lights;
mod limits;
mod links;
mod notify;
mod orphans;
mod power;
mod presses;
mod program;
mod restores;
mod retention;
mod settings;
mod support;
