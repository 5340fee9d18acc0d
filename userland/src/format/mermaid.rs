//! A Mermaid sequence diagram: processes as participants; births, programs, signals, waits and ends between them.
//!
//! Every line can be the last. Calls are not drawn, except those in which processes meet.

use kernel_model::abi::{Pid, Status};

use super::announce;
use super::people::{People, process};
use crate::output::Output;
use crate::trace::view::{Ended, Happened, Needs, Outcome, View, What};

/// The format.
pub struct Sequence {
    output: Output,
    people: People,
    /// Participants that stand in the diagram.
    drawn: Vec<Pid>,
    /// Ends that nobody has waited for yet.
    ended: Vec<(Pid, String)>,
}

/// How a process ended, in few words.
pub fn end_text(status: Status) -> String {
    match status.signal() {
        Some(signal) => format!("killed by {signal}"),
        None => format!("exit {}", status.code().unwrap_or(0)),
    }
}

/// Text that means nothing to Mermaid: other characters by number.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_alphanumeric() || " ./_-+=()[],".contains(char) {
            out.push(char);
        } else {
            out.push_str(&format!("#{};", u32::from(char)));
        }
    }
    out
}

impl Sequence {
    /// To this output.
    pub fn new(output: Output) -> Sequence {
        output.put(b"sequenceDiagram\n");
        Sequence { output, people: People::default(), drawn: Vec::new(), ended: Vec::new() }
    }

    fn line(&self, text: &str) {
        self.output.put(format!("    {text}\n").as_bytes());
    }

    fn draw(&mut self, pid: Pid) {
        if !self.drawn.contains(&pid) {
            self.drawn.push(pid);
            self.line(&format!("participant P{pid} as {}", plain(&self.people.label(pid))));
        }
    }

    fn over(&mut self, pid: Pid, text: &str) {
        self.draw(pid);
        self.line(&format!("Note over P{pid}: {}", plain(text)));
    }

    fn arrow(&mut self, from: Pid, arrow: &str, to: Pid, text: &str) {
        self.draw(from);
        self.draw(to);
        self.line(&format!("P{from}{arrow}P{to}: {}", plain(text)));
    }

    fn call(&mut self, to: Pid, ended: &Ended<'_>) {
        let name = &*ended.call.name;
        if let (Outcome::Value(child @ 1..), "wait4" | "waitpid" | "wait") = (ended.outcome, name) {
            let Ok(child) = u32::try_from(child) else { return };
            if let Some(at) = self.ended.iter().position(|(pid, _)| pid.0 == child) {
                let (child, text) = self.ended.swap_remove(at);
                self.arrow(child, "-->>", to, &format!("{name}, {text}"));
            }
        }
    }
}

impl View for Sequence {
    fn needs(&self) -> Needs {
        Needs {
            arguments: true,
            joined: true,
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
        match &happened.what {
            What::Born { child, process } => {
                if self.people.born(who, *child, *process) {
                    self.arrow(pid, "->>", *child, "fork");
                } else {
                    self.over(pid, &format!("thread {child}"));
                }
            }
            What::Program(path) => {
                // A child runs what its parent runs until it says otherwise.
                let known = self.drawn.contains(&pid) && self.people.program(pid) == base(path);
                self.people.runs(pid, path);
                if self.drawn.contains(&pid) && !known {
                    self.over(pid, &format!("exec {path}"));
                } else {
                    self.draw(pid);
                }
            }
            What::Ends(ended) => {
                if matches!(ended.outcome, Outcome::Value(_))
                    && let Some((to, signal)) = self.people.may_send(who, &ended.call)
                {
                    self.arrow(pid, "-)", process(to), &signal.to_string());
                }
                self.call(pid, ended);
            }
            What::Signal { signal, .. } => match self.people.sender(who, *signal) {
                Some(sender) => self.arrow(sender, "-)", pid, &signal.to_string()),
                None => self.over(pid, &signal.to_string()),
            },
            What::Stopped(signal) => self.over(pid, &format!("stopped by {signal}")),
            What::Dies(Some(status)) if who.pid == pid => {
                self.over(pid, &end_text(*status));
                self.ended.push((pid, end_text(*status)));
            }
            What::LetGo(_) => self.over(pid, "detached"),
            What::Joins(how) => announce(&self.output, who, *how),
            What::Begins(_) | What::Image | What::Superseded { .. } | What::Dies(_) | What::Leaves => {}
        }
    }

    fn note(&mut self, text: &str) {
        put!(&mut std::io::stderr(), "tracefd: {text}\n");
    }

    fn idle(&mut self, _: usize) {
        self.output.idle();
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
