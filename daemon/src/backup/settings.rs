//! Which settings a backup may hold: what a person sets on the card or in the daemon's file, key by key.
//!
//! Whoever can have a backup restored must not thereby say which program runs, with what arguments, as whom, with what
//! environment, where files are, or who may log in. So a restore lays the keys of this list over the settings that the
//! box has, and leaves everything else as it is. What a backup says beyond the list is named, not obeyed.

use std::fmt::Write;
use std::path::Path;

use toml::{Table, Value};
use toml_edit::{Array, DocumentMut, Item};

use super::bundle::Kind;
use crate::config::Mistake;

/// In the daemon's own file; `*` is any name.
const DAEMON: [&str; 19] = [
    "retention",
    "network.preset",
    "network.cluster",
    "network.shards",
    "network.entry_nodes",
    "network.bandwidth_kib_per_sec",
    "page.names",
    "notify.webhook.url",
    "notify.webhook.token",
    "notify.ntfy.url",
    "notify.ntfy.token",
    "notify.email.server",
    "notify.email.port",
    "notify.email.tls",
    "notify.email.user",
    "notify.email.password",
    "notify.email.from",
    "notify.email.to",
    "services.*.quota_mib",
];

/// On the card (`card-settings/src/settings/file.rs`), without `ssh`: a backup must not let anybody log in.
const CARD: [&str; 28] = [
    "name",
    "time_zone",
    "retention_hours",
    "quota_mib",
    "shards",
    "bandwidth_kib_per_sec",
    "waku",
    "waku.preset",
    "waku.cluster",
    "waku.shards",
    "waku.entry_nodes",
    "wifi.name",
    "wifi.password",
    "wifi.country",
    "network.address",
    "network.gateway",
    "network.dns",
    "notify.webhook.url",
    "notify.webhook.token",
    "notify.ntfy.url",
    "notify.ntfy.token",
    "notify.email.server",
    "notify.email.port",
    "notify.email.tls",
    "notify.email.user",
    "notify.email.password",
    "notify.email.from",
    "notify.email.to",
];

/// No settings nest deeper; a hostile file may.
const MAX_DEPTH: usize = 8;
/// So many keys that are left out are named, the rest is counted.
const MAX_NAMED: usize = 20;
/// Of a key's name in a warning.
const MAX_KEY_CHARS: usize = 80;

/// The settings as they are to be put in place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Restored {
    pub(super) text: String,
    /// What the backup says and the box does not take, a dotted key each.
    pub(super) left_out: Vec<String>,
}

/// A key as the parts between its dots, and what it is set to.
type Leaf = (Vec<String>, Value);

/// What of these settings goes into a backup.
pub(super) fn for_backup(kind: Kind, file: &Path, text: &str) -> Result<String, Mistake> {
    written(file, DocumentMut::new(), &kept(kind, &parse(file, text)?).0)
}

/// What a restore makes of a backup's settings. `file` is the one they came for, and `present` its text.
pub(super) fn restored(kind: Kind, file: &Path, present: &str, backup: &str) -> Result<Restored, Mistake> {
    let (taken, other) = kept(kind, &parse(file, backup)?);
    // The card's settings have no part that is not a person's.
    if kind == Kind::Card {
        return Ok(Restored {
            text: written(file, DocumentMut::new(), &taken)?,
            left_out: named(&other),
        });
    }
    let (before, own) = kept(kind, &parse(file, present)?);
    let taken = without_the_old_default(taken, &before);
    let mut document: DocumentMut = present
        .parse()
        .map_err(|_| Mistake::in_file(file, "is no TOML", "correct it"))?;
    let stays = |path: &[String]| path == PRESET && !taken.iter().any(|(path, _)| *path == NETWORK_CLUSTER);
    for (path, _) in &before {
        if !stays(path) && !taken.iter().any(|(other, _)| other == path) {
            remove(document.as_item_mut(), path);
        }
    }
    let changed: Vec<Leaf> = taken.into_iter().filter(|leaf| !before.contains(leaf)).collect();
    let differing: Vec<Leaf> = other.into_iter().filter(|leaf| !own.contains(leaf)).collect();
    Ok(Restored {
        text: written(file, document, &changed)?,
        left_out: named(&differing),
    })
}

const PRESET: [&str; 2] = ["network", "preset"];
const NETWORK_CLUSTER: [&str; 2] = ["network", "cluster"];
const NETWORK_SHARDS: [&str; 2] = ["network", "shards"];

/// Before there were presets, every box had Status's cluster and shards in its settings, and joined nobody. That was no
/// wish: a box that is in a public network stays in it.
fn without_the_old_default(taken: Vec<Leaf>, before: &[Leaf]) -> Vec<Leaf> {
    let value = |leaves: &[Leaf], key: [&str; 2]| {
        let leaf = leaves.iter().find(|(path, _)| *path == key);
        leaf.map(|(_, value)| value.clone())
    };
    let old_default = value(&taken, PRESET).is_none()
        && value(&taken, NETWORK_CLUSTER) == Some(Value::Integer(16))
        && value(&taken, NETWORK_SHARDS) == Some(Value::Array(vec![Value::Integer(32), Value::Integer(64)]));
    if !old_default || value(before, PRESET).is_none() {
        return taken;
    }
    let of_old = |path: &Vec<String>| *path == NETWORK_CLUSTER || *path == NETWORK_SHARDS;
    taken.into_iter().filter(|(path, _)| !of_old(path)).collect()
}

/// The document with these keys set, and nothing else touched.
fn written(file: &Path, mut document: DocumentMut, leaves: &[Leaf]) -> Result<String, Mistake> {
    for (path, value) in leaves {
        set(document.as_item_mut(), path, value).ok_or_else(|| {
            let mend = "write a section in its place, or restore the identity alone";
            Mistake::in_key(file, &dotted(path), "has no section to stand in", mend)
        })?;
    }
    Ok(document.to_string())
}

fn parse(file: &Path, text: &str) -> Result<Table, Mistake> {
    text.parse::<Table>().map_err(|error| {
        let what = format!("the settings are no TOML: {}", error.message().replace('\n', " "));
        Mistake::in_file(file, what, "use another copy of the backup")
    })
}

/// The leaves that are on the list, and those that are not.
fn kept(kind: Kind, settings: &Table) -> (Vec<Leaf>, Vec<Leaf>) {
    let mut leaves = Vec::new();
    collect(settings, &mut Vec::new(), &mut leaves);
    let list = match kind {
        Kind::Daemon => &DAEMON[..],
        Kind::Card => &CARD[..],
    };
    leaves
        .into_iter()
        .partition(|(path, value)| plain(value).is_some() && list.iter().any(|pattern| matches(pattern, path)))
}

fn collect(table: &Table, path: &mut Vec<String>, leaves: &mut Vec<Leaf>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Table(inner) if path.len() < MAX_DEPTH => collect(inner, path, leaves),
            value => leaves.push((path.clone(), value.clone())),
        }
        path.pop();
    }
}

/// A single value, or a list of such; nothing else is on the list.
fn plain(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Array(values) => {
            let single = |value: &Value| plain(value).filter(|value| !value.is_array());
            let values: Option<Array> = values.iter().map(single).collect();
            values?.into()
        }
        Value::Datetime(_) | Value::Table(_) => return None,
    })
}

fn matches(pattern: &str, path: &[String]) -> bool {
    pattern.split('.').count() == path.len()
        && pattern
            .split('.')
            .zip(path)
            .all(|(wanted, key)| wanted == "*" || wanted == key)
}

/// Takes a key away, and with it the tables that held nothing else.
fn remove(item: &mut Item, path: &[String]) {
    let (Some((key, rest)), Some(table)) = (path.split_first(), item.as_table_like_mut()) else {
        return;
    };
    if rest.is_empty() {
        table.remove(key);
        return;
    }
    if let Some(inner) = table.get_mut(key) {
        remove(inner, rest);
        if inner.as_table_like().is_some_and(|inner| inner.is_empty()) {
            table.remove(key);
        }
    }
}

/// Nothing when there is a value where a table would have to be.
fn set(item: &mut Item, path: &[String], value: &Value) -> Option<()> {
    let (key, rest) = path.split_first()?;
    let table = item.as_table_like_mut()?;
    if rest.is_empty() {
        table.insert(key, Item::Value(plain(value)?));
        return Some(());
    }
    if table.get(key).is_none() {
        let mut section = toml_edit::Table::new();
        section.set_implicit(true);
        table.insert(key, Item::Table(section));
    }
    set(table.get_mut(key)?, rest, value)
}

fn dotted(path: &[String]) -> String {
    let bare = |key: &str| {
        !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let mut text = String::new();
    for key in path {
        let dot = if text.is_empty() { "" } else { "." };
        let written = if bare(key) {
            write!(text, "{dot}{key}")
        } else {
            // Whatever a stranger put there is shown, not obeyed by a terminal.
            write!(text, "{dot}{key:?}")
        };
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    if text.chars().count() > MAX_KEY_CHARS {
        text = text.chars().take(MAX_KEY_CHARS).chain(['\u{2026}']).collect();
    }
    text
}

fn named(leaves: &[Leaf]) -> Vec<String> {
    let more = leaves.len().saturating_sub(MAX_NAMED);
    let mut names: Vec<String> = leaves.iter().take(MAX_NAMED).map(|(path, _)| dotted(path)).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRESENT: &str = "# my box\nboard = \"dev\"\nstate_dir = \"state\" # here\nretention = \"2h\"\n\n\
                           [services.mailserver]\nprogram = \"/opt/mailserver\"\nquota_mib = 100\n\n\
                           [notify.ntfy]\nurl = \"https://ntfy.sh/mine\"\n";

    fn restore(kind: Kind, backup: &str) -> Restored {
        restored(kind, Path::new("/main.toml"), PRESENT, backup).unwrap()
    }

    #[test]
    fn a_persons_own_keys_come_and_go_and_the_rest_stays_as_it_is() {
        let backup = "board = \"dev\"\nstate_dir = \"state\"\nretention = \"24h\"\n[page]\nnames = [\"post.lan\"]\n\
                      [services.mailserver]\nprogram = \"/opt/mailserver\"\n";
        let restored = restore(Kind::Daemon, backup);
        assert_eq!(
            restored.text,
            "# my box\nboard = \"dev\"\nstate_dir = \"state\" # here\nretention = \"24h\"\n\n\
             [services.mailserver]\nprogram = \"/opt/mailserver\"\n\n[page]\nnames = [\"post.lan\"]\n"
        );
        assert_eq!(restored.left_out, [""; 0], "what is the same here is nothing to tell");
        let same = restore(
            Kind::Daemon,
            &for_backup(Kind::Daemon, Path::new("/main.toml"), PRESENT).unwrap(),
        );
        assert_eq!(same.text, PRESENT);
    }

    /// A backup from before there were presets says what every box said, and no wish.
    #[test]
    fn a_box_in_a_public_network_stays_in_it() {
        let present = "[network]\npreset = \"status.prod\"\n";
        let network = |backup: &str| {
            let restored = restored(Kind::Daemon, Path::new("/main.toml"), present, backup).unwrap();
            restored.text.parse::<Table>().unwrap()["network"].to_string()
        };
        let stayed = network("retention = \"3h\"\n[network]\ncluster = 16\nshards = [32, 64]\n");
        assert_eq!(stayed, "{ preset = \"status.prod\" }");
        let own = network("[network]\ncluster = 99\nshards = [1]\n");
        assert_eq!(own, "{ cluster = 99, shards = [1] }");
    }

    #[test]
    fn what_is_not_a_persons_is_named_and_left_out() {
        let evil = "retention = \"3h\"\nboard = \"rpi-4\"\nstate_dir = \"/\"\nservices_dir = \"/tmp\"\ncontrol = \"/x\"\n\
                    power = \"systemctl\"\ncolour = 1\n[page]\ntoken_file = \"/etc/passwd\"\nlisten = \"0.0.0.0:80\"\n\
                    [notify]\nca_file = \"/x\"\n[health]\nroot = \"/x\"\n[backup]\nsettings = \"/x\"\nrestored = \"/x\"\n\
                    [services.mailserver]\nprogram = \"/bin/sh\"\nextra_arguments = [\"-c\", \"id\"]\nuser = \"root\"\n\
                    environment.PATH = \"/x\"\nsandbox.write = [\"/\"]\nenabled = true\n[services.\"a b\\u001B[31m\"]\nprogram = 1\n";
        let restored = restore(Kind::Daemon, evil);
        let text: Table = restored.text.parse().unwrap();
        let mut wanted: Table = PRESENT.parse().unwrap();
        wanted.remove("notify");
        wanted.insert("retention".to_owned(), Value::String("3h".to_owned()));
        wanted["services"]["mailserver"]
            .as_table_mut()
            .unwrap()
            .remove("quota_mib");
        assert_eq!(text, wanted);
        let named = restored.left_out.join(", ");
        for key in [
            "board",
            "state_dir",
            "services_dir",
            "control",
            "power",
            "colour",
            "page.token_file",
            "page.listen",
            "notify.ca_file",
            "health.root",
            "backup.settings",
            "backup.restored",
            "services.mailserver.program",
            "services.mailserver.extra_arguments",
            "services.mailserver.user",
            "services.mailserver.environment.PATH",
            "services.mailserver.sandbox.write",
            "services.mailserver.enabled",
        ] {
            assert!(restored.left_out.iter().any(|left| left == key), "{key}: {named}");
        }
        assert!(!named.contains('\u{1b}'), "{named:?}");
    }

    #[test]
    fn a_card_lets_nobody_log_in() {
        let card = "name = \"kitchen\"\nwaku = \"status.prod\"\nprogram = \"/bin/sh\"\n[wifi]\nname = \"Home\"\n\
                    password = \"correct horse\"\n[ssh]\nkeys = [\"ssh-ed25519 AAAA me\"]\n";
        let restored = restore(Kind::Card, card);
        assert_eq!(
            restored.text.parse::<Table>().unwrap(),
            "name = \"kitchen\"\nwaku = \"status.prod\"\n[wifi]\nname = \"Home\"\npassword = \"correct horse\"\n"
                .parse::<Table>()
                .unwrap()
        );
        assert_eq!(restored.left_out, ["program", "ssh.keys"]);
    }

    /// The list has every key that a card may have but `ssh`: those of the card reader's own seeds, which use them all.
    #[test]
    fn everything_else_on_a_card_comes_back() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let seeds = std::fs::read_dir(package.join("../fuzz/seeds/card-settings/pillarbox_toml")).unwrap();
        let cards = seeds.map(|seed| std::fs::read(seed.unwrap().path()).unwrap());
        let mut with_keys = 0;
        for mut wishes in cards.filter_map(|card| card_settings::settings::parse(&card).ok()) {
            let kept = for_backup(Kind::Card, Path::new("/settings.toml"), &wishes.to_toml()).unwrap();
            let back = restore(Kind::Card, &kept);
            assert_eq!(back.left_out, [""; 0]);
            with_keys += wishes.ssh_keys.len();
            wishes.ssh_keys.clear();
            assert_eq!(card_settings::settings::parse(back.text.as_bytes()).unwrap(), wishes);
        }
        assert!(with_keys > 0, "no seed lets anybody log in");
    }

    #[test]
    fn many_keys_are_counted_and_long_ones_cut() {
        let many: String = (0..50).map(|n| format!("key{n} = 1\n")).collect();
        let restored = restore(Kind::Card, &format!("{} = 1\n{many}", "x".repeat(500)));
        assert_eq!(restored.left_out.len(), MAX_NAMED + 1);
        assert_eq!(restored.left_out.last().unwrap(), "31 more");
        assert!(
            restored
                .left_out
                .iter()
                .all(|name| name.chars().count() <= MAX_KEY_CHARS + 1)
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
            "[a-z/]{0,6}".prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::btree_map(
                    "retention|network|shards|page|names|services|mailserver|program|[a-z]{1,3}",
                    inner,
                    0..4
                )
                .prop_map(|table| Value::Table(table.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever the backup says, nothing beyond the list changes.
        #[test]
        fn nothing_beyond_the_list_changes(backup in prop::collection::btree_map("retention|network|page|services|notify|[a-z]{1,3}", any_value(), 0..6)) {
            let backup: Table = backup.into_iter().collect();
            let (_, before) = kept(Kind::Daemon, &PRESENT.parse().unwrap());
            let file = Path::new("/main.toml");
            if let Ok(restored) = restored(Kind::Daemon, file, PRESENT, &backup.to_string()) {
                let (taken, after) = kept(Kind::Daemon, &restored.text.parse().unwrap());
                prop_assert_eq!(after, before);
                prop_assert_eq!(taken, kept(Kind::Daemon, &backup).0);
            }
        }
    }
}
