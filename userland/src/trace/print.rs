//! Lines as strace prints them: a call is begun when it is made and ended when it returns, on one line if nothing comes
//! between, else on two (`<unfinished ...>`, `<... name resumed>`).
//!
//! [`Printer`] knows whose line is open, and nothing about tasks but a key and a pid.

use kernel_model::abi::Pid;

use super::moment::{Moment, Stamps, Times};
use crate::output::Output;

/// Results are aligned here unless `-a` says otherwise, as strace aligns them.
pub const RESULT_COLUMN: usize = 40;

/// Which pids are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// `[pid 4711] `, while more than one task is traced: for people who watch.
    Several,
    /// `4711  ` always: for files, where every line has to stand alone.
    Always,
    /// None: one task only, ever.
    #[default]
    Never,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Which pids are shown.
    pub prefix: Prefix,
    /// Which times are shown.
    pub times: Times,
    /// `-n`: the call's number.
    pub number: bool,
    /// `-i`: the program counter.
    pub pc: bool,
    /// `-a`: where results are aligned.
    pub column: usize,
    /// Escape sequences of a terminal.
    pub color: bool,
}

impl Default for Style {
    fn default() -> Style {
        let (prefix, times) = (Prefix::Never, Times::default());
        Style { prefix, times, number: false, pc: false, column: RESULT_COLUMN, color: false }
    }
}

/// What a line begins with, as far as the style shows it.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Tells tasks apart; outlives a change of pid.
    pub key: usize,
    /// Is shown.
    pub pid: Pid,
    /// When.
    pub now: Moment,
    /// The number of the call it is in, or was in last.
    pub number: u64,
    /// The program counter, where known.
    pub pc: Option<u64>,
}

/// What a piece of a line is, for people who see colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tint {
    /// As everything else.
    Plain,
    /// A call's name.
    Name,
    /// An error.
    Error,
    /// A signal.
    Signal,
    /// An end.
    End,
}

impl Tint {
    /// ECMA-48, Select Graphic Rendition: the 8 colors every terminal has, so that its theme decides.
    fn code(self) -> &'static str {
        match self {
            Tint::Plain => "",
            Tint::Name => "\x1b[36m",
            Tint::Error => "\x1b[31m",
            Tint::Signal => "\x1b[33m",
            Tint::End => "\x1b[35m",
        }
    }
}

/// Writes lines.
pub struct Printer {
    output: Output,
    style: Style,
    stamps: Stamps,
    /// How many tasks are traced now.
    pub tasks: usize,
    /// Whose line is open.
    open: Option<usize>,
    column: usize,
    /// The latest line's pid, and how such lines begin.
    lead: (Pid, String),
    /// Used again for each piece, so that no call allocates.
    piece: Vec<u8>,
}

impl Printer {
    /// A printer with no open line.
    pub fn new(output: Output, style: Style) -> Printer {
        let stamps = Stamps::new(style.times);
        Printer {
            output,
            style,
            stamps,
            tasks: 0,
            open: None,
            column: 0,
            lead: (Pid(0), String::new()),
            piece: Vec::with_capacity(512),
        }
    }

    /// Whether the open line is this task's.
    pub fn is_open(&self, key: usize) -> bool {
        self.open == Some(key)
    }

    /// Begins a line that stays open: `name(arguments`.
    pub fn begin(&mut self, head: &Head, text: &[u8]) {
        self.interrupt();
        self.lead(head);
        let start = self.piece.len();
        let name = text.iter().position(|&byte| byte == b'(').unwrap_or(0);
        self.tinted(Tint::Name, &text[..name]);
        let hidden = self.piece.len() - start - name;
        self.piece.extend_from_slice(&text[name..]);
        let line = self.piece.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.column = self.piece.len() - line - hidden;
        self.open = Some(head.key);
        self.put();
    }

    /// Ends the line of a call, or a second one if the first was ended by another: `rest) = result`.
    pub fn end(&mut self, head: &Head, name: &str, rest: &[u8], result: (Tint, &[u8]), after: &[u8]) {
        if self.open != Some(head.key) {
            self.interrupt();
            self.lead(head);
            put!(&mut self.piece, "<... {name} resumed>");
            self.column = self.piece.len();
        }
        self.piece.extend_from_slice(rest);
        self.piece.extend_from_slice(b") ");
        self.column += rest.len() + 2;
        let gap = self.style.column.saturating_sub(self.column);
        self.piece.resize(self.piece.len() + gap, b' ');
        self.piece.extend_from_slice(b"= ");
        self.tinted(result.0, result.1);
        self.piece.extend_from_slice(after);
        self.piece.push(b'\n');
        self.open = None;
        self.put();
    }

    /// Ends the line of a call that nobody will see the end of.
    pub fn detach(&mut self, head: &Head, name: &str) {
        if self.open != Some(head.key) {
            self.interrupt();
            self.lead(head);
            put!(&mut self.piece, "<... {name} resumed>");
        }
        self.piece.extend_from_slice(b" <detached ...>\n");
        self.open = None;
        self.put();
    }

    /// A whole line.
    pub fn line(&mut self, head: &Head, tint: Tint, text: &[u8]) {
        self.interrupt();
        self.lead(head);
        self.tinted(tint, text);
        self.piece.push(b'\n');
        self.put();
    }

    /// Whole lines that belong to the one before.
    pub fn lines(&mut self, text: &[u8]) {
        self.output.put(text);
    }

    /// A whole line about the tool's own doings.
    pub fn note(&mut self, text: &str) {
        self.interrupt();
        put!(&mut self.piece, "tracefd: {text}\n");
        self.put();
    }

    /// Ends whatever line is open, now.
    pub fn close_line(&mut self) {
        self.interrupt();
        self.put();
    }

    /// Ends whatever line is open, together with what comes next.
    fn interrupt(&mut self) {
        if self.open.take().is_some() {
            self.piece.extend_from_slice(b" <unfinished ...>\n");
        }
    }

    /// The tool is about to wait.
    pub fn idle(&mut self) {
        self.output.idle();
    }

    /// Nothing more will come: a file of its own is closed.
    pub fn finish(&mut self) {
        self.close_line();
        self.output.finish("");
    }

    fn tinted(&mut self, tint: Tint, text: &[u8]) {
        if self.style.color && tint != Tint::Plain {
            self.piece.extend_from_slice(tint.code().as_bytes());
            self.piece.extend_from_slice(text);
            self.piece.extend_from_slice(b"\x1b[0m");
        } else {
            self.piece.extend_from_slice(text);
        }
    }

    fn lead(&mut self, head: &Head) {
        match self.style.prefix {
            Prefix::Always => {
                if self.lead.0 != head.pid {
                    self.lead = (head.pid, format!("{:<5} ", head.pid.0));
                }
                self.piece.extend_from_slice(self.lead.1.as_bytes());
            }
            Prefix::Several if self.tasks > 1 => put!(&mut self.piece, "[pid {:>5}] ", head.pid.0),
            Prefix::Several | Prefix::Never => {}
        }
        if self.style.times.lead() {
            self.stamps.put(&mut self.piece, head.now);
        }
        if self.style.number {
            put!(&mut self.piece, "[{:>4}] ", head.number);
        }
        if self.style.pc {
            match head.pc {
                Some(pc) => put!(&mut self.piece, "[{pc:016x}] "),
                None => self.piece.extend_from_slice(b"[????????????????] "),
            }
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

    fn head(key: usize, pid: u32) -> Head {
        Head { key, pid: Pid(pid), now: Moment::now(), number: 39, pc: None }
    }

    fn printer(captured: &Captured, style: Style) -> Printer {
        Printer::new(captured.output(), style)
    }

    #[test]
    fn a_call_that_nothing_interrupts_is_one_line() {
        let captured = Captured::default();
        let mut printer = printer(&captured, Style { prefix: Prefix::Several, ..Style::default() });
        printer.tasks = 1;
        printer.begin(&head(0, 7), b"getpid(");
        printer.end(&head(0, 7), "getpid", b"", (Tint::Plain, b"7"), b"");
        assert_eq!(captured.text(), "getpid()                                = 7\n");
    }

    #[test]
    fn a_call_that_another_interrupts_is_two() {
        let captured = Captured::default();
        let mut printer = printer(&captured, Style { prefix: Prefix::Several, ..Style::default() });
        printer.tasks = 2;
        printer.begin(&head(0, 7), b"read(0");
        printer.begin(&head(1, 12345), b"getpid(");
        printer.end(&head(1, 12345), "getpid", b"", (Tint::Plain, b"12345"), b"");
        printer.end(&head(0, 7), "read", b"", (Tint::Plain, b"1"), b"");
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
        let mut printer = printer(&captured, Style { prefix: Prefix::Always, ..Style::default() });
        printer.line(&head(0, 7), Tint::End, b"+++ exited with 0 +++");
        printer.begin(&head(1, 12345), b"pause(");
        printer.note("process 9 attached");
        assert_eq!(
            captured.text(),
            "7     +++ exited with 0 +++\n12345 pause( <unfinished ...>\ntracefd: process 9 attached\n"
        );
    }

    #[test]
    fn numbers_counters_and_colors_do_not_move_the_results() {
        let captured = Captured::default();
        let style = Style { number: true, pc: true, column: 50, color: true, ..Style::default() };
        let mut printer = printer(&captured, style);
        printer.begin(&Head { pc: Some(0x7f00), ..head(0, 7) }, b"getpid(");
        printer.end(&head(0, 7), "getpid", b"", (Tint::Error, b"-1"), b" <0.000001>");
        printer.line(&head(0, 7), Tint::Plain, b"end");
        assert_eq!(
            captured.text(),
            "[  39] [0000000000007f00] \x1b[36mgetpid\x1b[0m()                = \x1b[31m-1\x1b[0m <0.000001>\n\
             [  39] [????????????????] end\n"
        );
    }
}
