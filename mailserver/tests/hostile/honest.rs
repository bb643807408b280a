//! A client beside the attack, that wants to be served as ever.

use std::{net::Ipv4Addr, time::Duration};

use libp2p::{Multiaddr, identity::Keypair};
use pillarbox_mailserver::node;
use pillarbox_mailserver::node::Handle;
use pillarbox_mailserver::protocols::store::wire::{STORE, StoreQueryRequest, StoreQueryResponse};
use pillarbox_mailserver::settings::{Listen, Nat, Services, Settings};
use pillarbox_mailserver::swarm::Origin;
use pillarbox_mailserver::topics::Sharding;

/// What a client waits for an answer: status-go gives up after so long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Honest {
    handle: Handle,
}

/// A client on the victim's network that serves nobody.
pub(crate) fn settings() -> Settings {
    Settings {
        agent: "pillarbox/test".into(),
        cluster_id: 16,
        shards: vec![32],
        sharding: Sharding::Static,
        max_message_bytes: 1 << 20,
        listen: Listen {
            address: Ipv4Addr::LOCALHOST.into(),
            tcp_port: 0,
            websocket_port: None,
            websocket_tls: None,
        },
        services: Services {
            relay: false,
            light_push: false,
            filter: false,
            ..Services::default()
        },
        nat: Nat::None,
        ..Settings::default()
    }
}

impl Honest {
    pub(crate) async fn start() -> Self {
        let (handle, _) = node::start(&settings(), &Keypair::generate_secp256k1()).await.unwrap();
        Self { handle }
    }

    /// Connects, unless it is, and asks the store; the first try counts.
    pub(crate) async fn is_served(&self, address: &Multiaddr) -> Result<(), String> {
        let asked = async {
            let connected = self.handle.swarm().connect(address.clone(), Origin::Admin).await;
            let peer = connected.map_err(|error| error.to_string())?;
            let request = StoreQueryRequest {
                request_id: Some("honest".into()),
                pagination_limit: Some(1),
                ..Default::default()
            };
            let answer = self.handle.swarm().request(peer, STORE, &request, 1 << 20).await;
            let answer: StoreQueryResponse = answer.map_err(|error| error.to_string())?;
            match answer.status_code {
                Some(200) => Ok(()),
                other => Err(format!("status {other:?}")),
            }
        };
        let waited = tokio::time::timeout(PATIENCE, asked).await;
        waited.unwrap_or_else(|_| Err("no answer in time".into()))
    }
}
