//! `tracefd lab` as people run it: what it says, what it keeps, how it ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios").join(name).with_extension("scenario")
}

/// A directory of this test's own.
fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn lab(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tracefd"))
        .arg("lab")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever needs no input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no terminal, no progress, no failure");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_quirk_is_found_kept_replayed_and_walked_through() {
    let dir = dir("found");
    let path = scenario("F8");
    let path = path.to_str().unwrap();
    let healthy = lab(&dir, &["explore", path], "");
    assert_eq!(healthy.status.code(), Some(0));
    assert!(out(&healthy).contains("states/s\nthat is all there is: every rule holds\n"));
    let found = lab(&dir, &["explore", "--quirk", "F8", path], "");
    assert_eq!(found.status.code(), Some(1));
    let text = out(&found);
    assert!(text.contains("an operation waits, and nothing can end that: client a: `read main`"), "{text}");
    assert!(!text.contains('\x1b'), "no terminal, no color");
    let replayed = lab(&dir, &["replay", "F8.schedule"], "");
    assert_eq!(replayed.status.code(), Some(0));
    assert!(out(&replayed).ends_with("as the schedule says\n"));
    let walked = lab(&dir, &["step", "F8.schedule"], "n\nn\nb\n7\nl\n1000\nq\n");
    assert_eq!(walked.status.code(), Some(0));
    let text = out(&walked);
    for part in [
        "   2 client a\n",
        "back: 2 client a\n",
        "   7 task main\n",
        "*   7 task main\n    8 ",
        "forward, b: back",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_schedule_that_no_longer_shows_its_violation_says_so() {
    let dir = dir("stale");
    let path = scenario("F8");
    lab(&dir, &["explore", "--quirk", "F8", "-o", "kept", path.to_str().unwrap()], "");
    let text = std::fs::read_to_string(dir.join("kept")).unwrap();
    let healed = text.replace("quirks: F8\n", "");
    assert_ne!(healed, text);
    std::fs::write(dir.join("kept"), healed).unwrap();
    let replayed = lab(&dir, &["replay", "kept"], "");
    assert_eq!(replayed.status.code(), Some(1));
    assert!(out(&replayed).contains("it no longer shows"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_cannot_be_explored_is_refused_in_one_line() {
    let dir = dir("refused");
    std::fs::write(dir.join("wrong"), "client a\n  dance main\nprogram main\n sys exit, 0\n").unwrap();
    let path = scenario("F9");
    for (args, status, words) in [
        (vec!["explore", "nowhere"], 125, "cannot read nowhere"),
        (vec!["explore", "wrong"], 126, "wrong: line 2: `dance` is nothing that a client does"),
        (vec!["replay", "wrong"], 126, "wrong: line 1: this is no schedule"),
        (vec!["explore", "--quirk", "F99", path.to_str().unwrap()], 2, "there is no quirk `F99`"),
    ] {
        let output = lab(&dir, &args, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let few = lab(&dir, &["explore", "--limit", "50", path.to_str().unwrap()], "");
    assert_eq!(few.status.code(), Some(3));
    assert!(out(&few).contains("the limit came first"));
    std::fs::remove_dir_all(dir).unwrap();
}
