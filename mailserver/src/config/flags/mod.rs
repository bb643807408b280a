//! The table of flags: wakunode2's (nwaku `tools/confutils/kernel_cli_args.nim`, and those of its releases since v0.34 that
//! operators' scripts still carry) and the few of our own; how it is searched, and how it is shown.
//!
//! One table serves the command line, the configuration file, `--help` and `docs/operator.md`, so that none of them can
//! know a flag the others don't.

mod flag;
mod node;
mod services;
mod unheeded;

pub use self::flag::{Flag, Kind, Meaning};

/// In the order of `--help` and of the README.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    [node::FLAGS, services::FLAGS, unheeded::FLAGS].into_iter().flatten()
}

pub fn find(name: &str) -> Option<&'static Flag> {
    all().find(|flag| flag.name == name)
}

/// The known flag that `name` is most probably a misspelling of.
pub fn nearest(name: &str) -> Option<&'static str> {
    // A guess further away than a third of the word is no help.
    let limit = (name.chars().count() / 3).max(2);
    all()
        .map(|flag| (strsim::osa_distance(name, flag.name), flag.name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(
        "pillarbox-mailserver, a Waku service node that takes wakunode2's flags.\n\n\
         A flag is written --name=value, --name:value or --name value; one that is true or false may stand alone.\n\n",
    );
    for flag in all() {
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
    for flag in all() {
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
        let mut names: Vec<_> = all().map(|flag| flag.name).collect();
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
