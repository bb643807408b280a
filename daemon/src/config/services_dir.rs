//! Reading the services directory: each `*.toml` becomes a [`Service`] or a [`Disabled`] with its mistake.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::parse::{self, Mistake};
use super::placeholder::{Unknown, Values};
use super::service::{
    ArchiveFile, ArchiveRules, Check, Disabled, File, HealthFile, HealthRules, HttpAddress, MAX_GRACE, MAX_SERVICES,
    Node, Port, Service, Services,
};
use super::{Config, Override};

const BANDWIDTH: &str = "bandwidth_kib_per_sec";

/// What a service's file is read against.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) search: &'a [PathBuf],
}

/// Every `*.toml` of the directory. Only a mistake that the main file answers for (`required`, `[services.NAME]`, the
/// directory itself) is an error.
pub(super) fn read_all(
    context: &Context<'_>,
    directory: &Path,
    required: &[String],
    overrides: &BTreeMap<String, Override>,
) -> Result<Services, Mistake> {
    let config = context.config;
    let mut services = Services::default();
    for file in service_files(&config.file, directory)? {
        let name = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        if services.enabled.len() == MAX_SERVICES {
            let mistake = Mistake::in_file(&file, format!("is one service over {MAX_SERVICES}"), "remove some");
            services.disabled.push(Disabled {
                name,
                mistake: Some(mistake),
            });
            continue;
        }
        match read_one(context, &file, &name, overrides.get(&name)) {
            Ok(Some(service)) => services.enabled.push(service),
            Ok(None) => services.disabled.push(Disabled { name, mistake: None }),
            Err(mistake) if required.contains(&name) || mistake.file == config.file => return Err(mistake),
            Err(mistake) => services.disabled.push(Disabled {
                name,
                mistake: Some(mistake),
            }),
        }
    }
    let known = |name: &String| {
        services.enabled.iter().any(|service| service.name == *name)
            || services.disabled.iter().any(|service| service.name == *name)
    };
    for (key, name) in required
        .iter()
        .map(|name| ("required".to_owned(), name))
        .chain(overrides.keys().map(|name| (format!("services.{name}"), name)))
    {
        if !known(name) {
            let mend = format!(
                "add {}, or remove the name",
                directory.join(format!("{name}.toml")).display()
            );
            return Err(Mistake::in_key(
                &config.file,
                &key,
                format!("there is no service {name:?}"),
                mend,
            ));
        }
    }
    services.unheeded = unheeded(config, &services.enabled);
    services
        .enabled
        .sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    Ok(services)
}

/// A cap that no service is told would be a promise that nobody keeps.
fn unheeded(config: &Config, enabled: &[Service]) -> Option<Mistake> {
    let wanted = config.network.bandwidth_kib_per_sec.is_some() && !enabled.is_empty();
    let kept = enabled.iter().any(|service| service.bandwidth_kib_per_sec.is_some());
    (wanted && !kept).then(|| {
        let mend = "use one with {bandwidth_kib_per_sec} in its arguments, or remove the key";
        let key = "network.bandwidth_kib_per_sec";
        Mistake::in_key(&config.file, key, "no service that is on can be held to it", mend)
    })
}

fn service_files(main_file: &Path, directory: &Path) -> Result<Vec<PathBuf>, Mistake> {
    let entries = std::fs::read_dir(directory).map_err(|error| {
        let what = format!("{} cannot be read: {error}", directory.display());
        Mistake::in_key(
            main_file,
            "services_dir",
            what,
            "name the folder that holds the service files",
        )
    })?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| {
            !path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
        })
        .collect();
    files.sort();
    Ok(files)
}

fn read_one(
    context: &Context<'_>,
    file: &Path,
    name: &str,
    over: Option<&Override>,
) -> Result<Option<Service>, Mistake> {
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(usable) {
        let mend = "rename the file to at most 32 letters, digits, - and _ before .toml";
        return Err(Mistake::in_file(
            file,
            format!("{name:?} is not a name for a service"),
            mend,
        ));
    }
    understand(context, file, name, parse::read(file)?, over)
}

/// The service that a file describes, or its mistake; nothing where it is switched off.
pub(super) fn understand(
    context: &Context<'_>,
    file: &Path,
    name: &str,
    raw: File,
    over: Option<&Override>,
) -> Result<Option<Service>, Mistake> {
    let config = context.config;
    let over = over.cloned().unwrap_or_default();
    if !over.enabled.unwrap_or(raw.enabled) {
        return Ok(None);
    }
    check(file, &raw)?;
    let ports = ports(config, name, raw.ports, &over)?;
    let directory = config.state_dir.join(name);
    let mut values = values(
        config,
        &directory,
        &ports,
        raw.arguments.iter().chain(&over.extra_arguments),
    );
    let archive = archive(&mut values, file, raw.archive, over.quota_mib)?;
    let mut arguments = expanded(&values, file, "arguments", &raw.arguments)?;
    let extra_key = format!("services.{name}.extra_arguments");
    arguments.extend(expanded(&values, &config.file, &extra_key, &over.extra_arguments)?);
    let (program_file, program_key, program) = match over.program {
        Some(program) => (config.file.as_path(), format!("services.{name}.program"), program),
        None => (file, "program".to_owned(), raw.program),
    };
    let is_capped = is_capped(raw.arguments.iter().chain(&over.extra_arguments));
    let health = raw
        .health
        .map(|health| health_rules(context.search, file, &values, health));
    Ok(Some(Service {
        name: name.to_owned(),
        description: raw.description,
        essential: raw.essential,
        order: raw.order,
        program: find_program(context.search, program_file, &program_key, &program)?,
        arguments,
        environment: environment(&values, file, &raw.environment)?,
        identity: raw.identity.iter().map(PathBuf::from).collect(),
        user: raw.user,
        writes_to: raw
            .sandbox
            .map(|sandbox| places(&values, file, &sandbox.write))
            .transpose()?,
        limits: raw.limits,
        directory,
        stop: raw.stop,
        restart: raw.restart,
        health: health.transpose()?,
        archive,
        ports,
        node: raw.node.map(|node| node_addresses(file, &values, node)).transpose()?,
        output: raw.output,
        bandwidth_kib_per_sec: config.network.bandwidth_kib_per_sec.filter(|_| is_capped),
    }))
}

/// Whether one of the arguments is the bandwidth limit.
fn is_capped<'a>(mut arguments: impl Iterator<Item = &'a String>) -> bool {
    let bandwidth = format!("{{{BANDWIDTH}}}");
    arguments.any(|argument| argument.contains(&bandwidth))
}

/// What can be said of the file's values by themselves.
fn check(file: &Path, raw: &File) -> Result<(), Mistake> {
    for name in &raw.identity {
        if Path::new(name).components().count() != 1 || name.contains("..") {
            let mend = "write the name of a file in the service's directory";
            return Err(Mistake::in_key(
                file,
                "identity",
                format!("{name:?} is not a file name"),
                mend,
            ));
        }
    }
    if raw.stop.grace.0 > MAX_GRACE {
        let what = format!("is over {} s", MAX_GRACE.as_secs());
        return Err(Mistake::in_key(
            file,
            "stop.grace",
            what,
            "write less: all has to end within 10 s",
        ));
    }
    if raw.restart.base > raw.restart.max {
        return Err(Mistake::in_key(
            file,
            "restart.base",
            "is longer than restart.max",
            "write a shorter one",
        ));
    }
    if raw.restart.start_limit == 0 {
        return Err(Mistake::in_key(file, "restart.start_limit", "is 0", "write 1 or more"));
    }
    Ok(())
}

/// What placeholders stand for, but for the archive's own folder.
fn values<'a>(
    config: &Config,
    directory: &Path,
    ports: &BTreeMap<String, Port>,
    given: impl Iterator<Item = &'a String>,
) -> Values {
    let bandwidth = config.network.bandwidth_kib_per_sec;
    let mut values = Values {
        repeated: BTreeMap::from([(
            BANDWIDTH.to_owned(),
            bandwidth.iter().map(NonZeroU32::to_string).collect(),
        )]),
        ..Values::default()
    };
    config.network.tell(given, &mut values);
    let mut put = |key: &str, value: String| values.plain.insert(key.to_owned(), value);
    put("state_dir", config.state_dir.display().to_string());
    put("service_dir", directory.display().to_string());
    put("retention_secs", config.retention.as_secs().to_string());
    for (port_name, port) in ports {
        put(&format!("port.{port_name}"), port.port.to_string());
    }
    values
}

/// The archive of a service that has one; its folder is a placeholder from then on.
fn archive(
    values: &mut Values,
    file: &Path,
    written: Option<ArchiveFile>,
    quota_mib: Option<NonZeroU32>,
) -> Result<Option<ArchiveRules>, Mistake> {
    let Some(archive) = written else { return Ok(None) };
    let path = filled(values, file, "archive.path", &archive.path)?;
    values.plain.insert("archive_dir".to_owned(), path.clone());
    let quota_mib = quota_mib.or(archive.quota_mib);
    Ok(Some(ArchiveRules {
        path: PathBuf::from(path),
        schema: archive.schema,
        quota_bytes: quota_mib.map(|mib| u64::from(mib.get()) << 20),
    }))
}

fn expanded(values: &Values, file: &Path, key: &str, arguments: &[String]) -> Result<Vec<String>, Mistake> {
    let mut all = Vec::new();
    for argument in arguments {
        let expanded = values.expand(argument);
        all.extend(expanded.map_err(|unknown| no_placeholder(file, key, &unknown))?);
    }
    Ok(all)
}

fn environment(
    values: &Values,
    file: &Path,
    written: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Mistake> {
    let fill = |(key, value): (&String, &String)| {
        let value = filled(values, file, &format!("environment.{key}"), value)?;
        Ok((key.clone(), value))
    };
    written.iter().map(fill).collect()
}

/// Where a service may write.
fn places(values: &Values, file: &Path, written: &[String]) -> Result<Vec<PathBuf>, Mistake> {
    let key = "sandbox.write";
    let fill = |path: &String| filled(values, file, key, path).map(PathBuf::from);
    let paths: Vec<PathBuf> = written.iter().map(fill).collect::<Result<_, _>>()?;
    match paths.iter().find(|path| !path.is_absolute()) {
        None => Ok(paths),
        Some(relative) => {
            let what = format!("{:?} is not a whole path", relative.display().to_string());
            let mend = "begin it with / or a placeholder such as {service_dir}";
            Err(Mistake::in_key(file, key, what, mend))
        }
    }
}

fn ports(
    config: &Config,
    name: &str,
    mut ports: BTreeMap<String, Port>,
    over: &Override,
) -> Result<BTreeMap<String, Port>, Mistake> {
    for (port_name, number) in &over.ports {
        let Some(port) = ports.get_mut(port_name) else {
            let known: Vec<&str> = ports.keys().map(String::as_str).collect();
            let mend = format!("use one of {}", known.join(", "));
            let key = format!("services.{name}.ports.{port_name}");
            return Err(Mistake::in_key(&config.file, &key, "there is no such port", mend));
        };
        port.port = *number;
    }
    Ok(ports)
}

fn filled(values: &Values, file: &Path, key: &str, text: &str) -> Result<String, Mistake> {
    values
        .expand_one(text)
        .map_err(|unknown| no_placeholder(file, key, &unknown))
}

fn no_placeholder(file: &Path, key: &str, unknown: &Unknown) -> Mistake {
    let mend = "use {state_dir}, {service_dir}, {archive_dir}, {retention_secs}, {cluster}, {auto_shards}, \
                {max_message_kib}, {port.NAME}, in arguments {preset}, {shard}, {entry_node}, {entry_list}, \
                {entry_record}, {entry_address} and {bandwidth_kib_per_sec}, or {{ for a brace";
    Mistake::in_key(file, key, format!("{unknown} is not a placeholder"), mend)
}

fn node_addresses(file: &Path, values: &Values, node: Node) -> Result<Node, Mistake> {
    let address = |key: &str, text: &str| {
        let url = filled(values, file, key, text)?;
        HttpAddress::parse(&url)
            .map(|_| url)
            .ok_or_else(|| no_address(file, key, text))
    };
    let optional = |key: &str, text: Option<String>| text.map(|text| address(key, &text)).transpose();
    Ok(Node {
        info: address("node.info", &node.info)?,
        metrics: optional("node.metrics", node.metrics)?,
        peers: optional("node.peers", node.peers)?,
    })
}

fn no_address(file: &Path, key: &str, text: &str) -> Mistake {
    Mistake::in_key(
        file,
        key,
        format!("{text:?} is not an address"),
        "write it as http://HOST:PORT/PATH",
    )
}

fn health_rules(search: &[PathBuf], file: &Path, values: &Values, health: HealthFile) -> Result<HealthRules, Mistake> {
    let check = match (&health.http, &health.tcp, &health.command) {
        (Some(url), None, None) => {
            let url = filled(values, file, "health.http", url)?;
            Check::Http(HttpAddress::parse(&url).ok_or_else(|| no_address(file, "health.http", &url))?)
        }
        (None, Some(address), None) => {
            let address = filled(values, file, "health.tcp", address)?;
            let usable = address
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            if !usable {
                let what = format!("{address:?} is not an address");
                return Err(Mistake::in_key(file, "health.tcp", what, "write it as HOST:PORT"));
            }
            Check::Tcp(address)
        }
        (None, None, Some(command)) => {
            let mut words = Vec::new();
            for word in command {
                words.push(filled(values, file, "health.command", word)?);
            }
            let Some(program) = words.first_mut() else {
                let mend = "write the program and its arguments";
                return Err(Mistake::in_key(file, "health.command", "is empty", mend));
            };
            *program = find_program(search, file, "health.command", Path::new(program.as_str()))?
                .display()
                .to_string();
            Check::Command(words)
        }
        _ => {
            let mend = "write exactly one of http, tcp and command";
            return Err(Mistake::in_key(file, "health", "names no check, or several", mend));
        }
    };
    if health.failures == 0 {
        return Err(Mistake::in_key(file, "health.failures", "is 0", "write 1 or more"));
    }
    Ok(HealthRules {
        check,
        interval: health.interval.0,
        timeout: health.timeout.0,
        failures: health.failures,
        start_timeout: health.start_timeout.0,
    })
}

/// A program with a slash is a path relative to the file that names it; one without is looked for beside the daemon's
/// own program, then in `PATH` (`search`).
fn find_program(search: &[PathBuf], file: &Path, key: &str, program: &Path) -> Result<PathBuf, Mistake> {
    let candidates: Vec<PathBuf> = if program.components().count() > 1 {
        vec![super::tidy(&file.parent().unwrap_or(Path::new("/")).join(program))]
    } else {
        search.iter().map(|folder| folder.join(program)).collect()
    };
    if let Some(found) = candidates.iter().find(|candidate| is_executable(candidate)) {
        return Ok(found.clone());
    }
    let (what, mend) = if program.components().count() <= 1 {
        let what = format!("{} is neither beside pillarboxd nor in PATH", program.display());
        (what, "install it, or name the program's path")
    } else if candidates[0].exists() {
        (
            format!("{} cannot be executed", candidates[0].display()),
            "chmod +x it, or name another",
        )
    } else {
        (
            format!("there is no {}", candidates[0].display()),
            "install it, or name the program's path",
        )
    };
    Err(Mistake::in_key(file, key, what, mend))
}

/// Where programs named without a path are looked for: beside this program, then in `PATH`.
pub(super) fn search_path() -> Vec<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.into_iter().chain(std::env::split_paths(&path)).collect()
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
