//! A Chrome trace: the array form of the Trace Event Format, which trace viewers open. A track per thread, a slice per call,
//! arrows from births and signals.
//!
//! The array form needs no closing bracket, so the file is good even if the tool is killed. A slice is written when its call is
//! over: calls that a killed tool saw begin only are missing.

use serde_json::{Value, json};

use super::announce;
use super::people::{People, process};
use crate::output::Output;
use crate::trace::moment::Moment;
use crate::trace::view::{Ended, Happened, Needs, Outcome, View, What, Who};

/// The format.
pub struct Chrome {
    output: Output,
    people: People,
    /// Flows by the task that they lead to.
    arrows: u64,
    /// Births whose child has not begun yet: its pid and its arrow.
    births: Vec<(u32, u64)>,
    line: Vec<u8>,
    first: bool,
}

impl Chrome {
    /// To this output.
    pub fn new(output: Output) -> Chrome {
        output.closed_by(b"]\n");
        output.put(b"[\n");
        let (people, births, line) = (People::default(), Vec::new(), Vec::new());
        Chrome { output, people, arrows: 0, births, line, first: true }
    }

    /// One event; each begins with the comma of the one before, so that the last has none.
    fn put(&mut self, who: Who, now: Moment, mut event: Value) {
        let fields = json!({ "pid": process(who).0, "tid": who.pid.0, "ts": now.micros() });
        if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
            for (name, value) in fields {
                event.entry(name).or_insert(value);
            }
        }
        self.line.clear();
        self.line.extend_from_slice(if self.first { b"" } else { b"," });
        self.first = false;
        if serde_json::to_writer(&mut self.line, &event).is_ok() {
            self.line.push(b'\n');
            self.output.put(&self.line);
        }
    }

    fn call(&mut self, who: Who, now: Moment, ended: &Ended<'_>) {
        let Some(began) = ended.began else { return };
        let dur = ended.spent.unwrap_or_default().as_nanos() as f64 / 1000.0;
        let text = String::from_utf8_lossy(ended.call.text) + String::from_utf8_lossy(ended.rest);
        let result = String::from_utf8_lossy(ended.result);
        let args = json!({ "call": format!("{text})"), "result": result });
        let failed = matches!(ended.outcome, Outcome::Error(_));
        let mut event = json!({
            "name": ended.call.name, "cat": "call", "ph": "X", "ts": began.micros(), "dur": dur, "args": args
        });
        if failed {
            event["cname"] = json!("terrible"); // one of the viewer's reserved colors
        }
        self.put(who, now, event);
        if !failed && let Some((to, _)) = self.people.may_send(who, &ended.call) {
            self.arrows += 1;
            self.arrow(who, began, "signal", false, self.arrows);
            self.mark(to, now, "signal");
            self.arrow(to, now, "signal", true, self.arrows);
        }
    }

    /// A slice to which an arrow can be tied: an arrow needs one at either end.
    fn mark(&mut self, who: Who, now: Moment, name: &str) {
        self.put(who, now, json!({ "name": name, "cat": "mark", "ph": "X", "dur": 1 }));
    }

    fn arrow(&mut self, who: Who, now: Moment, name: &str, end: bool, id: u64) {
        let mut event = json!({ "name": name, "cat": name, "ph": if end { "f" } else { "s" }, "id": id });
        if end {
            event["bp"] = json!("e");
        }
        self.put(who, now, event);
    }

    fn name(&mut self, who: Who, now: Moment) {
        let label = self.people.label(process(who));
        self.put(who, now, json!({ "name": "process_name", "ph": "M", "args": { "name": label } }));
    }
}

impl View for Chrome {
    fn needs(&self) -> Needs {
        Needs {
            arguments: true,
            joined: true,
            times: true,
            pc: false,
            origins: false,
            programs: true,
            ends: false,
        }
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        let (who, now) = (happened.who, happened.now);
        match &happened.what {
            What::Joins(how) => {
                announce(&self.output, who, *how);
                self.mark(who, now, "start");
                if let Some(at) = self.births.iter().position(|(pid, _)| *pid == who.pid.0) {
                    let (_, arrow) = self.births.swap_remove(at);
                    self.arrow(who, now, "birth", true, arrow);
                }
            }
            What::Born { child, process } => {
                self.people.born(who, *child, *process);
                self.arrows += 1;
                self.arrow(who, now, "birth", false, self.arrows);
                self.births.push((child.0, self.arrows));
            }
            What::Program(path) => {
                self.people.runs(process(who), path);
                self.name(who, now);
            }
            What::Ends(ended) => self.call(who, now, ended),
            What::Signal { signal, .. } => {
                self.mark(who, now, &signal.to_string());
                if let Some(sender) = self.people.sender(who, *signal) {
                    self.arrows += 1;
                    let from = Who { pid: sender, process: Some(sender), ..who };
                    self.mark(from, now, &format!("{signal} to {}", who.pid));
                    self.arrow(from, now, "signal", false, self.arrows);
                    self.arrow(who, now, "signal", true, self.arrows);
                }
            }
            What::Stopped(signal) => self.mark(who, now, &format!("stopped by {signal}")),
            What::Image => self.mark(who, now, "exec"),
            What::Dies(Some(status)) => {
                let text = match status.signal() {
                    Some(signal) => format!("killed by {signal}"),
                    None => format!("exit {}", status.code().unwrap_or(0)),
                };
                self.mark(who, now, &text);
            }
            What::Dies(None) | What::Superseded { .. } => self.mark(who, now, "ended by exec"),
            What::LetGo(_) => self.mark(who, now, "detached"),
            What::Begins(_) | What::Leaves => {}
        }
    }

    fn note(&mut self, text: &str) {
        put!(&mut std::io::stderr(), "tracefd: {text}\n");
    }

    fn idle(&mut self, _: usize) {
        self.output.idle();
    }
}
