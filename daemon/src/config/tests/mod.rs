use std::os::unix::fs::PermissionsExt;

use super::service::{Check, RestartPolicy};
use super::*;

mod network;

/// A folder with `main.toml`, `services/` and `bin/`, in which the shipped service's program exists.
struct Tree {
    folder: tempfile::TempDir,
}

const MAIN: &str = "board = \"dev\"\nstate_dir = \"state\"\nservices_dir = \"services\"\n";
const SERVICE: &str = "program = \"child\"\n";

impl Tree {
    fn new(main: &str, services: &[(&str, &str)]) -> Tree {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir(at("services")).unwrap();
        std::fs::create_dir(at("bin")).unwrap();
        for program in ["child", "pillarbox-mailserver"] {
            std::fs::write(at("bin").join(program), "").unwrap();
            std::fs::set_permissions(at("bin").join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::write(at("bin/plain"), "").unwrap();
        std::fs::write(at("main.toml"), main).unwrap();
        for (name, text) in services {
            std::fs::write(at("services").join(name), text).unwrap();
        }
        Tree { folder }
    }

    fn read(&self) -> Result<Config, Mistake> {
        Config::read_with(&self.folder.path().join("main.toml"), &[self.folder.path().join("bin")])
    }
}

#[test]
fn every_mistake_in_the_main_file_names_file_key_and_mend() {
    let with = |line: &str| format!("{MAIN}{line}\n");
    for (main, key, what, mend) in [
        (
            with("colour = 1"),
            "colour",
            "unknown key `colour`",
            "remove it, or use one of `board`",
        ),
        (with("retention = \"24 hours\""), "retention", "\"24 hours\"", "\"24h\""),
        (
            with("retention = 5"),
            "retention",
            "integer `5`",
            "write a span of time",
        ),
        (
            with("retention = \"500ms\""),
            "retention",
            "under a second",
            "\"1s\" or more",
        ),
        (with("clock = \"sundial\""), "clock", "sundial", "trusted"),
        (
            with("[network]\ncluster = 16\nshards = []"),
            "network.shards",
            "empty",
            "at least one",
        ),
        (
            with("[network]\ncluster = 16\nshards = [1024]"),
            "network.shards",
            "1024",
            "0 to 1023",
        ),
        (
            with("[network]\ncluster = 70000\nshards = [1]"),
            "network.cluster",
            "70000",
            "u16",
        ),
        (
            with("[network]\ncluster = 16\nshards = [1]\nbandwidth_kib_per_sec = 0"),
            "network.bandwidth_kib_per_sec",
            "0",
            "nonzero",
        ),
        (
            with("[network]\ncluster = 16\nshards = [1]\nbandwidth_kib_per_sec = 7"),
            "network.bandwidth_kib_per_sec",
            "7 KiB",
            "from 8 to",
        ),
        (with("[page]\nlisten = \"here\""), "page.listen", "", "correct"),
        (with("[page]\ncolour = 1"), "page.colour", "unknown key", "`listen`"),
        (with("required = [\"nobody\"]"), "required", "\"nobody\"", "nobody.toml"),
        (
            with("[services.nobody]"),
            "services.nobody",
            "\"nobody\"",
            "nobody.toml",
        ),
        (
            with("[services.one]\nprogram = \"missing/it\""),
            "services.one.program",
            "there is no",
            "install it",
        ),
        (
            with("[services.one]\nprogram = \"missing\""),
            "services.one.program",
            "nor in PATH",
            "install it",
        ),
        (
            with("[services.one]\nprogram = \"bin/plain\""),
            "services.one.program",
            "cannot be executed",
            "chmod +x",
        ),
        (
            with("[services.one.ports]\nx = 1"),
            "services.one.ports.x",
            "no such port",
            "use one of",
        ),
        (
            with("[services.one]\nextra_arguments = [\"{x}\"]"),
            "services.one.extra_arguments",
            "{x}",
            "{state_dir}",
        ),
        (
            MAIN.replace("\"dev\"", "\"toaster\""),
            "board",
            "toaster",
            "name one of",
        ),
        (
            MAIN.replace("\"dev\"", "\"./toaster.toml\""),
            "board",
            "toaster.toml",
            "path of",
        ),
        (
            MAIN.replace("\"services\"", "\"nowhere\""),
            "services_dir",
            "nowhere",
            "folder",
        ),
        (
            MAIN.replace("board = \"dev\"\n", ""),
            "",
            "missing field `board`",
            "add it",
        ),
        (with("["), "", "", "write letters"),
    ] {
        let tree = Tree::new(&main, &[("one.toml", SERVICE)]);
        let mistake = tree.read().expect_err(&main);
        let text = mistake.to_string();
        assert!(mistake.file.ends_with("main.toml"), "{text}");
        assert_eq!(mistake.key.as_deref().unwrap_or_default(), key, "{text}");
        assert!(
            mistake.what().contains(what) && mistake.fix().contains(mend),
            "{text}\n  wanted {what} and {mend}"
        );
        assert!(!text.contains('\n'), "{text:?}");
    }
    let absent = Config::read_with(Path::new("/nonexistent/main.toml"), &[])
        .unwrap_err()
        .to_string();
    assert!(
        absent.contains("/nonexistent/main.toml") && absent.contains("cannot be read"),
        "{absent}"
    );
}

#[test]
fn a_bad_service_file_disables_that_service_alone_unless_it_is_required() {
    for (text, key, what) in [
        ("program = \"child\"\ncolour = 1", "colour", "unknown key"),
        ("arguments = []", "", "missing field `program`"),
        ("program = \"absent\"", "program", "nor in PATH"),
        (
            "program = \"child\"\narguments = [\"{colour}\"]",
            "arguments",
            "{colour}",
        ),
        ("program = \"child\"\n[stop]\ngrace = \"1h\"", "stop.grace", "over 8 s"),
        (
            "program = \"child\"\n[stop]\nsignal = \"SIGKILL\"",
            "stop.signal",
            "SIGKILL",
        ),
        ("program = \"child\"\n[stop]\ngrace = \"soon\"", "stop.grace", "soon"),
        (
            "program = \"child\"\n[restart]\nbase = \"2m\"",
            "restart.base",
            "longer",
        ),
        (
            "program = \"child\"\n[restart]\nstart_limit = 0",
            "restart.start_limit",
            "0",
        ),
        ("program = \"child\"\n[health]\ninterval = \"1s\"", "health", "no check"),
        (
            "program = \"child\"\n[health]\nhttp = \"https://x:1/\"",
            "health.http",
            "not an address",
        ),
        (
            "program = \"child\"\n[health]\nhttp = \"http://x:99999/\"",
            "health.http",
            "not an address",
        ),
        (
            "program = \"child\"\n[health]\ntcp = \"x\"",
            "health.tcp",
            "not an address",
        ),
        ("program = \"child\"\n[health]\ncommand = []", "health.command", "empty"),
        (
            "program = \"child\"\n[health]\ntcp = \"x:1\"\nfailures = 0",
            "health.failures",
            "0",
        ),
        (
            "program = \"child\"\n[node]\ninfo = \"x\"",
            "node.info",
            "not an address",
        ),
        ("not toml", "", ""),
    ] {
        let files = [("good.toml", SERVICE), ("bad.toml", text)];
        let config = Tree::new(MAIN, &files).read().expect(text);
        assert_eq!(config.services.enabled.len(), 1, "{text}");
        let disabled = &config.services.disabled[0];
        let mistake = disabled.mistake.as_ref().expect(text);
        assert_eq!(disabled.name, "bad");
        assert!(mistake.file.ends_with("services/bad.toml"), "{mistake}");
        assert_eq!(mistake.key.as_deref().unwrap_or_default(), key, "{mistake}");
        assert!(mistake.what().contains(what), "{mistake}");
        let required = format!("{MAIN}required = [\"bad\"]\n");
        assert_eq!(
            Tree::new(&required, &files).read().expect_err(text).problem,
            mistake.problem
        );
    }
}

#[test]
fn what_is_no_file_of_settings_is_not_read_for_ever() {
    let tree = Tree::new(
        MAIN,
        &[("good.toml", SERVICE), ("long.toml", &"# long\n".repeat(50_000))],
    );
    let services = tree.folder.path().join("services");
    nix::unistd::mkfifo(&services.join("fifo.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/dev/zero", services.join("zero.toml")).unwrap();
    std::fs::create_dir(services.join("folder.toml")).unwrap();
    std::fs::write(services.join("bytes.toml"), [0xff, 0xfe]).unwrap();
    let config = tree.read().unwrap();
    assert_eq!(config.services.enabled.len(), 1);
    let said: Vec<(&str, String)> = config
        .services
        .disabled
        .iter()
        .map(|off| (off.name.as_str(), off.mistake.as_ref().unwrap().what()))
        .collect();
    assert_eq!(
        said,
        [
            ("bytes", "is not UTF-8 text"),
            ("fifo", "is not an ordinary file"),
            ("folder", "is not an ordinary file"),
            ("long", "has 350000 bytes"),
            ("zero", "is not an ordinary file"),
        ]
        .map(|(name, what)| (name, what.to_owned()))
    );
}

#[test]
fn a_switched_off_service_is_neither_run_nor_a_mistake() {
    let tree = Tree::new(MAIN, &[("off.toml", "program = \"child\"\nenabled = false")]);
    let config = tree.read().unwrap();
    assert!(config.services.enabled.is_empty());
    assert_eq!(config.services.disabled[0].mistake, None);
    let main = format!("{MAIN}[services.off]\nenabled = true\n");
    let config = Tree::new(&main, &[("off.toml", "program = \"child\"\nenabled = false")])
        .read()
        .unwrap();
    assert_eq!(config.services.enabled[0].restart.policy, RestartPolicy::Always);
}

#[test]
fn services_start_in_order_and_a_bad_name_is_a_mistake() {
    let late = "program = \"child\"\norder = 20";
    let config = Tree::new(
        MAIN,
        &[
            ("a.toml", late),
            ("b.toml", SERVICE),
            ("c d.toml", SERVICE),
            ("notes.txt", ""),
        ],
    )
    .read()
    .unwrap();
    let names: Vec<&str> = config
        .services
        .enabled
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(config.services.disabled.len(), 1);
}

/// The shipped files, in the places they have to one another in the repository.
#[test]
fn the_shipped_samples_are_right() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = Tree::new(MAIN, &[]);
    let config = Config::read_with(
        &crate_folder.join("configs/dev.toml"),
        &[tree.folder.path().join("bin")],
    )
    .unwrap();
    assert!(config.state_dir.ends_with("target/pillarbox") && !config.state_dir.starts_with(crate_folder));
    assert_eq!(config.retention, Duration::from_secs(86_400));
    assert!(
        config
            .services
            .disabled
            .iter()
            .all(|disabled| disabled.mistake.is_none()),
        "{:?}",
        config.services
    );
    let mailserver = &config.services.enabled[0];
    assert_eq!(mailserver.name, "mailserver");
    assert!(mailserver.essential);
    for argument in [
        "--cluster-id=16",
        "--shard=32",
        "--shard=64",
        "--tcp-port=60000",
        "--websocket-port=8000",
    ] {
        assert!(mailserver.arguments.iter().any(|given| given == argument), "{argument}");
    }
    let archive = mailserver.archive.as_ref().unwrap();
    assert_eq!(archive.path, config.state_dir.join("archive"));
    assert!(
        mailserver
            .arguments
            .contains(&format!("--archive-dir={}", archive.path.display()))
    );
    assert!(
        mailserver
            .arguments
            .contains(&"--store-message-retention-policy=time:86400".to_owned())
    );
    let Check::Http(address) = &mailserver.health.as_ref().unwrap().check else {
        panic!("not http")
    };
    assert_eq!(
        (address.authority.as_str(), address.path.as_str()),
        ("127.0.0.1:8645", "/health")
    );
}

#[test]
fn the_shipped_services_that_are_off_can_be_switched_on() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
    for name in ["relay", "nwaku"] {
        let text = std::fs::read_to_string(shipped.join(format!("{name}.toml"))).unwrap();
        let file = format!("{name}.toml");
        assert!(
            Tree::new(MAIN, &[(&file, &text)])
                .read()
                .unwrap()
                .services
                .enabled
                .is_empty()
        );
        let main =
            format!("{MAIN}required = [\"{name}\"]\n[services.{name}]\nenabled = true\nprogram = \"bin/child\"\n");
        assert_eq!(
            Tree::new(&main, &[(&file, &text)])
                .read()
                .unwrap()
                .services
                .enabled
                .len(),
            1
        );
    }
}

#[test]
fn the_main_file_moves_ports_and_adds_arguments() {
    let service = "program = \"child\"\narguments = [\"--tcp={port.tcp}\"]\n[ports.tcp]\nport = 1\n";
    let main = format!("{MAIN}[services.one]\nextra_arguments = [\"--more\"]\nports = {{ tcp = 7 }}\n");
    let config = Tree::new(&main, &[("one.toml", service)]).read().unwrap();
    assert_eq!(config.services.enabled[0].arguments, ["--tcp=7", "--more"]);
}

#[test]
fn the_main_file_sets_a_quota_and_names_reports() {
    let service = "program = \"child\"\n[archive]\npath = \"a\"\nquota_mib = 100\n";
    let main = format!(
        "{MAIN}[reports]\nsettings = \"settings-fault\"\ndisk = \"disk-fault\"\n[services.one]\nquota_mib = 200\n"
    );
    let tree = Tree::new(&main, &[("one.toml", service)]);
    let config = tree.read().unwrap();
    let archive = config.services.enabled[0].archive.as_ref().unwrap();
    assert_eq!(archive.quota_bytes, Some(200 << 20));
    assert_eq!(config.reported, Reported::default(), "no file is no trouble");

    std::fs::write(tree.folder.path().join("settings-fault"), "name: no host name\nmore\n").unwrap();
    std::fs::write(tree.folder.path().join("disk-fault"), "\n").unwrap();
    let config = tree.read().unwrap();
    assert_eq!(config.reported.settings.as_deref(), Some("name: no host name"));
    assert_eq!(config.reported.disk, None, "an empty report says nothing");
    let now = crate::clock::Now {
        mono: Duration::ZERO,
        wall_ns: 0,
        trusted: true,
    };
    let shown = crate::supervisor::State::new(&config, 0, 1).snapshot(now);
    let finding = &shown.health[&crate::snapshot::Subject::Settings];
    assert_eq!(finding.as_ref().unwrap().detail.to_string(), "name: no host name");
}

/// The keys that a table takes, as its own error message lists them.
fn keys_of(main: &str, service: &str) -> Vec<String> {
    let services = [("one.toml", service)];
    let required = format!("required = [\"one\"]\n{main}");
    let mistake = Tree::new(&format!("{MAIN}{required}"), &services).read().unwrap_err();
    assert!(mistake.what().contains("unknown key"), "{mistake}");
    mistake.fix().split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_is_documented() {
    let readme = include_str!("../../../../docs/operator.md");
    for (prefix, main, service) in [
        ("", "zz = 1\n", SERVICE),
        ("network.", "[network]\nzz = 1\n", SERVICE),
        ("page.", "[page]\nzz = 1\n", SERVICE),
        ("notify.", "[notify]\nzz = 1\n", SERVICE),
        ("notify.webhook.", "[notify.webhook]\nzz = 1\n", SERVICE),
        ("notify.ntfy.", "[notify.ntfy]\nzz = 1\n", SERVICE),
        ("notify.email.", "[notify.email]\nzz = 1\n", SERVICE),
        ("reports.", "[reports]\nzz = 1\n", SERVICE),
        ("backup.", "[backup]\nzz = 1\n", SERVICE),
        ("services.NAME.", "[services.one]\nzz = 1\n", SERVICE),
        ("", "", "zz = 1\n"),
        ("stop.", "", "program = \"child\"\n[stop]\nzz = 1\n"),
        ("restart.", "", "program = \"child\"\n[restart]\nzz = 1\n"),
        ("health.", "", "program = \"child\"\n[health]\nzz = 1\n"),
        ("archive.", "", "program = \"child\"\n[archive]\nzz = 1\n"),
        ("sandbox.", "", "program = \"child\"\n[sandbox]\nzz = 1\n"),
        ("limits.", "", "program = \"child\"\n[limits]\nzz = 1\n"),
        ("ports.NAME.", "", "program = \"child\"\n[ports.a]\nzz = 1\n"),
        ("node.", "", "program = \"child\"\n[node]\nzz = 1\n"),
        ("output.", "", "program = \"child\"\n[output]\nzz = 1\n"),
    ] {
        for key in keys_of(main, service) {
            let tables = [
                "network", "page", "notify", "reports", "services", "stop", "restart", "health", "archive", "ports",
                "node", "output", "sandbox", "limits", "backup",
            ];
            let documented = ["webhook", "ntfy", "email"].contains(&key.as_str())
                || readme.contains(&format!("`{prefix}{key}`"))
                || prefix.is_empty() && tables.contains(&key.as_str()) && readme.contains(&format!("`{key}."));
            assert!(documented, "{prefix}{key} is not in docs/operator.md");
        }
    }
}
