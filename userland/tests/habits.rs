//! strace's other spellings, output to a command, letting go at an exec: beside strace.

mod beside;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use beside::{plain, run, stderr, strace, strace_into, tempdir, tracefd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Lines without any digits, which times have.
fn without_digits(text: &str) -> Vec<String> {
    plain(text).iter().map(|line| line.replace(|letter: char| letter.is_ascii_digit(), "0")).collect()
}

#[test]
fn long_options_and_sets_are_straces() {
    for options in [
        &["--decode-fds=path"][..],
        &["--decode-fds=all"],
        &["--decode-fds"],
        &["--strings-in-hex", "-e", "openat"],
        &["--strings-in-hex=non-ascii"],
        &["--absolute-timestamps"],
        &["--absolute-timestamps=unix,ns"],
        &["--absolute-timestamps=precision:ms"],
        &["--relative-timestamps=ns", "-t"],
        &["--relative-timestamps"],
        &["--syscall-times=ms"],
        &["--syscall-times"],
        &["-e", "trace=3,262"],
        &["-e", "trace=close@64,%file@32"],
    ] {
        let args = [&["-e", "close"], options, &["cat", "/dev/null"]].concat();
        let Some(theirs) = strace_into(Stdio::null(), &args) else { return };
        let ours = tracefd(&args).stdout(Stdio::null()).output().unwrap();
        let (ours, theirs) = (without_digits(&stderr(&ours)), without_digits(&stderr(&theirs)));
        assert!(!ours.is_empty());
        assert_eq!(ours, theirs, "{options:?}");
    }
}

#[test]
fn output_goes_to_a_command_whose_end_is_waited_for() {
    let folder = tempdir("piped");
    let file = folder.join("text");
    for mark in ["|", "!"] {
        // What comes after the end of the input takes its time.
        let command = format!("{mark}cat >{0}.part; sed p {0}.part >{0}", file.display());
        let args = ["-e", "close,exit_group", "-o", &command, "sh", "-c", "exit 3"];
        let output = run(&args);
        assert_eq!((output.status.code(), stderr(&output)), (Some(3), String::new()));
        let ours = std::fs::read_to_string(&file).unwrap();
        assert!(ours.contains("exited with 3"), "{ours}");
        if strace(&args).is_some() {
            assert_eq!(plain(&ours), plain(&std::fs::read_to_string(&file).unwrap()));
        }
    }
    // A command that does not read is a closed pipe.
    let output = run(&["-f", "-o", "|exit 0", "sh", "-c", "cat /etc/passwd >/dev/null; exit 4"]);
    assert_eq!(output.status.code(), Some(4));
    // It gets signals as if nobody had held them back, and is not traced.
    let output = run(&["-f", "-o", "|grep Sig /proc/self/status >&2; cat >/dev/null", "true"]);
    assert!(stderr(&output).contains("SigBlk:\t0000000000000000\n"), "{}", stderr(&output));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_executes_another_program_is_let_go() {
    let folder = tempdir("let-go");
    let file = folder.join("text");
    let script = "/bin/true; exec sh -c 'exit 5'";
    for options in [&["-f"][..], &["-f", "-z"], &["-f", "-e", "status=!detached"], &[]] {
        let base = ["-b", "execve", "-e", "execve,exit_group,getpid", "-o", file.to_str().unwrap()];
        let args = [options, &base, &["sh", "-c", script]].concat();
        assert_eq!(run(&args).status.code(), Some(5), "{options:?}");
        let text = || {
            let text = std::fs::read_to_string(&file).unwrap();
            // The child's lines may come before or after the parent's.
            let mut lines = without_digits(&text);
            lines.sort();
            lines
        };
        let ours = text();
        if strace(&args).is_some() {
            assert_eq!(ours, text(), "{options:?}");
        }
    }
    let output = run(&["-f", "-b", "execve", "--format", "json", "sh", "-c", script]);
    assert_eq!(stderr(&output).matches("\"type\":\"detach\"").count(), 2, "{}", stderr(&output));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn several_processes_are_named_at_once() {
    let start = || Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut all = [start(), start(), start()];
    let pids = all.each_ref().map(|child| child.id().to_string());
    let list = format!("{},{}\n", pids[0], pids[1]); // as pidof and ps print them
    let mut tool = tracefd(&["-p", &list, "-p", &pids[2]]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(tool.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.filter(|line| line.contains(" attached")).take(3).count(), 3);
    kill(Pid::from_raw(tool.id() as i32), Signal::SIGINT).unwrap();
    tool.wait().unwrap();
    for child in &mut all {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}
