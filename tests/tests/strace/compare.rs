//! Runs a subject under both tools and counts equal lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use conformance::tracer;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::lines::{Lines, lines};

/// How many lines were compared, and which had no equal.
#[derive(Default)]
pub(crate) struct Tally {
    /// Lines on which two runs of strace agree.
    pub(crate) counted: usize,
    /// Those of them that have an equal one in ours.
    equal: usize,
    /// strace's other lines, and how often.
    theirs: BTreeMap<String, usize>,
    /// Ours that strace does not have.
    ours: BTreeMap<String, usize>,
    /// Names of calls that strace saw more often, in both its runs.
    pub(crate) missing: BTreeMap<String, usize>,
    /// The same of those that we saw not at all, and that do not depend on who was faster.
    pub(crate) absent: BTreeSet<String>,
}

impl Tally {
    /// Equal lines.
    pub(crate) fn per_cent(&self) -> f64 {
        100.0 * self.equal as f64 / self.counted.max(1) as f64
    }

    /// Counts another subject's in.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.counted += other.counted;
        self.equal += other.equal;
        for (mine, others) in [(&mut self.theirs, &other.theirs), (&mut self.ours, &other.ours)] {
            others.iter().for_each(|(line, count)| *mine.entry(line.clone()).or_default() += count);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:.2} % of {} lines are strace's", self.per_cent(), self.counted)?;
        for (mark, lines) in [('-', &self.theirs), ('+', &self.ours)] {
            let mut lines: Vec<_> = lines.iter().collect();
            lines.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (line, count) in lines.into_iter().take(20) {
                writeln!(f, "{mark} {count} x {line}")?;
            }
        }
        Ok(())
    }
}

/// Runs what `prepare` makes in a directory, three times, both tools with these options.
pub(crate) fn compare(
    options: &[&str],
    prepare: impl Fn(&Path) -> std::io::Result<Vec<String>>,
) -> std::io::Result<Tally> {
    stay_on_one_cpu()?;
    let dir = tempfile::tempdir()?;
    let (place, trace) = (dir.path().join("here"), dir.path().join("trace"));
    let trace_arg = trace.to_string_lossy().into_owned();
    let run = |tracer: &dyn Fn(&[String]) -> Vec<String>| -> std::io::Result<Lines> {
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        std::fs::create_dir(&place)?;
        let command = prepare(&place)?;
        let words = tracer(&command);
        let (program, args) = words.split_first().expect("a tracer has a name");
        Command::new(program)
            .args(args)
            .current_dir(&place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(lines(&String::from_utf8_lossy(&std::fs::read(&trace)?)))
    };
    let strace = |command: &[String]| {
        let head = ["strace", "-f", "-o", &trace_arg].map(str::to_owned);
        let options: Vec<String> = options.iter().copied().chain(["--"]).map(str::to_owned).collect();
        [&head[..], &options, command].concat()
    };
    let (first, second) = (run(&strace)?, run(&strace)?);
    let ours = run(&|command| tracer::tracing(&trace, options, command))?;
    Ok(tally(&first, &second, &ours))
}

/// What this thread starts inherits it: threads of one program then run in much the same order each time.
fn stay_on_one_cpu() -> std::io::Result<()> {
    let this = nix::unistd::Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    one.set(first.unwrap_or(0))?;
    Ok(sched_setaffinity(this, &one)?)
}

fn count(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.as_str()).or_default() += 1);
    counts
}

/// Calls that a thread makes only if it has to wait for another one.
const OF_WAITING: [&str; 3] = ["futex", "restart_syscall", "sched_yield"];

/// Names of all other calls, in whatever process.
fn all_names(lines: &Lines) -> BTreeSet<&str> {
    let names = lines.values().flatten().filter_map(|line| Some(line.split_once('(')?.0));
    names.filter(|name| !OF_WAITING.contains(name)).collect()
}

fn tally(first: &Lines, second: &Lines, ours: &Lines) -> Tally {
    let mut tally = Tally::default();
    let (one, two, mine) = (all_names(first), all_names(second), all_names(ours));
    tally.absent =
        one.intersection(&two).filter(|name| !mine.contains(*name)).map(|&name| name.to_owned()).collect();
    let none = Vec::new();
    for (process, lines) in first {
        let (one, two) = (count(lines), count(second.get(process).unwrap_or(&none)));
        let mut mine = count(ours.get(process).unwrap_or(&none));
        for (line, times) in one {
            let agreed = times.min(two.get(line).copied().unwrap_or(0));
            let has = mine.get(line).copied().unwrap_or(0);
            let equal = agreed.min(has);
            tally.counted += agreed;
            tally.equal += equal;
            if agreed > equal {
                tally.theirs.insert(line.to_owned(), agreed - equal);
            }
            mine.insert(line, has - has.min(times));
        }
        for (line, times) in mine.into_iter().filter(|(line, times)| *times > 0 && !two.contains_key(line)) {
            tally.ours.insert(line.to_owned(), times);
        }
        let calls = |lines: &Lines| {
            let names = lines.get(process).into_iter().flatten();
            let names: Vec<String> =
                names.filter_map(|line| Some(line.split_once('(')?.0.to_owned())).collect();
            names
        };
        let (one, two, mine) = (calls(first), calls(second), calls(ours));
        let (one, two, mine) = (count(&one), count(&two), count(&mine));
        for (name, times) in one {
            let least = times.min(two.get(name).copied().unwrap_or(0));
            let here = mine.get(name).copied().unwrap_or(0);
            if least > here {
                *tally.missing.entry(name.to_owned()).or_default() += least - here;
            }
        }
    }
    tally
}
