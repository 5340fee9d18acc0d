//! What `tracefd run` adds to a program's time: `cargo bench -p conformance --bench interpose`. Prints a Markdown table.
//!
//! All ways in one run on one core, interleaved round by round; medians. Beside native: minimal tracers that do nothing
//! with a call (two stops at each; one at a path call; one and its exit), strace, proot. `x` columns are ratios of whole
//! times to native; the last ones are added times as ratios to those of the minimal tracers. After `--`, names of rows, if not
//! all are wanted. `OVERHEAD_ROUNDS` (7) sets the
//! rounds; `cargo test --benches` runs a hundredth, once.

#[path = "overhead/repository.rs"]
mod repository;

use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use conformance::needs::find_program;
use conformance::{sys, tracer};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;

/// What a minimal tracer stops at.
#[derive(Clone, Copy, PartialEq)]
enum Floor {
    /// Each call, twice.
    Two,
    /// Calls with a path, once.
    One,
    /// The same, and their exit.
    OneAndExit,
}

const FLOORS: [Floor; 3] = [Floor::Two, Floor::One, Floor::OneAndExit];
const NAMES: [&str; 9] = [
    "native",
    "two stops",
    "one",
    "one+exit",
    "strace -f",
    "proot",
    "run",
    "run, in a mount",
    "proot, in a binding",
];

/// Words of the guest, or of a program by its name; `@` is the tree's path, `%` the place for an archive.
const WORKLOADS: [(&str, &[&str]); 11] = [
    ("start-up", &["exit", "0"]),
    ("getppid", &["getppid", "100000"]),
    ("pread", &["pread", "50000", "@/f"]),
    ("stat", &["stat", "20000", "@/f"]),
    ("stat, 8 names deep", &["stat", "20000", "@/1/2/3/4/5/6/7/f"]),
    ("open+close", &["open-close", "20000", "@/f"]),
    ("4 threads open+close", &["threads-open-close", "4", "5000", "@/f"]),
    ("200 MB", &["read-all", "@/large"]),
    ("100 programs", &["fork-exec", "100"]),
    ("git status", &["git", "-C", "@/repository", "status", "-s"]),
    ("tar of a tree", &["tar", "-cf", "%", "-C", "@", "repository"]),
];

fn main() -> Result<()> {
    let installed = tempfile::tempdir()?;
    tracer::install(installed.path())?; // built before anything is measured
    let whole = std::env::args().any(|arg| arg == "--bench");
    let rounds = std::env::var("OVERHEAD_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(if whole { 7 } else { 1 });
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let mut one = CpuSet::new();
    let last = (0..CpuSet::count()).rev().find(|&cpu| all.is_set(cpu) == Ok(true));
    one.set(last.ok_or_else(|| Error::other("no CPU"))?)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;

    let scratch = tempfile::tempdir()?;
    let tree = scratch.path().canonicalize()?;
    std::fs::create_dir_all(tree.join("1/2/3/4/5/6/7"))?;
    std::fs::write(tree.join("f"), "x")?;
    std::fs::write(tree.join("1/2/3/4/5/6/7/f"), "x")?;
    std::fs::write(tree.join("large"), vec![7; if whole { 200 << 20 } else { 1 << 20 }])?;

    let repository = tree.join("repository");
    std::fs::create_dir(&repository)?;
    if find_program("git").is_some() {
        repository::make(&repository)?;
    }

    let mut text = format!("| {rounds} rounds, one core | native ms |");
    NAMES[1..].iter().for_each(|name| text += &format!(" {name} x |"));
    eprintln!(
        "{text} run adds ms | in a mount adds ms | run / one, added | in a mount / one+exit, added | run / proot, added | the same, inside |"
    );
    eprintln!("|---|---|{}", "---|".repeat(NAMES.len() + 5));
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    for (name, words) in WORKLOADS {
        if !asked.is_empty() && !asked.iter().any(|asked| asked == name) {
            continue;
        }
        let words: Vec<String> = words
            .iter()
            .map(|word| match word.parse::<u32>() {
                Ok(count) if !whole && count > 100 => (count / 100).to_string(),
                _ => (*word).to_owned(),
            })
            .collect();
        row(name, &words, &tree, rounds)?;
    }
    Ok(())
}

fn row(name: &str, words: &[String], tree: &Path, rounds: usize) -> Result<()> {
    let mut times = vec![Vec::new(); NAMES.len()];
    for _ in 0..rounds {
        for (way, times) in times.iter_mut().enumerate() {
            if let Some(time) = once(way, words, tree)? {
                times.push(time);
            }
        }
    }
    let medians: Vec<Option<f64>> = times.into_iter().map(median).collect();
    let native = medians[0].unwrap_or(0.0);
    let number =
        |value: Option<f64>| value.map_or_else(|| " – |".to_owned(), |value| format!(" {value:.2} |"));
    let added = |way: usize, to: usize| match (medians[way], medians[to]) {
        // Of what takes next to nothing, no ratio means anything.
        (Some(way), Some(to)) if to > native * 1.05 => Some((way - native) / (to - native)),
        _ => None,
    };
    let mut text = format!("| {name} | {:.1} |", native * 1e3);
    for time in &medians[1..] {
        text += &number(time.map(|time| time / native));
    }
    for way in [6, 7] {
        text += &number(medians[way].map(|time| (time - native) * 1e3));
    }
    for (way, to) in [(6, 2), (7, 3), (6, 5), (7, 8)] {
        text += &number(added(way, to));
    }
    eprintln!("{text}");
    Ok(())
}

/// Seconds; `None` where it cannot be done.
fn once(way: usize, words: &[String], tree: &Path) -> Result<Option<f64>> {
    const POINT: &str = "/tracefd-mount";
    let shown = if way >= 7 { POINT } else { tree.to_str().ok_or_else(|| Error::other("not UTF-8"))? };
    let archive = tree.join("archive");
    let archive = archive.to_str().ok_or_else(|| Error::other("not UTF-8"))?;
    let tool = matches!(words[0].as_str(), "git" | "tar");
    if tool && find_program(&words[0]).is_none() {
        return Ok(None);
    }
    let mut guest = if tool { vec![] } else { vec![tracer::own_program("guest")] };
    guest.extend(words.iter().map(|word| word.replace('@', shown).replace('%', archive)));
    let mount = format!("{POINT}=dir:{}", tree.display());
    let binding = format!("{}:{POINT}", tree.display());
    let tracefd = tracer::tracefd().to_str().ok_or_else(|| Error::other("not UTF-8"))?;
    let before: Vec<&str> = match way {
        0..=3 => vec![],
        4 => vec!["strace", "-f", "-o", "/dev/null", "--"],
        5 => vec!["proot", "-b", "/etc:/tracefd-elsewhere"],
        8 => vec!["proot", "-b", &binding],
        _ => vec![tracefd, "run", "-b", &mount, "--"],
    };
    if before.first().is_some_and(|tool| !tool.contains('/') && find_program(tool).is_none()) {
        return Ok(None);
    }
    let begin = Instant::now();
    match way {
        1..=3 => minimal(&guest, FLOORS[way - 1])?,
        _ => {
            let words: Vec<String> = before.iter().map(|&word| word.to_owned()).chain(guest).collect();
            let status = tracer::measured(&words)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if !status.success() && words[0] == "proot" {
                return Ok(None); // it lets newer calls through, statx among them, with names that only it knows
            }
            if !status.success() {
                return Err(Error::other(format!("{words:?}: {status}")));
            }
        }
    }
    Ok(Some(begin.elapsed().as_secs_f64()))
}

fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// A tracer that fetches the registers at each stop that a filter asked for, and does nothing with them.
fn minimal(cmd: &[String], floor: Floor) -> Result<()> {
    let child = sys::fork(|| {
        let _ = sys::kill(std::process::id() as i32, libc::SIGSTOP);
        let paths = [libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_statx];
        if floor != Floor::Two && sys::trace_only(&paths).is_err() {
            return 126;
        }
        drop(tracer::measured(cmd).exec());
        127
    })?;
    sys::wait(child, libc::WUNTRACED)?;
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(Pid::from_raw(child), options)?;
    sys::kill(child, libc::SIGCONT)?;
    let mut end = 0;
    loop {
        let (pid, raw) = match sys::wait(-1, libc::__WALL) {
            Ok(change) => change,
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => break,
            Err(error) => return Err(error),
        };
        if !libc::WIFSTOPPED(raw) {
            if pid == child {
                end = raw;
            }
            continue;
        }
        let (task, signal, event) = (Pid::from_raw(pid), libc::WSTOPSIG(raw), raw >> 16);
        let filtered = event == libc::PTRACE_EVENT_SECCOMP;
        if filtered {
            ptrace::getregs(task)?;
        }
        let deliver = (event == 0 && signal != libc::SIGTRAP | 0x80)
            .then(|| nix::sys::signal::Signal::try_from(signal).ok())
            .flatten();
        let resumed = match floor {
            Floor::Two => ptrace::syscall(task, deliver),
            Floor::OneAndExit if filtered => ptrace::syscall(task, deliver),
            _ => ptrace::cont(task, deliver),
        };
        match resumed {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    if end == 0 { Ok(()) } else { Err(Error::other(format!("status {end:#x}"))) }
}
