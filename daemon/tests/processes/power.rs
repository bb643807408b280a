//! Restarting the machine and switching it off, with a `systemctl` of the test's in the real one's place.

use std::os::unix::fs::PermissionsExt;
use std::process::ExitStatus;

use crate::command_line::{json_until, pillarbox, text};
use crate::support::{Files, Program, lives, pids, wait_until};

struct Machine {
    files: Files,
    program: Program,
}

impl Machine {
    /// `systemctl` writes down what it is asked for and ends with this status.
    fn start(power: &str, systemctl: u8) -> Machine {
        let files = Files::new(power).service("one", "echo $$ >> $D/pids; exec sleep 1000", "essential = true");
        let bin = files.path("bin");
        std::fs::create_dir(&bin).unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}\nexit {systemctl}\n",
            files.path("asked").display()
        );
        std::fs::write(bin.join("systemctl"), script).unwrap();
        std::fs::set_permissions(bin.join("systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let program = Program::start_with(&files, &[("PATH", &path)]);
        json_until(&files, &["status"], |status| status["state"] == "ok");
        Machine { files, program }
    }

    fn asked(&self) -> String {
        std::fs::read_to_string(self.files.path("asked")).unwrap_or_default()
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the daemon has ended", || {
            status = self.program.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

const SYSTEMCTL: &str = "power = \"systemctl\"";

#[test]
fn the_machine_is_switched_when_all_services_have_ended() {
    for (verb, wanted) in [("reboot", "reboot\n"), ("power-off", "poweroff\n")] {
        let mut machine = Machine::start(SYSTEMCTL, 0);
        let one = pids(&machine.files.path("pids"), 1);
        let output = pillarbox(&machine.files, &[verb]);
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(machine.end().code(), Some(0), "{verb}");
        assert_eq!(machine.asked(), wanted);
        assert!(!lives(one[0]));
    }
}

/// A box that cannot be restarted must not be left without its daemon: systemd starts it again after a failure.
#[test]
fn a_machine_that_refuses_is_a_failure_of_the_daemon() {
    let mut machine = Machine::start(SYSTEMCTL, 1);
    assert!(pillarbox(&machine.files, &["reboot"]).status.success());
    assert_eq!(machine.end().code(), Some(1));
    assert_eq!(machine.asked(), "reboot\n");
}

#[test]
fn a_machine_that_is_not_the_daemon_s_is_not_switched() {
    let machine = Machine::start("", 0);
    for verb in ["reboot", "power-off"] {
        let output = pillarbox(&machine.files, &[verb]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains("power = \"none\""), "{}", text(&output));
    }
    json_until(&machine.files, &["status"], |status| status["state"] == "ok");
    assert_eq!(
        (pids(&machine.files.path("pids"), 1).len(), machine.asked()),
        (1, String::new())
    );
}
