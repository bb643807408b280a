use super::*;

const USER: &[u8] = include_bytes!("../../../../fuzz/seeds/card-settings/user_data/imager");
const NETWORK: &[u8] = include_bytes!("../../../../fuzz/seeds/card-settings/network_config/imager");

#[test]
fn what_imager_writes() {
    let wishes = parse(USER, NETWORK).unwrap();
    let settings = wishes.settings;
    assert_eq!(settings.name.as_deref(), Some("kitchen"));
    assert_eq!(settings.time_zone.as_deref(), Some("Europe/Vienna"));
    assert_eq!(settings.ssh_keys.len(), 1);
    let wifi = settings.wifi.unwrap();
    assert_eq!(
        (wifi.name.as_str(), wifi.country.as_deref()),
        ("Café \"home\"", Some("AT"))
    );
    assert_eq!(wifi.password.unwrap().reveal().len(), 64);
    assert_eq!(
        wishes.unused,
        [NO_USERS, NO_KEYBOARD, NO_INTERFACES, NO_COMMANDS, NO_PACKAGES]
            .into_iter()
            .collect()
    );
    for empty in [&b""[..], b"#cloud-config\n", b"# Taken.\n\n   "] {
        assert_eq!(parse(empty, empty).unwrap(), Wishes::default());
    }
}

/// What Imager wrote before 2026, and what a person may write instead.
#[test]
fn older_and_other_forms() {
    let user = "#cloud-config\nhostname: hall\nenable_ssh: true\nusers:\n- name: pi\n  groups: users,adm\n  shell: \
                /bin/bash\n  lock_passwd: true\n  sudo: ALL=(ALL) NOPASSWD:ALL\nssh_pwauth: true\n";
    assert_eq!(
        user_data(user.as_bytes()).unwrap().settings.name.as_deref(),
        Some("hall")
    );
    let network = |text: &str| network_config(format!("network:\n  version: 2\n{text}").as_bytes());
    let open = "  wifis:\n    wlan0:\n      access-points:\n        \"Guests\":\n          auth:\n            \
                key-management: none\n";
    assert_eq!(network(open).unwrap().settings.wifi.unwrap().password, None);
    let fixed = "  ethernets:\n    eth0:\n      addresses: [10.0.0.2/8]\n      routes:\n      - to: default\n        \
                 via: 10.0.0.1\n      nameservers:\n        addresses: [10.0.0.1]\n";
    let address = network(fixed).unwrap().settings.address.unwrap();
    assert_eq!((address.gateway, address.dns.len()), ("10.0.0.1".parse().ok(), 1));
    let plain = "  wifis:\n    wlan0:\n      access-points:\n        \"Café\":\n          password: \"longenough\"\n";
    assert_eq!(network(plain).unwrap().settings.wifi.unwrap().name, "Café");
}

#[test]
fn each_mistake_names_file_and_mend() {
    for (text, what) in [
        ("#!/bin/sh\nreboot\n", "#!/bin/sh"),
        ("#include\nhttps://example.org\n", "#include"),
        ("#cloud-config\nhostname: a b\n", "hostname"),
        ("#cloud-config\ntimezone: /etc\n", "timezone"),
        ("#cloud-config\nwrite_files: []\n", "unknown field `write_files`"),
        ("#cloud-config\nuser:\n  uid: 5\n", "unknown field `uid`"),
        (
            "#cloud-config\nuser:\n  ssh_authorized_keys: [\"x\"]\n",
            "ssh_authorized_keys",
        ),
        ("#cloud-config\nhostname: [\n", "is not what"),
        ("#cloud-config\n- a\n", "is not what"),
        ("#cloud-config\nhostname: &a b\ntimezone: *a\n", "is not what"),
        ("#cloud-config\nhostname: a\n---\nhostname: b\n", "is not what"),
        ("#cloud-config\nhostname: a\nhostname: b\n", "is not what"),
    ] {
        let mistake = user_data(text.as_bytes()).expect_err(text);
        let said = mistake.to_string();
        assert!(said.starts_with(USER_DATA) && said.contains(what), "{text}: {said}");
        assert!(!mistake.fix().is_empty(), "{said}");
    }
    for (text, what) in [
        ("network:\n  version: 1\n", "network.version"),
        ("network:\n  version: 2\n  bridges: {}\n", "unknown field `bridges`"),
        (
            "network:\n  version: 2\n  wifis:\n    wlan0:\n      access-points: {}\n",
            "access-points",
        ),
        (
            "network:\n  version: 2\n  wifis:\n    wlan0:\n      access-points:\n        a:\n          password: short\n",
            "network.wifis.password",
        ),
        (
            "network:\n  version: 2\n  wifis:\n    wlan0:\n      access-points:\n        a:\n          auth:\n            \
             key-management: eap\n",
            "network.wifis.auth",
        ),
        (
            "network:\n  version: 2\n  ethernets:\n    a: {addresses: [10.0.0.2/8, 10.0.0.3/8]}\n",
            "several addresses",
        ),
        (
            "network:\n  version: 2\n  ethernets:\n    a: {}\n    b: {}\n",
            "several interfaces",
        ),
        (
            "network:\n  version: 2\n  ethernets:\n    a: {access-points: {b: {}}}\n",
            "under wifis",
        ),
        (
            "network:\n  version: 2\n  ethernets:\n    a: {addresses: [10.0.0.2/8]}\n  wifis:\n    b: {access-points: {c: {}}}\n",
            "static beside a Wi-Fi",
        ),
        ("version: 2\n", "unknown field `version`"),
    ] {
        let said = network_config(text.as_bytes()).expect_err(text).to_string();
        assert!(
            said.starts_with(NETWORK_CONFIG) && said.contains(what),
            "{text}: {said}"
        );
    }
}

/// A few lines that would be millions, and brackets without end.
#[test]
fn what_grows_is_refused() {
    let mut laughs = String::from("#cloud-config\na: &a [x]\n");
    for letter in 'b'..'k' {
        let before = char::from(letter as u8 - 1);
        laughs.push_str(&format!(
            "{letter}: &{letter} [*{before}, *{before}, *{before}, *{before}]\n"
        ));
    }
    assert!(user_data(laughs.as_bytes()).is_err());
    let deep = format!("#cloud-config\nrpi: {}", "[".repeat(30_000));
    assert!(user_data(deep.as_bytes()).is_err());
    let deep = format!("#cloud-config\nrpi: {}{}\n", "[".repeat(100), "]".repeat(100));
    assert!(user_data(deep.as_bytes()).is_err());
}
