//! `-D`: the command has the place that the tool was started in, and the tracer looks on from aside.

mod beside;

use std::process::{Output, Stdio};

use beside::{plain, run, stderr, strace, tempdir, tracefd};

/// Says its pid, its parent, its process group and session; and of its tracer the parent, the group and the session.
const WHO: &str = "t=$(grep TracerPid /proc/$$/status); t=${t##*[!0-9]}
echo $$ $PPID $(cut -d' ' -f5,6 /proc/$$/stat)
echo $(cut -d' ' -f4-6 /proc/$t/stat)
exit 3";

fn numbers(output: &Output) -> Vec<u32> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn the_command_has_the_tools_pid_and_parent() {
    for (option, own_group, own_session) in [
        ("-D", false, false),
        ("--daemonize", false, false),
        ("-DD", true, false),
        ("-DDD", true, true),
        ("--daemonize=session", true, true),
    ] {
        let mut tool = tracefd(&[option, "-e", "none", "sh", "-c", WHO]);
        let child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let started = child.id();
        let output = child.wait_with_output().unwrap(); // to the tracer's end, which holds the pipes
        assert_eq!(output.status.code(), Some(3), "{option}: {}", stderr(&output));
        let [pid, parent, group, session, tracers_parent, tracers_group, tracers_session] =
            numbers(&output)[..]
        else {
            panic!("{option}: {output:?}")
        };
        assert_eq!((pid, parent), (started, std::process::id()), "{option}");
        assert_ne!(tracers_parent, pid, "{option}: the command has a child that it did not make");
        assert_eq!(
            (tracers_group != group, tracers_session != session),
            (own_group, own_session),
            "{option}"
        );
    }
}

/// What is said of the command, without numbers, which are this run's.
fn said(output: &Output) -> Vec<String> {
    let about = |line: &String| !line.starts_with("tracefd: ");
    let lines = plain(&stderr(output)).into_iter().filter(about);
    lines.map(|line| line.replace(|letter: char| letter.is_ascii_digit(), "").replace(" ", "")).collect()
}

#[test]
fn lines_are_those_of_strace() {
    let calls = "trace=execve,close,exit_group,kill";
    for options in [&["-D"][..], &["-D", "-e", "inject=kill:retval=0:when=1"], &["-D", "-Z"]] {
        for command in [&["sh", "-c", "/bin/true; kill -TERM $$"][..], &["/etc/passwd"]] {
            let args = [options, &["-e", calls], command].concat();
            let Some(theirs) = strace(&args) else { return };
            let (ours, theirs) = (said(&run(&args)), said(&theirs));
            assert!(!ours.is_empty());
            assert_eq!(ours, theirs, "{args:?}");
        }
    }
}

#[test]
fn neither_signals_nor_a_missing_command_trouble_anybody() {
    let script = "t=$(grep TracerPid /proc/$$/status); t=${t##*[!0-9]}; kill -TERM $t; kill -INT $t; exit 3";
    let output = run(&["-D", "-e", "exit_group", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("exit_group(3)"), "{}", stderr(&output));

    let output = run(&["-D", "nothing-of-that-name"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(!stderr(&output).contains("attached"), "{}", stderr(&output));
    let output = run(&["-D", "-o", "/nowhere/file", "true"]);
    assert_eq!(output.status.code(), Some(125), "the tracer cannot begin");
    assert_eq!(stderr(&output).matches("/nowhere/file").count(), 1, "{}", stderr(&output));
    for (args, word) in [
        (&["-D", "-p", "1"][..], "cannot be used with"),
        (&["-D", "-f", "--seccomp-bpf", "true"], "cannot be used with"),
        (&["-D", "--backend", "sim", "x"], "system"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}

#[test]
fn a_recording_of_it_replays() {
    let folder = tempdir("daemon");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (text, record, again) = (file("text"), file("record"), file("again"));
    let options = ["-t", "-o"];
    let live = [&["-D", "--record", &record][..], &options, &[&text, "sh", "-c", "exit 3"]].concat();
    assert_eq!(run(&live).status.code(), Some(3));
    let backend = format!("replay:{record}");
    let replay = [&options[..], &[&again, "--backend", &backend]].concat();
    let output = run(&replay);
    assert_eq!(stderr(&output), "");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(read(&text).contains("exited with 3"));
    assert_eq!(read(&again), read(&text));
    std::fs::remove_dir_all(&folder).unwrap();
}
