//! On a real disk: what is followed, what is left, what is said, and a writer that is killed again and again.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its files fails")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use durable_file::{Step, make_folder, remove, replace};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_content_is_the_new_one_and_the_mode_the_one_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (content, asked) in [("first", 0o600), ("second, longer", 0o644), ("", 0o640)] {
        replace(&path, content.as_bytes(), asked).unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), mode(&path)),
            (content, asked)
        );
        assert_eq!(names(folder.path()), ["file"]);
    }
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn no_link_is_followed_and_no_pipe_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("precious"), "precious").unwrap();
    symlink(at("precious"), at("file")).unwrap();
    symlink(at("precious"), at("file.new")).unwrap();
    replace(&at("file"), b"new", 0o600).unwrap();
    assert_eq!(fs::read_to_string(at("precious")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "new");
    assert!(fs::symlink_metadata(at("file")).unwrap().is_file());
    nix::unistd::mkfifo(&at("file.new"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    replace(&at("file"), b"newer", 0o600).unwrap();
    assert_eq!(names(folder.path()), ["file", "precious"]);
}

#[test]
fn a_leftover_goes_with_the_next_replacement() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(folder.path().join("file.new"), "half of someth").unwrap();
    replace(&path, b"whole", 0o600).unwrap();
    assert_eq!(names(folder.path()), ["file"]);
    fs::write(folder.path().join("file.new"), "half").unwrap();
    remove(&path).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn errors_name_what_was_tried_on_what() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("file.new/in the way")).unwrap();
    fs::create_dir_all(at("taken/by a folder")).unwrap();
    let cases = [
        (at("absent/file"), Step::OpenFolder, at("absent")),
        (at("file"), Step::RemoveLeftover, at("file.new")),
        (at("taken"), Step::Rename, at("taken")),
        (PathBuf::from("/"), Step::Create, PathBuf::from("/")),
    ];
    for (path, step, named) in cases {
        let error = replace(&path, b"new", 0o600).unwrap_err();
        assert_eq!((error.step, &error.path), (step, &named), "{error}");
        let said = error.to_string();
        assert!(
            said.starts_with(&format!("cannot {step} {}: ", named.display())),
            "{said}"
        );
    }
    assert!(!at("taken.new").exists());
}

#[test]
fn missing_folders_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    make_folder(&deep, 0o700).unwrap();
    make_folder(&deep, 0o755).unwrap();
    assert_eq!(mode(&deep), 0o700);
    fs::write(folder.path().join("file"), "").unwrap();
    let error = make_folder(&folder.path().join("file/below"), 0o700).unwrap_err();
    assert_eq!(error.step, Step::MakeFolder);
}

#[test]
fn threads_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::thread::scope(|scope| {
        for letter in [b'a', b'b', b'c', b'd'] {
            let path = &path;
            scope.spawn(move || {
                for length in 1..100 {
                    replace(path, &vec![letter; length * 50], 0o600).unwrap();
                }
            });
        }
    });
    let content = fs::read(&path).unwrap();
    assert_eq!(content.len(), 99 * 50);
    assert!(content.iter().all(|byte| *byte == content[0]), "of one writer");
    assert_eq!(names(folder.path()), ["file"]);
}

/// A writer that is killed at any moment leaves a whole file and, at worst, one leftover, which the next one removes.
#[test]
fn a_killed_writer_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    replace(&path, b"a", 0o600).unwrap();
    let writer = std::env::current_exe().unwrap().with_file_name("../examples/writer");
    let (mut lengths, mut leftovers) = (std::collections::BTreeSet::new(), 0);
    for round in 0..60_u64 {
        let before = whole(&path);
        let mut child = Command::new(&writer)
            .arg(&path)
            .arg((round * 50).to_string())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // It has begun, and is killed at whatever it does a few milliseconds later.
        let late = Instant::now() + Duration::from_secs(10);
        while whole(&path) == before {
            assert!(Instant::now() < late, "the writer writes nothing");
        }
        let until = Instant::now() + Duration::from_micros(round * 317 % 8_000);
        while Instant::now() < until {
            lengths.insert(whole(&path));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lengths.insert(whole(&path));
        let left = names(folder.path());
        assert!(left == ["file"] || left == ["file", "file.new"], "{left:?}");
        leftovers += usize::from(left.len() > 1);
    }
    assert!(lengths.len() > 20, "the writer wrote: {} contents seen", lengths.len());
    eprintln!(
        "{} contents seen, {leftovers} of 60 kills left a temporary file",
        lengths.len()
    );
    replace(&path, b"end", 0o600).unwrap();
    assert_eq!(names(folder.path()), ["file"]);
}

/// The writer's contents are one letter over and over, the letter told by the length.
fn whole(path: &Path) -> usize {
    let content = fs::read(path).unwrap();
    let letter = b'a' + u8::try_from((content.len() - 1) % 26).unwrap();
    assert!(
        content.iter().all(|byte| *byte == letter),
        "{} bytes, torn",
        content.len()
    );
    content.len()
}
