//! `-p` on running and on stopped programs: they are left exactly as they were.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::{procfs, sys, tracer};

/// Only a failure takes this long.
const LIMIT: Duration = Duration::from_secs(20);

/// One test per state of the tracee.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("attach_to_threads", &[], || attach_to_threads(libc::SIGINT));
    suite.test("attach_and_terminate", &[], || attach_to_threads(libc::SIGTERM));
    suite.test("attach_and_die", &[], || attach_to_threads(libc::SIGKILL));
    suite.test("attach_to_stopped", &[], attach_to_stopped);
    suite.test("attach_to_sleeping", &[], attach_to_sleeping);
}

/// A guest that is driven by lines.
struct Guest {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Guest {
    fn spawn(args: &[&str]) -> std::io::Result<Guest> {
        let mut child = Command::new(tracer::own_program("guest"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut guest = Guest { child, stdin, stdout };
        guest.expect("ready")?;
        Ok(guest)
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn expect(&mut self, text: &str) -> std::io::Result<()> {
        let line = self.line()?;
        if line == text { Ok(()) } else { Err(std::io::Error::other(format!("not {text:?} but {line:?}"))) }
    }

    fn tick(&mut self) -> std::io::Result<()> {
        self.stdin.write_all(b"tick\n")?;
        self.expect("tick")
    }

    /// No thread is traced or in a trace stop.
    fn ensure_free(&self) -> Outcome {
        for tid in procfs::threads(self.pid()) {
            let (tracer, state) = (procfs::tracer(tid), procfs::stat(tid).map(|stat| stat.state));
            ensure(tracer == Some(0) && state != Some('t'), || {
                format!("{tid}: tracer {tracer:?}, state {state:?}")
            })?;
        }
        Ok(())
    }
}

/// Runs the tracer on `guest` until it traces every thread.
///
/// Nothing tells when TracerPid changes, so this looks again and again, yielding; it fails when the tracer ends.
fn attach(guest: &Guest, trace: &Path) -> std::io::Result<Child> {
    let mut words = tracer::words();
    words.extend([
        "-f".into(),
        "-o".into(),
        trace.display().to_string(),
        "-p".into(),
        guest.pid().to_string(),
    ]);
    let mut tracer = Command::new(&words[0]).args(&words[1..]).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    let traced = |tid: &i32| procfs::tracer(*tid).is_some_and(|tracer| tracer > 0);
    while !procfs::threads(guest.pid()).iter().all(traced) {
        if start.elapsed() > LIMIT {
            tracer.kill()?;
            return Err(std::io::Error::other("not attached to every thread"));
        }
        if let Some(status) = tracer.try_wait()? {
            return Err(std::io::Error::other(format!("the tracer ended: {status}")));
        }
        std::thread::yield_now();
    }
    Ok(tracer)
}

fn end(mut tracer: Child, signal: i32) -> std::io::Result<()> {
    sys::kill(tracer.id() as i32, signal)?;
    tracer.wait().map(drop)
}

/// Eight threads block in read; calls before, while and after they are traced. No EINTR, no signal lost.
fn attach_to_threads(signal: i32) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let trace = scratch.path().join("trace");
    let mut guest = Guest::spawn(&["attachee", "8"])?;
    for _ in 0..3 {
        guest.tick()?;
        let tracer = attach(&guest, &trace)?;
        for _ in 0..20 {
            guest.tick()?;
        }
        end(tracer, signal)?;
        guest.tick()?;
        guest.ensure_free()?;
        if signal != libc::SIGKILL {
            let text = std::fs::read_to_string(&trace)?;
            for tid in procfs::threads(guest.pid()) {
                let calls = text.lines().filter(|line| line.starts_with(&tid.to_string())).count();
                ensure(calls >= 20, || format!("thread {tid} has {calls} lines in the trace"))?;
            }
        }
    }
    guest.stdin.write_all(b"end\n")?;
    for _ in 0..8 {
        same("errors", "worker errors: []", &guest.line()?)?;
    }
    same("signals", "signals lost: 0", &guest.line()?)?;
    same("status", "exit status: 21", &guest.child.wait()?.to_string())
}

/// What this process, the parent, is told next; "nothing" if there is no news.
fn news(pid: i32, block: bool) -> std::io::Result<String> {
    let flags = libc::WUNTRACED | libc::WCONTINUED | if block { 0 } else { libc::WNOHANG };
    let (waited, raw) = sys::wait(pid, flags)?;
    Ok(match waited {
        0 => "nothing".into(),
        _ if libc::WIFSTOPPED(raw) => format!("stopped {}", libc::WSTOPSIG(raw)),
        _ if libc::WIFCONTINUED(raw) => "continued".into(),
        _ => format!("ended {raw:#x}"),
    })
}

/// A tracee that is let go runs within the kernel until it is back in its stop (kernel/ptrace.c, `__ptrace_unlink`).
fn still_stopped(pid: i32) -> Result<(), Option<char>> {
    let start = Instant::now();
    loop {
        match procfs::stat(pid).map(|stat| stat.state) {
            Some('T') => return Ok(()),
            state if start.elapsed() > LIMIT => return Err(state),
            _ => std::thread::yield_now(),
        }
    }
}

/// A stopped job stays stopped, its parent hears nothing, and SIGCONT works, during and after.
fn attach_to_stopped() -> Outcome {
    let scratch = tempfile::tempdir()?;
    let trace = scratch.path().join("trace");
    let mut guest = Guest::spawn(&["napper"])?;
    let pid = guest.pid();
    sys::kill(pid, libc::SIGSTOP)?;
    same("at the stop", "stopped 19", &news(pid, true)?)?;
    for round in 1..=3 {
        let tracer = attach(&guest, &trace)?;
        end(tracer, libc::SIGINT)?;
        guest.ensure_free()?;
        still_stopped(pid).map_err(|state| format!("after round {round} its state is {state:?}"))?;
        same("after the tracer", "nothing", &news(pid, false)?)?;
    }
    sys::kill(pid, libc::SIGCONT)?;
    same("at the continuation", "continued", &news(pid, true)?)?;
    guest.expect("continued 1")?;

    // Continued while traced; then stopped while traced, and left.
    sys::kill(pid, libc::SIGSTOP)?;
    same("at the stop", "stopped 19", &news(pid, true)?)?;
    let tracer = attach(&guest, &trace)?;
    sys::kill(pid, libc::SIGCONT)?;
    same("while traced", "continued", &news(pid, true)?)?;
    guest.expect("continued 2")?;
    sys::kill(pid, libc::SIGSTOP)?;
    same("while traced", "stopped 19", &news(pid, true)?)?;
    end(tracer, libc::SIGINT)?;
    same("after the tracer", "nothing", &news(pid, false)?)?;
    sys::kill(pid, libc::SIGCONT)?;
    same("at the continuation", "continued", &news(pid, true)?)?;
    guest.expect("continued 3")?;
    sys::kill(pid, libc::SIGUSR1)?;
    guest.expect("continued 3")?;
    same("status", "exit status: 22", &guest.child.wait()?.to_string())
}

/// Asleep in sigsuspend, which a mere stop would not end.
fn attach_to_sleeping() -> Outcome {
    let scratch = tempfile::tempdir()?;
    let mut guest = Guest::spawn(&["napper"])?;
    for _ in 0..5 {
        let tracer = attach(&guest, &scratch.path().join("trace"))?;
        end(tracer, libc::SIGINT)?;
        guest.ensure_free()?;
    }
    sys::kill(guest.pid(), libc::SIGUSR1)?;
    guest.expect("continued 0")?;
    same("status", "exit status: 22", &guest.child.wait()?.to_string())
}
