//! `GET /health`: nwaku's report on the node and each protocol (`node/health_monitor/node_health_monitor.nim`).
//!
//! READY means that the node listens and its archive is open; a node without peers is ready too, and its protocols say
//! that they have none.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::StatusCode};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{answer, api::Api};
use crate::{
    protocols::{
        filter::wire::FILTER_SUBSCRIBE,
        light_push::wire::{LIGHT_PUSH, LIGHT_PUSH_LEGACY},
        store::wire::STORE,
    },
    settings::Services,
    swarm::{PeerInfo, Phase},
};

/// nwaku's `FutHealthReportTimeout`.
const TIMEOUT: Duration = Duration::from_secs(5);
/// nwaku's Dlow: from so many relay peers on the node counts as connected.
const CONNECTED_RELAY_PEERS: usize = 4;
/// From so many peers of each service on a node without relay counts as connected (nwaku's `HealthyThreshold`).
const CONNECTED_SERVICE_PEERS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Health {
    Initializing,
    Ready,
    NotReady,
    NotMounted,
    ShuttingDown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Connection {
    Disconnected,
    PartiallyConnected,
    Connected,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    node_health: Health,
    connection_status: Connection,
    protocols_health: Vec<ProtocolHealth>,
}

#[derive(Debug)]
struct ProtocolHealth {
    name: &'static str,
    health: Health,
    reason: Option<&'static str>,
}

impl Serialize for ProtocolHealth {
    /// The protocol's name is the key: `{"Relay": "NOT_READY", "desc": "No connected peers"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.name, &self.health)?;
        if let Some(reason) = self.reason {
            map.serialize_entry("desc", reason)?;
        }
        map.end()
    }
}

pub(super) async fn get(State(api): State<Arc<Api>>) -> answer::Answer {
    let node_health = match api.node.swarm().status().borrow().phase {
        Phase::Starting => Health::Initializing,
        Phase::Listening => Health::Ready,
        Phase::Draining => Health::ShuttingDown,
    };
    let report = if node_health == Health::Ready {
        let peers = tokio::time::timeout(TIMEOUT, api.node.swarm().peers())
            .await
            .map_err(|_| answer::internal_error("Health check timed out"))?
            .map_err(|_| answer::unavailable("Health check failed"))?;
        report(&Counts::of(&peers), api.node.services())
    } else {
        Report {
            node_health,
            connection_status: Connection::Disconnected,
            protocols_health: Vec::new(),
        }
    };
    Ok(answer::json(StatusCode::OK, &report))
}

/// Connected peers by what they offer.
#[derive(Debug, Default)]
struct Counts {
    relay: usize,
    store: usize,
    filter: usize,
    light_push: usize,
    legacy_light_push: usize,
}

impl Counts {
    fn of(peers: &[PeerInfo]) -> Self {
        let mut counts = Self::default();
        for peer in peers.iter().filter(|peer| peer.direction.is_some()) {
            // Peers without shared topics can't carry anything.
            counts.relay += usize::from(!peer.relay_topics.is_empty());
            for (count, id) in [
                (&mut counts.store, STORE),
                (&mut counts.filter, FILTER_SUBSCRIBE),
                (&mut counts.light_push, LIGHT_PUSH),
                (&mut counts.legacy_light_push, LIGHT_PUSH_LEGACY),
            ] {
                *count += usize::from(peer.protocols.contains(&id));
            }
        }
        counts
    }
}

fn report(counts: &Counts, services: Services) -> Report {
    let health = |name, mounted, reason: Option<&'static str>| ProtocolHealth {
        name,
        health: match (mounted, reason) {
            (false, _) => Health::NotMounted,
            (true, None) => Health::Ready,
            (true, Some(_)) => Health::NotReady,
        },
        reason: reason.filter(|_| mounted),
    };
    let lacking = |lacking: bool, reason| lacking.then_some(reason);
    let relay = health(
        "Relay",
        services.relay,
        lacking(counts.relay == 0, "No connected peers"),
    );
    let no_relay = relay.health != Health::Ready;
    let no_push = lacking(no_relay, "Node has no relay peers to fullfill push requests");
    let no_filter = lacking(
        no_relay,
        "Relay is not ready, filter will not be able to sort out messages",
    );
    let no_store = lacking(
        counts.store == 0 && !services.store,
        "No Store service peer available yet, neither Store service set up for the node",
    );
    let no_push_peer = |count: usize| lacking(count == 0, "No Lightpush service peer available yet");
    let protocols_health = vec![
        relay,
        health("Rln Relay", false, None),
        health("Lightpush", services.light_push, no_push),
        health("Legacy Lightpush", services.light_push, no_push),
        health("Filter", services.filter, no_filter),
        health("Store", services.store, None),
        health("Legacy Store", services.legacy_store, None),
        health("Peer Exchange", services.peer_exchange, None),
        health("Rendezvous", false, None),
        health("Mix", false, None),
        health("Store Client", true, no_store),
        health(
            "Filter Client",
            true,
            lacking(counts.filter == 0, "No Filter service peer available yet"),
        ),
        health("Lightpush Client", true, no_push_peer(counts.light_push)),
        health("Legacy Lightpush Client", true, no_push_peer(counts.legacy_light_push)),
    ];
    Report {
        node_health: Health::Ready,
        connection_status: connection(counts, services.relay),
        protocols_health,
    }
}

/// By relay's peers, and where they are too few or relay is off by those of the rarest service.
fn connection(counts: &Counts, relay: bool) -> Connection {
    let push = counts.light_push.max(counts.legacy_light_push);
    let weakest = push.min(counts.filter).min(counts.store);
    match (relay, counts.relay, weakest) {
        (true, CONNECTED_RELAY_PEERS.., _) => Connection::Connected,
        (true, 1.., _) => Connection::PartiallyConnected,
        (_, _, CONNECTED_SERVICE_PEERS..) => Connection::Connected,
        (_, _, 1..) => Connection::PartiallyConnected,
        _ => Connection::Disconnected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_nwakus_fields() {
        let services = Services {
            store: true,
            ..Services::default()
        };
        let value = serde_json::to_value(report(&Counts::default(), services)).unwrap();
        assert_eq!(
            (&value["nodeHealth"], &value["connectionStatus"]),
            (&"READY".into(), &"Disconnected".into())
        );
        let protocols = value["protocolsHealth"].as_array().unwrap();
        assert_eq!(
            protocols[0],
            serde_json::json!({"Relay": "NOT_READY", "desc": "No connected peers"})
        );
        assert_eq!(protocols[1], serde_json::json!({"Rln Relay": "NOT_MOUNTED"}));
        assert_eq!(protocols[5], serde_json::json!({"Store": "READY"}));
    }

    #[test]
    fn connection_status_follows_relay_and_else_services() {
        let with = |relay, service| {
            let counts = Counts {
                relay,
                store: service,
                filter: service,
                light_push: service,
                legacy_light_push: 0,
            };
            let status = |mounted| {
                report(
                    &counts,
                    Services {
                        relay: mounted,
                        ..Services::default()
                    },
                )
                .connection_status
            };
            (status(true), status(false))
        };
        use Connection::{Connected, Disconnected, PartiallyConnected};
        assert_eq!(with(0, 0), (Disconnected, Disconnected));
        assert_eq!(with(1, 0), (PartiallyConnected, Disconnected));
        assert_eq!(with(4, 0), (Connected, Disconnected));
        assert_eq!(with(0, 1), (PartiallyConnected, PartiallyConnected));
        assert_eq!(with(0, 2), (Connected, Connected));
    }
}
