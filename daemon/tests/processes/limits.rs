//! What a service may not do, asserted from the kernel's own word about it and from denials.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};

use crate::support::{Daemon, Files, wait_until};

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
            let reason = snapshot.services[0].reason.as_deref().unwrap_or_default();
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
