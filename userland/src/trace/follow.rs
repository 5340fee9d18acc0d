//! The loop: one `event:` queue over the `trace` handles of all tasks; what each event means; the mask that follows.
//!
//! A ready handle is read until it has no more events; then, if one of them was a stop, one write lets the task go on.
//! A child is opened when EVENT_CLONE is read, before that write: the write would let an unopened child go.

use std::collections::HashMap;
use std::ffi::OsString;

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceEvent, PtraceFlags, Signal, Status};
use kernel_model::client::EventQueue;
use kernel_model::scheme::Host;
use slab::Slab;
use zerocopy::{FromZeros, IntoBytes};

use super::Options;
use super::args::words;
use super::call::{InCall, name, put_call, put_rest, put_result};
use super::first::put_exec;
use super::print::{Printer, Who};
use super::tasks::Task;
use crate::decode::{Begun, STACK, sigreturn_result};
use crate::diagnose;
use crate::failure::Failure;
use crate::signals::Signals;

/// Where a task comes from.
#[derive(Clone, Copy, Debug)]
pub enum Started {
    /// The tool started it; it is the one whose end is the tool's.
    Here,
    /// It was there before; its process.
    Elsewhere {
        /// The pid that was asked for.
        process: Pid,
    },
    /// A traced task made it; its process, where that is known.
    Born {
        /// None: to be found out if it matters.
        process: Option<Pid>,
    },
}

/// Stops and events that every task is asked for. There is no STOP_EXIT: EVENT_DEATH tells the same without a stop.
const MASK: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL
    .union(PtraceFlags::STOP_POST_SYSCALL)
    .union(PtraceFlags::STOP_SIGNAL)
    .union(PtraceFlags::EVENT_IMAGE)
    .union(PtraceFlags::EVENT_JOBSTOP)
    .union(PtraceFlags::EVENT_DEATH);

/// Events taken in one read. A shorter answer means that the queue is empty, which saves the read that would say so.
const BATCH: usize = 8;

/// CLONE_THREAD of linux/sched.h.
const CLONE_THREAD: u64 = 0x0001_0000;

/// What became of a task after an event.
enum Next {
    Goes,
    Gone,
}

/// The state of the loop.
pub struct Follow<'h> {
    host: &'h dyn Host,
    queue: EventQueue<'h>,
    tasks: Slab<Task<'h>>,
    by_pid: HashMap<Pid, usize>,
    options: &'h Options,
    printer: Printer,
    signals: Option<&'h Signals>,
    /// First threads that ended without a status: another thread's exec is taking their pid over.
    replaced: Vec<Pid>,
    root: Option<Pid>,
    root_status: Option<Status>,
    /// The words of the command that the tool has started.
    command: Vec<OsString>,
}

impl<'h> Follow<'h> {
    /// A loop over nothing.
    pub fn new(
        host: &'h dyn Host,
        options: &'h Options,
        printer: Printer,
        signals: Option<&'h Signals>,
    ) -> Result<Follow<'h>, Failure> {
        let queue =
            EventQueue::open(host, OpenFlags::empty()).map_err(Failure::kernel("opening an event queue"))?;
        let (tasks, by_pid) = (Slab::new(), HashMap::new());
        Ok(Follow {
            host,
            queue,
            tasks,
            by_pid,
            options,
            printer,
            signals,
            replaced: Vec::new(),
            root: None,
            root_status: None,
            command: Vec::new(),
        })
    }

    /// The command that the first task was made to execute: its first line says so.
    pub fn began_with(&mut self, command: &[OsString]) {
        self.command = command.to_vec();
    }

    /// Whether this pid is traced already.
    pub fn knows(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid)
    }

    /// How the command ended, if that was seen.
    pub fn root_status(&self) -> Option<Status> {
        self.root_status
    }

    /// Begins a session on a task and lets it go on.
    pub fn adopt(&mut self, pid: Pid, started: Started) -> Result<(), Errno> {
        let excl = if self.options.kill_on_exit { OpenFlags::O_EXCL } else { OpenFlags::empty() };
        let mut task = Task::open(self.host, pid, excl)?;
        match started {
            Started::Here => {
                self.root = Some(pid);
                task.process = Some(pid);
            }
            Started::Elsewhere { process } => {
                task.process = Some(process);
                task.midway = true;
            }
            Started::Born { process } => task.process = process,
        }
        let fd = task.trace.handle().fd();
        let key = self.tasks.insert(task);
        self.by_pid.insert(pid, key);
        self.printer.tasks = self.tasks.len();
        if !matches!(started, Started::Here) && !self.options.quiet {
            self.note(format_args!("process {pid} attached"));
        }
        self.queue.watch(fd, key as u64)?;
        if matches!(started, Started::Here) {
            self.exec_was(key);
        }
        match self.tasks[key].resume(self.mask(key)) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()), // an end is an event like others
            Err(errno) => Err(errno),
        }
    }

    /// The line of the exec by which the command began.
    fn exec_was(&mut self, key: usize) {
        /// Code segment of 32-bit programs: __USER32_CS of asm/segment.h.
        const CODE_32: u64 = 0x23;
        let who = self.who(key);
        let (task, limit) = (&mut self.tasks[key], self.options.limit);
        let calls = &self.options.calls;
        let Some(exec) = calls.tables()[0].iter().find(|call| call.name == "execve") else { return };
        if self.command.is_empty() || !self.options.select.has(0, exec.number) {
            return;
        }
        let Ok(regs) = task.registers() else { return };
        let mut text = Vec::new();
        let narrow = regs.cs == CODE_32;
        if put_exec(&mut text, &self.command, task.memory(), regs.rsp, narrow, limit) {
            self.printer.begin(who, |out| out.extend_from_slice(&text));
            self.printer.end(who, exec.name, |_| {}, |out| out.push(b'0'));
        }
    }

    /// Until the last task has ended.
    pub fn to_the_end(&mut self) -> Result<(), Failure> {
        while !self.tasks.is_empty() {
            self.printer.idle();
            match self.queue.next() {
                Ok(report) => self.drain(report.data as usize)?,
                Err(Errno::EINTR) => {}
                Err(Errno::EDEADLK) => return Err(Failure::Deadlock),
                Err(errno) => return Err(Failure::Kernel { doing: "waiting for events", errno }),
            }
        }
        for pid in std::mem::take(&mut self.replaced) {
            // Without -f the thread that did it is not traced.
            let who = Who { key: usize::MAX, pid };
            self.printer.line(who, |out| put!(out, "+++ superseded by execve in another thread +++"));
        }
        Ok(())
    }

    /// Reads all events of a task and acts on them. A report may be older than the task's end: then there is nothing.
    fn drain(&mut self, key: usize) -> Result<(), Failure> {
        let mut events = <[PtraceEvent; BATCH]>::new_zeroed();
        while let Some(task) = self.tasks.get(key) {
            let count = match task.trace.handle().read(events.as_mut_bytes()) {
                Ok(bytes) => bytes / PtraceEvent::SIZE,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
                Err(Errno::ESRCH) => {
                    self.forget(key);
                    return Ok(());
                }
                Err(errno) => return Err(Failure::Kernel { doing: "reading events", errno }),
            };
            // None at all means: stopped, and everything was read.
            let mut held = count == 0;
            for event in &events[..count] {
                held |= is_stop(event);
                if let Next::Gone = self.act(key, event) {
                    self.forget(key);
                    return Ok(());
                }
            }
            if held {
                self.let_go(key)?;
            }
            if count < BATCH {
                return Ok(());
            }
        }
        Ok(())
    }

    fn let_go(&mut self, key: usize) -> Result<(), Failure> {
        match self.tasks[key].resume(self.mask(key)) {
            // It was killed in its stop; EVENT_DEATH follows.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Failure::Kernel { doing: "resuming a task", errno }),
        }
    }

    /// With a filter, the end of a call is asked for only while a call is open that is shown.
    fn mask(&self, key: usize) -> PtraceFlags {
        let mut mask = MASK;
        if self.options.follow {
            mask |= PtraceFlags::EVENT_CLONE;
        }
        if !self.options.select.is_all() && self.tasks[key].calls.is_empty() {
            mask.remove(PtraceFlags::STOP_POST_SYSCALL);
        }
        mask
    }

    /// About the tool's own doings: in a file every line is a traced task's.
    fn note(&mut self, text: std::fmt::Arguments<'_>) {
        if self.options.to_file {
            put!(&mut std::io::stderr(), "tracefd: {text}\n");
        } else {
            self.printer.note(|out| put!(out, "{text}"));
        }
    }

    fn who(&self, key: usize) -> Who {
        Who { key, pid: self.tasks[key].pid }
    }

    fn act(&mut self, key: usize, event: &PtraceEvent) -> Next {
        let cause = event.cause();
        if self.tasks[key].stopped && cause != PtraceFlags::EVENT_JOBSTOP {
            self.tasks[key].stopped = false;
            if let (Some(signals), true) = (self.signals, self.is_root(key)) {
                signals.root_runs();
            }
        }
        match cause {
            PtraceFlags::STOP_PRE_SYSCALL => self.call_begins(key, event),
            PtraceFlags::STOP_POST_SYSCALL => self.call_ends(key, event),
            PtraceFlags::STOP_SIGNAL => self.signal(key, event),
            PtraceFlags::EVENT_CLONE => self.born(key, Pid(event.a as u32)),
            PtraceFlags::EVENT_IMAGE => self.image(key),
            PtraceFlags::EVENT_JOBSTOP => self.job_stop(key, Signal(event.a as u8)),
            PtraceFlags::EVENT_DEATH => {
                self.death(key, u32::try_from(event.a).ok().map(Status));
                return Next::Gone;
            }
            _ => {} // not asked for
        }
        Next::Goes
    }

    fn call_begins(&mut self, key: usize, event: &PtraceEvent) {
        let (number, id, abi) = (event.d, event.e, event.f);
        if !self.options.select.has(abi, number) {
            return;
        }
        let who = self.who(key);
        let task = &mut self.tasks[key];
        task.midway = false;
        let call = self.options.calls.get(abi, number);
        // Unreadable registers: it is dying, and the line says `<unfinished ...>` presently.
        let words = task.registers().map(|regs| words(&regs, abi)).unwrap_or_default();
        let limit = self.options.limit;
        let mut begun = Begun::default();
        self.printer.begin(who, |out| begun = put_call(out, call, number, &words, abi, task.memory(), limit));
        if call.is_some_and(|call| call.never_returns()) {
            // What sigreturn restores can be read from its frame; of the others nobody hears again.
            let restored = match call {
                Some(call) if call.name == "rt_sigreturn" && abi == 0 => {
                    sigreturn_result(task.memory(), words[STACK])
                }
                _ => None,
            };
            let result = |out: &mut Vec<u8>| match restored {
                Some(register) => put_result(out, call, &words, abi, register, task.memory(), limit),
                None => out.push(b'?'),
            };
            self.printer.end(who, "", |_| {}, result);
        } else {
            task.calls.push(InCall { id, number, abi, words, begun });
        }
    }

    fn call_ends(&mut self, key: usize, event: &PtraceEvent) {
        let who = self.who(key);
        let task = &mut self.tasks[key];
        let began = task.take_call(event.e);
        let midway = std::mem::take(&mut task.midway);
        let (number, abi) = (event.d, event.f);
        // A child's first POST is of the call that made it, which its parent shows.
        if began.is_none() && !(midway && self.options.select.has(abi, number)) {
            return;
        }
        let call = self.options.calls.get(abi, number);
        let register = task.registers().map(|regs| regs.rax);
        let (limit, known) = (self.options.limit, began.map_or([0; 7], |began| began.words));
        // One after the other, but the printer takes both at once.
        let task = std::cell::RefCell::new(task);
        let rest = |out: &mut Vec<u8>| {
            if let (Some(began), Ok(register)) = (&began, register) {
                put_rest(out, call, began, register, task.borrow_mut().memory(), limit);
            }
        };
        let result = |out: &mut Vec<u8>| match register {
            Ok(register) => put_result(out, call, &known, abi, register, task.borrow_mut().memory(), limit),
            Err(_) => out.push(b'?'),
        };
        self.printer.end(who, &name(call, number), rest, result);
    }

    fn signal(&mut self, key: usize, event: &PtraceEvent) {
        let signal = Signal(event.a as u8);
        self.printer.line(self.who(key), |out| match event.b {
            0 => put!(out, "--- {signal} {{SIG_DFL}} ---"),
            1 => put!(out, "--- {signal} {{SIG_IGN}} ---"),
            u64::MAX => put!(out, "--- {signal} {{handler}} ---"), // there is one, at an unknown address
            handler => put!(out, "--- {signal} {{{handler:#x}}} ---"),
        });
    }

    fn born(&mut self, key: usize, pid: Pid) {
        if self.knows(pid) {
            return; // found by looking at the process's threads
        }
        let process = self.process_of_child(key, pid);
        match self.adopt(pid, Started::Born { process }) {
            Ok(()) | Err(Errno::ESRCH) => {} // a child may be killed before anybody sees it
            Err(errno) => {
                self.printer
                    .note(|out| put!(out, "cannot follow process {pid}: {errno}; it goes on untraced"));
                // The child waits for this write.
                let _ = self.tasks[key].resume(self.mask(key));
            }
        }
    }

    /// From the call that makes the child, where that is known: asking the kernel costs more than everything else here.
    fn process_of_child(&mut self, key: usize, child: Pid) -> Option<Pid> {
        let task = &mut self.tasks[key];
        let call = *task.calls.last()?;
        let flags = match self.options.calls.get(call.abi, call.number)?.name {
            "fork" | "vfork" => 0,
            "clone" => call.words[0],
            "clone3" => {
                let mut flags = [0; 8]; // the first field of struct clone_args
                task.memory().read(call.words[0], &mut flags).ok()?;
                u64::from_ne_bytes(flags)
            }
            _ => return None,
        };
        if flags & CLONE_THREAD == 0 { Some(child) } else { task.process }
    }

    /// exec came through. Where a thread did it, it takes over the pid of its process, whose first thread is no more.
    fn image(&mut self, key: usize) {
        let former = self.tasks[key].pid;
        let process = self.tasks[key].process.unwrap_or_else(|| {
            Pid(diagnose::Status::of_handle(self.tasks[key].trace.handle())
                .number("process")
                .unwrap_or(former.0))
        });
        if process != former {
            // Its end may have been read already, or be still to come.
            let leader = self.by_pid.get(&process).copied();
            let told = self.replaced.iter().position(|pid| *pid == process);
            if leader.is_some() || told.is_some() {
                let who = Who { key: leader.unwrap_or(usize::MAX), pid: process };
                self.printer.line(who, |out| put!(out, "+++ superseded by execve in pid {former} +++"));
            }
            if let Some(key) = leader {
                self.forget(key);
            }
            if let Some(at) = told {
                self.replaced.swap_remove(at);
            }
            self.by_pid.remove(&former);
            self.by_pid.insert(process, key);
            self.tasks[key].moved_to(process);
        }
        self.tasks[key].process = Some(process);
        let who = self.who(key);
        while let Some(call) = self.tasks[key].calls.pop() {
            let known = self.options.calls.get(call.abi, call.number);
            if known.is_some_and(|call| call.is_exec()) {
                self.printer.end(who, &name(known, call.number), |_| {}, |out| out.push(b'0'));
            }
        }
    }

    fn job_stop(&mut self, key: usize, signal: Signal) {
        self.printer.line(self.who(key), |out| put!(out, "--- stopped by {signal} ---"));
        self.tasks[key].stopped = true;
        if let (Some(signals), true) = (self.signals, self.is_root(key)) {
            self.printer.idle(); // a person at the terminal sees why
            signals.root_stopped();
        }
    }

    /// `None`: nobody can know the status, because another thread's exec ended this one.
    fn death(&mut self, key: usize, status: Option<Status>) {
        let who = self.who(key);
        let Some(status) = status else {
            if self.tasks[key].process == Some(who.pid) {
                self.replaced.push(who.pid); // its last line is the exec's
            } else {
                self.printer.line(who, |out| put!(out, "+++ ended by an execve of its process +++"));
            }
            return;
        };
        // A call that it died in does not return.
        while let Some(call) = self.tasks[key].calls.pop() {
            let known = self.options.calls.get(call.abi, call.number);
            self.printer.end(who, &name(known, call.number), |_| {}, |out| out.push(b'?'));
        }
        let core = if status.dumped() { " (core dumped)" } else { "" };
        self.printer.line(who, |out| match status.signal() {
            Some(signal) => put!(out, "+++ killed by {signal}{core} +++"),
            None => put!(out, "+++ exited with {} +++", status.code().unwrap_or(0)),
        });
        if self.is_root(key) {
            self.root_status = Some(status);
            if let Some(signals) = self.signals {
                signals.root_ended();
            }
        }
    }

    fn is_root(&self, key: usize) -> bool {
        self.root == Some(self.tasks[key].pid)
    }

    /// Closes the session of a task that is gone.
    fn forget(&mut self, key: usize) {
        if self.printer.is_open(self.who(key)) {
            self.printer.interrupt();
        }
        let task = self.tasks.remove(key);
        if self.by_pid.get(&task.pid) == Some(&key) {
            self.by_pid.remove(&task.pid);
        }
        self.printer.tasks = self.tasks.len();
    }
}

fn is_stop(event: &PtraceEvent) -> bool {
    event.cause & (PtraceFlags::STOP_MASK | PtraceFlags::STOP_INTERRUPT.bits()) != 0
}
