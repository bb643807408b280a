//! How the machine and its services are: probes of the services ([`probe`]), samples of the system ([`system`]), what
//! the mailserver says of itself ([`node`]) and of the archive ([`writer`]), the supply ([`power`]) and the network ([`network`]), and where values stop
//! being fine ([`limits`], [`disk`]).

pub mod check;
pub mod disk;
mod exposition;
mod http;
pub mod limits;
pub mod network;
pub mod node;
pub mod power;
pub mod probe;
pub mod system;
pub mod watchdog;
pub(crate) mod writer;
