//! The processes as a listing in the manner of xv6's ^P: pid, state, name; children below their parent, indented.
//!
//! It is what a console would show at the end: after ^C some still run, after the command's end all are zombies.

use std::collections::BTreeMap;

use kernel_model::abi::Pid;

use super::mermaid::end_text;
use super::processes::{Processes, Step, Told, note};
use crate::output::Output;
use crate::trace::view::{Happened, Needs, View};

struct Entry {
    parent: Option<Pid>,
    state: &'static str,
    name: String,
    /// What it sleeps in, or how it ended.
    rest: String,
}

type Entries = BTreeMap<Pid, Entry>;

/// The format.
pub struct Listing {
    processes: Processes,
    entries: Told<Entries>,
}

impl Listing {
    /// To this output, at its end.
    pub fn new(output: Output) -> Listing {
        let entries = Told::new(&output, listing);
        Listing { processes: Processes::new(output), entries }
    }

    fn is(&self, pid: Pid, state: &'static str, rest: &str) {
        let mut entries = self.entries.lock();
        let parent = self.processes.people.parent(pid);
        let entry = entries.entry(pid).or_insert_with(|| Entry {
            parent,
            state,
            name: String::new(),
            rest: String::new(),
        });
        entry.state = state;
        entry.rest.clear();
        entry.rest.push_str(rest);
        let name = self.processes.people.program(pid);
        if entry.name != name {
            name.clone_into(&mut entry.name);
        }
    }
}

fn listing(entries: &Entries) -> Vec<u8> {
    let mut out = Vec::new();
    // By hand, so that a deep tree needs no deep stack. The last pushed comes first.
    let mut children: BTreeMap<Option<Pid>, Vec<Pid>> = BTreeMap::new();
    for (pid, entry) in entries {
        let parent = entry.parent.filter(|parent| entries.contains_key(parent) && parent != pid);
        children.entry(parent).or_default().push(*pid);
    }
    let mut next: Vec<_> =
        children.remove(&None).unwrap_or_default().into_iter().rev().map(|pid| (pid, 0)).collect();
    while let Some((pid, depth)) = next.pop() {
        let Entry { state, name, rest, .. } = &entries[&pid];
        let line = format!("{:depth$}{pid} {state:<6} {name} {rest}", "", depth = 2 * depth);
        put!(&mut out, "{}\n", line.trim_end());
        let below = children.remove(&Some(pid)).unwrap_or_default();
        next.extend(below.into_iter().rev().map(|child| (child, depth + 1)));
    }
    out
}

impl View for Listing {
    fn needs(&self) -> Needs {
        Processes::NEEDS
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        let Some((pid, step)) = self.processes.step(happened) else { return };
        match step {
            Step::Born { .. } | Step::Named => self.is(pid, "runble", ""),
            Step::Joins | Step::Execs | Step::Returns => self.is(pid, "run", ""),
            Step::Calls(name) => self.is(pid, "sleep", name),
            Step::Stopped(signal) => self.is(pid, "sleep", &format!("stopped by {signal}")),
            Step::Ends(status) => self.is(pid, "zombie", &end_text(status)),
            Step::Vanishes => self.is(pid, "unused", ""),
            Step::Signal(_) => {}
        }
    }

    fn note(&mut self, text: &str) {
        note(text);
    }

    fn idle(&mut self, _: usize) {
        self.processes.idle();
    }
}
