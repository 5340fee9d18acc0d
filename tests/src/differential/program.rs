//! [`Op`]: what a tracee can do, and [`text`], the same in the simulator's language.
//!
//! Every program ends: there is no loop, each child is waited for, and a pipe is written before it is read or closed by
//! all who could write. A fixed prologue gives tracers two addresses that mean the same in every program, [`TICK`] and
//! [`SLOT`]. Parents hold SIGCHLD back: whether it comes before or in their wait4 is a matter of speed.

use std::fmt::Write;

/// A subroutine of one `nop`: where a tracer may plant an int3.
pub const TICK: u64 = 0x40_0000;
/// A word for tracers to write and programs to test.
pub const SLOT: u64 = 0x60_0000;
/// The set that holds SIGCHLD back. A call that uses it must be made.
pub const HELD_BACK: u64 = SLOT + 8;
/// A page whose protection changes.
const PAGE: u64 = 0x60_1000;

/// What a signal is to do.
#[derive(Clone, Copy, Debug)]
pub enum Disposition {
    /// The default.
    Default,
    /// Nothing.
    Ignore,
    /// A handler that writes.
    Handle,
    /// The same, once.
    Once,
    /// The same, with its own signal let in.
    Nest,
}

/// How parent and child speak.
#[derive(Clone, Copy, Debug)]
pub enum Talk {
    /// Not.
    Silent,
    /// The child reads what the parent writes.
    Down,
    /// The parent reads what the child writes.
    Up,
}

/// One thing that a program does.
#[derive(Clone, Debug)]
pub enum Op {
    /// A call without arguments.
    Call(&'static str),
    /// getuid, and writes one thing or the other for what it gave.
    TestUid(u64),
    /// The same for the word at [`SLOT`].
    TestSlot(u64),
    /// rt_sigprocmask.
    Mask(&'static str, &'static str),
    /// rt_sigaction.
    Action(&'static str, Disposition),
    /// kill, of itself.
    Kill(&'static str),
    /// write, to the output.
    Say,
    /// Goes through [`TICK`].
    Tick,
    /// int3.
    Trap,
    /// mprotect of a page: writable or not.
    Protect(bool),
    /// Writes to that page.
    Store,
    /// Arithmetic, for its flags.
    Compute(u64),
    /// fork, perhaps a word through a pipe, wait4; the child ends with this code.
    Child(Talk, Vec<Op>, u8),
}

/// How a program's main line ends.
#[derive(Clone, Debug)]
pub enum End {
    /// exit.
    Exit(u8),
    /// execve of the file's second program, which does this.
    Exec(Vec<Op>, u8),
}

/// Whether there are children.
pub fn forks(ops: &[Op]) -> bool {
    ops.iter().any(|op| matches!(op, Op::Child(..)))
}

/// The file of programs.
pub fn text(ops: &[Op], end: &End) -> String {
    let mut all = Writer::default();
    match end {
        End::Exit(code) => all.program("main", 'm', ops, &format!("sys exit, {code}")),
        End::Exec(then, code) => {
            all.program("main", 'm', ops, "sys execve, other, 0, 0\n    sys exit, 99");
            all.program("other", 'o', then, &format!("sys exit, {code}"));
        }
    }
    all.out
}

const SIGNALS: [&str; 4] = ["usr1", "usr2", "urg", "trap"];

#[derive(Default)]
struct Writer {
    out: String,
    data: String,
    labels: usize,
    children: u8,
}

impl Writer {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "    {text}");
    }

    fn label(&mut self, what: &str) -> String {
        self.labels += 1;
        format!("{what}{}", self.labels)
    }

    fn program(&mut self, name: &str, who: char, ops: &[Op], end: &str) {
        let _ = writeln!(self.out, "program {name}\n.text\ntick:");
        self.line("nop\n    ret\nhandler:");
        self.line("sys write, 1, handled, 3\n    ret\nrestorer:");
        self.line("sys rt_sigreturn\nstart:");
        self.line("sys rt_sigprocmask, sig.block, held_back, 0, 8");
        self.ops(ops, who);
        self.line(end);
        let _ = writeln!(
            self.out,
            ".data\nslot: .word 0\nheld_back: .word bit.chld\nstatus: .word 0\npair: .word 0"
        );
        let _ = writeln!(self.out, "buffer: .word 0\nhandled: .asciz \"h0\\n\"");
        for (kind, handler, flags) in [
            ("default", "0", ""),
            ("ignore", "1", ""),
            ("handle", "handler", ""),
            ("once", "handler", "+sa.resethand"),
            ("nest", "handler", "+sa.nodefer"),
        ] {
            let _ = writeln!(self.out, "{kind}: .word {handler}, sa.restorer{flags}, restorer, 0");
        }
        for signal in SIGNALS {
            let _ = writeln!(self.out, "set_{signal}: .word bit.{signal}");
        }
        if end.contains("execve") {
            let _ = writeln!(self.out, "other: .path other");
        }
        self.out += &std::mem::take(&mut self.data);
        let _ = writeln!(self.out, ".space 0x2000");
    }

    fn say(&mut self, who: char) {
        let label = self.label("text");
        let number = self.labels % 10;
        let _ = writeln!(self.data, "{label}: .asciz \"{who}{number}\\n\"");
        self.line(&format!("sys write, 1, {label}, 3"));
    }

    /// One thing if rax has the value, another if not.
    fn test(&mut self, who: char, value: u64) {
        let (other, done) = (self.label("other_"), self.label("done"));
        self.line(&format!("cmp rax, {value}"));
        self.line(&format!("jne {other}"));
        self.say(who);
        self.line(&format!("jmp {done}\n{other}:"));
        self.say(who);
        let _ = writeln!(self.out, "{done}:");
    }

    fn ops(&mut self, ops: &[Op], who: char) {
        for op in ops {
            self.op(op, who);
        }
    }

    fn op(&mut self, op: &Op, who: char) {
        match op {
            Op::Call(name) => self.line(&format!("sys {name}")),
            Op::TestUid(value) => {
                self.line("sys getuid");
                self.test(who, *value);
            }
            Op::TestSlot(value) => {
                self.line("mov rax, [slot]");
                self.test(who, *value);
            }
            Op::Mask(how, signal) => {
                self.line(&format!("sys rt_sigprocmask, sig.{how}, set_{signal}, 0, 8"));
            }
            Op::Action(signal, how) => {
                let action = format!("{how:?}").to_lowercase();
                self.line(&format!("sys rt_sigaction, sig.{signal}, {action}, 0, 8"));
            }
            Op::Kill(signal) => {
                self.line("sys getpid");
                self.line(&format!("sys kill, rax, sig.{signal}"));
            }
            Op::Say => self.say(who),
            Op::Tick => self.line("call tick"),
            Op::Trap => self.line("int3"),
            Op::Protect(writable) => {
                let bits = if *writable { "prot.read+prot.write" } else { "prot.read" };
                self.line(&format!("sys mprotect, {PAGE:#x}, 4096, {bits}"));
            }
            Op::Store => {
                self.line(&format!("mov rbx, {PAGE:#x}"));
                self.line("mov [rbx+8], rbx");
            }
            Op::Compute(value) => {
                self.line(&format!("mov rbx, {value}\n    mov r12, {}", value.rotate_left(7) >> 1));
                self.line("add rbx, r12\n    sub r12, rbx\n    xor rbx, r12\n    inc r12\n    cmp rbx, r12");
            }
            Op::Child(talk, ops, code) => self.child(*talk, ops, *code),
        }
    }

    fn child(&mut self, talk: Talk, ops: &[Op], code: u8) {
        let (child, born) = (self.label("child"), self.label("born"));
        let who = char::from(b'A' + self.children % 20);
        self.children += 1;
        let pipe = !matches!(talk, Talk::Silent);
        if pipe {
            self.line("sys pipe, pair");
        }
        self.line("sys fork\n    test rax, rax");
        self.line(&format!("je {child}"));
        self.line("mov rbp, rax");
        match talk {
            Talk::Silent => {}
            Talk::Down => self.line("sys close, 3\n    sys write, 4, held_back, 8\n    sys close, 4"),
            Talk::Up => self.line("sys close, 4\n    sys read, 3, buffer, 8\n    sys close, 3"),
        }
        self.line("sys wait4, rbp, status, 0, 0");
        self.line("mov rax, [status]");
        self.test('w', u64::from(code) << 8);
        self.line(&format!("jmp {born}\n{child}:"));
        match talk {
            Talk::Silent => {}
            Talk::Down => self.line("sys close, 4\n    sys read, 3, buffer, 8"),
            Talk::Up => self.line("sys close, 3\n    sys write, 4, held_back, 8\n    sys close, 4"),
        }
        self.ops(ops, who);
        self.line(&format!("sys exit, {code}\n{born}:"));
    }
}
