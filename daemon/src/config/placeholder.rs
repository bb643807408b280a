//! Placeholders in a service's arguments, environment and addresses.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{state_dir}` | the daemon's state directory |
//! | `{service_dir}` | `{state_dir}/NAME`, made before the start |
//! | `{archive_dir}` | `archive.path` of the same file |
//! | `{retention_secs}` | the retention in seconds |
//! | `{preset}` | the public network's name; an argument with it is left out where there is none |
//! | `{cluster}` | the cluster |
//! | `{auto_shards}` | over how many shards content topics are spread, 0 for static sharding |
//! | `{max_message_kib}` | the network's largest envelope |
//! | `{shard}` | a shard; an argument with it is repeated for each |
//! | `{entry_node}` | where to begin to look for others, in any form; repeated for each |
//! | `{entry_list}`, `{entry_record}`, `{entry_address}` | the same, of one form each |
//! | `{bandwidth_kib_per_sec}` | the cap on traffic; an argument with it is left out where there is none |
//! | `{port.NAME}` | the port under `[ports.NAME]` |
//!
//! A service with `{preset}` among its arguments knows the rest of a public network by its name: there, arguments with
//! `{cluster}`, `{auto_shards}`, `{max_message_kib}` or an entry node are left out, and `{shard}` is a person's own choice
//! alone ([`super::Network`]).
//!
//! A brace that is meant is written twice.

use std::collections::BTreeMap;

/// What placeholders stand for.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub plain: BTreeMap<String, String>,
    /// What an argument is repeated for, as often as there are values: never where there are none.
    pub repeated: BTreeMap<String, Vec<String>>,
}

/// What stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error("a single brace")]
    Brace,
    #[error("{{{0}}}")]
    Name(String),
}

impl Values {
    /// One argument as many, once for each value of what is repeated in it.
    pub fn expand(&self, text: &str) -> Result<Vec<String>, Unknown> {
        let mut repeated = self.repeated.iter();
        match repeated.find(|(name, _)| text.contains(&format!("{{{name}}}"))) {
            None => Ok(vec![self.fill(text, None)?]),
            Some((name, values)) => values
                .iter()
                .map(|value| self.fill(text, Some((name, value))))
                .collect(),
        }
    }

    /// A text that has to stay one.
    pub fn expand_one(&self, text: &str) -> Result<String, Unknown> {
        self.fill(text, None)
    }

    fn fill(&self, text: &str, repeated: Option<(&str, &str)>) -> Result<String, Unknown> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            filled.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                filled.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{").ok_or(Unknown::Brace)?;
            let name = &rest[..end];
            match repeated {
                Some((known, value)) if known == name => filled.push_str(value),
                _ => filled.push_str(self.plain.get(name).ok_or_else(|| Unknown::Name(name.to_owned()))?),
            }
            rest = &rest[end + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion() {
        let values = Values {
            plain: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
            repeated: BTreeMap::from([
                ("shard".to_owned(), vec!["32".to_owned(), "64".to_owned()]),
                ("cap".to_owned(), Vec::new()),
            ]),
        };
        for (text, wanted) in [
            ("plain", Ok(vec!["plain"])),
            ("--x={a}/{a}", Ok(vec!["--x=1/1"])),
            ("--shard={shard}", Ok(vec!["--shard=32", "--shard=64"])),
            ("--cap={cap}", Ok(Vec::new())),
            ("{{a}}", Ok(vec!["{a}"])),
            ("{b}", Err("{b}")),
            ("{a", Err("a single brace")),
            ("a}", Err("a single brace")),
            ("", Ok(vec![""])),
        ] {
            let wanted = wanted
                .map(|list| list.into_iter().map(str::to_owned).collect())
                .map_err(str::to_owned);
            assert_eq!(
                values.expand(text).map_err(|unknown| unknown.to_string()),
                wanted,
                "{text:?}"
            );
        }
    }
}
