//! Placeholders in a service's arguments, environment and addresses.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{state_dir}` | the daemon's state directory |
//! | `{service_dir}` | `{state_dir}/NAME`, made before the start |
//! | `{archive_dir}` | `archive.path` of the same file |
//! | `{retention_secs}` | the retention in seconds |
//! | `{cluster}` | the cluster |
//! | `{shard}` | a shard; an argument with it is repeated for each |
//! | `{port.NAME}` | the port under `[ports.NAME]` |
//!
//! A brace that is meant is written twice.

use std::collections::BTreeMap;

/// What placeholders stand for.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub plain: BTreeMap<String, String>,
    pub shards: Vec<u16>,
}

impl Values {
    /// One argument as many, once for each shard if it names `{shard}`; `Err` is the name of an unknown placeholder.
    pub fn expand(&self, text: &str) -> Result<Vec<String>, String> {
        if !text.contains("{shard}") {
            return Ok(vec![self.fill(text, None)?]);
        }
        self.shards.iter().map(|shard| self.fill(text, Some(*shard))).collect()
    }

    /// A text that has to stay one.
    pub fn expand_one(&self, text: &str) -> Result<String, String> {
        self.fill(text, None)
    }

    fn fill(&self, text: &str, shard: Option<u16>) -> Result<String, String> {
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
            let end = rest
                .find('}')
                .filter(|_| brace == "{")
                .ok_or_else(|| "a single brace".to_owned())?;
            let name = &rest[..end];
            match (name, shard) {
                ("shard", Some(shard)) => filled.push_str(&shard.to_string()),
                _ => filled.push_str(self.plain.get(name).ok_or_else(|| format!("{{{name}}}"))?),
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
            shards: vec![32, 64],
        };
        for (text, wanted) in [
            ("plain", Ok(vec!["plain"])),
            ("--x={a}/{a}", Ok(vec!["--x=1/1"])),
            ("--shard={shard}", Ok(vec!["--shard=32", "--shard=64"])),
            ("{{a}}", Ok(vec!["{a}"])),
            ("{b}", Err("{b}")),
            ("{a", Err("a single brace")),
            ("a}", Err("a single brace")),
            ("", Ok(vec![""])),
        ] {
            let wanted = wanted
                .map(|list| list.into_iter().map(str::to_owned).collect())
                .map_err(str::to_owned);
            assert_eq!(values.expand(text), wanted, "{text:?}");
        }
    }
}
