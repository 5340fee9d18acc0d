//! What tracing adds to a program's time: `cargo bench -p conformance`. Prints a Markdown table.
//!
//! All ways in one run, interleaved round by round; medians; the added time is t − native. Ratios are to a minimal loop with
//! two stops and PTRACE_GET_SYSCALL_INFO, and to strace. `OVERHEAD_ROUNDS` (5) sets the rounds; `cargo test --benches`
//! runs a thousandth, once, to see that it works.

#[path = "overhead/loops.rs"]
mod loops;
#[path = "overhead/table.rs"]
mod table;

use std::process::Stdio;
use std::time::Instant;

use conformance::needs::find_program;
use conformance::tracer;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// One program, one way to trace it.
type Way = (&'static str, fn(&[String]) -> std::io::Result<()>);

/// In the order of the columns. The first is the yardstick of them all, the second of the tracers.
const WAYS: [Way; 5] = [
    ("native", |cmd| run(&[], cmd)),
    ("two-stop loop", loops::two_stops),
    ("kernel alone", loops::local_kernel),
    ("strace", |cmd| run(&["strace", "-f", "-o", "/dev/null", "--"].map(str::to_owned), cmd)),
    ("tracefd", |cmd| run(&tracer::tracing("/dev/null".as_ref(), &[], &[]), cmd)),
];

/// The guest's arguments, and how often.
const WORKLOADS: [(&str, u32); 3] = [("getppid", 300_000), ("open-close", 20_000), ("fork-exec", 300)];

fn main() -> std::io::Result<()> {
    let installed = tempfile::tempdir()?;
    tracer::install(installed.path())?; // built before anything is measured
    let whole = std::env::args().any(|arg| arg == "--bench");
    let rounds = match std::env::var("OVERHEAD_ROUNDS") {
        Ok(text) => text.parse().map_err(std::io::Error::other)?,
        Err(_) => {
            if whole {
                5
            } else {
                1
            }
        }
    };
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|&cpu| all.is_set(cpu) == Ok(true));
    one.set(first.ok_or_else(|| std::io::Error::other("no CPU"))?)?;
    table::head()?;
    for (placement, cpus) in [("same core", &one), ("default", &all)] {
        sched_setaffinity(Pid::from_raw(0), cpus)?;
        for (name, count) in WORKLOADS {
            let count = if whole { count } else { (count / 1000).max(1) };
            let guest = [tracer::own_program("guest"), name.to_owned(), count.to_string()];
            table::row(placement, &format!("{count} {name}"), &measure(name, &guest, rounds)?)?;
        }
    }
    table::foot()
}

/// Seconds of each way, medians; `None` where it cannot be done.
fn measure(name: &str, guest: &[String], rounds: usize) -> std::io::Result<Vec<Option<f64>>> {
    let mut times = vec![Vec::new(); WAYS.len()];
    for _ in 0..rounds {
        for ((way, start), times) in WAYS.iter().zip(&mut times) {
            // One handle follows one process.
            let alone = *way == "kernel alone" && name == "fork-exec";
            if alone || *way == "strace" && find_program("strace").is_none() {
                continue;
            }
            let begin = Instant::now();
            start(guest)?;
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

fn run(tracer: &[String], cmd: &[String]) -> std::io::Result<()> {
    let words = [tracer, cmd].concat();
    let status = tracer::measured(&words).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("{words:?}: {status}"))) }
}
