//! nwaku in the mailserver's place is in the same network as the mailserver, whatever the settings name: it is told by
//! flag what the mailserver knows by name. Both command lines are read by the mailserver, which takes nwaku's flags.

use std::collections::BTreeSet;

use pillarbox_integration::programs;
use pillarbox_mailserver::config::{Config, Request, read};
use pillarboxd::config::Config as Daemon;

const ENTRY: &str = "/ip4/192.168.1.7/tcp/60000/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31";
/// The example of EIP-778.
const RECORD: &str = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
const LIST: &str = "enrtree://AMOJVZX4V6EXP7NTJPMAYJYST2QP6AJXYW76IU6VGJS7UVSNDYZG4@boot.example.org";

/// As the shipped service is started under these settings of the network, and understood.
fn started(service: &str, network: &str) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pillarboxd.toml");
    let services = programs::workspace().join("daemon/services");
    let off = if service == "mailserver" {
        ""
    } else {
        "[services.mailserver]\nenabled = false\n"
    };
    let text = format!(
        "board = \"dev\"\nstate_dir = \"state\"\nservices_dir = {services:?}\nrequired = [{service:?}]\n\
         [network]\n{network}\n{off}[services.{service}]\nenabled = true\nprogram = \"/bin/true\"\n"
    );
    std::fs::write(&file, text).expect("the settings are written");
    let daemon = Daemon::read(&file).expect(network);
    let arguments = &daemon.services.enabled[0].arguments;
    match read(arguments) {
        Ok(Request::Run(config)) => *config,
        other => panic!("{network}: {arguments:?}: {other:?}"),
    }
}

#[test]
fn nwaku_and_relay_are_told_the_same_network_as_the_mailserver() {
    let named = networks::PRESETS
        .iter()
        .map(|network| format!("preset = {:?}", network.name));
    let others = [
        "preset = \"none\"".to_owned(),
        "preset = \"status.prod\"\nshards = [1, 32]".to_owned(),
        "preset = \"twn\"\nshards = [3]".to_owned(),
        format!("cluster = 77\nshards = [0, 5]\nentry_nodes = [{ENTRY:?}, {RECORD:?}, {LIST:?}]"),
    ];
    for network in named.chain(others) {
        let ours = started("mailserver", &network);
        for service in ["relay", "nwaku"] {
            let other = started(service, &network);
            // The same places, in whatever order: cluster 1 alone means the list of twn a second time.
            let places = |config: &Config| {
                let peers: BTreeSet<String> = config.node.static_nodes.iter().map(ToString::to_string).collect();
                let lists: BTreeSet<String> = config.dns_discovery.trees.iter().cloned().collect();
                let discv5 = config
                    .discv5
                    .as_ref()
                    .map(|discv5| (discv5.udp_port, discv5.bootstrap.clone()));
                (peers, lists, discv5)
            };
            let (one, two) = (&ours.node, &other.node);
            assert_eq!(one.cluster_id, two.cluster_id, "{service}: {network}");
            assert_eq!(one.sharding, two.sharding, "{service}: {network}");
            assert_eq!(one.shards, two.shards, "{service}: {network}");
            assert_eq!(one.max_message_bytes, two.max_message_bytes, "{service}: {network}");
            assert_eq!(places(&ours), places(&other), "{service}: {network}");
            assert_eq!(one.listen.tcp_port, two.listen.tcp_port, "{service}: {network}");
        }
    }
}

/// What makes `status.prod` what it is, as the mailserver understands what it is started with.
#[test]
fn the_shipped_mailserver_is_where_status_is() {
    let config = started("mailserver", "preset = \"status.prod\"");
    assert_eq!(
        (config.node.cluster_id, config.node.shards.as_slice()),
        (16, &[32, 64][..])
    );
    assert_eq!(config.node.max_message_bytes, 1 << 20);
    assert!(config.dns_discovery.trees[0].ends_with("@boot.prod.status.nodes.status.im"));
    assert_eq!(config.node.static_nodes.len(), 3);
    assert_eq!(config.discv5.map(|discv5| discv5.udp_port), Some(9000));
    assert_eq!(config.warnings, Vec::<String>::new());
}
