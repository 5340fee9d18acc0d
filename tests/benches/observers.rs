//! Two observers of ten million calls, one of them slow, on each machine: `cargo bench -p conformance --bench observers`.
//!
//! Every record of the slow one is compared with the fast one's, and what it lost with what it was told that it lost: a
//! wrong count ends the run. Prints what each was told, the time for a record, and the most memory that was in use so far.
//! `OBSERVERS_CALLS` asks for another number; `cargo test --benches` takes a thousandth.

use std::time::Instant;

use conformance::observed;
use conformance::rules::stage::{Broken, on_linux, on_sim};
use conformance::rules::{Access, Bench, Check};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const WHOLE: u64 = 10_000_000;

fn calls() -> u64 {
    let whole = std::env::args().any(|arg| arg == "--bench");
    let asked = std::env::var("OBSERVERS_CALLS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if whole { WHOLE } else { WHOLE / 1000 })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|&cpu| all.is_set(cpu) == Ok(true));
    one.set(first.ok_or("no CPU")?)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    eprintln!("| machine | fast: told | lost | slow: told | lost | gaps | ns a record | peak, MiB |");
    eprintln!("|---|---|---|---|---|---|---|---|");
    let guest = observed::guest(calls());
    on_sim(&guest, observe, Access::SameUser, Broken::Nothing).map_err(|failure| failure.to_string())?;
    on_linux(&guest, observe, Access::SameUser).map_err(|failure| failure.to_string())?;
    Ok(())
}

fn observe(b: &Bench<'_>) -> Check {
    let begin = Instant::now();
    let told = observed::in_turn(b, calls())?;
    let each = begin.elapsed().as_nanos() / u128::from(told.fast);
    let observed::Totals { fast, slow, lost, gaps } = told;
    // The calls, the exit and the death.
    let missing = calls() + 2 - fast;
    eprintln!("| {} | {fast} | {missing} | {slow} | {lost} | {gaps} | {each} | {} |", b.machine(), peak());
    Ok(())
}

/// VmHWM of proc_pid_status(5).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
