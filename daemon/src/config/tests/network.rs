//! `[network]`, and what services are told of it.

use super::*;

const ENTRY: &str = "/ip4/192.168.1.7/tcp/60000/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31";

#[test]
fn every_mistake_in_the_network_names_key_and_mend() {
    for (network, key, what, mend) in [
        (
            "preset = \"status.prd\"",
            "preset",
            "\"status.prd\"",
            "did you mean \"status.prod\"?",
        ),
        (
            "preset = \"mainnet\"",
            "preset",
            "\"mainnet\"",
            "use one of status.prod, ",
        ),
        ("preset = \"dev\"", "preset", "\"dev\"", "use one of"),
        (
            "preset = \"status.prod\"\ncluster = 16",
            "cluster",
            "beside the preset \"status.prod\"",
            "remove it",
        ),
        (
            &format!("preset = \"twn\"\nentry_nodes = [{ENTRY:?}]"),
            "entry_nodes",
            "beside the preset \"twn\"",
            "remove it",
        ),
        ("preset = \"twn\"\nshards = [8]", "shards", "8 is not a shard", "0 to 7"),
        ("cluster = 77", "shards", "missing", "cluster 77"),
        (
            "entry_nodes = [\"boot.example.org\"]",
            "entry_nodes",
            "\"boot.example.org\" is not an entry node",
            "enrtree://",
        ),
        (
            &format!("entry_nodes = {:?}", vec![ENTRY; 17]),
            "entry_nodes",
            "17 entries",
            "at most 16",
        ),
    ] {
        let main = format!("{MAIN}[network]\n{network}\n");
        let mistake = Tree::new(&main, &[("one.toml", SERVICE)]).read().expect_err(&main);
        assert_eq!(mistake.key, Some(format!("network.{key}")), "{mistake}");
        assert!(
            mistake.what().contains(what) && mistake.fix().contains(mend),
            "{mistake}\n  wanted {what} and {mend}"
        );
    }
}

/// The arguments of a service under these settings of the network.
fn told(arguments: &str, network: &str) -> Vec<String> {
    let main = format!("{MAIN}required = [\"one\"]\n[network]\n{network}\n");
    let service = format!("{SERVICE}arguments = [{arguments}]\n");
    let config = Tree::new(&main, &[("one.toml", &service)]).read().expect(network);
    config.services.enabled[0].arguments.clone()
}

#[test]
fn a_service_that_knows_the_name_is_told_the_name_and_a_persons_own_shards() {
    let all = "\"n={preset}\", \"c={cluster}\", \"a={auto_shards}\", \"m={max_message_kib}\", \"s={shard}\", \
               \"e={entry_node}\"";
    for (network, wanted) in [
        ("preset = \"status.prod\"", &["n=status.prod"][..]),
        ("preset = \"statusprod\"", &["n=status.prod"]),
        ("preset = \"twn\"", &["n=twn"]),
        (
            "preset = \"status.prod\"\nshards = [1, 2]",
            &["n=status.prod", "s=1", "s=2"],
        ),
        ("preset = \"none\"", &["c=16", "a=0", "m=1024", "s=32", "s=64"]),
        ("", &["c=16", "a=0", "m=1024", "s=32", "s=64"]),
        (
            &format!("cluster = 77\nshards = [5]\nentry_nodes = [{ENTRY:?}]"),
            &["c=77", "a=0", "m=1024", "s=5", &format!("e={ENTRY}")],
        ),
    ] {
        assert_eq!(told(all, network), wanted, "{network}");
    }
}

#[test]
fn a_service_that_does_not_is_told_what_the_name_stands_for() {
    let numbers = "\"{cluster}/{shard}\", \"a={auto_shards}\", \"m={max_message_kib}\"";
    assert_eq!(
        told(numbers, "preset = \"status.prod\""),
        ["16/32", "16/64", "a=0", "m=1024"]
    );
    assert_eq!(told(numbers, "preset = \"logos.dev\""), ["a=8", "m=150"]);
    assert_eq!(
        told(numbers, "preset = \"logos.dev\"\nshards = [7]"),
        ["3/7", "a=8", "m=150"]
    );
    let entries = "\"l={entry_list}\", \"r={entry_record}\", \"a={entry_address}\"";
    let fleet = told(entries, "preset = \"status.prod\"");
    assert_eq!(fleet.len(), 4, "{fleet:?}");
    assert!(fleet[0].starts_with("l=enrtree://") && fleet[0].ends_with("@boot.prod.status.nodes.status.im"));
    assert!(fleet[1..].iter().all(|entry| entry.starts_with("a=/dns4/boot-01.")));
    assert_eq!(told(entries, "preset = \"none\""), Vec::<String>::new());
    let own = format!("entry_nodes = [{ENTRY:?}]");
    assert_eq!(told(entries, &own), [format!("a={ENTRY}")]);
}

/// Where an argument is not left out but a text is needed, there is one.
#[test]
fn the_clusters_number_can_be_in_the_environment_whatever_the_arguments_say() {
    let main = format!("{MAIN}required = [\"one\"]\n[network]\npreset = \"status.prod\"\n");
    let service = format!("{SERVICE}arguments = [\"{{preset}}\"]\n[environment]\nCLUSTER = \"{{cluster}}\"\n");
    let config = Tree::new(&main, &[("one.toml", &service)]).read().unwrap();
    assert_eq!(config.services.enabled[0].environment["CLUSTER"], "16");
}

/// What ships joins; a developer's box does not.
#[test]
fn what_ships_joins_the_status_network() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (file, wanted) in [
        (
            "image-builder/overlay/root/etc/pillarbox/pillarboxd.toml",
            "--preset=status.prod",
        ),
        ("image-builder/deb/pillarboxd.toml", "--preset=status.prod"),
        ("daemon/configs/dev.toml", "--cluster-id=16"),
    ] {
        let shipped: toml::Table = std::fs::read_to_string(project.join(file)).unwrap().parse().unwrap();
        let mut main: toml::Table = MAIN.parse().unwrap();
        main.insert("network".to_owned(), shipped["network"].clone());
        for name in ["mailserver", "relay"] {
            let service = std::fs::read_to_string(project.join(format!("daemon/services/{name}.toml"))).unwrap();
            let enabled = format!("{main}\n[services.{name}]\nenabled = true\n");
            let tree = Tree::new(&enabled, &[(&format!("{name}.toml"), &service)]);
            let arguments = tree.read().unwrap().services.enabled[0].arguments.clone();
            let network: Vec<&str> = arguments
                .iter()
                .map(String::as_str)
                .filter(|word| {
                    ["--preset", "--cluster-id", "--shard", "--max-msg"]
                        .iter()
                        .any(|start| word.starts_with(start))
                })
                .collect();
            match wanted {
                "--preset=status.prod" => assert_eq!(network, [wanted], "{file} {name}"),
                _ => assert_eq!(
                    network,
                    [wanted, "--shard=32", "--shard=64", "--max-msg-size=1024KiB"],
                    "{file} {name}"
                ),
            }
        }
    }
}

#[test]
fn a_cap_on_traffic_reaches_the_services_that_can_be_held_to_it() {
    let arguments = "arguments = [\"--limit={bandwidth_kib_per_sec}\", \"--else\"]\n";
    let held = format!("{SERVICE}{arguments}");
    let files = [("held.toml", held.as_str()), ("other.toml", SERVICE)];
    let shown = |config: &Config| {
        let now = crate::clock::Now {
            mono: Duration::ZERO,
            wall_ns: 0,
            trusted: true,
        };
        let shown = crate::supervisor::State::new(config, 0, 1).snapshot(now);
        let settings = shown.health[&crate::snapshot::Subject::Settings].clone().unwrap();
        (shown.traffic.cap_kib_per_sec, settings.detail.to_string())
    };
    let config = Tree::new(MAIN, &files).read().unwrap();
    assert_eq!(config.services.enabled[0].arguments, ["--else"], "no cap, no argument");
    assert_eq!(shown(&config), (None, "no mistakes".to_owned()));

    let main = format!("{MAIN}[network]\ncluster = 16\nshards = [32]\nbandwidth_kib_per_sec = 500\n");
    let config = Tree::new(&main, &files).read().unwrap();
    assert_eq!(config.services.enabled[0].arguments, ["--limit=500", "--else"]);
    assert_eq!(shown(&config), (Some(500), "no mistakes".to_owned()));

    let (cap, mistake) = shown(&Tree::new(&main, &files[1..]).read().unwrap());
    assert_eq!(cap, None);
    assert!(
        mistake.contains("network.bandwidth_kib_per_sec: no service that is on can be held to it"),
        "{mistake}"
    );
}
