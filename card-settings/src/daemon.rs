//! The daemon's configuration with a person's wishes laid over the image's own.

use std::path::Path;

use toml::{Table, Value};

use crate::settings::{Notify, Settings};

/// The service whose archive the quota is for, as the image names it.
const MAILSERVER: &str = "mailserver";

#[derive(Debug, thiserror::Error)]
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
    if let Some(shards) = &settings.shards {
        let list = shards.iter().map(|shard| Value::Integer((*shard).into())).collect();
        section(&mut table, &["network"])?.insert("shards".to_owned(), Value::Array(list));
    }
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
        assert_eq!(table["network"]["cluster"], base["network"]["cluster"]);
        assert_eq!(table["services"]["mailserver"]["quota_mib"].as_integer(), Some(2048));
        assert_eq!(table["network"]["bandwidth_kib_per_sec"].as_integer(), Some(256));
        assert_eq!(table["notify"]["ntfy"]["url"].as_str(), Some("https://ntfy.sh/x"));
        assert_eq!(table["page"]["token_file"].as_str(), Some("/run/word"));
        assert_eq!(table["page"]["names"][0].as_str(), Some("kitchen.local"));
        assert_eq!(table["page"]["listen"], base["page"]["listen"]);
        assert_eq!(table["board"], base["board"]);
    }

    #[test]
    fn a_base_of_another_shape_is_said() {
        let settings = settings::parse(b"shards = [1]").unwrap();
        let error = overlay("network = 5", &settings, None).unwrap_err().to_string();
        assert!(error.contains("network"), "{error}");
    }
}
