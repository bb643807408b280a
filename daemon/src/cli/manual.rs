//! Manual pages and completions, made from the very definition that the arguments are parsed by.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::{Arguments, to_json};

pub(super) fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pillarbox", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// A page a command (`pillarbox-archive-stats.1`), and the daemon's.
pub(super) fn write(folder: &Path, json: bool) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    clap_mangen::generate_to(Arguments::command(), folder)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    let daemon = clap_mangen::Man::new(crate::app::Arguments::command());
    daemon
        .generate_to(folder)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".1"))
        .collect();
    names.sort();
    if json {
        return to_json(&names);
    }
    Ok(names
        .iter()
        .map(|name| folder.join(name).display().to_string() + "\n")
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command's words, such as `archive stats`.
    fn commands(of: &clap::Command, before: &str, found: &mut Vec<String>) {
        for command in of.get_subcommands() {
            let name = format!("{before}{}", command.get_name());
            commands(command, &format!("{name} "), found);
            found.push(name);
        }
    }

    #[test]
    fn every_command_has_a_page_and_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), true).unwrap();
        let mut all = Vec::new();
        commands(&Arguments::command(), "", &mut all);
        assert!(all.len() > 20 && all.contains(&"archive stats".to_owned()), "{all:?}");
        for words in &all {
            let page = format!("pillarbox-{}.1", words.replace(' ', "-"));
            let text = std::fs::read_to_string(folder.path().join(&page)).unwrap_or_default();
            assert!(
                text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
                "{page}: {text}"
            );
            assert!(written.contains(&page), "{written}");
        }
        assert!(
            written.contains("pillarboxd.1") && written.contains("\"pillarbox.1\""),
            "{written}"
        );
        let main = std::fs::read_to_string(folder.path().join("pillarbox.1")).unwrap();
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh, Shell::Elvish, Shell::PowerShell] {
            let text = completions(shell);
            for words in &all {
                for word in words.split(' ') {
                    assert!(text.contains(word), "{shell}: {word}");
                }
            }
        }
        for command in Arguments::command().get_subcommands() {
            // A hyphen is escaped in roff.
            let name = command.get_name().replace('-', "\\-");
            assert!(main.contains(&name), "{name} is not in {main}");
        }
    }
}
