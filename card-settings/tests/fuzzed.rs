//! Everything that reads a card, over good files and thousands of mutations of them: an answer, never a panic, and never
//! a line of somebody else's file that was not asked for.

use std::io::Cursor;

use card_settings::fat::Fat;
use card_settings::imager::{cloud, preseed};
use card_settings::{network, secrets, settings, wifi, word};

#[path = "../../mailserver/tests/fuzzed/mutation.rs"]
mod mutation;

use mutation::Mutation;

/// Enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 4_000;
/// The run is the same each time.
const CHANCE: u64 = 0x5eed;

const SHIPPED: &[u8] = include_bytes!("../../image-builder/overlay/firmware/pillarbox.toml");
const PRESEED: &[u8] = include_bytes!("imager/rpi-preseed.toml");
const USER_DATA: &[u8] = include_bytes!("imager/user-data");
const NETWORK_CONFIG: &[u8] = include_bytes!("imager/network-config");

fn check(seeds: Vec<Vec<u8>>, run: impl Fn(&[u8])) {
    run(&[]);
    seeds.iter().for_each(|seed| run(seed));
    let mut mutation = Mutation::new(CHANCE, &seeds);
    for _ in 0..MUTATIONS {
        run(&mutation.next_input());
    }
}

/// The shipped file with every key in use.
fn in_use() -> Vec<u8> {
    let shipped = std::str::from_utf8(SHIPPED).expect("it ships as text");
    let line = |line: &str| match line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) {
        Some(rest) => rest.to_owned() + "\n",
        None => line.to_owned() + "\n",
    };
    shipped.lines().map(line).collect::<String>().into_bytes()
}

/// What others read line by line has as many lines as it should.
fn written(settings: &settings::Settings) {
    if let Some(wanted) = &settings.wifi {
        let text = wifi::configuration(wanted);
        let lines = |start: &str| text.lines().filter(|line| line.trim_start().starts_with(start)).count();
        assert_eq!((lines("network="), lines("ssid="), lines("}")), (1, 1, 1), "{text}");
        assert!(lines("psk=") <= 1 && lines("country=") <= 1, "{text}");
    }
    if let Some(address) = &settings.address {
        assert_eq!(network::unit(address).matches('[').count(), 1);
    }
}

#[test]
fn pillarbox_toml() {
    check(vec![SHIPPED.to_vec(), in_use()], |bytes| {
        let Ok(read) = settings::read(bytes) else { return };
        written(&read.settings);
        if let Some(content) = secrets::emptied(bytes, &read.secrets) {
            assert_eq!(content.len(), bytes.len());
            let again = settings::read(&content).expect("without its secrets it is still good");
            assert!(again.secrets.is_empty());
        }
    });
}

#[test]
fn rpi_preseed_toml() {
    check(vec![PRESEED.to_vec()], |bytes| {
        if let Ok(wishes) = preseed::parse(bytes) {
            written(&wishes.settings);
        }
    });
}

#[test]
fn cloud_init() {
    check(vec![USER_DATA.to_vec()], |bytes| {
        if let Ok(wishes) = cloud::user_data(bytes) {
            written(&wishes.settings);
        }
    });
    check(vec![NETWORK_CONFIG.to_vec()], |bytes| {
        if let Ok(wishes) = cloud::network_config(bytes) {
            written(&wishes.settings);
        }
    });
}

#[test]
fn the_words_file_and_the_partition() {
    check(vec![b"abcd-efgh-jkmn\r\n\r\n".to_vec()], |bytes| {
        let _ = word::read(bytes);
    });
    check(vec![vec![0; 600], SHIPPED.to_vec()], |bytes| {
        if let Ok(mut fat) = Fat::open(Cursor::new(bytes.to_vec())) {
            let _ = fat.find("pillarbox.toml");
        }
    });
}
