//! What flags and file become.

mod mistakes;

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use libp2p::Multiaddr;

use super::*;
use crate::key::{self, Identity};
use crate::settings::{FilterLimits, Limits, Nat, RateLimit, RateLimits, Settings, SyncSettings, TlsFiles};
use crate::topics::Sharding;

fn parse(line: &str) -> Result<Config, Error> {
    match read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())? {
        Request::Run(config) => Ok(*config),
        other => panic!("{other:?}"),
    }
}

fn message(line: &str) -> String {
    parse(line).unwrap_err().to_string()
}

/// nwaku `tools/confutils/kernel_cli_args.nim`, and section 5.3 of the facts this was written from.
#[test]
fn defaults_are_nwakus() {
    let config = parse("").unwrap();
    assert_eq!(
        config.log,
        Log {
            level: LogLevel::Info,
            format: LogFormat::Text
        }
    );
    assert_eq!(config.identity, Identity::Fresh);
    let node = &config.node;
    assert_eq!((node.cluster_id, node.sharding), (0, Sharding::Static));
    assert_eq!((&node.shards, &node.protected_shards), (&vec![], &vec![]));
    assert_eq!((config.content_topics, node.max_message_bytes), (vec![], 153_600));
    assert_eq!((node.listen.tcp_port, node.listen.websocket_port), (60000, None));
    assert_eq!(node.listen.address.to_string(), "0.0.0.0");
    assert_eq!(node.nat, Nat::Any);
    assert_eq!(node.static_nodes, []);
    assert_eq!(
        node.limits,
        Limits {
            max_connections: 150,
            relay_share_percent: 50,
            per_ip: NonZeroU32::new(5),
            bandwidth_kib_per_sec: None,
            known_peers: 1000,
            filter: FilterLimits {
                subscription_timeout: Duration::from_secs(300),
                max_subscribers: 1000,
                max_criteria_per_subscriber: 1000
            },
            ..Limits::default()
        }
    );
    let services = node.services;
    assert!(services.relay && services.light_push && services.peer_exchange && services.filter);
    assert!(!services.store && !services.legacy_store && !services.store_resume);
    assert_eq!((&node.archive, node.sync), (&None, None));
    assert_eq!(
        config.discv5,
        Some(Discv5 {
            udp_port: 9000,
            bootstrap: vec![],
            enr_auto_update: false,
            limit_table: true,
            limit_bucket: true
        })
    );
    assert_eq!((config.rest, config.metrics), (None, None));
    assert_eq!(node.rate_limits, RateLimits::default());
    assert_eq!(config.warnings, Vec::<String>::new());
    // Whoever starts a node without flags starts the same.
    assert_eq!(config.node, Settings::default());
}

/// Section 5.3 of the facts this was written from, and beside it what nwaku's master says of those without a default there.
#[test]
fn every_flag_of_wakunode2_is_known_with_its_default() {
    for (name, default) in [
        ("log-level", "INFO"),
        ("log-format", "TEXT"),
        ("preset", ""),
        ("cluster-id", "0"),
        ("shard", ""),
        ("num-shards-in-network", "0"),
        ("content-topic", ""),
        ("max-msg-size", "150KiB"),
        ("tcp-port", "60000"),
        ("listen-address", "0.0.0.0"),
        ("nat", "any"),
        ("ext-multiaddr", ""),
        ("max-connections", "150"),
        ("relay-service-ratio", "50:50"),
        ("ip-colocation-limit", "5"),
        ("relay", "true"),
        ("store", "false"),
        ("store-message-retention-policy", "time:172800"),
        ("store-message-db-url", "sqlite://store.sqlite3"),
        ("store-message-db-migration", "true"),
        ("store-message-db-vacuum", "false"),
        ("store-max-num-db-connections", "50"),
        ("store-resume", "false"),
        ("store-sync", "false"),
        ("store-sync-interval", "300"),
        ("store-sync-range", "3600"),
        ("store-sync-relay-jitter", "20"),
        ("legacy-store", "false"),
        ("filter", "true"),
        ("filter-subscription-timeout", "300"),
        ("filter-max-peers-to-serve", "1000"),
        ("filter-max-criteria", "1000"),
        ("lightpush", "true"),
        ("peer-exchange", "true"),
        ("rendezvous", "true"),
        ("discv5-discovery", "true"),
        ("discv5-udp-port", "9000"),
        ("dns-discovery-url", ""),
        ("rest", "false"),
        ("rest-address", "127.0.0.1"),
        ("rest-port", "8645"),
        ("rest-admin", "false"),
        ("rest-relay-cache-capacity", "50"),
        ("metrics-server", "false"),
        ("metrics-server-address", "127.0.0.1"),
        ("metrics-server-port", "8008"),
        ("websocket-support", "false"),
        ("websocket-port", "8000"),
        ("websocket-secure-support", "false"),
        ("websocket-secure-key-path", ""),
        ("websocket-secure-cert-path", ""),
        ("quic-support", "false"),
        ("rate-limit", ""),
        ("protected-shard", ""),
        ("nodekey", ""),
        ("staticnode", ""),
        ("config-file", ""),
    ] {
        let flag = flags::find(name).unwrap_or_else(|| panic!("--{name} is not known"));
        assert_eq!(flag.default, default, "--{name}");
        // The default means the same when it is written out, by each of the ways of writing a flag.
        let files = ["config-file", "preset"];
        if default.is_empty() || files.contains(&name) {
            continue;
        }
        for line in [
            format!("--{name}={default}"),
            format!("--{name}:{default}"),
            format!("--{name} {default}"),
        ] {
            let (given, without) = (parse(&line).unwrap(), parse("").unwrap());
            let told = |config: Config| {
                format!(
                    "{:?}",
                    Config {
                        warnings: vec![],
                        ..config
                    }
                )
            };
            assert_eq!(told(given), told(without), "{line}");
        }
    }
}

#[test]
fn a_limit_of_bandwidth() {
    let limit = |line: &str| parse(line).map(|config| config.node.limits.bandwidth_kib_per_sec);
    assert_eq!(limit("--bandwidth-limit=0"), Ok(None));
    assert_eq!(limit("--bandwidth-limit=512"), Ok(NonZeroU32::new(512)));
    assert_eq!(
        message("--bandwidth-limit=7"),
        "--bandwidth-limit: \"7\" is invalid: give 0 for no limit, or from 8 to 10000000 KiB per second"
    );
    for wrong in ["-1", "2M", "4294967296"] {
        assert!(limit(&format!("--bandwidth-limit={wrong}")).is_err(), "{wrong:?}");
    }
}

#[test]
fn wss_takes_the_place_of_ws() {
    let files = "--websocket-secure-key-path=/d/key.pem --websocket-secure-cert-path=/d/chain.pem";
    let wss = parse(&format!("--websocket-support --websocket-secure-support {files}")).unwrap();
    let expected = TlsFiles {
        key: "/d/key.pem".into(),
        certificate: "/d/chain.pem".into(),
    };
    assert_eq!(
        (wss.node.listen.websocket_port, wss.node.listen.websocket_tls),
        (Some(8000), Some(expected))
    );
    // Files alone switch nothing on, and nothing is secure without a port.
    let ws = parse(&format!("--websocket-support {files}")).unwrap();
    assert_eq!(
        (ws.node.listen.websocket_tls, ws.warnings),
        (None, Vec::<String>::new())
    );
    let neither = parse(&format!("--websocket-secure-support {files}")).unwrap();
    assert_eq!(
        (neither.node.listen.websocket_port, neither.node.listen.websocket_tls),
        (None, None)
    );
    assert_eq!(neither.warnings.len(), 1, "{:?}", neither.warnings);
}

/// The line by which the daemon starts this program.
#[test]
fn the_daemons_command_line() {
    let config = parse(
        "--cluster-id=16 --shard=32 --shard=64 --tcp-port=60000 --websocket-support=true --websocket-port=8000 \
         --listen-address=0.0.0.0 --rest=true --rest-address=127.0.0.1 --rest-port=8645 --rest-admin=true \
         --metrics-server=true --metrics-server-address=127.0.0.1 --metrics-server-port=8008 --nodekey-file=/d/key \
         --store=true --archive-dir=/d/archive --store-message-retention-policy=time:86400",
    )
    .unwrap();
    assert_eq!((config.node.cluster_id, config.node.shards), (16, vec![32, 64]));
    assert_eq!(config.node.listen.websocket_port, Some(8000));
    assert_eq!(config.identity, Identity::File("/d/key".into()));
    let archive = config.node.archive.unwrap();
    assert_eq!(
        (archive.dir, archive.retention),
        ("/d/archive".into(), Duration::from_secs(86400))
    );
    assert!(config.rest.unwrap().admin);
    assert_eq!(config.metrics.unwrap().port, 8008);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn nwaku_compose_starts_but_for_its_database() {
    let flags = "--relay=true --filter=true --lightpush=true --keep-alive=true --max-connections=150 --cluster-id=16 \
        --discv5-discovery=true --discv5-udp-port=9005 --discv5-enr-auto-update=True --log-level=DEBUG --tcp-port=30304 \
        --metrics-server=True --metrics-server-port=8003 --metrics-server-address=0.0.0.0 --rest=true --rest-admin=true \
        --rest-address=0.0.0.0 --rest-port=8645 --nat=extip:203.0.113.7 --store=true \
        --store-message-retention-policy=size:1GB --rln-relay-cred-path=/keystore/keystore.json";
    let config = parse(flags).unwrap();
    assert!(config.discv5.unwrap().enr_auto_update);
    assert_eq!(config.node.archive.unwrap().dir, PathBuf::from("store.sqlite3.d"));
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("--keep-alive") && config.warnings[0].contains("--rln-relay-cred-path"));
    assert!(
        config.warnings[1].contains("size:1GB not applied"),
        "{}",
        config.warnings[1]
    );
    assert_eq!(
        message(&format!("{flags} --store-message-db-url=postgres://u:secret@db/w")),
        "--store-message-db-url: \"…\" is invalid: give --archive-dir=DIRECTORY instead, or sqlite://PATH"
    );
}

#[test]
fn presets_replace_defaults_only() {
    let config = parse("--preset=status.prod").unwrap();
    assert_eq!((config.node.cluster_id, config.node.shards), (16, vec![32, 64]));
    assert_eq!(config.node.max_message_bytes, 1 << 20);
    assert_eq!(config.node.static_nodes.len(), 3);
    assert_eq!(config.dns_discovery.trees.len(), 1);
    let config = parse("--preset=statusprod --shard=1 --max-msg-size=150KiB --discv5-discovery=false").unwrap();
    assert_eq!((config.node.shards, config.node.max_message_bytes), (vec![1], 153_600));
    assert_eq!(config.discv5, None);
    let config = parse("--preset=status.prod --num-shards-in-network=1").unwrap();
    assert_eq!(config.node.sharding, Sharding::Auto { shards_in_network: 1 });
    assert_eq!(config.node.shards, [0]);
    for line in ["--preset=twn", "--cluster-id=1"] {
        let config = parse(line).unwrap();
        assert_eq!(
            (config.node.cluster_id, config.node.shards),
            (1, (0..8).collect()),
            "{line}"
        );
        assert!(config.warnings.iter().any(|warning| warning.contains("RLN")), "{line}");
    }
    let config = parse("--preset=dev").unwrap();
    assert_eq!((config.discv5, config.dns_discovery.trees.len()), (None, 0));
    for preset in preset::all() {
        parse(&format!("--preset={}", preset.name)).unwrap();
    }
}

#[test]
fn autosharding_serves_all_shards_or_those_of_the_topics() {
    let shards = |line: &str| parse(line).unwrap().node.shards;
    assert_eq!(shards("--num-shards-in-network=3"), [0, 1, 2]);
    assert_eq!(
        shards("--num-shards-in-network=8 --content-topic=/toychat/2/huilong/proto"),
        [3]
    );
    assert_eq!(
        shards("--num-shards-in-network=8 --content-topic=/toychat/2/huilong/proto --shard=3 --shard=0"),
        [0, 3]
    );
}

#[test]
fn entry_nodes_are_told_apart() {
    let peer = "/ip4/127.0.0.1/tcp/60000/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31";
    let config = parse(&format!(
        "--entry-node=enrtree://K@example.org --entry-node=enr:-x --entry-node={peer}"
    ))
    .unwrap();
    assert_eq!(config.dns_discovery.trees, ["enrtree://K@example.org"]);
    assert_eq!(config.discv5.unwrap().bootstrap, ["enr:-x"]);
    assert_eq!(config.node.static_nodes, [peer.parse::<Multiaddr>().unwrap()]);
}

#[test]
fn ports_shift_moves_every_port_but_free_ones() {
    let config = parse("--ports-shift=5 --tcp-port=0 --websocket-support --rest --metrics-server").unwrap();
    assert_eq!(
        (config.node.listen.tcp_port, config.node.listen.websocket_port),
        (0, Some(8005))
    );
    assert_eq!((config.rest.unwrap().port, config.metrics.unwrap().port), (8650, 8013));
    assert_eq!(config.discv5.unwrap().udp_port, 9005);
}

#[test]
fn mode_goes_before_single_switches() {
    let config = parse("--mode=Core --relay=false --filter=false").unwrap();
    let services = config.node.services;
    assert!(services.relay && services.filter && services.light_push && config.discv5.is_some());
    let limits = config.node.rate_limits;
    assert_eq!((limits.store, limits.filter), (None, per_second(100)));
    assert_eq!(
        (limits.light_push, limits.peer_exchange),
        (per_second(5), per_second(5))
    );
    let node = parse("--mode=Edge --store").unwrap().node;
    let services = node.services;
    assert!(!services.relay && !services.filter && !services.light_push && !services.store);
    assert_eq!(node.archive, None);
}

fn per_second(volume: u32) -> Option<RateLimit> {
    Some(RateLimit {
        volume,
        period: Duration::from_secs(1),
    })
}

#[test]
fn a_limit_for_one_protocol_goes_before_the_one_for_all() {
    let limits = |line: &str| parse(line).unwrap().node.rate_limits;
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
        let node = parse(line).unwrap().node;
        node.external_addresses.iter().map(ToString::to_string).collect()
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

#[test]
fn the_key_is_the_given_one() {
    let hex = "5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6";
    let key = |line: &str| parse(line).unwrap().identity.keypair().unwrap().public();
    assert_eq!(key(&format!("--nodekey={hex}")), key::from_hex(hex).unwrap().public());
    assert_ne!(key(""), key(""));
}

#[test]
fn help_and_version_go_before_the_rest() {
    assert!(matches!(
        read(&["--help".into(), "--tcp-port=x".into()]),
        Ok(Request::Help)
    ));
    assert!(matches!(read(&["--version".into()]), Ok(Request::Version)));
    assert!(flags::help().contains("--store-message-retention-policy [time:172800]"));
}

#[test]
fn store_sync() {
    let sync = |line: &str| parse(line).unwrap().node.sync;
    let settings = |interval: Option<u64>, range, jitter| {
        Some(SyncSettings {
            interval: interval.map(Duration::from_secs),
            range: Duration::from_secs(range),
            jitter: Duration::from_secs(jitter),
        })
    };
    assert_eq!(sync("--store"), None);
    assert_eq!(sync("--store --store-sync"), settings(Some(300), 3600, 20));
    let given = "--store --store-sync --store-sync-interval=0 --store-sync-range=60 --store-sync-relay-jitter=5";
    assert_eq!(sync(given), settings(None, 60, 5));
    assert!(
        parse("--store-sync")
            .unwrap()
            .warnings
            .iter()
            .any(|warning| warning.contains("--store-sync without --store"))
    );
}
