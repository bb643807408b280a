//! What a flag is, and how the table of them (`known`) is searched and shown.
//!
//! One table serves the command line, the configuration file, `--help` and `docs/operator.md`, so that none of them can
//! know a flag the others don't.

pub use super::known::FLAGS;

/// What may be written behind a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; bare on the command line means true.
    Switch,
    One,
    /// May be given several times.
    Many,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Does what it does in nwaku.
    Same,
    /// Ours, unknown to nwaku.
    Ours,
    /// Means something else than in nwaku; the description says what.
    Differs,
    /// nwaku knows it, nothing here answers to it: accepted with a warning that ends with this reason.
    Nothing(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub struct Flag {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written; empty means that there is none.
    pub default: &'static str,
    pub meaning: Meaning,
    pub description: &'static str,
}

pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The known flag that `name` is most probably a misspelling of.
pub fn nearest(name: &str) -> Option<&'static str> {
    // A guess further away than a third of the word is no help.
    let limit = (name.chars().count() / 3).max(2);
    FLAGS
        .iter()
        .map(|flag| (distance(name, flag.name, limit), flag.name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Damerau-Levenshtein distance (adjacent letters swapped count once), or more than `limit` without an exact figure.
fn distance(left: &str, right: &str, limit: usize) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > limit {
        return limit + 1;
    }
    let mut before_last: Vec<usize> = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &a) in left.iter().enumerate() {
        let mut current = vec![row + 1; right.len() + 1];
        for (column, &b) in right.iter().enumerate() {
            let substituted = last[column] + usize::from(a != b);
            let mut best = substituted.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && a == right[column - 1] && left[row - 1] == b {
                best = best.min(before_last[column - 1] + 1);
            }
            current[column + 1] = best;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(
        "pillarbox-mailserver, a Waku service node that takes wakunode2's flags.\n\n\
         A flag is written --name=value, --name:value or --name value; one that is true or false may stand alone.\n\n",
    );
    for flag in FLAGS {
        let default = if flag.default.is_empty() {
            String::new()
        } else {
            format!(" [{}]", flag.default)
        };
        let note = match flag.meaning {
            Meaning::Same | Meaning::Ours | Meaning::Differs => String::new(),
            Meaning::Nothing(reason) => format!(" (accepted, no effect: {reason})"),
        };
        text.push_str(&format!(
            "  --{}{default}\n        {}{note}\n",
            flag.name, flag.description
        ));
    }
    text
}

/// The table in `docs/operator.md`.
pub fn table() -> String {
    let mut text = String::from("| flag | default | here |\n|---|---|---|\n");
    for flag in FLAGS {
        let default = if flag.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", flag.default)
        };
        let many = if flag.kind == Kind::Many { " (repeatable)" } else { "" };
        // A bar would end the cell.
        let description = flag.description.replace('|', "\\|");
        let here = match flag.meaning {
            Meaning::Same => format!("{description}{many}"),
            Meaning::Ours => format!("{description}{many}; ours, not nwaku's"),
            Meaning::Differs => format!("differs: {description}"),
            Meaning::Nothing(reason) => format!("accepted with a warning: {reason}"),
        };
        text.push_str(&format!("| `--{}` | {default} | {here} |\n", flag.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_listed_once() {
        let mut names: Vec<_> = FLAGS.iter().map(|flag| flag.name).collect();
        names.sort_unstable();
        names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    }

    #[test]
    fn a_misspelling_finds_its_flag() {
        for (wrong, right) in [
            ("tcp-prot", Some("tcp-port")),
            ("rest-adress", Some("rest-address")),
            ("stroe", Some("store")),
            ("shards", Some("shard")),
            ("discv5-bootstrapnode", Some("discv5-bootstrap-node")),
            ("completely-unrelated", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong), right, "{wrong}");
        }
    }

    /// `docs/operator.md` says what this table says. `UPDATE_README=1 cargo test -p pillarbox-mailserver` writes it.
    #[test]
    fn the_readme_has_this_table() {
        const BEGIN: &str = "<!-- flags: begin -->\n";
        const END: &str = "<!-- flags: end -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operator.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let (head, rest) = readme.split_once(BEGIN).unwrap();
        let (found, tail) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_README").is_some() {
            std::fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", table())).unwrap();
        } else {
            assert_eq!(found, table(), "run with UPDATE_README=1 to write docs/operator.md");
        }
    }
}
