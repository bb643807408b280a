//! What a device of the LAN says when it is searched for, described and asked to map a port.

use std::net::Ipv4Addr;

use pillarbox_mailserver::swarm::reach::igd::{Action, Answer, answer, description, location};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(url) = location(text) {
        assert!(text.contains(url));
    }
    if let Some(description) = description(text) {
        assert!(description.services.len() <= text.matches("service").count());
    }
    let map = Action::Map {
        external: 60000,
        internal: 60000,
        client: Ipv4Addr::LOCALHOST,
        seconds: 3600,
    };
    for action in [Action::Address, map, Action::Unmap { external: 60000 }] {
        let is_address = matches!(answer(text, action), Some(Answer::Address(_)));
        assert!(!is_address || action == Action::Address);
    }
}
