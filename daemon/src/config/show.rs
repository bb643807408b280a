//! The settings as they were understood, for `pillarbox config show`: every default filled in, every placeholder too,
//! and nothing secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::notify::HIDDEN;
use super::{Config, File, Mistake, parse};

#[derive(Debug, Serialize)]
pub struct Shown {
    settings: File,
    services: BTreeMap<String, Service>,
}

/// A service as it would be started, or why it is not.
#[derive(Debug, Default, Serialize)]
struct Service {
    enabled: bool,
    mistake: Option<String>,
    program: Option<PathBuf>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    user: Option<String>,
    directory: Option<PathBuf>,
    writes_to: Option<Vec<PathBuf>>,
    archive: Option<PathBuf>,
}

impl Shown {
    pub fn read(file: &Path) -> Result<Shown, Mistake> {
        let config = Config::read(file)?;
        let mut settings: File = parse::read(&config.file)?;
        for over in settings.services.values_mut() {
            over.extra_arguments = over.extra_arguments.iter().map(|word| without_secret(word)).collect();
        }
        let mut services = BTreeMap::new();
        for service in &config.services.enabled {
            let environment = service.environment.iter().map(|(name, value)| {
                let value = if is_secret(name) { HIDDEN } else { value };
                (name.clone(), value.to_owned())
            });
            let shown = Service {
                enabled: true,
                mistake: None,
                program: Some(service.program.clone()),
                arguments: service.arguments.iter().map(|word| without_secret(word)).collect(),
                environment: environment.collect(),
                user: service.user.clone(),
                directory: Some(service.directory.clone()),
                writes_to: service.writes_to.clone(),
                archive: service.archive.as_ref().map(|archive| archive.path.clone()),
            };
            services.insert(service.name.clone(), shown);
        }
        for disabled in &config.services.disabled {
            let mistake = disabled.mistake.as_ref().map(ToString::to_string);
            let shown = Service {
                mistake,
                ..Service::default()
            };
            services.insert(disabled.name.clone(), shown);
        }
        Ok(Shown { settings, services })
    }
}

/// `--nodekey=…` without its value; a path to a key is none.
fn without_secret(argument: &str) -> String {
    match argument.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => argument.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let where_it_is = ["file", "path", "dir"].iter().any(|end| name.ends_with(end));
    !where_it_is
        && ["key", "secret", "password", "token"]
            .iter()
            .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_on_a_command_line() {
        for (argument, wanted) in [
            ("--nodekey=0123abcd", "--nodekey=[secret]"),
            ("--nodekey-file=/state/nodekey", "--nodekey-file=/state/nodekey"),
            ("--websocket-secure-key-path=/x", "--websocket-secure-key-path=/x"),
            ("--rln-relay-cred-password=x", "--rln-relay-cred-password=[secret]"),
            ("--tcp-port=60000", "--tcp-port=60000"),
            ("--keep-alive", "--keep-alive"),
        ] {
            assert_eq!(without_secret(argument), wanted);
        }
    }
}
