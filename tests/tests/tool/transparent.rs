//! Each subject runs untraced and traced, in the same directory, and must not be able to tell the difference.

use std::path::Path;

use conformance::cell::{Cell, Ended};
use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::subjects::{GUESTS, Subject, TOOLS};
use conformance::{trace_text, tracer};

/// One test per subject; and the divergences.
pub(crate) fn add(suite: &mut Suite) {
    for subject in GUESTS.iter().chain(TOOLS) {
        suite.test(subject.name, subject.needs, move || transparent(subject));
    }
    suite.test("ignored_signals", &[], ignored_signals);
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

/// A signal without a handler wakes a traced sleeper. Most calls restart; epoll_wait answers EINTR by itself
/// (fs/eventpoll.c, ep_poll: `signal_pending`), so a traced program sees one that it would never see untraced.
///
/// A row of RFC 0003's divergence table. This fails when the row has become wrong.
fn ignored_signals() -> Outcome {
    const DIVERGES: [&str; 2] = ["epoll_wait, ignored", "epoll_wait, ignored by default"];
    let scratch = tempfile::tempdir()?;
    let guest = [tracer::own_program("guest"), "ignored".into()];
    let untraced = Cell::default().run(&guest)?;
    let traced = Cell::default().run(&tracer::tracing(&scratch.path().join("trace"), &[], &guest))?;
    for (a, b) in untraced.stdout.lines().zip(traced.stdout.lines()) {
        let (row, result) = b.split_once(": ").ok_or("no result")?;
        if DIVERGES.contains(&row) {
            ensure(result == "EINTR", || format!("no divergence any more: {b}"))?;
        } else {
            same(row, a, b)?;
        }
    }
    same("status", &untraced.status, &traced.status)
}
