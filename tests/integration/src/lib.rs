//! What the whole-program tests share: the built programs, a box on ports of its own, and a small Waku client that
//! knows nothing of the mailserver's code.

pub mod client;
pub mod namespace;
pub mod pillarbox;
pub mod programs;
pub mod wait;
