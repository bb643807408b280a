//! The `pillarbox` command against a running daemon.

use std::process::{Command, Output};

use crate::retention::{fill, now_ns};
use crate::support::{Files, Program, pids, wait_until};

pub(crate) fn pillarbox(files: &Files, arguments: &[&str]) -> Output {
    let socket = files.path("state/control");
    Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .arg("--socket")
        .arg(socket)
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The command's JSON, once it satisfies the condition.
pub(crate) fn json_until(
    files: &Files,
    arguments: &[&str],
    condition: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let mut found = serde_json::Value::Null;
    wait_until(&format!("{arguments:?}"), || {
        let output = pillarbox(files, &[&["--json"], arguments].concat());
        found = serde_json::from_slice(&output.stdout).unwrap_or_default();
        condition(&found)
    });
    found
}

#[test]
fn a_running_box_is_looked_at_and_acted_on() {
    let shell = "echo $$ >> $D/pids; echo hello from the service; exec sleep 1000";
    let files = Files::new("").service("one", shell, "essential = true");
    let _program = Program::start(&files);
    let status = json_until(&files, &["status"], |status| status["state"] == "ok");
    assert_eq!(status["services"][0]["name"], "one");
    assert!(text(&pillarbox(&files, &["status"])).starts_with("ok: "));
    let lines = json_until(&files, &["logs", "one"], |lines| lines[0].is_object());
    assert_eq!(
        (lines[0]["service"].as_str(), lines[0]["text"].as_str()),
        (Some("one"), Some("hello from the service"))
    );
    for command in ["services", "health", "peers", "leds", "diagnose"] {
        let output = pillarbox(&files, &[command]);
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{command}: {}",
            text(&output)
        );
    }
    assert!(pillarbox(&files, &["restart", "one"]).status.success());
    pids(&files.path("pids"), 2);
    json_until(&files, &["services"], |services| services[0]["restarts"] == 1);
    let output = pillarbox(&files, &["unlock"]);
    assert!(
        text(&output).contains("No browser is requesting access"),
        "{}",
        text(&output)
    );
    let output = pillarbox(&files, &["restart", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("the services are: one"), "{}", text(&output));
}

#[test]
fn whatever_is_asked_comes_as_json_and_as_words() {
    let shell = "echo hello from the service; exec sleep 1000";
    let files = Files::new("").service("one", shell, "essential = true");
    let _program = Program::start(&files);
    json_until(&files, &["status"], |status| status["state"] == "ok");
    json_until(&files, &["leds"], |leds| leds["status"] == "ok");
    json_until(&files, &["logs", "one"], |lines| lines[0].is_object());
    let (config, folder) = (files.config(), files.path("man"));
    let (config, folder) = (config.to_str().unwrap(), folder.to_str().unwrap());
    std::fs::create_dir(folder).unwrap();
    for (arguments, words) in [
        (&["status"][..], "ok: everything is working"),
        (&["services"], "active"),
        (&["health"], "no mistakes"),
        (&["peers"], "not known"),
        (
            &["leds"],
            "Lit, with a short wink every two seconds. The box is working normally.",
        ),
        (&["logs", "-n", "5"], " UTC info  one: hello from the service"),
        (&["diagnose"], "Report of a Pillarbox"),
        (&["restart", "one"], "one is restarting."),
        (&["press"], "The button was pressed."),
        (&["config", "check", config], "has no mistakes; enabled services: one"),
        (&["config", "show", config], "state_dir"),
        (&["man", folder], ""),
    ] {
        let shown = pillarbox(&files, arguments);
        assert!(shown.status.success(), "{arguments:?}: {}", text(&shown));
        assert!(text(&shown).contains(words), "{arguments:?}: {}", text(&shown));
        let output = pillarbox(&files, &[&["--json"], arguments].concat());
        let json: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
        assert!(json.is_ok(), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn a_pressed_simulated_button_restarts_what_failed() {
    let shell = "test -e $D/fixed && exec sleep 1000; exit 78";
    let files = Files::new("").service("one", shell, "essential = true");
    let _program = Program::start(&files);
    json_until(&files, &["status"], |status| status["state"] == "failed");
    let output = pillarbox(&files, &["status"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    std::fs::write(files.path("fixed"), "").unwrap();
    let output = pillarbox(&files, &["press"]);
    assert!(output.status.success(), "{}", text(&output));
    json_until(&files, &["status"], |status| status["state"] == "ok");
}

#[test]
fn an_archive_is_looked_at_exported_and_pruned_without_a_daemon() {
    let files = Files::new("");
    let (dir, now) = (files.path("archive"), now_ns());
    fill(&dir, now - 7_200_000_000_000, 3);
    fill(&dir, now, 2);
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
            .args(["--json", "archive", "--dir", dir.to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let stats: serde_json::Value = serde_json::from_str(&run(&["stats"])).unwrap();
    assert_eq!(stats["envelopes"], 5);
    let verified: serde_json::Value = serde_json::from_str(&run(&["verify"])).unwrap();
    assert!(
        verified["segments"]
            .as_array()
            .unwrap()
            .iter()
            .all(|segment| segment["faults"].as_array().unwrap().is_empty())
    );
    assert_eq!(run(&["export", "-"]).lines().count(), 5);
    let nwaku = files.path("nwaku.sqlite3");
    run(&["export", "--format", "nwaku", nwaku.to_str().unwrap()]);
    let removed: serde_json::Value = serde_json::from_str(&run(&["prune", "--older-than", "1h"])).unwrap();
    assert_eq!(removed["envelopes"], 3);
    let imported: serde_json::Value = serde_json::from_str(&run(&["import", nwaku.to_str().unwrap()])).unwrap();
    assert_eq!((&imported["stored"], &imported["duplicates"]), (&3.into(), &2.into()));

    // As a person reads it: what is damaged has its name and its reason, and fails.
    let said = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
            .args(["archive", "--dir", dir.to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), text(&output))
    };
    let (code, text) = said(&["verify"]);
    assert!(
        code == Some(0) && text.contains("5 envelopes in 2 segments, nothing damaged"),
        "{text}"
    );
    let (_, text) = said(&["stats"]);
    assert!(text.contains("oldest 20") && text.contains(" UTC"), "{text}");
    let segment = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .find(|name| name.ends_with("main.sqlite"))
        .unwrap();
    std::fs::write(dir.join(&segment), b"no segment").unwrap();
    let (code, text) = said(&["verify"]);
    assert!(
        code == Some(1) && text.contains(&segment) && text.contains("DAMAGED"),
        "{text}"
    );
    let half = files.path("half.jsonl");
    let (code, text) = said(&["export", half.to_str().unwrap()]);
    assert!(
        code == Some(1) && text.contains(&format!("left out {segment}")),
        "{text}"
    );
    let (code, text) = said(&["export", half.to_str().unwrap()]);
    assert!(
        code == Some(1) && text.contains("cannot create"),
        "never over another file: {text}"
    );
    let (code, text) = said(&["import", "/nowhere.sqlite3"]);
    assert!(
        code == Some(1) && text.contains("cannot read /nowhere.sqlite3"),
        "{text}"
    );
    // Nobody can say what is old by a clock that is not trusted.
    let policy = archive::Policy {
        retention_secs: 86_400,
        clock_trusted: false,
        cutoff: None,
        held: false,
        disk: archive::DiskStage::Fine,
        quota_bytes: None,
    };
    archive::retention::write_policy(&dir, &policy).unwrap();
    let (code, text) = said(&["prune", "--older-than", "1s"]);
    assert!(code == Some(1) && text.contains("does not trust the clock"), "{text}");
}

#[test]
fn mistakes_are_said_clearly() {
    let files = Files::new("colour = 1");
    let output = pillarbox(&files, &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("is it running?"), "{}", text(&output));
    let config = files.config();
    let output = pillarbox(&files, &["config", "check", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output).contains("colour"), "{}", text(&output));
    assert_eq!(pillarbox(&files, &["dance"]).status.code(), Some(2));
}
