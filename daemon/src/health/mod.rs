//! How the machine and its services are: probes of the services ([`probe`]), samples of the system ([`system`]), what
//! the mailserver says of itself ([`node`]), and where values stop being fine ([`limits`], [`disk`]).

pub mod disk;
mod http;
pub mod limits;
pub mod node;
pub mod probe;
pub mod system;
