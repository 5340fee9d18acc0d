//! [`Session`]: one traced task: its handle, the rest of its script, and what was seen, in words that are the same on every
//! machine.
//!
//! Numbers of calls become names, pids and sequence ids their order of appearance. What a scenario says is narrowed here to
//! what is safe (a pid that a kill or a wait uses is never edited; a call on which another task waits is never skipped) and
//! to what both machines promise alike; each such place names the row of the RFC.

use kernel_model::abi::{Errno, IntRegisters, OpenFlags, Pid, PtraceEvent, PtraceFlags, SEEK_SET, Signal};
use kernel_model::client::{EventQueue, Handle};
use kernel_model::scenario::script::{Edit, Line, word};
use kernel_model::scheme::Host;
use zerocopy::{FromZeros, IntoBytes};

use super::machines::Calls;
use super::program::{HELD_BACK, SLOT, TICK};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const STEP: PtraceFlags = PtraceFlags::STOP_SINGLESTEP;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;
const BREAK: PtraceFlags = PtraceFlags::STOP_BREAKPOINT;
const EXIT: PtraceFlags = PtraceFlags::STOP_EXIT;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;
const IGNORE: PtraceFlags = PtraceFlags::FLAG_IGNORE;

/// Stops after which a task is let run, and steps after which there are no more.
const MOST_STOPS: usize = 400;
const MOST_STEPS: usize = 60;

/// Calls that nobody else waits for and whose result is no pid that is used.
const HARMLESS: [&str; 7] =
    ["getppid", "getuid", "sched_yield", "rt_sigprocmask", "rt_sigaction", "mprotect", "kill"];
const GIVES_PID: [&str; 4] = ["getpid", "getppid", "fork", "wait4"];
/// Carry, zero, sign, overflow. The auxiliary flag is undefined after logic, and parity may be a pid's.
const FLAGS: u64 = 0x8c1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Running,
    Done,
}

/// One traced task.
pub struct Session<'h> {
    host: &'h dyn Host,
    calls: &'h Calls,
    handle: Option<Handle<'h>>,
    queue: Option<&'h EventQueue<'h>>,
    pid: Pid,
    script: &'h [Line],
    next: usize,
    state: State,
    last: PtraceEvent,
    stops: usize,
    steps: usize,
    pids: Vec<u64>,
    ids: Vec<u64>,
    renumbered: Vec<u64>,
    killed: bool,
    experimental: bool,
    /// What was seen, a line each.
    pub seen: Vec<String>,
    /// Children that were offered since the last look.
    pub offered: Vec<Pid>,
}

impl<'h> Session<'h> {
    /// Opens a task that is held.
    pub fn open(
        host: &'h dyn Host,
        calls: &'h Calls,
        queue: Option<&'h EventQueue<'h>>,
        pid: Pid,
        script: &'h [Line],
        (experimental, exclusive): (bool, bool),
    ) -> Result<Session<'h>, Errno> {
        let mut flags = OpenFlags::O_RDWR;
        flags.set(OpenFlags::O_EXCL, exclusive);
        flags.set(OpenFlags::O_NONBLOCK, queue.is_some());
        let op = if experimental { "trace.x" } else { "trace" };
        let handle = Handle::open(host, &format!("proc:{pid}/{op}"), flags)?;
        if let Some(queue) = queue {
            queue.watch(handle.fd(), 0)?;
        }
        Ok(Session {
            host,
            calls,
            handle: Some(handle),
            queue,
            pid,
            script,
            next: 0,
            state: State::Held,
            last: PtraceEvent::default(),
            stops: 0,
            steps: 0,
            pids: vec![u64::from(pid.0)],
            ids: Vec::new(),
            renumbered: Vec::new(),
            killed: false,
            experimental,
            seen: Vec::new(),
            offered: Vec::new(),
        })
    }

    /// Whether nothing more is to be seen.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Goes on until there is nothing to read, a child was offered, or the end. Whether anything was done.
    pub fn advance(&mut self) -> bool {
        let mut moved = false;
        while self.offered.is_empty() {
            let result = match self.state {
                State::Done => return moved,
                State::Held => self.act(),
                State::Running => self.read(),
            };
            match result {
                Ok(()) => {}
                Err(Errno::EAGAIN) => return moved,
                Err(Errno::ESRCH) => self.end("gone"),
                Err(errno) => self.end(&format!("error {errno:?}")),
            }
            moved = true;
        }
        moved
    }

    fn end(&mut self, why: &str) {
        self.seen.push(why.into());
        self.state = State::Done;
        self.handle = None;
    }

    fn handle(&self) -> Result<&Handle<'h>, Errno> {
        self.handle.as_ref().ok_or(Errno::EBADF)
    }

    fn read(&mut self) -> Result<(), Errno> {
        let mut event = PtraceEvent::default();
        if self.handle()?.read(event.as_mut_bytes())? == 0 {
            return Err(Errno::EIO);
        }
        if event.cause() == CLONE {
            self.offered.push(Pid(event.a as u32));
        }
        let text = self.told(&event)?;
        // R42's and R43's row: on Linux SIGKILL ends a task without any further stop.
        if !(self.killed && event.cause() == EXIT) {
            self.seen.push(text);
        }
        if event.cause & PtraceFlags::STOP_MASK != 0 {
            self.last = event;
            self.state = State::Held;
            self.stops += 1;
            self.steps += usize::from(event.cause() == STEP);
        }
        Ok(())
    }

    fn regs(&self) -> Result<IntRegisters, Errno> {
        let mut regs = IntRegisters::new_zeroed();
        self.handle()?.dup("regs/int")?.read(regs.as_mut_bytes())?;
        Ok(regs)
    }

    fn set_regs(&self, regs: &IntRegisters) -> Result<(), Errno> {
        self.handle()?.dup("regs/int")?.write(regs.as_bytes()).map(drop)
    }

    fn mem(&self, address: u64) -> Result<Handle<'h>, Errno> {
        let mem = self.handle()?.dup("mem")?;
        self.host.seek(mem.fd(), address as i64, SEEK_SET)?;
        Ok(mem)
    }

    fn index(list: &mut Vec<u64>, value: u64) -> usize {
        list.iter().position(|known| *known == value).unwrap_or_else(|| {
            list.push(value);
            list.len() - 1
        })
    }

    fn pid_text(&mut self, value: u64) -> String {
        match value as i64 {
            1.. => format!("p{}", Session::index(&mut self.pids, value)),
            other => other.to_string(),
        }
    }

    /// An event, with the registers that both machines define there.
    fn told(&mut self, event: &PtraceEvent) -> Result<String, Errno> {
        let cause = event.cause();
        let name = word(cause);
        if cause == CLONE {
            return Ok(format!("{name} {}", self.pid_text(event.a)));
        }
        if cause == PtraceFlags::EVENT_IMAGE {
            return Ok(format!("{name} {}", self.pid_text(event.a)));
        }
        // Whether a core was dumped is the affair of limits and patterns, not of the tracer.
        let status = |status: u64| if status & 0x7f == 0 { status } else { status & !0x80 };
        if cause == PtraceFlags::EVENT_DEATH {
            return Ok(format!("{name} {:#x}", status(event.a)));
        }
        // A SIGKILL may end the stop at any moment.
        let regs = if self.killed { IntRegisters::default() } else { self.regs()? };
        Ok(match cause {
            PRE | POST => {
                let call = self.calls.name(event.d);
                let id = Session::index(&mut self.ids, event.e);
                let head = format!("{name} #{id} abi {}", event.f);
                if cause == PRE {
                    let arguments = self.arguments(&call, &regs);
                    format!("{head} {call}({arguments}) rip {:#x}", regs.rip)
                } else if self.renumbered.contains(&event.e) {
                    // RFC 0002, section 10: which number POST has then is open.
                    format!("{head} = {}", regs.rax as i64)
                } else if GIVES_PID.contains(&&*call) {
                    format!("{head} {call} = {}", self.pid_text(regs.rax))
                } else {
                    format!("{head} {call} = {}", regs.rax as i64)
                }
            }
            STEP => {
                format!("{name} rip {:#x} rbx {:#x} flags {:#x}", regs.rip, regs.rbx, regs.rflags & FLAGS)
            }
            // R41's row: a handler's address is not to be had on Linux.
            SIGNAL => {
                format!("{name} {} how {} rip {:#x} rbx {:#x}", event.a, event.b.min(2), regs.rip, regs.rbx)
            }
            EXIT => format!("{name} {:#x}", status(event.a)),
            _ => format!("{name} rip {:#x} r12 {:#x}", regs.rip, regs.r12),
        })
    }

    fn arguments(&mut self, call: &str, regs: &IntRegisters) -> String {
        let all = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
        let mut text = Vec::new();
        for value in all.into_iter().take(self.calls.arguments(call)) {
            let is_pid = text.is_empty() && matches!(call, "kill" | "wait4");
            text.push(if is_pid { self.pid_text(value) } else { format!("{:#x}", value as u32) });
        }
        text.join(", ")
    }

    fn line(&mut self) -> Line {
        let line = self.script.get(self.next).cloned();
        self.next += 1;
        line.unwrap_or_else(|| {
            let mask = self.script.last().map_or(PtraceFlags::empty(), |line| line.mask);
            Line { edits: Vec::new(), mask: mask - IGNORE }
        })
    }

    /// Whether the call that the task is about to make, or made, may be changed.
    fn is_free(&self, regs: &IntRegisters) -> bool {
        // POST of a call that was edited may have another number (RFC 0002, section 10).
        if self.renumbered.contains(&self.last.e) {
            return true;
        }
        let name = self.calls.name(self.last.d);
        match &*name {
            "rt_sigprocmask" => regs.rsi != HELD_BACK,
            "write" => regs.rdi == 1,
            name => HARMLESS.contains(&name),
        }
    }

    /// Does what the script says for this stop.
    fn act(&mut self) -> Result<(), Errno> {
        let line = self.line();
        let cause = self.last.cause();
        let free = matches!(cause, PRE | POST) && self.is_free(&self.regs()?);
        // Who closes writes no mask, and the call is made: with a number that each machine knows.
        let closes = line.edits.contains(&Edit::Close);
        let skips = line.mask.contains(IGNORE) && free && cause == PRE && !closes;
        if skips {
            // A skipped call gives the number that was in rax (R30): each machine's own, unless it is written.
            self.renumbered.push(self.last.e);
            self.edit(Edit::Result(0), free, skips)?;
        }
        for edit in &line.edits {
            self.edit(*edit, free, skips)?;
            if self.state == State::Done {
                return Ok(());
            }
        }
        let mask = self.mask(line.mask, free);
        if cause == BREAK && mask.contains(IGNORE) && !self.killed {
            self.past_the_trap()?;
        }
        self.state = State::Running;
        // Whether a write comes before the end of one that SIGKILL was sent to is a matter of speed.
        if !self.killed {
            let written = self.handle()?.write(&mask.bits().to_ne_bytes());
            if written != Ok(8) {
                self.seen.push(format!("write {written:?}"));
            }
        }
        if line.edits.contains(&Edit::CloseAfter) {
            self.end("closed");
        }
        Ok(())
    }

    fn mask(&self, mut mask: PtraceFlags, free: bool) -> PtraceFlags {
        let cause = self.last.cause();
        if !self.experimental {
            mask -= PtraceFlags::EXPERIMENTS;
        }
        // So that an offered child is let go at a stop, and not while its parent waits for it (R76's row).
        if mask.contains(CLONE) {
            mask |= POST;
        }
        if cause == PRE && !free {
            mask -= IGNORE;
        }
        // RFC 0004, section 6: where a step into a handler ends. With SIGNAL every such step is seen beforehand.
        let into_handler = cause == SIGNAL && self.last.b > 1;
        if into_handler || (cause == BREAK && !mask.contains(IGNORE)) || self.steps > MOST_STEPS {
            mask -= STEP;
        }
        if mask.contains(STEP) {
            mask |= SIGNAL;
        }
        if self.stops > MOST_STOPS { PtraceFlags::empty() } else { mask }
    }

    /// IGNORE goes on at the rip shown (R40): on our own int3 that would be for ever.
    fn past_the_trap(&self) -> Result<(), Errno> {
        let mut regs = self.regs()?;
        let mut byte = [0];
        self.mem(regs.rip)?.read(&mut byte)?;
        if byte == [0xcc] {
            regs.rip += 1;
            self.set_regs(&regs)?;
        }
        Ok(())
    }

    fn edit(&mut self, edit: Edit, free: bool, skips: bool) -> Result<(), Errno> {
        let cause = self.last.cause();
        if self.killed || (cause == EXIT && !matches!(edit, Edit::Dup | Edit::Close | Edit::Peek)) {
            return Ok(());
        }
        let call = if matches!(cause, PRE | POST) { self.calls.name(self.last.d) } else { String::new() };
        match edit {
            Edit::Result(value) if free && (cause == POST || skips) => {
                let mut regs = self.regs()?;
                regs.rax = value;
                self.set_regs(&regs)?;
            }
            Edit::Number(value) if free && cause == PRE && !skips => {
                let mut regs = self.regs()?;
                regs.rax = self.calls.number(if value % 2 == 0 { "getuid" } else { "sched_yield" });
                self.renumbered.push(self.last.e);
                self.set_regs(&regs)?;
            }
            Edit::Argument(value) if cause == PRE && (free || call == "exit") => {
                let mut regs = self.regs()?;
                match &*call {
                    "exit" => regs.rdi = value % 100,
                    "kill" => regs.rsi = [0, 10, 12, 23, 65][value as usize % 5],
                    "write" => regs.rdx = value % 4,
                    "rt_sigprocmask" => regs.rdi = value % 4,
                    "mprotect" => regs.rdx = value % 4,
                    _ => return Ok(()),
                }
                self.set_regs(&regs)?;
            }
            Edit::Rbx(value) => {
                let mut regs = self.regs()?;
                regs.rbx = value;
                self.set_regs(&regs)?;
            }
            Edit::Rewrite => self.set_regs(&self.regs()?)?,
            Edit::Poke(value) => self.mem(SLOT)?.write(&value.to_ne_bytes()).map(drop)?,
            Edit::Peek => {
                let mut bytes = [0; 8];
                let result = self.mem(SLOT).and_then(|mem| mem.read(&mut bytes));
                self.seen.push(format!("peek {result:?} {}", u64::from_ne_bytes(bytes)));
            }
            Edit::Plant => self.mem(TICK)?.write(&[0xcc]).map(drop)?,
            Edit::Restore => self.mem(TICK)?.write(&[0x90]).map(drop)?,
            Edit::Dup => {
                let copy = self.handle()?.dup("")?;
                if let Some(queue) = self.queue {
                    queue.watch(copy.fd(), 0)?;
                }
                self.handle = Some(copy);
            }
            Edit::Short => {
                let result = self.handle()?.write(&[0; 4]);
                self.seen.push(format!("short {result:?}"));
            }
            Edit::Unknown => {
                let result = self.handle()?.write(&(1_u64 << 20).to_ne_bytes());
                self.seen.push(format!("unknown {result:?}"));
            }
            Edit::Read => {
                let mut event = PtraceEvent::default();
                let result = self.handle()?.read(event.as_mut_bytes());
                self.seen.push(format!("read {result:?}"));
            }
            // A signal that is pending before a call that waits ends it, or comes too late: R76's row.
            Edit::Send(number) if cause != PRE || free => {
                let signal = Signal(number as u8);
                let result = self.host.kill(self.pid, signal);
                self.seen.push(format!("send {number} {result:?}"));
                self.killed = signal == Signal::KILL;
            }
            Edit::Close => self.end("closed"),
            _ => {}
        }
        Ok(())
    }
}
