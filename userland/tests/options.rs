//! Options on real processes, beside strace where strace is the measure; and what is left when the tool cannot write, or is
//! ended. Without strace its tests are skipped, except where `CI` is set.

mod beside;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use beside::{plain, run, stderr, strace, strace_into, tempdir, tracefd};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

/// A family of processes whose calls do not depend on time.
const FAMILY: &str = "cat /nowhere; /bin/true; kill -USR1 $$";
const FORMATS: [&str; 6] = ["text", "json", "chrome", "mermaid", "mermaid-state", "xv6"];

/// Calls and errors by name, out of either table.
fn counts(table: &str) -> BTreeMap<String, (u64, u64)> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() >= 5 && row[0].parse::<f64>().is_ok());
    rows.map(|row| {
        let errors = if row.len() > 5 { row[4].parse().unwrap() } else { 0 };
        (row[row.len() - 1].to_owned(), (row[3].parse().unwrap(), errors))
    })
    .collect()
}

/// The names of calls, one per line of text, with whether they failed.
fn names(text: &str) -> Vec<(String, bool)> {
    let calls = text.lines().filter(|line| !line.starts_with(['-', '+']));
    calls.filter_map(|line| Some((line.split_once('(')?.0.to_owned(), line.contains(" = -1 E")))).collect()
}

#[test]
fn counts_are_straces() {
    let args = ["-c", "-f", "sh", "-c", FAMILY];
    let Some(theirs) = strace(&args) else { return };
    let ours = run(&args);
    assert_eq!(ours.status.signal(), Some(Signal::SIGUSR1 as i32));
    let (mut ours, mut theirs) = (counts(&stderr(&ours)), counts(&stderr(&theirs)));
    assert!(ours.len() > 10 && ours["openat"].1 > 0, "{ours:?}");
    for counts in [&mut ours, &mut theirs] {
        counts.remove("total");
        // Made before the first instruction by strace's own child; the tool's session begins after it.
        counts.entry("execve".to_owned()).or_default().0 = 0;
        // One more where a signal comes between two of them, or not.
        counts.remove("wait4");
    }
    assert_eq!(ours, theirs);
}

#[test]
fn status_filters_show_what_strace_shows() {
    for filter in [&["-z"][..], &["-Z"], &["-e", "status=unfinished"], &["-e", "status=!failed"]] {
        let args = [filter, &["-e", "trace=openat,close,access,exit_group", "cat", "/nowhere"]].concat();
        let Some(theirs) = strace(&args) else { return };
        let (ours, theirs) = (names(&stderr(&run(&args))), names(&stderr(&theirs)));
        assert!(!ours.is_empty());
        assert_eq!(ours, theirs, "{filter:?}");
    }
}

#[test]
fn each_task_has_a_file_of_its_own() {
    let folder = tempdir("ff");
    let base = folder.join("out");
    let args =
        ["-ff", "-e", "close", "-o", base.to_str().unwrap(), "sh", "-c", "/bin/true; cat /nowhere; exit 3"];
    assert_eq!(run(&args).status.code(), Some(3));
    let texts = |folder: &Path| {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut texts: Vec<_> =
            files.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect();
        texts.sort();
        texts
    };
    let ours = texts(&folder);
    assert_eq!(ours.len(), 3);
    for (file, text) in &ours {
        assert!(file.to_str().unwrap().rsplit_once('.').unwrap().1.parse::<u32>().is_ok(), "{file:?}");
        assert_eq!(text.matches("+++ exited with").count(), 1);
        assert!(text.lines().all(|line| line.starts_with(['c', '-', '+'])), "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    if strace(&args).is_some() {
        let closes = |texts: &[(std::path::PathBuf, String)]| {
            let mut all: Vec<_> = texts.iter().map(|(_, text)| names(text)).collect();
            all.sort();
            all
        };
        assert_eq!(closes(&ours), closes(&texts(&folder)));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn injected_results_reach_the_program_as_with_strace() {
    for (rule, shown, said) in [
        ("inject=getppid:retval=7777", "getppid", "$PPID"),
        ("inject=getppid:retval=60", "getppid", "$PPID"), // the number of exit
        ("inject=openat:error=EACCES:when=3+", "openat", "whole"),
        ("inject=close:error=EIO:when=2", "close", "whole"),
        ("fault=access", "access", "whole"),
    ] {
        let script = format!("echo {said}; cat </etc/passwd >/dev/null");
        let args = ["-e", shown, "-e", rule, "-e", "signal=none", "sh", "-c", &script];
        let Some(theirs) = strace(&args) else { return };
        let ours = run(&args);
        assert_eq!((&ours.stdout, ours.status.code()), (&theirs.stdout, theirs.status.code()), "{rule}");
        let injected = |output: &Output| {
            let text = stderr(output);
            let lines: Vec<_> =
                text.lines().filter(|line| line.contains(") = ") || line.contains(")  ")).collect();
            lines.iter().map(|line| line.ends_with(" (INJECTED)")).collect::<Vec<_>>()
        };
        assert_eq!(injected(&ours), injected(&theirs), "{rule}");
        assert!(injected(&ours).contains(&true), "{rule}");
    }
}

#[test]
fn lines_of_injected_calls_are_straces() {
    for rule in [
        "inject=newfstatat:error=EIO:when=2",
        "inject=newfstatat,close:retval=0:when=1..2",
        "inject=newfstatat,close:error=EPERM:delay_enter=50",
        "inject=close:delay_exit=50",
    ] {
        let args = ["-e", "trace=newfstatat,close", "-e", rule, "cat", "/dev/null"];
        // A pipe would have a number of its own.
        let Some(theirs) = strace_into(Stdio::null(), &args) else { return };
        let ours = tracefd(&args).stdout(Stdio::null()).output().unwrap();
        assert_eq!(plain(&stderr(&ours)), plain(&stderr(&theirs)), "{rule}");
    }
}

#[test]
fn what_the_command_says_stands_between_the_lines_where_it_was_said() {
    let args = ["-e", "trace=write,close", "sh", "-c", "echo a >&2; exec 3<&-; echo b >&2"];
    let text = stderr(&run(&args));
    assert!(text.contains("\"a\\n\", 2a\n)"), "{text}");
    let Some(theirs) = strace(&args) else { return };
    assert_eq!(plain(&text), plain(&stderr(&theirs)));
}

#[test]
fn an_injected_signal_arrives() {
    let args =
        ["-e", "getppid", "-e", "inject=getppid:signal=USR1", "sh", "-c", "trap 'echo caught' USR1; true"];
    let ours = run(&args);
    assert_eq!(ours.status.signal(), Some(Signal::SIGUSR1 as i32), "sh asks for its parent before the trap");
    assert!(stderr(&ours).contains("--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid="));
}

#[test]
fn the_environment_changes_only_as_told() {
    let ours = run(&["-E", "ADDED=a=b", "-E", "LC_ALL", "-e", "none", "env"]);
    let text = String::from_utf8(ours.stdout).unwrap();
    assert!(text.lines().any(|line| line == "ADDED=a=b"));
    assert!(!text.contains("LC_ALL=") && text.contains("PATH="));
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    for (args, reason) in [
        (&["-u", "nobody there", "true"][..], "-u nobody there"),
        (&["-e", "inject=close:delay_enter=5m", "true"], "microseconds"),
        (&["-c", "--format", "json", "true"], "--format"),
        (&["-ff", "-c", "-o", "x", "true"], "-ff"),
        (&["-c", "-C", "true"], "cannot be used with"),
        (&["-e", "status=good", "true"], "successful"),
        (&["-S", "size", "true"], "p99"),
        (&["--backend", "sim", "--stop-at", "fork", "x"], "simulator"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(reason), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn colors_are_for_people_unless_asked_for() {
    let colored = |args: &[&str]| stderr(&run(&[args, &["-e", "close", "true"]].concat())).contains("\x1b[");
    assert!(!colored(&[]), "standard error is a pipe here");
    assert!(colored(&["--color=always"]) && !colored(&["--color=never"]));
}

#[test]
fn the_lines_of_counters_and_times_have_straces_form() {
    for (options, width) in
        [(&["-t"][..], 9), (&["-tt"], 16), (&["-ttt"], 18), (&["-r"], 14), (&["-n", "-i"], 26)]
    {
        let args = [options, &["-e", "close", "true"]].concat();
        let Some(theirs) = strace(&args) else { return };
        // Digits and blanks aside, the same characters before the call.
        let shape = |output: &Output| {
            let text = stderr(output);
            let lead: String = text.lines().next().unwrap().split_once("close").unwrap().0.to_owned();
            lead.replace(|c: char| c.is_ascii_hexdigit(), "0")
        };
        let ours = shape(&run(&args));
        assert_eq!((ours.len(), &ours), (width, &shape(&theirs)), "{options:?}");
    }
}

#[test]
fn a_process_is_left_before_the_call_and_can_go_on() {
    let folder = tempdir("stop");
    let file = folder.join("made");
    let script = format!("mkdir {}; exit 5", file.display());
    // Its parent is this process, and stays: nothing orphans it.
    let mut child =
        Command::new("sh").args(["-c", &format!("read x; {script}")]).stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let mut tool = tracefd(&["-f", "--stop-at", "mkdir", "-p", &pid]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tool.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(" attached")));
    drop(child.stdin.take());
    let last = lines.last().unwrap();
    assert!(tool.wait().unwrap().success());
    let words: Vec<_> = last.split_whitespace().collect();
    assert_eq!((words[1], words[3..6].join(" ")), ("process", "is stopped before".to_owned()), "{last}");
    let stopped: i32 = words[2].parse().unwrap();
    assert!(!file.exists(), "the call was not made");
    kill(Pid::from_raw(stopped), Signal::SIGCONT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(file.is_dir(), "it was made then");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Whether text that ended early is a valid beginning in its format.
fn check(format: &str, text: &str) {
    assert!(text.is_empty() || text.ends_with('\n'), "{format}: {:?}", text.lines().last());
    match format {
        "json" => text.lines().for_each(|line| {
            assert_eq!(serde_json::from_str::<Value>(line).unwrap()["v"], 1);
        }),
        "chrome" if !text.is_empty() => {
            let text = text.trim_end().trim_end_matches(']');
            serde_json::from_str::<Vec<Value>>(&format!("{text}]")).unwrap();
        }
        "mermaid" if !text.is_empty() => assert!(text.starts_with("sequenceDiagram\n")),
        "mermaid-state" if !text.is_empty() => {
            assert!(text.starts_with("stateDiagram-v2\n"));
            assert_eq!(text.matches('{').count(), text.matches('}').count());
        }
        "xv6" => assert!(text.lines().all(|line| line.trim().starts_with(|c: char| c.is_ascii_digit()))),
        _ => {}
    }
}

#[test]
fn a_full_disk_is_told_once_and_the_command_goes_on() {
    for format in FORMATS {
        let output = run(&["-f", "--format", format, "-o", "/dev/full", "sh", "-c", "echo whole; exit 3"]);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b"whole\n"[..]), "{format}");
        assert_eq!(stderr(&output).matches("No space left").count(), 1, "{format}: {}", stderr(&output));
    }
}

#[test]
fn a_file_that_may_not_grow_is_like_a_full_disk() {
    let folder = tempdir("limit");
    for format in FORMATS {
        // Blocks of 512 bytes; the command writes no file.
        let tool = format!(
            "ulimit -f 1; exec \"$0\" trace -f --format {format} -o \"$1\" --record \"$2\" sh -c '{FAMILY}'"
        );
        let (file, record) = (folder.join(format), folder.join("record"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &tool, env!("CARGO_BIN_EXE_tracefd")]).arg(&file).arg(&record);
        let output = shell.stdin(Stdio::null()).env("LC_ALL", "C").output().unwrap();
        assert_eq!(output.status.signal(), Some(Signal::SIGUSR1 as i32), "{format}: {}", stderr(&output));
        assert_eq!(stderr(&output).matches("nothing more is recorded").count(), 1, "{}", stderr(&output));
        check(format, &std::fs::read_to_string(&file).unwrap());
        assert!(std::fs::metadata(&record).unwrap().len() <= 1024);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_closed_pipe_is_not_the_commands_business() {
    for format in FORMATS {
        let mut tool =
            tracefd(&["-f", "--format", format, "sh", "-c", "echo a; cat /etc/passwd >/dev/null; exit 4"]);
        let mut child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        let mut stdout = String::new();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!((child.wait().unwrap().code(), &*stdout), (Some(4), "a\n"), "{format}");
    }
}

/// A command that waits for its stdin, and the tool on it, attached.
fn attached(format: &str, file: &Path) -> (Child, Child) {
    let script = "echo ready; read x; echo $x";
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let command = command.spawn().unwrap();
    let pid = command.id();
    let args = ["--format", format, "-p", &pid.to_string(), "-o", file.to_str().unwrap()];
    let mut tool = tracefd(&args).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(tool.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(" attached"), "{line}");
    (command, tool)
}

#[test]
fn ended_by_a_signal_it_leaves_valid_text_and_the_process_unharmed() {
    use std::io::Write;
    let folder = tempdir("signals");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        for format in FORMATS {
            let file = folder.join(format);
            let (mut command, mut tool) = attached(format, &file);
            if signal == Signal::SIGINT {
                killpg(Pid::from_raw(tool.id() as i32), signal).unwrap(); // as the terminal does
            } else {
                kill(Pid::from_raw(tool.id() as i32), signal).unwrap();
            }
            assert_eq!(tool.wait().unwrap().signal(), Some(signal as i32));
            command.stdin.take().unwrap().write_all(b"still here\n").unwrap();
            let mut text = String::new();
            command.stdout.take().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "ready\nstill here\n", "{format} {signal}");
            assert_eq!(command.wait().unwrap().code(), Some(0));
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            check(format, &text);
            if format == "chrome" && signal != Signal::SIGKILL {
                serde_json::from_str::<Vec<Value>>(&text).unwrap();
            }
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn after_an_interrupt_the_counts_are_printed() {
    use std::io::Write;
    let mut command = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = command.id().to_string();
    let mut tool = tracefd(&["-C", "-p", &pid]).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = tool.stderr.take().unwrap();
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(b"read(0") {
        text.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    let mut stdin = command.stdin.take().unwrap();
    let mut out = BufReader::new(command.stdout.take().unwrap());
    for _ in 0..3 {
        stdin.write_all(b"x\n").unwrap();
        out.read_line(&mut String::new()).unwrap();
    }
    kill(Pid::from_raw(tool.id() as i32), Signal::SIGINT).unwrap();
    let mut table = String::new();
    text.read_to_string(&mut table).unwrap();
    assert_eq!(tool.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    // The end of the third may be still to come when the signal arrives.
    assert!(matches!(counts(&table)["write"], (2..=3, 0)), "{table}");
    drop(stdin);
    assert!(command.wait().unwrap().success());
}

#[test]
fn a_signal_to_a_started_command_ends_both_with_valid_text() {
    let folder = tempdir("passed");
    for format in FORMATS {
        let file = folder.join(format);
        let args = ["-f", "--format", format, "-o", file.to_str().unwrap(), "sh", "-c", "echo ready; read x"];
        let mut tool = tracefd(&args);
        let mut tool = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(tool.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        kill(Pid::from_raw(tool.id() as i32), Signal::SIGTERM).unwrap();
        let stdin = tool.stdin.take(); // wait would close it
        assert_eq!(tool.wait().unwrap().signal(), Some(Signal::SIGTERM as i32), "{format}");
        drop(stdin);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("SIGTERM"), "{format}: {text}");
        check(format, &text);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_else_people_ask_strace_for_is_the_same() {
    let folder = tempdir("habits");
    let file = folder.join("in");
    std::fs::write(&file, "some text that is longer than one row\n\u{e9}").unwrap();
    let file = file.to_str().unwrap();
    let cat = ["--", "cat", file];
    for options in [
        &["-e", "trace=read,write", "-e", "write=1", "-e", "read=3"][..],
        &["-P", file],
        &["-e", "raw=close,openat", "-e", "trace=close,openat"],
        &["-e", "trace=/^(open|close)", "-e", "quiet=exit"],
        &["--trace=file", "-y", "-qq"],
        &["-e", "abbrev=none", "-e", "trace=%fstat"],
        &["-e", "trace=%%stat,?nothing,%creds"],
        &["-v", "-xx", "-e", "trace=openat,execve", "-E", "A=\u{e9}"],
    ] {
        let args = [options, &cat].concat();
        // A pipe would have a number of its own.
        let Some(theirs) = strace_into(Stdio::null(), &args) else { return };
        let ours = tracefd(&args).stdout(Stdio::null()).output().unwrap();
        let (ours, theirs) = (plain(&stderr(&ours)), plain(&stderr(&theirs)));
        assert!(!ours.is_empty());
        let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
        assert!(differ.is_empty() && ours.len() == theirs.len(), "{options:?}: {differ:#?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn calls_are_made_late_while_others_go_on() {
    let begin = std::time::Instant::now();
    // The first child is held before a call that it makes long after the second one has ended.
    let rule = "inject=getppid:delay_enter=300ms:delay_exit=200000";
    let script = "import os\nif os.fork() == 0: os.getppid(); os._exit(0)\nos.wait()";
    let output = run(&["-f", "-e", "trace=getppid", "-e", rule, "--", "python3", "-c", script]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("getppid()"), "{}", stderr(&output));
    assert!(begin.elapsed() >= std::time::Duration::from_millis(500));
}

#[test]
fn a_command_of_another_user_runs_as_that_user() {
    let user = ["-u", "nobody", "-e", "trace=execve,setuid,setgroups", "--", "id"];
    let output = run(&user);
    if !nix::unistd::geteuid().is_root() {
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        return;
    }
    let untraced = Command::new("su").args(["-s", "/bin/sh", "nobody", "-c", "id"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&untraced.stdout));
    assert!(
        stderr(&output).starts_with("execve(") && !stderr(&output).contains("setuid"),
        "{}",
        stderr(&output)
    );
    let filtered = run(&[&["-f", "--seccomp-bpf"], &user[..]].concat());
    assert_eq!(filtered.stdout, output.stdout, "{}", stderr(&filtered));
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    for (args, word) in [
        (&["-ff", "-o", "|cat", "true"][..], "one file per task"),
        (&["-k", "true"], "debugger"),
        (&["-b", "open", "true"], "execve"),
        (&["-b", "execve", "--kill-on-exit", "true"], "cannot be used with"),
        (&["-y", "--decode-fds=all", "true"], "cannot be used with"),
        (&["--decode-fds=socket", "true"], "not supported"),
        (&["-e", "inject=read:syscall=write", "true"], "not supported"),
        (&["-e", "verbose=all", "true"], "verbose"),
        (&["--backend", "sim", "-e", "inject=read:delay_enter=1", "x"], "simulator"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}
