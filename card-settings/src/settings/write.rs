//! The settings as a `pillarbox.toml` that says the same, for what is kept on the data partition and for a backup.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::waku::NONE;
use super::{Email, Joins, Notify, Post, Settings, StaticAddress, Waku, Wifi};

impl Settings {
    /// With every secret: never for the card.
    pub fn to_toml(&self) -> String {
        let mut table = Table::new();
        put(&mut table, "name", self.name.clone());
        put(&mut table, "time_zone", self.time_zone.clone());
        put(&mut table, "retention_hours", self.retention_hours.map(i64::from));
        let number = |number: std::num::NonZeroU32| i64::from(number.get());
        put(&mut table, "quota_mib", self.quota_mib.map(number));
        put(&mut table, "waku", self.waku.as_ref().map(waku));
        put(&mut table, "shards", self.shards.as_ref().map(list));
        put(
            &mut table,
            "bandwidth_kib_per_sec",
            self.bandwidth_kib_per_sec.map(number),
        );
        put(&mut table, "wifi", self.wifi.as_ref().map(wifi));
        put(&mut table, "network", self.address.as_ref().map(address));
        if self.notify != Notify::default() {
            put(&mut table, "notify", Some(self.notify.to_table()));
        }
        if !self.ssh_keys.is_empty() {
            let lines: Vec<String> = self.ssh_keys.iter().map(crate::ssh::Key::line).collect();
            let mut ssh = Table::new();
            put(&mut ssh, "keys", Some(lines));
            put(&mut table, "ssh", Some(ssh));
        }
        table.to_string()
    }
}

fn put<V: Into<Value>>(table: &mut Table, key: &str, value: Option<V>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), value.into());
    }
}

fn list(shards: &BTreeSet<u16>) -> Vec<i64> {
    shards.iter().map(|shard| i64::from(*shard)).collect()
}

fn waku(waku: &Waku) -> Table {
    let mut table = Table::new();
    match &waku.joins {
        Joins::Preset(network) => put(&mut table, "preset", Some(network.name)),
        Joins::Nothing => put(&mut table, "preset", Some(NONE)),
        Joins::Own { cluster, entry_nodes } => {
            put(&mut table, "cluster", Some(i64::from(*cluster)));
            put(&mut table, "entry_nodes", Some(entry_nodes.clone()));
        }
        Joins::AsShipped => {}
    }
    put(&mut table, "shards", waku.shards.as_ref().map(list));
    table
}

fn wifi(wifi: &Wifi) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", Some(wifi.name.clone()));
    let password = wifi.password.as_ref().map(|password| password.reveal().to_owned());
    put(&mut table, "password", password);
    put(&mut table, "country", wifi.country.clone());
    table
}

fn address(address: &StaticAddress) -> Table {
    let mut table = Table::new();
    let own = format!("{}/{}", address.address, address.prefix);
    put(&mut table, "address", Some(own));
    put(
        &mut table,
        "gateway",
        address.gateway.map(|gateway| gateway.to_string()),
    );
    let dns: Vec<String> = address.dns.iter().map(ToString::to_string).collect();
    put(&mut table, "dns", Some(dns));
    table
}

impl Notify {
    /// The same shape as the daemon's own `[notify]`.
    pub(crate) fn to_table(&self) -> Table {
        let mut table = Table::new();
        put(&mut table, "webhook", self.webhook.as_ref().map(post));
        put(&mut table, "ntfy", self.ntfy.as_ref().map(post));
        put(&mut table, "email", self.email.as_ref().map(email));
        table
    }
}

fn post(post: &Post) -> Table {
    let mut table = Table::new();
    put(&mut table, "url", Some(post.url.reveal().to_owned()));
    put(
        &mut table,
        "token",
        post.token.as_ref().map(|token| token.reveal().to_owned()),
    );
    table
}

fn email(email: &Email) -> Table {
    let mut table = Table::new();
    put(&mut table, "server", Some(email.server.clone()));
    put(&mut table, "port", email.port.map(i64::from));
    put(&mut table, "tls", Some(email.tls.word().to_owned()));
    put(&mut table, "user", email.user.clone());
    let password = email.password.as_ref().map(|password| password.reveal().to_owned());
    put(&mut table, "password", password);
    put(&mut table, "from", Some(email.from.clone()));
    put(&mut table, "to", Some(email.to.clone()));
    table
}
