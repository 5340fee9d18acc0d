//! Each subject under `--seccomp-bpf`: it must run as ever, and the trace must have every selected call of every task.

use std::path::Path;

use conformance::cell::{Cell, Ended};
use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::subjects::{GUESTS, Subject, TOOLS};
use conformance::{trace_text, tracer};

/// Births and ends among them, so that every task has a call in the trace.
const SELECTED: [&str; 2] = ["-e", "trace=%process,openat,write"];

/// One test per subject.
pub(crate) fn add(suite: &mut Suite) {
    for subject in GUESTS.iter().chain(TOOLS) {
        suite.test(&format!("filtered_{}", subject.name), subject.needs, move || filtered(subject));
    }
}

fn run(
    subject: &Subject,
    dir: &Path,
    tracer: impl FnOnce(&[String]) -> Vec<String>,
) -> std::io::Result<Ended> {
    let cmd = subject.prepare(dir)?;
    Cell::at(dir).run(&tracer(&cmd))
}

/// All that it says, but for what RFC 0005 says that it can tell: that there is a filter.
fn shown(ended: &Ended) -> String {
    ended.text().lines().filter(|line| !line.starts_with("Seccomp")).map(|line| format!("{line}\n")).collect()
}

fn filtered(subject: &Subject) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let (dir, trace) = (scratch.path().join("run"), scratch.path().join("trace"));
    let options = [&["--seccomp-bpf"][..], &SELECTED].concat();
    let untraced = run(subject, &dir, <[String]>::to_vec)?;
    let traced = run(subject, &dir, |cmd| tracer::tracing(&trace, &options, cmd))?;
    same("what it shows", &shown(&untraced), &shown(&traced))?;
    ensure(traced.said("left").is_empty(), || format!("left behind: {:?}", traced.said("left")))?;
    let text = std::fs::read_to_string(&trace)?;
    let tasks = trace_text::check(&text)?;
    if let Some(expected) = subject.tasks {
        ensure(tasks == expected, || format!("{tasks} tasks in the trace, not {expected}"))?;
    }
    // Nothing but what was selected.
    ensure(!text.contains(" mmap(") && !text.contains(" brk("), || "a call that was not selected".into())
}
