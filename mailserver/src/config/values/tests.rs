use super::*;

#[test]
fn sizes() {
    for (text, bytes) in [
        ("150KiB", 153_600),
        ("150 KiB", 153_600),
        ("1024kib", 1 << 20),
        ("150KB", 150_000),
        ("1500 B", 1500),
        ("7", 7),
    ] {
        assert_eq!(size_bytes(text), Ok(bytes), "{text}");
    }
    for text in ["", "KiB", "1.5KiB", "-1B", "1GB", "18446744073709551615KiB"] {
        assert!(size_bytes(text).is_err(), "{text}");
    }
}

#[test]
fn retention_policies() {
    let time = |seconds| Some(Duration::from_secs(seconds));
    for (text, expected, not_applied) in [
        ("time:172800", time(172_800), vec![]),
        ("none", None, vec![]),
        ("size:1GB", None, vec!["size:1GB"]),
        (
            "time:3600;size:1GB;capacity:100",
            time(3600),
            vec!["size:1GB", "capacity:100"],
        ),
    ] {
        let not_applied = not_applied.into_iter().map(str::to_owned).collect();
        assert_eq!(
            retention(text),
            Ok(Retention {
                time: expected,
                not_applied
            }),
            "{text}"
        );
    }
    for text in [
        "time:",
        "time:0",
        "time:-1",
        "time:1h",
        "24h",
        "forever",
        "time:99999999999",
    ] {
        assert!(retention(text).is_err(), "{text}");
    }
}

#[test]
fn database_urls() {
    assert_eq!(
        database_directory("sqlite://store.sqlite3"),
        Ok("store.sqlite3.d".into())
    );
    assert_eq!(
        database_directory("sqlite:///data/store.sqlite3"),
        Ok("/data/store.sqlite3.d".into())
    );
    for text in [
        "",
        "sqlite://",
        "sqlite://:memory:",
        "postgres://u:p@localhost:5432/w",
        "store.sqlite3",
    ] {
        assert!(database_directory(text).is_err(), "{text}");
    }
}

#[test]
fn keys() {
    let hex = "5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6";
    assert!(node_key(hex).is_ok());
    assert_eq!(node_key(hex), node_key(&format!("0x{hex}")));
    assert_eq!(format!("{:?}", node_key(hex).unwrap()), "NodeKey(secret)");
    let zero = "0".repeat(64);
    for text in ["", "00", zero.as_str(), &hex[1..], "zz"] {
        assert!(node_key(text).is_err(), "{text}");
    }
}

/// The key pair of nwaku `tests/wakunode2/test_validators.nim`.
#[test]
fn protected_shards() {
    let key = "049c5fac802da41e07e6cdf51c3b9a6351ad5e65921527f2df5b7d59fd9b56ab02bab736cdcfc37f25095e78127500da371947217a8cd5186ab890ea866211c3f6";
    let expected = ProtectedShard {
        shard: 32,
        public_key: VerifyingKey::from_sec1_bytes(&hex::decode(key).unwrap()).unwrap(),
    };
    let compressed = format!("02{}", &key[2..66]);
    for text in [
        format!("32:{key}"),
        format!("/waku/2/rs/16/32:{key}"),
        format!("32:0x{key}"),
        format!("32:{compressed}"),
    ] {
        assert_eq!(protected_shard(&text), Ok(expected.clone()), "{text}");
    }
    for text in [
        "32",
        "32:",
        "1024:00",
        &format!("x:{key}"),
        &format!("32:{}", &key[2..]),
        ":",
    ] {
        assert!(protected_shard(text).is_err(), "{text}");
    }
}

#[test]
fn rate_limits() {
    for (text, limited, volume, period) in [
        ("30/1m", Limited::All, 30, Duration::from_secs(60)),
        ("filter:100/1s", Limited::Filter, 100, Duration::from_secs(1)),
        ("store:2/1h", Limited::Store, 2, Duration::from_secs(3600)),
        ("storev3:8/500ms", Limited::StoreV3, 8, Duration::from_millis(500)),
        ("px:5/1s", Limited::PeerExchange, 5, Duration::from_secs(1)),
        ("LIGHTPUSH: 5 / 1 s", Limited::LightPush, 5, Duration::from_secs(1)),
    ] {
        assert_eq!(rate_limit(text), Ok((limited, RateLimit { volume, period })), "{text}");
    }
    for text in [
        "",
        "30",
        "30/1",
        "30/0s",
        "relay:1/1s",
        "-1/1s",
        "1/1d",
        "/",
        ":1/1s",
        "1/4294967295h/",
    ] {
        assert!(rate_limit(text).is_err(), "{text}");
    }
}

#[test]
fn nat_and_ratio() {
    assert_eq!(nat("any"), Ok(Nat::Any));
    assert_eq!(
        nat("extip:203.0.113.7"),
        Ok(Nat::ExternalIp("203.0.113.7".parse().unwrap()))
    );
    for text in ["", "extip:", "extip:host", "extip:0.0.0.0", "ssdp"] {
        assert!(nat(text).is_err(), "{text}");
    }
    assert_eq!(relay_share_percent("60:40"), Ok(60));
    for text in ["60", "60:60", "101:-1", ":"] {
        assert!(relay_share_percent(text).is_err(), "{text}");
    }
}
