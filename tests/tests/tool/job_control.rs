//! bash in a pseudo-terminal, once untraced and once traced: ^Z, jobs, fg, bg, ^C, kill. The transcripts must be equal.

use std::path::Path;
use std::process::Command;

use conformance::harness::{Suite, ensure, same};
use conformance::needs::Need;
use conformance::pty::Pty;
use conformance::tracer;

/// One dialogue.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("job_control", &[Need::Program("bash")], || {
        let scratch = tempfile::tempdir()?;
        let bash: Vec<String> = ["bash", "--norc", "--noprofile", "-i"].map(str::to_owned).into();
        let untraced = dialogue(&bash, scratch.path())?;
        let trace = scratch.path().join("trace");
        let traced = dialogue(&tracer::tracing(&trace, &[], &bash), scratch.path())?;
        same("the dialogue", &untraced, &traced)?;
        ensure(untraced.contains("exited: exit status: 4"), || untraced.clone())?;
        conformance::trace_text::check(&std::fs::read_to_string(&trace)?)?;
        Ok(())
    });
    suite.test("job_control_in_a_mount", &[Need::Program("bash"), Need::Tracefd], || {
        let scratch = tempfile::tempdir()?;
        let bash: Vec<String> = ["bash", "--norc", "--noprofile", "-i"].map(str::to_owned).into();
        let real = dialogue(&bash, scratch.path())?;
        let mount = format!("/tracefd-x=dir:{}", scratch.path().display());
        let run = [&tracer::tracefd().display().to_string(), "run", "-b", &mount, "-w", "/tracefd-x", "--"];
        let words: Vec<String> = run.into_iter().map(str::to_owned).chain(bash).collect();
        same("the dialogue", &real, &dialogue(&words, scratch.path())?)
    });
}

const PROMPT: &str = "prompt> ";

/// Every key is typed when the answer to the one before is complete, so both runs see the same order.
fn dialogue(cmd: &[String], dir: &Path) -> std::io::Result<String> {
    let fifo = dir.join("fifo");
    if !fifo.exists() {
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)?;
    }
    let mut bash = Command::new(&cmd[0]);
    bash.args(&cmd[1..]).current_dir(dir).env_clear().envs([
        ("PS1", PROMPT),
        ("TERM", "dumb"),
        ("LC_ALL", "C"),
    ]);
    bash.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    bash.env("GUEST", tracer::own_program("guest"));
    let mut tty = Pty::spawn(bash)?;

    tty.expect(PROMPT)?;
    tty.send("$GUEST job\n")?;
    tty.expect("ready\r\n")?;
    tty.send("one\n")?;
    tty.expect("got one\r\n")?;
    stop(&mut tty)?;
    command(&mut tty, "echo $?")?;
    command(&mut tty, "jobs")?;
    tty.send("fg\n")?;
    tty.expect("continued\r\n")?;
    tty.send("two\n")?;
    tty.expect("got two\r\n")?;
    tty.send("\x03")?;
    tty.expect(PROMPT)?;
    command(&mut tty, "echo $?")?;
    // One that goes on in the background.
    tty.send("$GUEST job fifo\n")?;
    tty.expect("ready\r\n")?;
    stop(&mut tty)?;
    command(&mut tty, "bg")?;
    command(&mut tty, "cat fifo")?;
    command(&mut tty, "jobs")?;
    // A pipeline, stopped as a whole.
    tty.send("$GUEST job | cat\n")?;
    tty.expect("ready\r\n")?;
    stop(&mut tty)?;
    command(&mut tty, "jobs")?;
    tty.send("fg %2\n")?;
    tty.expect("continued\r\n")?;
    tty.send("\x03")?;
    tty.expect(PROMPT)?;
    command(&mut tty, "echo $?")?;
    command(&mut tty, "kill %1; wait %1 2>/dev/null; echo $?")?;
    command(&mut tty, "jobs")?;
    tty.send("exit 4\n")?;
    let (status, transcript) = tty.finish()?;
    Ok(format!("{}\nexited: {status}", without_pids(&transcript.replace('\r', ""))))
}

/// ^Z, up to the next prompt.
fn stop(tty: &mut Pty) -> std::io::Result<()> {
    tty.send("\x1a")?;
    tty.expect("Stopped")?;
    tty.expect(PROMPT)
}

/// Types a command and waits for the next prompt.
fn command(tty: &mut Pty, line: &str) -> std::io::Result<()> {
    tty.send(&format!("{line}\n"))?;
    tty.expect(line)?;
    tty.expect(PROMPT)
}

/// Numbers of four digits and more are pids.
fn without_pids(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.len() >= 4 { out += &word.replace(digits, "PID") } else { out += word }
    }
    out
}
