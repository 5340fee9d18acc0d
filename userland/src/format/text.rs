//! Text as strace prints it: one line per call, signal and end; with `-ff` in one file per task.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use kernel_model::abi::{Pid, SigInfo, Signal};

use crate::decode::put_origin;
use crate::output::Output;
use crate::qualify::Quiet;
use crate::trace::print::{Head, Printer, Style, Tint};
use crate::trace::view::{Ended, Happened, Joined, Needs, Outcome, View, What, Who};

/// The format.
pub struct Text {
    to: To,
    style: Style,
    quiet: Quiet,
    /// A status filter is on: what becomes of a call decides whether its line is shown.
    joined: bool,
    /// The last call's number by key, for `-n`.
    numbers: HashMap<usize, u64>,
    scratch: Vec<u8>,
}

enum To {
    One {
        printer: Box<Printer>,
        to_file: bool,
    },
    /// `-ff`: by key.
    Each {
        printers: HashMap<usize, Printer>,
        base: PathBuf,
        first: Output,
    },
}

impl Text {
    /// All into one output. In a file every line is a traced task's: notes go to standard error.
    pub fn new(output: Output, style: Style, quiet: Quiet, to_file: bool) -> Text {
        Text::with(To::One { printer: Box::new(Printer::new(output, style)), to_file }, style, quiet)
    }

    /// `-ff`: one file `base.PID` per task, flushed and ended together with `first`.
    pub fn per_task(first: Output, base: PathBuf, style: Style, quiet: Quiet) -> Text {
        Text::with(To::Each { printers: HashMap::new(), base, first }, style, quiet)
    }

    fn with(to: To, style: Style, quiet: Quiet) -> Text {
        Text { to, style, quiet, joined: false, numbers: HashMap::new(), scratch: Vec::new() }
    }

    /// Calls are told when they are over.
    #[must_use]
    pub fn joined(mut self) -> Text {
        self.joined = true;
        self
    }

    fn printer(&mut self, who: Who) -> &mut Printer {
        match &mut self.to {
            To::One { printer, .. } => printer,
            To::Each { printers, base, first } => {
                let style = self.style;
                printers.entry(who.key).or_insert_with(|| file_of(first, base, who.pid, style))
            }
        }
    }

    fn end(&mut self, head: &Head, who: Who, ended: &Ended<'_>) {
        let mut after = std::mem::take(&mut self.scratch);
        after.clear();
        if ended.injected {
            after.extend_from_slice(b" (INJECTED)");
        }
        if ended.delayed {
            after.extend_from_slice(b" (DELAYED)");
        }
        let unit = self.style.times.spent.filter(|_| ended.outcome != Outcome::Never);
        if let (Some(unit), Some(spent)) = (unit, ended.spent) {
            put!(&mut after, " <{}", spent.as_secs());
            unit.put_fraction(&mut after, spent.subsec_nanos());
            after.push(b'>');
        }
        let tint = if matches!(ended.outcome, Outcome::Error(_)) { Tint::Error } else { Tint::Plain };
        let printer = self.printer(who);
        if !ended.call.text.is_empty() {
            printer.begin(head, ended.call.text);
        }
        if ended.cut {
            printer.close_line();
        } else {
            printer.end(head, &ended.call.name, ended.rest, (tint, ended.result), &after);
            printer.lines(ended.dump);
        }
        self.scratch = after;
    }

    fn line(&mut self, head: &Head, who: Who, tint: Tint, text: &str) {
        self.printer(who).line(head, tint, text.as_bytes());
    }
}

fn file_of(first: &Output, base: &std::path::Path, pid: Pid, style: Style) -> Printer {
    let mut path = base.as_os_str().to_owned();
    path.push(format!(".{pid}"));
    let path = PathBuf::from(path);
    let output = first.beside(&path).unwrap_or_else(|error| {
        put!(
            &mut io::stderr(),
            "tracefd: cannot write {}: {error}; its lines are not shown\n",
            path.display()
        );
        first.nowhere()
    });
    Printer::new(output, style)
}

/// `--- SIGCHLD {si_signo=SIGCHLD, …} ---`. Where nobody knows where it comes from, what will be done about it.
fn signal_text(signal: Signal, handler: u64, info: Option<&SigInfo>) -> Vec<u8> {
    let mut text = format!("--- {signal} ").into_bytes();
    match (info, handler) {
        (Some(info), _) => put_origin(&mut text, info),
        (None, 0) => text.extend_from_slice(b"{SIG_DFL}"),
        (None, 1) => text.extend_from_slice(b"{SIG_IGN}"),
        (None, u64::MAX) => text.extend_from_slice(b"{handler}"), // there is one, at an unknown address
        (None, address) => put!(&mut text, "{{{address:#x}}}"),
    }
    text.extend_from_slice(b" ---");
    text
}

impl View for Text {
    fn needs(&self) -> Needs {
        let (times, pc) = (self.style.times.any(), self.style.pc);
        Needs {
            arguments: true,
            joined: self.joined,
            times,
            pc,
            origins: true,
            programs: false,
            ends: !self.joined,
        }
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        let who = happened.who;
        let mut head = Head { key: who.key, pid: who.pid, now: happened.now, number: 0, pc: happened.pc };
        if let (true, What::Begins(call) | What::Ends(Ended { call, .. })) =
            (self.style.number, &happened.what)
        {
            self.numbers.insert(who.key, call.number);
        }
        if self.style.number {
            head.number = self.numbers.get(&who.key).copied().unwrap_or(0);
        }
        match &happened.what {
            What::Begins(call) => self.printer(who).begin(&head, call.text),
            What::Ends(ended) => self.end(&head, who, ended),
            What::Joins(Joined::Attached | Joined::Born) if !self.quiet.joins => {
                self.note(&format!("process {} attached", who.pid));
            }
            What::Signal { signal, handler, info } => {
                let text = signal_text(*signal, *handler, *info);
                self.printer(who).line(&head, Tint::Signal, &text);
            }
            What::Superseded { .. } if self.quiet.superseded => {}
            What::Superseded { by: Some(by) } => {
                self.line(&head, who, Tint::End, &format!("+++ superseded by execve in pid {by} +++"));
            }
            What::Superseded { by: None } => {
                self.line(&head, who, Tint::End, "+++ superseded by execve in another thread +++");
            }
            What::Stopped(signal) => {
                self.line(&head, who, Tint::Signal, &format!("--- stopped by {signal} ---"));
            }
            What::Dies(_) if self.quiet.ends => {}
            What::Dies(None) => {
                self.line(&head, who, Tint::End, "+++ ended by an execve of its process +++");
            }
            What::Dies(Some(status)) => {
                let core = if status.dumped() { " (core dumped)" } else { "" };
                let text = match status.signal() {
                    Some(signal) => format!("+++ killed by {signal}{core} +++"),
                    None => format!("+++ exited with {} +++", status.code().unwrap_or(0)),
                };
                self.line(&head, who, Tint::End, &text);
            }
            What::LetGo(call) => {
                if let Some(call) = call {
                    if !call.text.is_empty() {
                        self.printer(who).begin(&head, call.text);
                    }
                    self.printer(who).detach(&head, &call.name);
                }
                if !self.quiet.joins {
                    self.note(&format!("process {} detached", who.pid));
                }
            }
            What::Leaves => {
                self.numbers.remove(&who.key);
                match &mut self.to {
                    To::One { printer, .. } => {
                        if printer.is_open(who.key) {
                            printer.close_line();
                        }
                    }
                    To::Each { printers, .. } => {
                        if let Some(mut printer) = printers.remove(&who.key) {
                            printer.finish();
                        }
                    }
                }
            }
            What::Joins(_) | What::Born { .. } | What::Image | What::Program(_) => {}
        }
    }

    fn note(&mut self, text: &str) {
        match &mut self.to {
            To::One { printer, to_file: false } => printer.note(text),
            To::One { .. } | To::Each { .. } => put!(&mut io::stderr(), "tracefd: {text}\n"),
        }
    }

    fn idle(&mut self, tasks: usize) {
        match &mut self.to {
            To::One { printer, .. } => {
                printer.tasks = tasks;
                printer.idle();
            }
            To::Each { .. } => {}
        }
    }
}
