//! `tracefd trace` beside strace, option by option: `cargo bench -p conformance --bench beside_strace`. Prints a Markdown table.
//!
//! Both and the minimal two-stop loop in one run, interleaved round by round; medians of added times (t − native) as ratios.
//! After `--`, words that the names of rows must have, all of them. `OVERHEAD_ROUNDS` (5) sets the rounds; `cargo test --benches` runs a hundredth, once, to see that it works.

#[path = "overhead/loops.rs"]
mod loops;
#[path = "overhead/repository.rs"]
mod repository;

use std::io::{Error, Result};
use std::process::Stdio;
use std::time::Instant;

use conformance::needs::find_program;
use conformance::tracer;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// What both are asked for besides `-f -o /dev/null`.
const MODES: [(&str, &[&str]); 3] = [
    ("all calls", &[]),
    ("-c", &["-c"]),
    ("--seccomp-bpf, none selected", &["--seccomp-bpf", "-e", "trace=acct"]),
];
const SELF: Pid = Pid::from_raw(0);

fn main() -> Result<()> {
    let installed = tempfile::tempdir()?;
    tracer::install(installed.path())?; // built before anything is measured
    if find_program("strace").is_none() || find_program("git").is_none() {
        eprintln!("not measured: strace or git was not found");
        return Ok(());
    }
    let whole = std::env::args().any(|arg| arg == "--bench");
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let rounds = std::env::var("OVERHEAD_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(if whole { 5 } else { 1 });
    let count = |n: u32| if whole { n } else { n.div_ceil(100) }.to_string();
    let scratch = tempfile::tempdir()?;
    repository::make(scratch.path())?;
    let repository = scratch.path().to_str().ok_or_else(|| Error::other("not UTF-8"))?.to_owned();
    let guest = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        std::iter::once(tracer::own_program("guest")).chain(words).collect::<Vec<_>>()
    };
    let workloads = [
        ("getppid", guest(&["getppid", &count(100_000)])),
        ("open+close", guest(&["open-close", &count(20_000)])),
        ("fork+exec", guest(&["fork-exec", &count(150)])),
        ("git status", ["git", "-C", &repository, "status", "-s"].map(str::to_owned).to_vec()),
        ("100 threads", guest(&["threads-open-close", "100", &count(200), "/dev/null"])),
    ];
    let all = sched_getaffinity(SELF)?;
    let mut one = CpuSet::new();
    let last = (0..CpuSet::count()).rev().find(|&cpu| all.is_set(cpu) == Ok(true));
    one.set(last.ok_or_else(|| Error::other("no CPU"))?)?;
    eprintln!(
        "| {rounds} rounds | options | workload | native ms | strace / loop | tracefd / loop | tracefd / strace |"
    );
    eprintln!("|---|---|---|---|---|---|---|");
    for (placement, cpus, modes) in [("one core", &one, &MODES[..]), ("default", &all, &MODES[..1])] {
        sched_setaffinity(SELF, cpus)?;
        for (options, words) in modes {
            for (name, command) in &workloads {
                let name = format!("{placement} | {options} | {name}");
                if asked.iter().all(|word| name.contains(word)) {
                    row(&name, words, command, rounds)?;
                }
            }
        }
    }
    Ok(())
}

fn row(name: &str, options: &[&str], command: &[String], rounds: usize) -> Result<()> {
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        for (way, times) in times.iter_mut().enumerate() {
            let begin = Instant::now();
            match way {
                0 => run(command)?,
                1 => loops::two_stops(command)?,
                2 => run(&strace(options, command))?,
                _ => run(&tracer::tracing("/dev/null".as_ref(), options, command))?,
            }
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    let [native, two_stops, strace, tracefd] = times.map(median);
    let [two_stops, strace, tracefd] = [two_stops, strace, tracefd].map(|time| time - native);
    eprintln!(
        "| {name} | {:.1} | {:.2} | {:.2} | {:.2} |",
        native * 1e3,
        strace / two_stops,
        tracefd / two_stops,
        tracefd / strace
    );
    Ok(())
}

fn strace(options: &[&str], command: &[String]) -> Vec<String> {
    let words = ["strace", "-f", "-o", "/dev/null"].iter().chain(options).chain(&["--"]);
    words.map(|word| (*word).to_owned()).chain(command.iter().cloned()).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What the command says is of no interest; both tracers write elsewhere.
fn run(words: &[String]) -> Result<()> {
    let mut command = tracer::measured(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(Error::other(format!("{words:?}: {status}"))) }
}
