//! What sets save: `cargo bench -p conformance --bench sets`. 300,000 getppid under each way, one core, interleaved; medians.
//!
//! Ratios of whole times for what is not selected (to native), of added times for what is (to the two-stop loop).
//! `OVERHEAD_ROUNDS` (7) sets the rounds; `cargo test --benches` runs a thousandth, once.

#[path = "overhead/loops.rs"]
mod loops;

use std::io::Result;
use std::process::Stdio;
use std::time::Instant;

use conformance::tracer;
use kernel_model::abi::PtraceFlags;
use kernel_model::sets::{CallSet, Filter};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const BOTH: PtraceFlags = PRE.union(PtraceFlags::STOP_POST_SYSCALL);

fn only(call: i64) -> CallSet {
    CallSet::only([(0, call as u64)])
}

/// Getppid is selected, or something that the guest does not do.
fn pushed(entry: i64, exit: Option<i64>) -> loops::Sets {
    let exit = exit.map_or(CallSet::NONE, only);
    loops::Sets::Pushed(Box::new(Filter { entry: only(entry), exit, ..Filter::ALL }))
}

type Way = (&'static str, fn(&[String]) -> Result<()>);

const WAYS: [Way; 9] = [
    ("native", |cmd| run(&[], cmd)),
    ("two-stop loop", loops::two_stops),
    ("pushed, selected, entry only", |cmd| loops::with_sets(cmd, PRE, pushed(libc::SYS_getppid, None))),
    ("pushed, selected, both", |cmd| {
        loops::with_sets(cmd, BOTH, pushed(libc::SYS_getppid, Some(libc::SYS_getppid)))
    }),
    ("pushed, not selected", |cmd| loops::with_sets(cmd, BOTH, pushed(libc::SYS_acct, Some(libc::SYS_acct)))),
    ("a set, not selected", |cmd| {
        loops::with_sets(cmd, BOTH, loops::Sets::Written { entry: "acct", exit: "acct" })
    }),
    ("a set of none", |cmd| {
        loops::with_sets(cmd, BOTH, loops::Sets::Written { entry: "none", exit: "none" })
    }),
    ("no sets", loops::local_kernel),
    ("tracefd --seccomp-bpf -e trace=acct", |cmd| {
        run(&tracer::tracing("/dev/null".as_ref(), &["--seccomp-bpf", "-e", "trace=acct"], &[]), cmd)
    }),
];

fn main() -> Result<()> {
    let whole = std::env::args().any(|arg| arg == "--bench");
    let rounds = std::env::var("OVERHEAD_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(if whole { 7 } else { 1 });
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let mut one = CpuSet::new();
    let last = (0..CpuSet::count()).rev().find(|&cpu| all.is_set(cpu) == Ok(true));
    one.set(last.ok_or_else(|| std::io::Error::other("no CPU"))?)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    let count = if whole { "300000" } else { "300" };
    let guest = [tracer::own_program("guest"), "getppid".to_owned(), count.to_owned()];
    let mut times = vec![Vec::new(); WAYS.len()];
    for _ in 0..rounds {
        for ((_, way), times) in WAYS.iter().zip(&mut times) {
            let begin = Instant::now();
            way(&guest)?;
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let [native, two_stops, ..] = medians[..] else { return Ok(()) };
    eprintln!(
        "| {count} getppid, one core, {rounds} rounds | ms | × native | added / two-stop loop's |\n|---|---|---|---|"
    );
    for ((name, _), time) in WAYS.iter().zip(&medians) {
        let (whole, added) = (time / native, (time - native) / (two_stops - native));
        eprintln!("| {name} | {:.1} | {whole:.2} | {added:.3} |", time * 1e3);
    }
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

fn run(tracer: &[String], cmd: &[String]) -> Result<()> {
    let words = [tracer, cmd].concat();
    let status = tracer::measured(&words).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("{words:?}: {status}"))) }
}
