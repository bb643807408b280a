//! Reads lists of nodes from DNS (EIP-1459): from the root down, each entry checked, within bounds.
//!
//! A list that cannot be read is tried again later and said once; what was read of it before the failure is used.

use std::{
    collections::{BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::RData,
};
use tokio::sync::mpsc;

use super::{
    Counters, Error, Sink,
    tree::{self, Entry, EntryName, Root, Url},
};
use crate::{enr::Enr, labels::count, swarm::Origin};

/// Questions for one list, lists that it links to included. The fleets' lists have some ten entries.
const MAX_QUESTIONS: usize = 500;
/// Lists behind one URL.
const MAX_LISTS: usize = 8;
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a list that was read is taken for true.
const REFRESH: Duration = Duration::from_secs(3600);
/// Between attempts at a list that cannot be read, doubled each time up to [`REFRESH`].
const RETRY: Duration = Duration::from_secs(15);
const DNS_PORT: u16 = 53;

#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("asking for {name}: {reason}")]
    Lookup { name: String, reason: String },
    #[error("{name} has no text")]
    Empty { name: String },
    #[error("{name}: {source}")]
    Entry { name: String, source: tree::Error },
    #[error("{domain} has more than {MAX_QUESTIONS} entries")]
    TooLarge { domain: String },
}

impl ReadError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Lookup { .. } | Self::Empty { .. } => "lookup",
            Self::Entry { .. } => "entry",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

/// Asks name servers.
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    /// With these name servers, or those of the system.
    pub(super) fn new(servers: &[IpAddr]) -> Result<Self, Error> {
        let servers: Vec<SocketAddr> = servers.iter().map(|ip| SocketAddr::new(*ip, DNS_PORT)).collect();
        Self::with_servers(&servers)
    }

    fn with_servers(servers: &[SocketAddr]) -> Result<Self, Error> {
        let unusable = |error: String| Error::Discv5(format!("name servers: {error}"));
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| unusable(error.to_string()))?
        } else {
            let servers = servers.iter().map(|server| {
                let on_port = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let connections = vec![on_port(ConnectionConfig::udp()), on_port(ConnectionConfig::tcp())];
                NameServerConfig::new(server.ip(), true, connections)
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        builder.build().map(Self).map_err(|error| unusable(error.to_string()))
    }

    /// The text of a name; several strings of one record are one text (RFC 7208, 3.3, as everywhere).
    async fn text(&self, name: &str) -> Result<String, ReadError> {
        // With a dot at the end no search domain is tried.
        let lookup = tokio::time::timeout(QUESTION_TIMEOUT, self.0.txt_lookup(format!("{name}."))).await;
        let failed = |reason: String| ReadError::Lookup {
            name: name.to_owned(),
            reason,
        };
        let lookup = lookup
            .map_err(|_| failed("no answer".into()))?
            .map_err(|error| failed(error.to_string()))?;
        let texts = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        });
        // Beside the list's there may be other texts at its domain.
        texts
            .into_iter()
            .find(|text| text.starts_with("enr"))
            .ok_or_else(|| ReadError::Empty { name: name.to_owned() })
    }

    /// All node records of a list and of those it links to, with the first error that left some out.
    pub(super) async fn read(&self, url: &Url) -> (Vec<Enr>, Option<ReadError>) {
        let mut reading = Reading {
            records: Vec::new(),
            first_error: None,
            questions: 0,
        };
        let mut lists = VecDeque::from([url.clone()]);
        let mut seen: BTreeSet<String> = BTreeSet::from([url.domain.clone()]);
        while let Some(list) = lists.pop_front() {
            for link in reading.list(self, &list).await {
                if seen.len() < MAX_LISTS && seen.insert(link.domain.clone()) {
                    lists.push_back(link);
                }
            }
        }
        (reading.records, reading.first_error)
    }
}

struct Reading {
    records: Vec<Enr>,
    first_error: Option<ReadError>,
    questions: usize,
}

impl Reading {
    /// Reads one list into the records and returns its links.
    async fn list(&mut self, resolver: &Resolver, url: &Url) -> Vec<Url> {
        let mut links = Vec::new();
        let root = match self.root(resolver, url).await {
            Ok(root) => root,
            Err(error) => {
                self.failed(error);
                return links;
            }
        };
        let mut names = VecDeque::from([root.nodes, root.links]);
        let mut seen: BTreeSet<EntryName> = names.iter().cloned().collect();
        while let Some(name) = names.pop_front() {
            match self.entry(resolver, url, &name).await {
                Ok(Entry::Branch(children)) => {
                    names.extend(children.into_iter().filter(|child| seen.insert(child.clone())))
                }
                Ok(Entry::Node(record)) => self.records.push(*record),
                Ok(Entry::Link(link)) => links.push(link),
                Err(error @ ReadError::TooLarge { .. }) => {
                    self.failed(error);
                    break;
                }
                Err(error) => self.failed(error),
            }
        }
        links
    }

    async fn root(&mut self, resolver: &Resolver, url: &Url) -> Result<Root, ReadError> {
        let text = self.ask(resolver, url, &url.domain).await?;
        Root::parse(&text, &url.key).map_err(|source| ReadError::Entry {
            name: url.domain.clone(),
            source,
        })
    }

    async fn entry(&mut self, resolver: &Resolver, url: &Url, name: &EntryName) -> Result<Entry, ReadError> {
        let full = format!("{name}.{}", url.domain);
        let text = self.ask(resolver, url, &full).await?;
        Entry::parse(name, &text).map_err(|source| ReadError::Entry { name: full, source })
    }

    async fn ask(&mut self, resolver: &Resolver, url: &Url, name: &str) -> Result<String, ReadError> {
        self.questions += 1;
        if self.questions > MAX_QUESTIONS {
            return Err(ReadError::TooLarge {
                domain: url.domain.clone(),
            });
        }
        resolver.text(name).await
    }

    fn failed(&mut self, error: ReadError) {
        self.first_error.get_or_insert(error);
    }
}

/// Reads the lists again and again, and passes on what they hold: to the node, and to discv5 to start from.
pub(super) async fn run(
    resolver: Resolver,
    lists: Vec<Url>,
    sink: Sink,
    bootstrap: mpsc::Sender<Enr>,
    counters: Counters,
) {
    let mut failures: u32 = 0;
    loop {
        let mut complete = true;
        for list in &lists {
            let (records, error) = resolver.read(list).await;
            counters.dns_discovered.inc_by(records.len() as u64);
            sink.offer(&records, Origin::Dns).await;
            let nodes = records.len();
            for record in records {
                // Full or without discv5: the node has it.
                let _ = bootstrap.try_send(record);
            }
            match error {
                None => tracing::debug!(domain = %list.domain, nodes, "list of nodes read"),
                Some(error) => {
                    complete = false;
                    count(&counters.dns_errors, error.kind());
                    if failures == 0 {
                        tracing::warn!(domain = %list.domain, nodes, %error, "list of nodes not read whole");
                    }
                }
            }
        }
        failures = if complete { 0 } else { failures.saturating_add(1) };
        let wait = if complete {
            REFRESH
        } else {
            RETRY.saturating_mul(2u32.saturating_pow(failures - 1)).min(REFRESH)
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
