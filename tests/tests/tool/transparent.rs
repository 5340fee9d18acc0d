//! Each subject runs untraced and traced, in the same directory, and must not be able to tell the difference.

use std::path::Path;

use conformance::cell::{Cell, Ended};
use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::subjects::{GUESTS, Subject, TOOLS};
use conformance::{trace_text, tracer};

/// One test per subject.
pub(crate) fn add(suite: &mut Suite) {
    for subject in GUESTS.iter().chain(TOOLS) {
        suite.test(subject.name, subject.needs, move || transparent(subject));
    }
}

fn run(subject: &Subject, dir: &Path, trace: Option<&Path>) -> std::io::Result<Ended> {
    let cmd = subject.prepare(dir)?;
    let cmd = trace.map_or(cmd.clone(), |trace| tracer::tracing(trace, &[], &cmd));
    Cell::at(dir).run(&cmd)
}

fn transparent(subject: &Subject) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let (dir, trace) = (scratch.path().join("run"), scratch.path().join("trace"));
    let untraced = run(subject, &dir, None)?;
    let traced = run(subject, &dir, Some(&trace))?;
    same("what it shows", &untraced.text(), &traced.text())?;
    for run in [&untraced, &traced] {
        ensure(run.said("left").is_empty(), || format!("left behind: {:?}", run.said("left")))?;
    }
    // The tracer waits for every tracee, so what the command orphaned has ended, and was adopted, all the same.
    ensure(untraced.said("adopted").len() == traced.said("adopted").len(), || {
        format!("orphans: untraced {:?}, traced {:?}", untraced.said("adopted"), traced.said("adopted"))
    })?;
    let text = std::fs::read_to_string(&trace)?;
    let tasks = trace_text::check(&text)?;
    match subject.tasks {
        Some(expected) => ensure(tasks == expected, || format!("{tasks} tasks in the trace, not {expected}")),
        None => Ok(()),
    }
}
