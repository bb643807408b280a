//! What is said about what is wrong.

use super::{flags, message};

#[test]
fn each_mistake_has_its_message() {
    for (line, expected) in [
        (
            "--tcp-port=70000",
            "--tcp-port: \"70000\" is invalid: give a whole number from 0 to 65535",
        ),
        (
            "--shard=1024",
            "--shard: \"1024\" is invalid: give a whole number from 0 to 1023",
        ),
        (
            "--shard=x",
            "--shard: \"x\" is invalid: give a whole number from 0 to 1023",
        ),
        (
            "--cluster-id=-1",
            "--cluster-id: \"-1\" is invalid: give a whole number from 0 to 65535",
        ),
        (
            "--listen-address=localhost",
            "--listen-address: \"localhost\" is invalid: give an IP address",
        ),
        (
            "--max-msg-size=1GB",
            "--max-msg-size: \"1GB\" is invalid: give a size such as 150KiB, 150 KB or 153600B",
        ),
        (
            "--max-msg-size=1GiB",
            "--max-msg-size: \"1GiB\" is invalid: give a size such as 150KiB, 150 KB or 153600B",
        ),
        (
            "--max-msg-size=1B",
            "--max-msg-size: \"1B\" is invalid: give from 1024 to 16777216 bytes",
        ),
        (
            "--nodekey=secret",
            "--nodekey: \"…\" is invalid: give the secp256k1 key as 64 hexadecimal digits",
        ),
        (
            "--staticnode=/ip4/127.0.0.1/tcp/1",
            "--staticnode: \"/ip4/127.0.0.1/tcp/1\" is invalid: give a multiaddr that ends with /p2p/ and the peer's id",
        ),
        (
            "--rate-limit=5",
            "--rate-limit: \"5\" is invalid: give [store|storev3|lightpush|px|filter:]VOLUME/PERIOD with unit h, m, s or ms, such as filter:100/1s",
        ),
        (
            "--preset=status",
            "--preset: \"status\" is invalid: give one of status.prod, status.staging, twn, logos.test, logos.dev, dev",
        ),
        (
            "--preset=status.prod --cluster-id=1",
            "--cluster-id contradicts --preset: status.prod is cluster 16; leave one of the two out",
        ),
        (
            "--num-shards-in-network=8 --shard=8",
            "--shard 8 contradicts the network's 8 shards: give a shard from 0 to 7",
        ),
        (
            "--ports-shift=10000",
            "--ports-shift contradicts --tcp-port: 60000 + 10000 is beyond the last port, 65535; give a smaller shift",
        ),
        (
            "--content-topic=chat",
            "--content-topic: \"chat\" is invalid: content topic \"chat\" does not start with a slash",
        ),
        (
            "--store=true --store-message-retention-policy=24h",
            "--store-message-retention-policy: \"24h\" is invalid: give time:SECONDS, or none to keep everything",
        ),
        (
            "--log-level=LOUD",
            "--log-level: \"LOUD\" is invalid: give TRACE, DEBUG, INFO, NOTICE, WARN, ERROR, FATAL or NONE",
        ),
        (
            "--entry-node=boot",
            "--entry-node: \"boot\" is invalid: give an enrtree:// URL, an enr: record or a multiaddr with /p2p/",
        ),
        ("--mode=fast", "--mode: \"fast\" is invalid: give Core, Edge or noMode"),
    ] {
        assert_eq!(message(line), expected);
    }
    let key = "5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6";
    assert_eq!(
        message(&format!("--nodekey={key} --nodekey-file=/d/key")),
        "--nodekey contradicts --nodekey-file: a node has one key; leave one of the two out"
    );
}

#[test]
fn no_message_repeats_a_secret() {
    for line in ["--nodekey=hidden", "--store --store-message-db-url=hidden"] {
        let message = message(line);
        assert!(
            message.contains(": \"…\" is invalid: ") && !message.contains("hidden"),
            "{message}"
        );
    }
    let secret: Vec<&str> = flags::all().filter(|flag| flag.secret).map(|flag| flag.name).collect();
    assert_eq!(
        secret,
        [
            "nodekey",
            "store-message-db-url",
            "rln-relay-cred-password",
            "rln-relay-eth-client-address",
            "rln-relay-eth-private-key",
            "mixkey"
        ]
    );
}
