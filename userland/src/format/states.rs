//! A Mermaid state diagram: the states each process was in, and how often it went from one to the next.
//!
//! It can be drawn only at the end; ^C and the end of the command are ends.

use std::collections::BTreeMap;

use kernel_model::abi::Pid;

use super::mermaid::{end_text, plain};
use super::processes::{Processes, Step, Told, note};
use crate::output::Output;
use crate::trace::view::{Happened, Needs, View};

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

/// Ends a process.
const END: &[u8] = b"    }\n";

type Lives = BTreeMap<u32, Life>;

/// The format.
pub struct States {
    processes: Processes,
    lives: Told<Lives>,
}

impl States {
    /// To this output, at its end.
    pub fn new(output: Output) -> States {
        output.in_parts(END); // half a process is no diagram
        let lives = Told::new(&output, diagram);
        States { processes: Processes::new(output), lives }
    }

    fn goes(&self, pid: Pid, to: &str, why: &str) {
        let mut lives = self.lives.lock();
        let life = lives.entry(pid.0).or_insert_with(|| Life { state: "[*]".to_owned(), ..Life::default() });
        let label = self.processes.people.label(pid);
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
        out.extend_from_slice(END);
    }
    out
}

impl View for States {
    fn needs(&self) -> Needs {
        Processes::NEEDS
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        let Some((pid, step)) = self.processes.step(happened) else { return };
        match step {
            Step::Born { by } => self.goes(pid, "running", &format!("born of {by}")),
            Step::Joins if self.lives.lock().contains_key(&pid.0) => {}
            Step::Joins => self.goes(pid, "running", "start"),
            Step::Named => {}
            Step::Calls(_) => self.goes(pid, "in_call", "call"),
            Step::Returns => self.goes(pid, "running", "result"),
            Step::Signal(signal) => self.goes(pid, "running", &signal.to_string()),
            Step::Stopped(signal) => self.goes(pid, "stopped", &signal.to_string()),
            Step::Execs => self.goes(pid, "running", "exec"),
            Step::Ends(status) => {
                self.goes(pid, "zombie", &end_text(status));
                self.goes(pid, "[*]", "waited for");
            }
            Step::Vanishes => self.goes(pid, "[*]", "ended by exec"),
        }
    }

    fn note(&mut self, text: &str) {
        note(text);
    }

    fn idle(&mut self, _: usize) {
        self.processes.idle();
    }
}
