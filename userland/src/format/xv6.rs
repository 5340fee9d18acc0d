//! The processes as a listing in the manner of xv6's ^P: pid, state, name; children below their parent, indented.
//!
//! It is what a console would show at the end: after ^C some still run, after the command's end all are zombies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kernel_model::abi::Pid;

use super::announce;
use super::mermaid::end_text;
use super::people::{People, process};
use crate::output::Output;
use crate::trace::view::{Happened, Needs, View, What};

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
    output: Output,
    people: People,
    entries: Arc<Mutex<Entries>>,
}

impl Listing {
    /// To this output, at its end.
    pub fn new(output: Output) -> Listing {
        let entries = Arc::<Mutex<Entries>>::default();
        let at_end = Arc::clone(&entries);
        output.at_end(move || listing(&at_end.lock().unwrap_or_else(PoisonError::into_inner)));
        Listing { output, people: People::default(), entries }
    }

    fn is(&self, pid: Pid, state: &'static str, rest: &str) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let parent = self.people.parent(pid);
        let entry = entries.entry(pid).or_insert_with(|| Entry {
            parent,
            state,
            name: String::new(),
            rest: String::new(),
        });
        entry.state = state;
        entry.rest.clear();
        entry.rest.push_str(rest);
        let name = self.people.program(pid);
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
        Needs {
            arguments: false,
            joined: false,
            times: false,
            pc: false,
            origins: false,
            programs: true,
            ends: false,
        }
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        let who = happened.who;
        let pid = process(who);
        if let What::Born { child, process } = &happened.what
            && self.people.born(who, *child, *process)
        {
            self.is(*child, "runble", "");
        }
        if who.pid != pid {
            return; // a process's state is its first thread's
        }
        match &happened.what {
            What::Program(path) => {
                self.people.runs(pid, path);
                self.is(pid, "runble", "");
            }
            What::Begins(call) => self.is(pid, "sleep", &call.name),
            What::Joins(how) => {
                announce(&self.output, who, *how);
                self.is(pid, "run", "");
            }
            What::Image | What::Ends(_) => self.is(pid, "run", ""),
            What::Stopped(signal) => self.is(pid, "sleep", &format!("stopped by {signal}")),
            What::Dies(Some(status)) => self.is(pid, "zombie", &end_text(*status)),
            What::Dies(None) => self.is(pid, "unused", ""),
            What::Born { .. } | What::Signal { .. } | What::Superseded { .. } | What::Leaves => {}
        }
    }

    fn note(&mut self, text: &str) {
        put!(&mut std::io::stderr(), "tracefd: {text}\n");
    }

    fn idle(&mut self, _: usize) {
        self.output.idle();
    }
}
