//! A full disk: supervision goes on, the page says so, and room brings the box back.

use std::process::{Child, Command, Stdio};

use crate::support::{Files, PILLARBOXD, pids, wait_until};

/// A daemon whose state directory is a filesystem of its own, in a mount namespace that ends with it.
struct OnSmallDisk {
    child: Child,
}

impl OnSmallDisk {
    fn start(files: &Files) -> OnSmallDisk {
        std::fs::create_dir(files.path("state")).unwrap();
        let mount = "mount -t tmpfs -o size=300m small \"$1\" && exec \"$2\" --config \"$3\"";
        // The kernel makes no user namespace in a chroot, and root needs none.
        let as_root: &[&str] = if nix::unistd::geteuid().is_root() {
            &[]
        } else {
            &["--user", "--map-root-user"]
        };
        let child = Command::new("unshare")
            .args(as_root)
            .args(["--mount", "sh", "-c", mount, "sh"])
            .args([
                files.path("state").as_os_str(),
                PILLARBOXD.as_ref(),
                files.config().as_os_str(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        OnSmallDisk { child }
    }
}

impl Drop for OnSmallDisk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_full_disk_stops_neither_supervision_nor_the_command_line() {
    // The service fills the disk, then ends; it has to come back on a disk without a byte left.
    let shell = "echo $$ >> $D/pids
        test -e $D/emptied || cat /dev/zero > $D/state/one/filler 2>/dev/null
        test -e $D/emptied && rm -f $D/state/one/filler
        while ! test -e $D/end; do sleep 0.05; done
        mv $D/end $D/ended; exit 1";
    let files = Files::new("control = \"control\"\n").service(
        "one",
        shell,
        "essential = true\n[archive]\npath = \"{state_dir}/archive\"\n",
    );
    let _daemon = OnSmallDisk::start(&files);
    pids(&files.path("pids"), 1);
    let stage = |wanted: &str| {
        wait_until(&format!("the stage {wanted}"), || {
            status(&files)["system"]["disk"]["stage"] == wanted
        });
    };
    stage("read_only");
    let full = status(&files);
    assert_eq!(
        (full["state"].as_str(), full["code"].as_u64()),
        (Some("degraded"), Some(3)),
        "{full}"
    );
    std::fs::write(files.path("end"), "").unwrap();
    pids(&files.path("pids"), 2);
    std::fs::write(files.path("emptied"), "").unwrap();
    std::fs::write(files.path("end"), "").unwrap();
    pids(&files.path("pids"), 3);
    stage("fine");
    wait_until("ok", || status(&files)["state"] == "ok");
}

/// The service lays a read-only filesystem over the state, and takes it away again.
#[test]
fn a_card_that_became_read_only_is_code_3() {
    let shell = "until test -e $D/worn; do sleep 0.05; done; mount -t tmpfs -o ro worn $D/state
        until test -e $D/replaced; do sleep 0.05; done; umount $D/state; exec sleep 1000";
    let files = Files::new("control = \"control\"\n").service("one", shell, "essential = true\n");
    let _daemon = OnSmallDisk::start(&files);
    wait_until("ok", || status(&files)["state"] == "ok");
    assert_eq!(status(&files)["system"]["disk"]["read_only"], false);
    std::fs::write(files.path("worn"), "").unwrap();
    wait_until("code 3", || status(&files)["code"] == 3);
    let worn = status(&files);
    assert_eq!(worn["system"]["disk"]["stage"], "read_only", "{worn}");
    assert!(
        worn["health"]["disk"]["detail"].as_str().unwrap().contains("read-only"),
        "{worn}"
    );
    std::fs::write(files.path("replaced"), "").unwrap();
    wait_until("ok again", || status(&files)["state"] == "ok");
}

fn status(files: &Files) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(["--json", "--socket", files.path("control").to_str().unwrap(), "status"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}
