//! Whole-program tests: real processes, real sockets, real files.

mod bad_input;
mod card;
mod joining;
mod life;
mod presets;
