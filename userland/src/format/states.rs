//! A Mermaid state diagram: the states each process was in, and how often it went from one to the next.
//!
//! It can be drawn only at the end; ^C and the end of the command are ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kernel_model::abi::Pid;

use super::announce;
use super::mermaid::{end_text, plain};
use super::people::{People, process};
use crate::output::Output;
use crate::trace::view::{Happened, Needs, View, What};

/// A state, by the name it has in the diagram.
type State = String;

#[derive(Default)]
struct Life {
    label: String,
    state: State,
    /// From, to: how it came about, and how often.
    steps: BTreeMap<(State, State), BTreeMap<String, u64>>,
}

impl Life {
    fn goes(&mut self, to: &str, why: &str) {
        let from = std::mem::replace(&mut self.state, to.to_owned());
        *self.steps.entry((from, to.to_owned())).or_default().entry(why.to_owned()).or_default() += 1;
    }
}

type Lives = BTreeMap<u32, Life>;

/// The format.
pub struct States {
    output: Output,
    people: People,
    lives: Arc<Mutex<Lives>>,
}

impl States {
    /// To this output, at its end.
    pub fn new(output: Output) -> States {
        let lives = Arc::<Mutex<Lives>>::default();
        let at_end = Arc::clone(&lives);
        output.at_end(move || diagram(&at_end.lock().unwrap_or_else(PoisonError::into_inner)));
        States { output, people: People::default(), lives }
    }

    fn goes(&self, pid: Pid, to: &str, why: &str) {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        let life = lives.entry(pid.0).or_insert_with(|| Life { state: "[*]".to_owned(), ..Life::default() });
        let label = self.people.label(pid);
        if life.label != label {
            life.label = label;
        }
        life.goes(to, why);
    }
}

/// States of one process have its pid in their names: names are global in a diagram.
fn diagram(lives: &Lives) -> Vec<u8> {
    let mut out = b"stateDiagram-v2\n".to_vec();
    for (pid, life) in lives {
        put!(&mut out, "    state \"{}\" as P{pid} {{\n", plain(&life.label));
        let name = |state: &str| if state == "[*]" { state.to_owned() } else { format!("P{pid}_{state}") };
        for ((from, to), whys) in &life.steps {
            let whys: Vec<_> = whys
                .iter()
                .map(|(why, count)| if *count == 1 { why.clone() } else { format!("{why} x{count}") })
                .collect();
            put!(&mut out, "        {} --> {} : {}\n", name(from), name(to), plain(&whys.join(", ")));
        }
        out.extend_from_slice(b"    }\n");
    }
    out
}

impl View for States {
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
            self.goes(*child, "running", &format!("born of {pid}"));
        }
        if who.pid != pid {
            return; // a process's state is its first thread's
        }
        match &happened.what {
            What::Program(path) => self.people.runs(pid, path),
            What::Joins(how) => {
                announce(&self.output, who, *how);
                let known = self.lives.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&pid.0);
                if !known {
                    self.goes(pid, "running", "start");
                }
            }
            What::Begins(_) => self.goes(pid, "in_call", "call"),
            What::Ends(_) => self.goes(pid, "running", "result"),
            What::Signal { signal, .. } => self.goes(pid, "running", &signal.to_string()),
            What::Stopped(signal) => self.goes(pid, "stopped", &signal.to_string()),
            What::Image => self.goes(pid, "running", "exec"),
            What::Dies(Some(status)) => {
                self.goes(pid, "zombie", &end_text(*status));
                self.goes(pid, "[*]", "waited for");
            }
            What::Dies(None) | What::Superseded { .. } => self.goes(pid, "[*]", "ended by exec"),
            What::Born { .. } | What::Leaves => {}
        }
    }

    fn note(&mut self, text: &str) {
        put!(&mut std::io::stderr(), "tracefd: {text}\n");
    }

    fn idle(&mut self, _: usize) {
        self.output.idle();
    }
}
