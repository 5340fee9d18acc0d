//! Lines as strace prints them: a call is begun when it is made and ended when it returns, on one line if nothing comes
//! between, else on two (`<unfinished ...>`, `<... name resumed>`).
//!
//! [`Printer`] knows whose line is open, and nothing about tasks but a key and a pid.

use kernel_model::abi::Pid;

use crate::output::Output;

/// Results are aligned here, as strace aligns them.
const RESULT_COLUMN: usize = 40;
const SPACES: &[u8; RESULT_COLUMN] = &[b' '; RESULT_COLUMN];

/// Which pids are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `[pid 4711] `, while more than one task is traced: for people who watch.
    Several,
    /// `4711  ` always: for files, where every line has to stand alone.
    Always,
    /// None: one task only, ever.
    Never,
}

/// Who a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Tells tasks apart; outlives a change of pid.
    pub key: usize,
    /// Is shown.
    pub pid: Pid,
}

/// Writes lines.
pub struct Printer {
    output: Output,
    prefix: Prefix,
    /// How many tasks are traced now.
    pub tasks: usize,
    /// Whose line is open.
    open: Option<usize>,
    column: usize,
    /// Used again for each piece, so that no call allocates.
    piece: Vec<u8>,
}

impl Printer {
    /// A printer with no open line.
    pub fn new(output: Output, prefix: Prefix) -> Printer {
        Printer { output, prefix, tasks: 0, open: None, column: 0, piece: Vec::with_capacity(512) }
    }

    /// Whether the open line is this task's.
    pub fn is_open(&self, who: Who) -> bool {
        self.open == Some(who.key)
    }

    /// Begins a line that stays open: `name(arguments`.
    pub fn begin(&mut self, who: Who, text: impl FnOnce(&mut Vec<u8>)) {
        self.interrupt();
        self.lead(who.pid);
        text(&mut self.piece);
        self.column = self.piece.iter().rev().take_while(|&&byte| byte != b'\n').count();
        self.open = Some(who.key);
        self.put();
    }

    /// Ends the line of a call, or a second one if the first was ended by another: `) = result`.
    /// `rest` are the arguments that only its end can tell.
    pub fn end(
        &mut self,
        who: Who,
        name: &str,
        rest: impl FnOnce(&mut Vec<u8>),
        result: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.open != Some(who.key) {
            self.interrupt();
            self.lead(who.pid);
            put!(&mut self.piece, "<... {name} resumed>");
            self.column = 0;
        }
        rest(&mut self.piece);
        self.piece.extend_from_slice(b") ");
        self.column += self.piece.len();
        let gap = RESULT_COLUMN.saturating_sub(self.column);
        self.piece.extend_from_slice(&SPACES[..gap]);
        self.piece.extend_from_slice(b"= ");
        result(&mut self.piece);
        self.piece.push(b'\n');
        self.open = None;
        self.put();
    }

    /// A whole line.
    pub fn line(&mut self, who: Who, text: impl FnOnce(&mut Vec<u8>)) {
        self.interrupt();
        self.lead(who.pid);
        text(&mut self.piece);
        self.piece.push(b'\n');
        self.put();
    }

    /// A whole line about the tool's own doings.
    pub fn note(&mut self, text: impl FnOnce(&mut Vec<u8>)) {
        self.interrupt();
        self.piece.extend_from_slice(b"tracefd: ");
        text(&mut self.piece);
        self.piece.push(b'\n');
        self.put();
    }

    /// Ends whatever line is open.
    pub fn interrupt(&mut self) {
        if self.open.take().is_some() {
            self.piece.extend_from_slice(b" <unfinished ...>\n");
        }
    }

    /// The tool is about to wait.
    pub fn idle(&mut self) {
        self.output.idle();
    }

    fn lead(&mut self, pid: Pid) {
        match self.prefix {
            Prefix::Always => put!(&mut self.piece, "{:<5} ", pid.0),
            Prefix::Several if self.tasks > 1 => put!(&mut self.piece, "[pid {:>5}] ", pid.0),
            Prefix::Several | Prefix::Never => {}
        }
    }

    fn put(&mut self) {
        self.output.put(&self.piece);
        self.piece.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::testing::Captured;

    const A: Who = Who { key: 0, pid: Pid(7) };
    const B: Who = Who { key: 1, pid: Pid(12345) };

    #[test]
    fn a_call_that_nothing_interrupts_is_one_line() {
        let captured = Captured::default();
        let mut printer = Printer::new(captured.output(), Prefix::Several);
        printer.tasks = 1;
        printer.begin(A, |out| put!(out, "getpid("));
        printer.end(A, "getpid", |_| {}, |out| put!(out, "7"));
        assert_eq!(captured.text(), "getpid()                                = 7\n");
    }

    #[test]
    fn a_call_that_another_interrupts_is_two() {
        let captured = Captured::default();
        let mut printer = Printer::new(captured.output(), Prefix::Several);
        printer.tasks = 2;
        printer.begin(A, |out| put!(out, "read(0"));
        printer.begin(B, |out| put!(out, "getpid("));
        printer.end(B, "getpid", |_| {}, |out| put!(out, "12345"));
        printer.end(A, "read", |_| {}, |out| put!(out, "1"));
        assert_eq!(
            captured.text(),
            "[pid     7] read(0 <unfinished ...>\n\
             [pid 12345] getpid()                    = 12345\n\
             [pid     7] <... read resumed>)         = 1\n"
        );
    }

    #[test]
    fn files_have_the_pid_on_every_line() {
        let captured = Captured::default();
        let mut printer = Printer::new(captured.output(), Prefix::Always);
        printer.line(A, |out| put!(out, "+++ exited with 0 +++"));
        printer.begin(B, |out| put!(out, "pause("));
        printer.note(|out| put!(out, "process 9 attached"));
        assert_eq!(
            captured.text(),
            "7     +++ exited with 0 +++\n12345 pause( <unfinished ...>\ntracefd: process 9 attached\n"
        );
    }
}
