//! The supervisor of a cell: `cell REPORT [--kill FIFO BYTES NANOSECONDS MARK] [--user UID] -- CMD…`.
//!
//! It adopts what its command leaves behind, waits until nothing is left, and writes one line per fact to REPORT:
//! `status` of the command, `main` (of the process that MARK names) and `adopted` (of every other one), `traced yes` if
//! the kill hit while that process was traced, `left` for what had to be killed because it did not end.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use conformance::{procfs, sys};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;

/// Only a failure reaches it: the command hangs, or left something that does.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often the deadline's signal is repeated, should it come between a look at the clock and a wait.
const ALARM_US: i64 = 1_000_000;

#[derive(Default)]
struct Options {
    kill: Option<Kill>,
    user: Option<u32>,
}

struct Kill {
    fifo: String,
    bytes: u64,
    after: Duration,
    mark: String,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = move || args.next();
    let report = next().expect("REPORT");
    let mut options = Options::default();
    let mut cmd = Vec::new();
    while let Some(word) = next() {
        let mut value = || next().expect("a value");
        match word.as_str() {
            "--kill" => {
                let (fifo, bytes) = (value(), number(&value()));
                let after = Duration::from_nanos(number(&value()));
                options.kill = Some(Kill { fifo, bytes, after, mark: value() });
            }
            "--user" => options.user = Some(number(&value()) as u32),
            _ => {
                cmd.extend(std::iter::from_fn(&mut next));
                break;
            }
        }
    }
    match supervise(&options, &cmd) {
        Ok(facts) => std::fs::write(report, facts).expect("the report can be written"),
        Err(error) => eprintln!("cell: {cmd:?}: {error}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn supervise(options: &Options, cmd: &[String]) -> Result<String> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut command = Command::new(&cmd[0]);
    command.args(&cmd[1..]);
    if let Some(user) = options.user {
        command.uid(user).gid(user);
    }
    // A stray reader keeps the FIFO open for writers at all times.
    let fifo = match &options.kill {
        Some(kill) if kill.bytes > 0 => {
            Some(File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&kill.fifo)?)
        }
        _ => None,
    };
    let child = command.spawn()?.id() as i32;
    let mut facts = String::new();
    let mut main = None;
    if let Some(kill) = &options.kill {
        let moment = await_moment(child, kill, fifo)?;
        let _ = writeln!(facts, "bytes {}\nnanoseconds {}", moment.bytes, moment.after.as_nanos());
        main = std::fs::read_to_string(&kill.mark).ok().and_then(|text| text.parse::<i32>().ok());
        let traced = main.is_some_and(|pid| {
            procfs::stat(pid).is_some_and(|stat| stat.state != 'Z')
                && procfs::tracer(pid).is_some_and(|tid| tid > 0 && procfs::is_thread_of(tid, child))
        });
        if !moment.ended {
            sys::kill(child, libc::SIGKILL)?;
        }
        let _ = writeln!(facts, "traced {}", if traced && !moment.ended { "yes" } else { "no" });
    }
    collect(child, main, &mut facts)?;
    Ok(facts)
}

struct Moment {
    bytes: u64,
    after: Duration,
    ended: bool,
}

/// Reads the FIFO until enough has come, then lets time pass. Stops early if the command ends.
fn await_moment(child: i32, kill: &Kill, fifo: Option<File>) -> Result<Moment> {
    let pidfd = sys::pidfd(child)?;
    let mut moment = Moment { bytes: 0, after: Duration::ZERO, ended: false };
    if let Some(mut fifo) = fifo {
        let mut buf = [0; 4096];
        while moment.bytes < kill.bytes && !moment.ended {
            let mut fds = [&fifo.as_fd(), &pidfd.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
            poll(&mut fds, PollTimeout::NONE)?;
            match fifo.read(&mut buf) {
                Ok(n) => moment.bytes += n as u64,
                // Nothing to read, so it was the command's end that was reported.
                Err(_) => moment.ended = readable(pidfd.as_fd(), Some(Duration::ZERO))?,
            }
        }
        // What is still written must not block the command before its end.
        std::thread::spawn(move || drain(fifo));
    }
    // Asleep: a loop that counts would take a core from tracer and tracees, which need it thousands of times for short.
    nix::sys::prctl::set_timerslack(1)?;
    let start = Instant::now();
    moment.ended = moment.ended || readable(pidfd.as_fd(), Some(kill.after))?;
    moment.after = start.elapsed();
    Ok(moment)
}

fn drain(mut fifo: File) {
    let mut buf = [0; 4096];
    loop {
        if readable(fifo.as_fd(), None).is_err() || fifo.read(&mut buf).is_err() {
            return;
        }
    }
}

fn readable(fd: BorrowedFd, limit: Option<Duration>) -> Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    Ok(ppoll(&mut fds, limit.map(TimeSpec::from_duration), None)? > 0)
}

/// Waits for everything below this process. At the deadline, kills what is left and says so.
fn collect(child: i32, main: Option<i32>, facts: &mut String) -> Result<()> {
    let start = Instant::now();
    sys::count_signal(libc::SIGALRM, 0)?;
    sys::set_timer(libc::ITIMER_REAL, ALARM_US)?;
    loop {
        match sys::wait(-1, libc::__WALL) {
            Ok((pid, raw)) => {
                let key = match pid {
                    _ if pid == child => "status",
                    _ if Some(pid) == main => "main",
                    _ => "adopted",
                };
                let _ = writeln!(facts, "{key} {}", words(raw));
            }
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {
                if start.elapsed() > DEADLINE {
                    kill_all(facts);
                }
            }
            Err(_) => return Ok(()),
        }
    }
}

fn kill_all(facts: &mut String) {
    for stat in procfs::descendants(std::process::id() as i32) {
        let _ = writeln!(facts, "left {} {} {}", stat.pid, stat.comm, stat.state);
        let _ = sys::kill(stat.pid, libc::SIGKILL);
    }
}

fn words(raw: i32) -> String {
    if libc::WIFEXITED(raw) {
        format!("exited {}", libc::WEXITSTATUS(raw))
    } else {
        format!("killed {}", libc::WTERMSIG(raw))
    }
}
