//! The built program on a machine whose kernel tells of a board: a tree of files where proc and sys would be.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Files, Program, wait_until};

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn status(files: &Files) -> Value {
    let control = files.path("state/control");
    let output = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(["--json", "--socket", control.to_str().unwrap(), "status"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn what_the_kernel_tells_reaches_page_and_code() {
    let gateway = format!("{:08X}", u32::from_ne_bytes([192, 168, 1, 1]));
    let route = format!("Iface Destination Gateway Flags\neth0 00000000 {gateway} 0003 0 0 0 00000000\n");
    let files = Files::expecting("root = \"board\"", "").service("one", "exec sleep 1000", "essential = true");
    let board = files.path("board");
    write(
        &board,
        &[
            ("sys/class/net/eth0/type", "1\n"),
            ("sys/class/net/eth0/carrier", "1\n"),
            ("sys/class/net/eth0/statistics/rx_bytes", "1000\n"),
            ("sys/class/net/eth0/statistics/tx_bytes", "0\n"),
            ("proc/net/route", &route),
            ("proc/net/fib_trie", "  |-- 192.168.1.20\n    /32 host LOCAL\n"),
            ("sys/class/hwmon/hwmon0/name", "rpi_volt\n"),
            ("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "0\n"),
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", "48500\n"),
        ],
    );
    let mut program = Program::start(&files);
    wait_until("ok", || status(&files)["state"] == "ok");
    wait_until("a sample", || status(&files)["network"]["links"].is_array());
    let well = status(&files);
    assert_eq!(well["network"]["links"], serde_json::json!(["eth0"]));
    assert_eq!(well["network"]["addresses"], serde_json::json!(["192.168.1.20"]));
    assert_eq!(well["network"]["gateway"], "192.168.1.1");
    assert_eq!(well["network"]["internet"], Value::Null, "nobody has proved it");
    assert_eq!(well["system"]["power"]["under_voltage"], false);
    assert_eq!(well["system"]["power"]["throttled"], Value::Null);
    assert_eq!(well["system"]["temperature"], 48.5);
    assert_eq!(well["health"]["reachability"], Value::Null);

    write(&board, &[("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n")]);
    wait_until("code 5", || status(&files)["code"] == 5);
    write(&board, &[("sys/class/net/eth0/carrier", "0\n")]);
    wait_until("code 4, which is heavier", || status(&files)["code"] == 4);
    let unplugged = status(&files);
    assert!(unplugged["reason"].as_str().unwrap().contains("cable"), "{unplugged}");

    // The month's traffic outlives the daemon.
    write(
        &board,
        &[
            ("sys/class/net/eth0/carrier", "1\n"),
            ("sys/class/net/eth0/statistics/rx_bytes", "4000\n"),
        ],
    );
    wait_until("traffic", || {
        status(&files)["traffic"]["received_bytes"].as_u64() >= Some(3000)
    });
    let counted = status(&files)["traffic"].clone();
    program.signal(nix::sys::signal::Signal::SIGTERM);
    program.child.wait().unwrap();
    let _again = Program::start(&files);
    wait_until("the same again", || status(&files)["traffic"] == counted);
}
