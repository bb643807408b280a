//! The daemon's configuration with a person's wishes laid over the image's own.

use std::path::Path;

use toml::{Table, Value};

use crate::settings::{Joins, Notify, Settings};

/// The service whose archive the quota is for, as the image names it.
const MAILSERVER: &str = "mailserver";

/// Why wishes could not be laid over the image's own settings.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what is wrong, and with what")]
pub enum Error {
    #[error("the image's own configuration is no TOML: {0}")]
    Base(#[from] toml::de::Error),
    #[error("the image's own configuration has something else than a {wanted} at {key}")]
    Shape { key: String, wanted: &'static str },
    #[error("the configuration cannot be written as TOML: {0}")]
    Write(#[from] toml::ser::Error),
}

/// The text that pillarboxd reads in place of `base`. `word` is the file with the word of a box without a button.
pub fn overlay(base: &str, settings: &Settings, word: Option<&Path>) -> Result<String, Error> {
    let mut table: Table = base.parse()?;
    if let Some(hours) = settings.retention_hours {
        table.insert("retention".to_owned(), Value::String(format!("{hours}h")));
    }
    joins(&mut table, settings)?;
    if let Some(mib) = settings.quota_mib {
        let service = section(&mut table, &["services", MAILSERVER])?;
        service.insert("quota_mib".to_owned(), Value::Integer(mib.get().into()));
    }
    if let Some(name) = &settings.name {
        let page = section(&mut table, &["page"])?;
        let names = page.entry("names").or_insert_with(|| Value::Array(Vec::new()));
        let names = names.as_array_mut().ok_or_else(|| Error::Shape {
            key: "page.names".to_owned(),
            wanted: "list",
        })?;
        names.push(Value::String(format!("{name}.local")));
    }
    if let Some(kib) = settings.bandwidth_kib_per_sec {
        let network = section(&mut table, &["network"])?;
        network.insert("bandwidth_kib_per_sec".to_owned(), Value::Integer(kib.get().into()));
    }
    if settings.notify != Notify::default() {
        table.insert("notify".to_owned(), Value::Table(settings.notify.to_table()));
    }
    if let Some(word) = word {
        let file = Value::String(word.to_string_lossy().into_owned());
        section(&mut table, &["page"])?.insert("token_file".to_owned(), file);
    }
    Ok(toml::to_string(&table)?)
}

/// The Waku network: another one takes the place of all that the image says of its own.
fn joins(table: &mut Table, settings: &Settings) -> Result<(), Error> {
    let (waku, shards) = (settings.waku.as_ref(), settings.served());
    if waku.is_none() && shards.is_none() {
        return Ok(());
    }
    let network = section(table, &["network"])?;
    let other = match waku.map(|waku| &waku.joins) {
        None | Some(Joins::AsShipped) => Vec::new(),
        Some(Joins::Preset(public)) => vec![("preset", Value::from(public.name))],
        Some(Joins::Nothing) => vec![("preset", Value::from("none"))],
        Some(Joins::Own { cluster, entry_nodes }) => vec![
            ("preset", Value::from("none")),
            ("cluster", Value::from(i64::from(*cluster))),
            ("entry_nodes", Value::from(entry_nodes.clone())),
        ],
    };
    if !other.is_empty() {
        for key in ["preset", "cluster", "shards", "entry_nodes"] {
            network.remove(key);
        }
    }
    for (key, value) in other {
        network.insert(key.to_owned(), value);
    }
    if let Some(shards) = shards {
        let list: Vec<i64> = shards.iter().map(|shard| i64::from(*shard)).collect();
        network.insert("shards".to_owned(), Value::from(list));
    }
    Ok(())
}

fn section<'a>(table: &'a mut Table, path: &[&str]) -> Result<&'a mut Table, Error> {
    let mut at = table;
    for key in path {
        let next = at.entry(*key).or_insert_with(|| Value::Table(Table::new()));
        at = next.as_table_mut().ok_or_else(|| Error::Shape {
            key: path.join("."),
            wanted: "section",
        })?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    const BASE: &str = include_str!("../../image-builder/overlay/root/etc/pillarbox/pillarboxd.toml");

    #[test]
    fn nothing_wished_changes_nothing() {
        let same: Table = overlay(BASE, &Settings::default(), None).unwrap().parse().unwrap();
        assert_eq!(same, BASE.parse::<Table>().unwrap());
    }

    #[test]
    fn wishes_lie_over_the_images_own() {
        let wishes = "name = \"kitchen\"\nretention_hours = 48\nquota_mib = 2048\nshards = [1, 2]\n\
                      bandwidth_kib_per_sec = 256\n[notify.ntfy]\nurl = \"https://ntfy.sh/x\"\n";
        let settings = settings::parse(wishes.as_bytes()).unwrap();
        let table: Table = overlay(BASE, &settings, Some(Path::new("/run/word")))
            .unwrap()
            .parse()
            .unwrap();
        let base: Table = BASE.parse().unwrap();
        assert_eq!(table["retention"].as_str(), Some("48h"));
        assert_eq!(table["network"]["shards"].as_array().unwrap().len(), 2);
        assert_eq!(table["network"]["preset"], base["network"]["preset"]);
        assert_eq!(table["services"]["mailserver"]["quota_mib"].as_integer(), Some(2048));
        assert_eq!(table["network"]["bandwidth_kib_per_sec"].as_integer(), Some(256));
        assert_eq!(table["notify"]["ntfy"]["url"].as_str(), Some("https://ntfy.sh/x"));
        assert_eq!(table["page"]["token_file"].as_str(), Some("/run/word"));
        assert_eq!(table["page"]["names"][0].as_str(), Some("kitchen.local"));
        assert_eq!(table["page"]["listen"], base["page"]["listen"]);
        assert_eq!(table["board"], base["board"]);
    }

    #[test]
    fn another_network_takes_the_whole_place_of_the_images_own() {
        let own = format!("[waku]\ncluster = 77\nshards = [5, 4]\nentry_nodes = [{ENTRY:?}]\n");
        for (wishes, wanted) in [
            ("", "preset = \"status.prod\""),
            // As cards said it before there was anything else to say.
            ("shards = [64, 32]", "preset = \"status.prod\"\nshards = [32, 64]"),
            ("waku = \"status.prod\"", "preset = \"status.prod\""),
            ("waku = \"statusstaging\"", "preset = \"status.staging\""),
            ("waku = \"none\"", "preset = \"none\""),
            ("shards = [1]\nwaku = \"none\"", "preset = \"none\"\nshards = [1]"),
            (
                "[waku]\npreset = \"twn\"\nshards = [7]",
                "preset = \"twn\"\nshards = [7]",
            ),
            ("[waku]\nshards = [7]", "preset = \"status.prod\"\nshards = [7]"),
            (
                &own,
                &format!("preset = \"none\"\ncluster = 77\nshards = [4, 5]\nentry_nodes = [{ENTRY:?}]"),
            ),
            (
                "shards = [4]\n[waku]\ncluster = 77",
                "preset = \"none\"\ncluster = 77\nshards = [4]\nentry_nodes = []",
            ),
        ] {
            let settings = settings::parse(wishes.as_bytes()).unwrap();
            let table: Table = overlay(BASE, &settings, None).unwrap().parse().unwrap();
            assert_eq!(
                table["network"].as_table().unwrap(),
                &wanted.parse::<Table>().unwrap(),
                "{wishes}"
            );
        }
    }

    const ENTRY: &str = "/ip4/192.168.1.7/tcp/60000/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31";

    #[test]
    fn a_base_of_another_shape_is_said() {
        let settings = settings::parse(b"shards = [1]").unwrap();
        let error = overlay("network = 5", &settings, None).unwrap_err().to_string();
        assert!(error.contains("network"), "{error}");
    }
}
