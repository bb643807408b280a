//! What a service may not do, asserted from the kernel's own word about it and from denials.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};

use crate::command_line::json_until;
use crate::support::{Daemon, Files, Program, lives, pids, wait_until};

/// A line of /proc/PID/status.
fn status(pid: u32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("no {field}")).trim().to_owned()
}

/// Accounts can be changed by root alone; a run by anybody else shows what is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_as_its_user_without_privileges() {
    let as_root = geteuid().is_root();
    let user = if as_root { "user = \"nobody\"\n" } else { "" };
    let files = Files::new("");
    // Not the shell's file: the test's folder is closed to other accounts.
    let settings = format!("program = \"/bin/sleep\"\narguments = [\"1000\"]\n{user}");
    std::fs::write(files.path("services/one.toml"), settings).unwrap();
    let mut daemon = Daemon::start(&files);
    let pid = daemon.until_active("one").await;
    wait_until("sleep has taken the launcher's place", || {
        status(pid, "Name:") == "sleep"
    });
    assert_eq!(status(pid, "NoNewPrivs:"), "1");
    if as_root {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let four = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
        assert_eq!(status(pid, "Uid:"), four(nobody.uid.as_raw()));
        assert_eq!(status(pid, "Gid:"), four(nobody.gid.as_raw()));
        assert_eq!(status(pid, "Groups:"), nobody.gid.as_raw().to_string());
        for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(status(pid, capabilities), "0000000000000000", "{capabilities}");
        }
        assert_eq!(
            std::fs::metadata(files.path("state/one")).unwrap().uid(),
            nobody.uid.as_raw()
        );
    }
    daemon.stop().await;
}

/// A user that there is not is said, and is not replaced by root.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_a_clear_failure() {
    let files = Files::new("").service("one", "touch $D/ran; exec sleep 1000", "user = \"no-such-account\"\n");
    let mut daemon = Daemon::start(&files);
    daemon
        .until("the reason", |snapshot| {
            let reason = snapshot.services[0].reason.as_ref();
            let reason = reason.map(ToString::to_string).unwrap_or_default();
            reason.contains("there is no account \"no-such-account\"")
        })
        .await;
    assert!(!files.path("ran").exists());
    daemon.stop().await;
}

/// Asks the kernel by entering a sandbox, in a thread that is thrown away.
fn kernel_has_landlock() -> bool {
    use landlock::{AccessFs, Ruleset, RulesetAttr, RulesetStatus};
    let asked = std::thread::spawn(|| {
        let rules = Ruleset::default()
            .handle_access(AccessFs::MakeSock)
            .unwrap()
            .create()
            .unwrap();
        rules.restrict_self().unwrap().ruleset != RulesetStatus::NotEnforced
    });
    asked.join().unwrap()
}

/// Where the machine lets the daemon have control groups, what exceeds its memory ends and is told so; where it does
/// not, that is said, and the service runs all the same. Either is asserted, by what the machine says of itself.
#[test]
fn a_service_is_held_to_its_memory_or_it_is_said_that_it_is_not() {
    // tail keeps the whole of a line.
    let shell = "echo $$ >> $D/pids; test -e $D/greedy && head -c 300000000 /dev/zero | tail -n 1 > /dev/null
        exec sleep 1000";
    let limits = "essential = true\n[limits]\nmemory_mib = 64\ncpu_percent = 150\n";
    let files = Files::new("").service("one", shell, limits);
    let _program = Program::start(&files);
    let status = json_until(&files, &["status"], |status| status["state"] == "ok");
    let detail = status["health"]["limits"]["detail"].as_str().unwrap().to_owned();
    assert_eq!(status["health"]["limits"]["level"], "ok", "never a fault");
    std::fs::write(files.path("greedy"), "").unwrap();
    let first = pids(&files.path("pids"), 1)[0];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::Signal::SIGKILL).unwrap();
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", std::process::id())).unwrap_or_default();
    eprintln!("limits: {detail}; this process is in {groups:?}");
    if detail.contains("limited as set") {
        json_until(&files, &["status"], |status| {
            let reason = status["services"][0]["reason"].as_str().unwrap_or_default();
            reason.contains("used more than 64 MiB of memory")
        });
    } else {
        assert!(detail.starts_with("services run without their limits: "), "{detail}");
        assert!(detail.contains("control group"), "and why: {detail}");
        let second = pids(&files.path("pids"), 2)[1];
        json_until(&files, &["status"], |status| status["state"] == "ok");
        assert!(lives(second));
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandboxed_service_writes_to_its_own_places_only() {
    if !kernel_has_landlock() {
        eprintln!("this kernel has no landlock: nothing to deny");
        return;
    }
    // Its children are bound as it is, and so is what renames and removes.
    let shell = "cd $HOME; exec 2> errors
        echo own > own; echo kept > $D/kept
        cat $D/readable > read; echo gone > /dev/null && echo yes > null
        sh -c \"echo x > $D/by-a-child\"; mv own $D/moved; rm $D/readable; true > $D/readable
        echo done > done; exec sleep 1000";
    let files = Files::new("").service("one", shell, "[sandbox]\nwrite = [\"{service_dir}\"]\n");
    std::fs::write(files.path("readable"), "text").unwrap();
    let mut daemon = Daemon::start(&files);
    daemon.until_active("one").await;
    let own = |name: &str| -> PathBuf { files.path("state/one").join(name) };
    wait_until("all was tried", || own("done").exists());
    let errors = read(&own("errors"));
    assert_eq!(errors.matches("denied").count(), 5, "{errors}");
    assert_eq!(read(&own("own")), "own\n", "it could not be moved out");
    assert_eq!(
        (read(&own("read")).as_str(), read(&own("null")).as_str()),
        ("text", "yes\n")
    );
    assert_eq!(read(&files.path("readable")), "text");
    for outside in ["kept", "by-a-child", "moved"] {
        assert!(!files.path(outside).exists(), "{outside}");
    }
    daemon.stop().await;
}
