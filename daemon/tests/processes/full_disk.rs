//! A full disk: supervision goes on, the page says so, and room brings the box back.

use std::process::{Child, Command, Stdio};

use crate::support::{Files, PILLARBOXD, pids, wait_until};

/// A daemon whose state directory is a filesystem of its own, in a mount namespace that ends with it.
struct OnSmallDisk {
    child: Child,
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
    std::fs::create_dir(files.path("state")).unwrap();
    let mount = "mount -t tmpfs -o size=300m small \"$1\" && exec \"$2\" --config \"$3\"";
    let child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"])
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
    let _daemon = OnSmallDisk { child };
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

fn status(files: &Files) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(["--json", "--socket", files.path("control").to_str().unwrap(), "status"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}
