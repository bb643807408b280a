use super::*;
use proptest::prelude::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ5GbE0TuUjjvS7tLJZ3mSQ0Nqjb5nXYeDqOgRyJ5tF";

#[test]
fn nothing_said_leaves_everything() {
    for text in ["", "# a comment\n", "\u{feff}# from Windows\r\n", "[ssh]\nkeys = []\n"] {
        assert_eq!(parse(text.as_bytes()), Ok(Settings::default()), "{text:?}");
    }
}

#[test]
fn everything_said() {
    let text = format!(
        "name = \"Kitchen\"\ntime_zone = \"America/Argentina/Ushuaia\"\nretention_hours = 48\nquota_mib = 2048\n\
         shards = [64, 32]\n[network]\naddress = \"192.168.1.50/24\"\ngateway = \"192.168.1.1\"\n\
         dns = [\"192.168.1.1\", \"fd00::1\"]\n[ssh]\nkeys = [\"{KEY} me@home\"]\n"
    );
    let settings = parse(text.as_bytes()).unwrap();
    assert_eq!(settings.name.as_deref(), Some("kitchen"));
    assert_eq!(settings.time_zone.as_deref(), Some("America/Argentina/Ushuaia"));
    assert_eq!(settings.retention_hours, Some(48));
    assert_eq!(settings.quota_mib.map(NonZeroU32::get), Some(2048));
    assert_eq!(settings.shards, Some(BTreeSet::from([32, 64])));
    let address = settings.address.unwrap();
    assert_eq!(
        (address.address.to_string().as_str(), address.prefix),
        ("192.168.1.50", 24)
    );
    assert_eq!(address.dns.len(), 2);
    assert_eq!(settings.ssh_keys.len(), 1);
}

#[test]
fn a_misspelt_network_is_guessed_and_every_other_one_is_listed() {
    let mend = |text: &str| parse(text.as_bytes()).unwrap_err().fix();
    assert_eq!(mend("waku = \"status.prd\""), "did you mean \"status.prod\"?");
    assert_eq!(
        mend("waku = \"mainnet\""),
        "use one of status.prod, status.staging, twn, logos.test, logos.dev, none"
    );
}

#[test]
fn each_mistake_names_key_and_mend() {
    for (text, line, key, what) in [
        ("name = ", Some(1), None, ""),
        ("\nname = 5", Some(2), Some("name"), "integer `5`"),
        ("colour = 1", Some(1), Some("colour"), "unknown key `colour`"),
        ("name = \"a\"\nname = \"b\"", Some(2), None, "duplicate"),
        ("name = \"\"", None, Some("name"), "not a host name"),
        ("name = \"-a\"", None, Some("name"), "not a host name"),
        ("name = \"kitchen.local\"", None, Some("name"), "not a host name"),
        ("name = \"localhost\"", None, Some("name"), "not a host name"),
        (
            "time_zone = \"../../etc/shadow\"",
            None,
            Some("time_zone"),
            "not a time zone",
        ),
        ("time_zone = \"/etc\"", None, Some("time_zone"), "not a time zone"),
        ("time_zone = \"\"", None, Some("time_zone"), "not a time zone"),
        ("retention_hours = 0", None, Some("retention_hours"), "out of bounds"),
        ("retention_hours = 721", None, Some("retention_hours"), "out of bounds"),
        ("retention_hours = -1", Some(1), Some("retention_hours"), "-1"),
        ("quota_mib = 63", None, Some("quota_mib"), "out of bounds"),
        ("quota_mib = 4194305", None, Some("quota_mib"), "out of bounds"),
        ("shards = []", None, Some("shards"), "empty"),
        ("shards = [1024]", None, Some("shards"), "1024"),
        ("shards = [1, 1]", None, Some("shards"), "twice"),
        (
            "shards = [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]",
            None,
            Some("shards"),
            "17",
        ),
        (
            "[network]\ngateway = \"10.0.0.1\"",
            Some(1),
            Some("network"),
            "missing field",
        ),
        (
            "[network]\naddress = \"10.0.0.2\"",
            None,
            Some("network.address"),
            "not an address",
        ),
        (
            "[network]\naddress = \"10.0.0.2/33\"",
            None,
            Some("network.address"),
            "not an address",
        ),
        (
            "[network]\naddress = \"10.0.0.2/08\"",
            None,
            Some("network.address"),
            "not an address",
        ),
        (
            "[network]\naddress = \"10.0.0.2/0\"",
            None,
            Some("network.address"),
            "not an address",
        ),
        (
            "[network]\naddress = \"127.0.0.1/8\"",
            None,
            Some("network.address"),
            "not an address",
        ),
        (
            "[network]\naddress = \"224.0.0.1/8\"",
            None,
            Some("network.address"),
            "not an address",
        ),
        (
            "[network]\naddress = \"10.0.0.2/8\"\ngateway = \"fe80::1\"",
            None,
            Some("network.gateway"),
            "other IP version",
        ),
        (
            "[network]\naddress = \"10.0.0.2/8\"\ngateway = \"10.0.0.2\"",
            None,
            Some("network.gateway"),
            "own address",
        ),
        (
            "[network]\naddress = \"10.0.0.2/8\"\ndns = [\"dns.example\"]",
            None,
            Some("network.dns"),
            "not an address",
        ),
        (
            "[network]\naddress = \"10.0.0.2/8\"\ndns = [\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\"]",
            None,
            Some("network.dns"),
            "4 servers",
        ),
        ("waku = \"status.prd\"", None, Some("waku"), "status.prd"),
        ("waku = 16", Some(1), Some("waku"), "integer `16`"),
        ("[waku]\nname = \"x\"", Some(2), Some("waku.name"), "unknown key"),
        ("[waku]\ncluster = 70000", Some(2), Some("waku.cluster"), "70000"),
        ("[waku]\ncluster = 77", None, Some("waku.shards"), "missing"),
        ("[waku]\ncluster = 1\nshards = [0]", None, Some("waku.cluster"), "twn"),
        (
            "[waku]\npreset = \"status.prod\"\ncluster = 16",
            None,
            Some("waku.cluster"),
            "beside the preset",
        ),
        (
            "[waku]\npreset = \"none\"\nentry_nodes = []",
            None,
            Some("waku.entry_nodes"),
            "beside the preset",
        ),
        ("[waku]\nentry_nodes = []", None, Some("waku.entry_nodes"), "no cluster"),
        ("[waku]\nshards = []", None, Some("waku.shards"), "empty"),
        (
            "[waku]\npreset = \"twn\"\nshards = [8]",
            None,
            Some("waku.shards"),
            "not a shard of twn",
        ),
        (
            "shards = [8]\nwaku = \"twn\"",
            None,
            Some("shards"),
            "not a shard of twn",
        ),
        (
            "shards = [8]\n[waku]\nshards = [8]",
            None,
            Some("shards"),
            "inside of it",
        ),
        (
            "[waku]\ncluster = 77\nshards = [0]\nentry_nodes = [\"/ip4/10.0.0.1/tcp/60000\"]",
            None,
            Some("waku.entry_nodes"),
            "does not end with /p2p/",
        ),
        (
            "bandwidth_kib_per_sec = 7",
            None,
            Some("bandwidth_kib_per_sec"),
            "out of bounds",
        ),
        (
            "[wifi]\npassword = \"longenough\"",
            Some(1),
            Some("wifi"),
            "missing field `name`",
        ),
        (
            "[notify]\nntfy = \"https://ntfy.sh/mine\"",
            Some(2),
            Some("notify.ntfy"),
            "in the wrong place",
        ),
        ("[wifi]\nname = \"\"", None, Some("wifi.name"), "not a network name"),
        (
            "[wifi]\nname = \"a\"\npassword = \"short\"",
            None,
            Some("wifi.password"),
            "no Wi-Fi password",
        ),
        (
            "[wifi]\nname = \"a\"\npassword = \"two\\nlines here\"",
            None,
            Some("wifi.password"),
            "no Wi-Fi password",
        ),
        (
            "[wifi]\nname = \"a\"\npassword = 12345678",
            Some(3),
            Some("wifi.password"),
            "not text in quotes",
        ),
        (
            "[wifi]\nname = \"a\"\ncountry = \"Austria\"",
            None,
            Some("wifi.country"),
            "not a country",
        ),
        (
            "[notify.ntfy]\nurl = \"ntfy.sh/x\"",
            None,
            Some("notify.ntfy.url"),
            "not an address",
        ),
        (
            "[notify.webhook]\nurl = \"https://a.org/x y\"",
            None,
            Some("notify.webhook.url"),
            "not an address",
        ),
        (
            "[notify.ntfy]\nurl = \"https://a.org\"\ntoken = \"a b\"",
            None,
            Some("notify.ntfy.token"),
            "not a token",
        ),
        (
            "[notify.email]\nserver = \"a b\"\nfrom = \"a@b.org\"\nto = [\"a@b.org\"]",
            None,
            Some("notify.email.server"),
            "not a server",
        ),
        (
            "[notify.email]\nserver = \"b.org\"\nfrom = \"a\"\nto = [\"a@b.org\"]",
            None,
            Some("notify.email.from"),
            "not an email address",
        ),
        (
            "[notify.email]\nserver = \"b.org\"\nfrom = \"a@b.org\"\nto = []",
            None,
            Some("notify.email.to"),
            "none or too many",
        ),
        (
            "[notify.email]\nserver = \"b.org\"\nuser = \"a\"\nfrom = \"a@b.org\"\nto = [\"a@b.org\"]",
            None,
            Some("notify.email.user"),
            "without the other",
        ),
        (
            "[notify.email]\nserver = \"b.org\"\ntls = \"none\"\nuser = \"a\"\npassword = \"b\"\nfrom = \"a@b.org\"\nto = \
             [\"a@b.org\"]",
            None,
            Some("notify.email.tls"),
            "in the clear",
        ),
        (
            &format!(
                "[notify.email]\nserver = \"b.org\"\nuser = \"{}\"\npassword = \"b\"\nfrom = \"a@b.org\"\nto = [\"a@b.org\"]",
                "a".repeat(257)
            ),
            None,
            Some("notify.email.user"),
            "no user or password",
        ),
        ("[ssh]\nkeys = [\"ssh-ed25519 AAAA\"]", None, Some("ssh.keys"), "key 1"),
        ("[ssh]\npassword = \"x\"", Some(2), Some("ssh.password"), "unknown key"),
    ] {
        let mistake = parse(text.as_bytes()).expect_err(text);
        assert_eq!((mistake.line, mistake.key.as_deref()), (line, key), "{text}: {mistake}");
        assert!(mistake.what().contains(what), "{text}: {mistake}");
        assert!(!mistake.fix().is_empty(), "{text}: {mistake}");
        assert!(!mistake.to_string().contains('\n'), "{mistake}");
    }
}

/// What a sentence quotes of a file is neither long nor able to do anything to a terminal.
#[test]
fn a_sentence_is_short_and_clear() {
    for text in [format!("{} = 1", "x".repeat(60_000)), "\"\\u001b[2J\" = 1".to_owned()] {
        let said = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(
            said.chars().count() < 1000 && !said.contains(char::is_control),
            "{said:?}"
        );
        assert!(said.contains("use one of `name`, `time_zone`"), "{said}");
    }
    let said = parse(b"[notify]\nntfy = \"https://ntfy.sh/mine\"").unwrap_err();
    assert_eq!(said.fix(), "write it as a section, [notify.ntfy]");
}

#[test]
fn what_is_no_text_or_too_much_of_it() {
    assert_eq!(parse(b"# fine\nname = \"\xff\"\n").unwrap_err().line, Some(2));
    assert!(parse(&vec![b'#'; 65_537]).unwrap_err().what().contains("65537"));
}

/// The file that ships must be usable as it is, and with every comment sign in front of a key taken away.
#[test]
fn the_shipped_file_is_right_in_both_forms() {
    let shipped = include_str!("../../../image-builder/overlay/firmware/pillarbox.toml");
    assert_eq!(parse(shipped.as_bytes()), Ok(Settings::default()));
    let used: String = shipped
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| !rest.starts_with([' ', '#']))
                .unwrap_or(line)
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let settings = parse(used.as_bytes()).unwrap();
    assert!(settings.name.is_some() && settings.time_zone.is_some() && settings.retention_hours.is_some());
    assert!(settings.quota_mib.is_some() && settings.waku.is_some() && settings.address.is_some());
    assert!(!settings.ssh_keys.is_empty() && settings.bandwidth_kib_per_sec.is_some());
    let notify = settings.notify;
    assert!(settings.wifi.is_some() && notify.ntfy.is_some() && notify.email.is_some() && notify.webhook.is_some());
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    /// Values from here go into files that others read line by line.
    #[test]
    fn what_is_accepted_fits_a_line(
        name in "[ -~\\n]{0,20}", zone in "[ -~\\n/]{0,20}", key in "[ -~\\n]{0,40}"
    ) {
        let text = format!("name = {name:?}\ntime_zone = {zone:?}\n[ssh]\nkeys = [{key:?}]\n");
        if let Ok(settings) = parse(text.as_bytes()) {
            for value in settings.name.iter().chain(&settings.time_zone) {
                prop_assert!(!value.contains(['\n', ' ', '"', '[', ';']));
            }
        }
    }

    /// What is kept says the same as what was read.
    #[test]
    fn kept_text_says_the_same(
        name in "[a-z]{1,10}", wifi in "[ -~é]{1,20}", password in "[ -~]{8,20}", hours in 1_u32..720, tls in "implicit|starttls"
    ) {
        let text = format!(
            "name = {name:?}\nretention_hours = {hours}\nquota_mib = 100\nshards = [1, 2]\nbandwidth_kib_per_sec = 99\n\
             [network]\naddress = \"10.0.0.2/8\"\ngateway = \"10.0.0.1\"\ndns = [\"10.0.0.1\"]\n[wifi]\nname = {}\n\
             password = {}\ncountry = \"AT\"\n[notify]\nntfy = {{ url = \"https://a.org/x\", token = \"t\" }}\nwebhook = \
             {{ url = \"http://10.0.0.3:80/\" }}\n[notify.email]\nserver = \"b.org\"\nport = 25\ntls = {tls:?}\nuser = \
             \"u\"\npassword = {}\nfrom = \"a@b.org\"\nto = [\"c@d.org\"]\n[ssh]\nkeys = [{KEY:?}]\n",
            toml::Value::String(wifi), toml::Value::String(password.clone()), toml::Value::String(password),
        );
        let settings = parse(text.as_bytes()).unwrap();
        prop_assert_eq!(parse(settings.to_toml().as_bytes()).unwrap(), settings);
    }
}
