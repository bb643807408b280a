//! From the configuration to what the node is started with.

use libp2p::{Multiaddr, identity, multiaddr::Protocol};

use super::{Config, Identity, values::Limited};
use crate::addresses::websocket;
use crate::key::{self, KeyError};
use crate::settings::{ArchiveSettings, FilterLimits, Limits, Listen, RateLimit, RateLimits, Services, Settings};

impl Config {
    /// The node's key: given, read from its file (which is made when absent), or new.
    pub fn keypair(&self) -> Result<identity::Keypair, KeyError> {
        match &self.identity {
            Identity::Given(node_key) => key::from_hex(&hex::encode(node_key.0.to_bytes())),
            Identity::File(path) => key::load_or_create(path),
            Identity::Fresh => Ok(identity::secp256k1::Keypair::generate().into()),
        }
    }

    pub fn settings(&self, keypair: identity::Keypair) -> Settings {
        let filter = self.filter.map_or_else(FilterLimits::default, |filter| FilterLimits {
            max_subscribers: filter.max_peers,
            max_criteria_per_subscriber: filter.max_criteria,
            subscription_timeout: filter.subscription_timeout,
        });
        Settings {
            cluster_id: self.network.cluster,
            shards: self.network.shards.clone(),
            sharding: self.network.sharding,
            listen: Listen {
                address: self.addresses.listen,
                tcp_port: self.addresses.tcp_port,
                websocket_port: self.addresses.websocket_port,
                websocket_tls: self.addresses.websocket_tls.clone(),
            },
            external_addresses: self.external_addresses(),
            static_nodes: self.peers.static_nodes.clone(),
            max_message_bytes: self.network.max_message_bytes,
            services: Services {
                relay: self.relay,
                store: self.store.is_some(),
                legacy_store: self.store.as_ref().is_some_and(|store| store.legacy),
                light_push: self.light_push,
                filter: self.filter.is_some(),
                peer_exchange: self.peer_exchange,
                store_resume: self.store.as_ref().is_some_and(|store| store.resume),
            },
            limits: Limits {
                max_connections: u32::try_from(self.peers.max_connections).unwrap_or(u32::MAX),
                per_ip: self
                    .peers
                    .max_per_ip
                    .map_or(0, |limit| u32::try_from(limit).unwrap_or(u32::MAX)),
                bandwidth_kib_per_sec: self.peers.bandwidth_kib_per_sec,
                relay_share_percent: self.peers.relay_share_percent,
                known_peers: self.peers.store_capacity.unwrap_or(Limits::default().known_peers),
                filter,
                ..Limits::default()
            },
            archive: self.store.as_ref().map(|store| ArchiveSettings {
                dir: store.archive_dir.clone(),
                retention: store.retention,
            }),
            protected_shards: self.network.protected_shards.clone(),
            rate_limits: rate_limits(&self.rate_limits),
            relay_client: self.addresses.relay_client,
            sync: self.store.as_ref().and_then(|store| store.sync),
            nat: self.addresses.nat,
            ..Settings::new(keypair)
        }
    }

    /// `--ext-multiaddr`, and the domain name with each port.
    fn external_addresses(&self) -> Vec<Multiaddr> {
        let mut addresses = self.addresses.advertised.clone();
        if let Some(domain) = self
            .addresses
            .dns4_domain
            .as_deref()
            .filter(|_| !self.addresses.advertised_only)
        {
            let at = |port| Multiaddr::from(Protocol::Dns4(domain.into())).with(Protocol::Tcp(port));
            addresses.push(at(self.addresses.tcp_port));
            addresses.extend(
                self.addresses
                    .websocket_port
                    .map(|port| at(port).with(websocket(self.addresses.websocket_tls.is_some()))),
            );
        }
        addresses
    }
}

/// A limit for one protocol goes before the one for all; what neither names keeps nwaku's default.
fn rate_limits(given: &[(Limited, RateLimit)]) -> RateLimits {
    let last = |wanted: Limited| given.iter().rev().find(|(limited, _)| *limited == wanted);
    let of = |wanted: &[Limited], default: Option<RateLimit>| {
        let given = wanted.iter().find_map(|limited| last(*limited));
        given.map(|(_, limit)| *limit).or(default)
    };
    let default = RateLimits::default();
    RateLimits {
        store: of(&[Limited::StoreV3, Limited::Store, Limited::All], default.store),
        light_push: of(&[Limited::LightPush, Limited::All], default.light_push),
        peer_exchange: of(&[Limited::PeerExchange, Limited::All], default.peer_exchange),
        filter: of(&[Limited::Filter, Limited::All], default.filter),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Request, read};

    fn config(line: &str) -> Config {
        match read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()) {
            Ok(Request::Run(config)) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_key_is_the_given_one() {
        let hex = "5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6";
        let given = config(&format!("--nodekey={hex}")).keypair().unwrap();
        assert_eq!(given.public(), key::from_hex(hex).unwrap().public());
        let fresh = config("");
        assert_ne!(fresh.keypair().unwrap().public(), fresh.keypair().unwrap().public());
    }

    #[test]
    fn a_limit_for_one_protocol_goes_before_the_one_for_all() {
        let limits = |line: &str| rate_limits(&config(line).rate_limits);
        let per_second = |volume| {
            Some(RateLimit {
                volume,
                period: Duration::from_secs(1),
            })
        };
        assert_eq!(limits(""), RateLimits::default());
        let some = limits("--rate-limit=10/1s --rate-limit=px:1/1s --rate-limit=store:2/1s --rate-limit=storev3:3/1s");
        assert_eq!(
            some,
            RateLimits {
                store: per_second(3),
                light_push: per_second(10),
                peer_exchange: per_second(1),
                filter: per_second(10)
            }
        );
    }

    #[test]
    fn a_domain_name_is_advertised_with_each_port() {
        let addresses = |line: &str| -> Vec<String> {
            let config = config(line);
            config.external_addresses().iter().map(ToString::to_string).collect()
        };
        let domain = "--dns4-domain-name=box.example.org --websocket-support --ext-multiaddr=/ip4/203.0.113.7/tcp/1";
        assert_eq!(
            addresses(domain),
            [
                "/ip4/203.0.113.7/tcp/1",
                "/dns4/box.example.org/tcp/60000",
                "/dns4/box.example.org/tcp/8000/ws"
            ]
        );
        assert_eq!(
            addresses(&format!("{domain} --ext-multiaddr-only")),
            ["/ip4/203.0.113.7/tcp/1"]
        );
    }
}
