//! What idle tracees cost a busy one: `cargo bench -p conformance --bench waiting`. Prints a Markdown table of ratios.
//!
//! One guest makes calls and is traced from stop to stop, among others that sleep, or are held. Per event, the kernel's handles
//! are compared with themselves beside one idle tracee, and with a loop around a plain wait-any, in the same run; the least of
//! `WAITING_ROUNDS` (5) interleaved rounds, since whatever else runs only adds. `cargo test --benches` runs a hundredth, once, to see that it works.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Error, Result};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use backend_linux::Linux;
use conformance::{procfs, sys, tracer};
use kernel_model::abi::{OpenFlags, Pid, PtraceFlags};
use kernel_model::client::Trace;
use kernel_model::core::Policy;
use kernel_model::kernel::Kernel;
use kernel_model::local::Local;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::ptrace::{self, Options};

const IDLE: [usize; 5] = [1, 10, 100, 1_000, 2_000];
const SELF: nix::unistd::Pid = nix::unistd::Pid::from_raw(0);

/// The tracees of one measurement; killed at its end.
struct Cast {
    /// Parent of the busy one: wait finds its own children sooner than tracees that are none (do_wait).
    shell: Child,
    busy: i32,
    crowd: Child,
    /// Threads of the crowd.
    idle: Vec<i32>,
}

impl Cast {
    fn new(idle: usize) -> Result<Cast> {
        let guest = || {
            let mut command = Command::new(tracer::own_program("guest"));
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            command
        };
        let mut crowd = guest().args(["attachee", &idle.to_string()]).spawn()?;
        let out = crowd.stdout.take().ok_or_else(|| Error::other("no stdout"))?;
        BufReader::new(out).read_line(&mut String::new())?;
        let script = format!("{} getppid {} & echo $!; wait", tracer::own_program("guest"), i32::MAX);
        let mut shell = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn()?;
        let out = shell.stdout.take().ok_or_else(|| Error::other("no stdout"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let busy = line.trim().parse().map_err(Error::other)?;
        let mut threads = procfs::threads(crowd.id() as i32);
        threads.truncate(idle);
        Ok(Cast { shell, busy, crowd, idle: threads })
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        let _ = sys::kill(self.busy, libc::SIGKILL);
        let _ = self.crowd.kill();
        // Threads that are traced still, too: a process ends only after them.
        while sys::wait(-1, libc::__WALL).is_ok() {}
        let _ = self.shell.wait();
    }
}

/// Seconds per event through the public handles.
fn handles(cast: &Cast, held: bool, events: u32) -> Result<f64> {
    let local = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let host = local.client(backend_linux::caller());
    let busy = Trace::open(&host, Pid(cast.busy as u32), OpenFlags::O_TRUNC)?;
    let flags = if held { OpenFlags::O_TRUNC } else { OpenFlags::empty() };
    let open = |tid: &i32| Trace::open(&host, Pid(*tid as u32), flags);
    let _idle = cast.idle.iter().map(open).collect::<kernel_model::abi::Result<Vec<_>>>()?;
    let mask = PtraceFlags::STOP_PRE_SYSCALL | PtraceFlags::STOP_POST_SYSCALL;
    // Whatever attaching has started is over then.
    for _ in 0..events / 10 {
        busy.step(mask)?;
    }
    let begin = Instant::now();
    for _ in 0..events {
        busy.step(mask)?;
    }
    Ok(begin.elapsed().as_secs_f64() / f64::from(events))
}

/// The same with ptrace and wait-any, and nothing around them.
fn wait_any(cast: &Cast, held: bool, events: u32) -> Result<f64> {
    let seize = |tid: i32, hold: bool| -> Result<()> {
        ptrace::seize(nix::unistd::Pid::from_raw(tid), Options::PTRACE_O_TRACESYSGOOD)?;
        if hold {
            ptrace::interrupt(nix::unistd::Pid::from_raw(tid))?;
            sys::wait(tid, libc::__WALL)?;
        }
        Ok(())
    };
    let pid = cast.busy;
    let busy = nix::unistd::Pid::from_raw(pid);
    seize(pid, true)?;
    cast.idle.iter().try_for_each(|&tid| seize(tid, held))?;
    let step = || -> Result<()> {
        ptrace::syscall(busy, None)?;
        let (stopped, _) = sys::wait(-1, libc::__WALL)?;
        if stopped == pid { sys::syscall_info(pid) } else { Err(Error::other("another stopped")) }
    };
    (0..events / 10).try_for_each(|_| step())?;
    let begin = Instant::now();
    (0..events).try_for_each(|_| step())?;
    Ok(begin.elapsed().as_secs_f64() / f64::from(events))
}

type Way = (&'static str, bool, fn(&Cast, bool, u32) -> Result<f64>);

const WAYS: [Way; 4] = [
    ("handles, idle ones run", false, handles),
    ("wait-any, idle ones run", false, wait_any),
    ("handles, idle ones held", true, handles),
    ("wait-any, idle ones held", true, wait_any),
];

fn main() -> Result<()> {
    let whole = std::env::args().any(|arg| arg == "--bench");
    let rounds = std::env::var("WAITING_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(if whole { 5 } else { 1 });
    let events = if whole { 5_000 } else { 50 };
    let all = sched_getaffinity(SELF)?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|&cpu| all.is_set(cpu) == Ok(true));
    one.set(first.ok_or_else(|| Error::other("no CPU"))?)?;
    for (placement, cpus) in [("same core", &one), ("default", &all)] {
        sched_setaffinity(SELF, cpus)?;
        let mut times = vec![vec![Vec::new(); IDLE.len()]; WAYS.len()];
        for _ in 0..rounds {
            for (n, &idle) in IDLE.iter().enumerate() {
                for (way, &(_, held, run)) in WAYS.iter().enumerate() {
                    times[way][n].push(run(&Cast::new(idle)?, held, events)?);
                }
            }
        }
        show(placement, rounds, &times);
    }
    Ok(())
}

fn show(placement: &str, rounds: usize, times: &[Vec<Vec<f64>>]) {
    let mut text = format!("\n| {placement}, {rounds} rounds | µs beside 1 |");
    for idle in &IDLE[1..] {
        let _ = write!(text, " {idle} / 1 |");
    }
    text += &format!("\n|---|---|{}\n", "---|".repeat(IDLE.len() - 1));
    for ((name, ..), times) in WAYS.iter().zip(times) {
        let least: Vec<f64> =
            times.iter().map(|times| times.iter().copied().fold(f64::INFINITY, f64::min)).collect();
        let _ = write!(text, "| {name} | {:.1} |", least[0] * 1e6);
        for time in &least[1..] {
            let _ = write!(text, " {:.2} |", time / least[0]);
        }
        text.push('\n');
    }
    eprint!("{text}");
}
