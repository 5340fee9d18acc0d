//! The loop: one `event:` queue over the `trace` handles of all tasks; what each event means; the mask that follows.
//!
//! A ready handle is read until it has no more events; then, if one of them was a stop, one write lets the task go on.
//! Calls are in `calls`. A child is opened when EVENT_CLONE is read, before that write: the write would let an unopened child go.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceEvent, PtraceFlags, Signal, Status};
use kernel_model::client::read_text;
use kernel_model::scheme::{Fd, Host};
use slab::Slab;
use zerocopy::{FromZeros, IntoBytes};

use super::Options;
use super::call::InCall;
use super::calls::End;
use super::delay::{Delays, Ringer};
use super::first::put_exec;
use super::moment::Moment;
use super::tasks::{Open, Task};
use super::view::{CallView, Happened, Joined, Needs, View, What, Who};
use super::whole::RECORDED;
use crate::decode::Begun;
use crate::diagnose;
use crate::failure::Failure;
use crate::ready::Ready;
use crate::signals::Signals;

/// Where a task comes from.
#[derive(Clone, Copy, Debug)]
pub enum Started {
    /// The tool started it; it is the one whose end is the tool's.
    Here,
    /// The tool's caller's: it waits to be traced, and then becomes the command.
    Waiting,
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
const BATCH: usize = 4;

/// CLONE_THREAD of linux/sched.h.
const CLONE_THREAD: u64 = 0x0001_0000;

/// What became of a task after an event.
pub(super) enum Next {
    Goes,
    Gone,
    /// It is to be left as it is, and so is everything else.
    Left,
}

/// A process that was left stopped before a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAt {
    /// Which.
    pub pid: Pid,
    /// The call's name.
    pub call: String,
    /// The command, where the tool is its parent.
    pub root: Option<Pid>,
}

/// The state of the loop.
pub struct Follow<'h> {
    pub(super) host: &'h dyn Host,
    ready: Ready<'h>,
    pub(super) tasks: Slab<Task<'h>>,
    by_pid: HashMap<Pid, usize>,
    pub(super) options: &'h Options,
    view: &'h mut dyn View,
    pub(super) needs: Needs,
    /// When the events being worked on were read.
    pub(super) now: Moment,
    /// Used again for each call, so that none allocates.
    pub(super) text: Vec<u8>,
    /// The same for arguments that only a call's end can tell.
    pub(super) rest: Vec<u8>,
    signals: Option<&'h Signals>,
    ringer: Option<&'h Ringer<'h>>,
    delays: Delays,
    /// Counts tasks.
    serials: u64,
    /// First threads that ended without a status: another thread's exec is taking their pid over.
    replaced: Vec<Pid>,
    pub(super) root: Option<Pid>,
    root_status: Option<Status>,
    pub(super) left_at: Option<LeftAt>,
    /// The words of the command that the tool has started.
    command: Vec<OsString>,
}

impl<'h> Follow<'h> {
    /// A loop over nothing.
    pub fn new(
        host: &'h dyn Host,
        options: &'h Options,
        view: &'h mut dyn View,
        signals: Option<&'h Signals>,
        ringer: Option<&'h Ringer<'h>>,
    ) -> Result<Follow<'h>, Failure> {
        let ready = Ready::new(host).map_err(Failure::kernel("opening an event queue"))?;
        let (tasks, by_pid) = (Slab::new(), HashMap::new());
        Ok(Follow {
            host,
            ready,
            tasks,
            by_pid,
            options,
            needs: view.needs(),
            view,
            now: options.clock.now(),
            text: Vec::with_capacity(512),
            rest: Vec::with_capacity(512),
            signals,
            ringer,
            delays: Delays::default(),
            serials: 0,
            replaced: Vec::new(),
            root: None,
            root_status: None,
            left_at: None,
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

    /// The process that was left stopped, which ends the loop.
    pub fn left_at(&self) -> Option<&LeftAt> {
        self.left_at.as_ref()
    }

    /// Begins a session on a task and lets it go on.
    pub fn adopt(&mut self, pid: Pid, started: Started) -> Result<(), Errno> {
        let joined = match started {
            Started::Here => Joined::Started,
            Started::Elsewhere { .. } | Started::Waiting => Joined::Attached,
            Started::Born { .. } => Joined::Born,
        };
        let excl = if self.options.kill_on_exit { OpenFlags::O_EXCL } else { OpenFlags::empty() };
        let mut task = Task::open(self.host, pid, excl)?;
        match started {
            Started::Here => {
                self.root = Some(pid);
                task.process = Some(pid);
            }
            Started::Waiting => {
                task.process = Some(pid);
                task.hidden = true;
            }
            Started::Elsewhere { process } => {
                task.process = Some(process);
                task.midway = true;
            }
            Started::Born { process } => task.process = process,
        }
        self.serials += 1;
        task.serial = self.serials;
        let fd = task.trace.handle().fd();
        let key = self.tasks.insert(task);
        self.by_pid.insert(pid, key);
        self.tell(key, None, What::Joins(joined));
        self.tell_program(key);
        self.ready.watch(fd, key)?;
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
        let calls = &self.options.calls;
        let Some(exec) = calls.tables()[0].iter().find(|call| call.name == "execve") else { return };
        let paths = &self.options.paths;
        let hidden = !paths.is_empty()
            && !self.command.first().is_some_and(|name| paths.iter().any(|path| path == name.as_bytes()));
        if self.command.is_empty() || !self.options.shows(0, exec.number) || hidden {
            return;
        }
        let (number, show) = (exec.number, self.options.show_of(0, exec.number));
        let task = &mut self.tasks[key];
        let Ok(regs) = task.registers() else { return };
        let mut text = Vec::new();
        let narrow = regs.cs == CODE_32;
        if !put_exec(&mut text, &self.command, task.memory(), regs.rsp, narrow, show) {
            return;
        }
        if self.options.whole {
            put_exec(&mut self.text, &self.command, task.memory(), regs.rsp, narrow, RECORDED);
        }
        let call = InCall { id: 0, number, abi: 0, words: [0; 7], begun: Begun::default() };
        let mut open = Open { call, words: [0; 6], began: self.now, text, injected: false, delayed: false };
        if !self.needs.joined {
            let text = std::mem::take(&mut open.text);
            let name = exec.name.into();
            let view = CallView { name, number, abi: 0, id: 0, words: open.words, text: &text };
            self.tell(key, None, What::Begins(view));
        }
        self.tell_end(key, None, &open, &End::EXEC);
    }

    /// Until the last task has ended.
    pub fn to_the_end(&mut self) -> Result<(), Failure> {
        while !self.tasks.is_empty() && self.left_at.is_none() {
            self.end_delays()?;
            self.view.idle(self.tasks.len());
            match self.ready.next(self.only()) {
                Ok(key) => self.drain(key)?,
                Err(Errno::EINTR) => {} // rung: somebody's delay is over
                Err(Errno::EDEADLK) => return Err(Failure::Deadlock),
                Err(errno) => return Err(Failure::Kernel { doing: "waiting for events", errno }),
            }
        }
        for pid in std::mem::take(&mut self.replaced) {
            // Without -f the thread that did it is not traced.
            self.tell_untraced(pid, What::Superseded { by: None });
        }
        Ok(())
    }

    /// The only task there is, unless it is held for a while: then it has nothing to read, and what ends that is a ring.
    fn only(&self) -> Option<(usize, Fd)> {
        let mut tasks = self.tasks.iter();
        let (key, task) = tasks.next().filter(|_| tasks.next().is_none() && self.delays.is_empty())?;
        Some((key, task.trace.handle().fd()))
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
                Err(Errno::EDEADLK) => return Err(Failure::Deadlock),
                Err(errno) => return Err(Failure::Kernel { doing: "reading events", errno }),
            };
            if self.needs.times {
                self.now = self.options.clock.now();
            }
            // None at all means: stopped, and everything was read.
            let mut held = count == 0 && !self.tasks[key].delayed;
            for event in &events[..count] {
                held |= is_stop(event);
                match self.act(key, event) {
                    Next::Goes => {}
                    Next::Gone => {
                        self.forget(key);
                        return Ok(());
                    }
                    Next::Left => return Ok(()),
                }
            }
            if held && !self.delays_it(key) {
                self.let_go(key)?;
            }
            if count < BATCH || self.ready.may_wait() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether a rule holds it for a while. Where nobody can say when that is over, it goes on at once.
    fn delays_it(&mut self, key: usize) -> bool {
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let Some(time) = task.delay.take() else { return false };
        task.delayed = self.delays.add(time, key, task.serial, self.ringer);
        task.delayed
    }

    fn end_delays(&mut self) -> Result<(), Failure> {
        while let Some((key, serial)) = self.delays.take() {
            // Killed meanwhile, its key may be another's.
            if let Some(task) = self.tasks.get_mut(key).filter(|task| task.serial == serial) {
                task.delayed = false;
                self.let_go(key)?;
            }
        }
        Ok(())
    }

    fn let_go(&mut self, key: usize) -> Result<(), Failure> {
        let mask = self.mask(key);
        self.tasks[key].skip = false;
        match self.tasks[key].resume(mask) {
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
        let task = &self.tasks[key];
        let all = self.options.whole || self.options.select.is_all();
        if !all && task.calls.is_empty() && task.leave_at.is_none() && task.delay_exit.is_none() {
            mask.remove(PtraceFlags::STOP_POST_SYSCALL);
        }
        if task.skip {
            mask |= PtraceFlags::FLAG_IGNORE;
        }
        mask
    }

    pub(super) fn tell(&mut self, key: usize, pc: Option<u64>, what: What<'_>) {
        let Task { pid, process, .. } = self.tasks[key];
        let who = Who { key, pid, process };
        self.view.tell(&Happened { who, now: self.now, pc, what });
    }

    /// About a task that has no session any more.
    fn tell_untraced(&mut self, pid: Pid, what: What<'_>) {
        let who = Who { key: usize::MAX, pid, process: Some(pid) };
        self.view.tell(&Happened { who, now: self.now, pc: None, what });
    }

    fn tell_program(&mut self, key: usize) {
        if self.needs.programs {
            let path = read_text(self.host, &format!("proc:{}/exe", self.tasks[key].pid)).unwrap_or_default();
            let path = String::from_utf8_lossy(&path);
            let file = path.split_once(':').map_or(&*path, |(_, file)| file);
            self.tell(key, None, What::Program(file));
        }
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
            PtraceFlags::STOP_POST_SYSCALL if self.tasks[key].leave_at.is_some() => return self.leave(key),
            PtraceFlags::STOP_POST_SYSCALL => self.call_ends(key, event),
            PtraceFlags::STOP_SIGNAL => self.signal(key, event),
            PtraceFlags::EVENT_CLONE => self.born(key, Pid(event.a as u32)),
            PtraceFlags::EVENT_IMAGE => return self.image(key),
            PtraceFlags::EVENT_JOBSTOP => self.job_stop(key, Signal(event.a as u8)),
            PtraceFlags::EVENT_DEATH => {
                self.death(key, u32::try_from(event.a).ok().map(Status));
                return Next::Gone;
            }
            _ => {} // not asked for
        }
        Next::Goes
    }

    fn signal(&mut self, key: usize, event: &PtraceEvent) {
        if self.tasks[key].hidden {
            return;
        }
        let (signal, handler) = (Signal(event.a as u8), event.b);
        if self.options.whole || self.options.signals.has_signal(signal) {
            let pc = if self.needs.pc { self.tasks[key].registers().ok().map(|regs| regs.rip) } else { None };
            let info = if self.needs.origins { self.tasks[key].siginfo().ok() } else { None };
            self.tell(key, pc, What::Signal { signal, handler, info: info.as_ref() });
        }
    }

    fn born(&mut self, key: usize, pid: Pid) {
        if self.knows(pid) {
            return; // found by looking at the process's threads
        }
        let process = self.process_of_child(key, pid);
        self.tell(key, None, What::Born { child: pid, process });
        match self.adopt(pid, Started::Born { process }) {
            Ok(()) | Err(Errno::ESRCH) => {} // a child may be killed before anybody sees it
            Err(errno) => {
                self.view.note(&format!("cannot follow process {pid}: {errno}; it goes on untraced"));
                // The child waits for this write.
                let _ = self.tasks[key].resume(self.mask(key));
            }
        }
    }

    /// From the call that makes the child, where that is known: asking the kernel costs more than everything else here.
    fn process_of_child(&mut self, key: usize, child: Pid) -> Option<Pid> {
        let task = &mut self.tasks[key];
        let call = task.calls.last()?.call;
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
    fn image(&mut self, key: usize) -> Next {
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
                let what = What::Superseded { by: Some(former) };
                match leader {
                    Some(key) => {
                        self.cut_calls(key);
                        self.tell(key, None, what);
                    }
                    None => self.tell_untraced(process, what),
                }
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
        let began_hidden = std::mem::take(&mut self.tasks[key].hidden);
        if self.options.leaves_at_exec && !began_hidden {
            self.let_it_go(key);
            return Next::Gone;
        }
        while let Some(open) = self.tasks[key].calls.pop() {
            let known = self.options.calls.get(open.call.abi, open.call.number);
            if known.is_some_and(|call| call.is_exec()) {
                self.tell_end(key, None, &open, &End::EXEC);
            }
        }
        self.tell(key, None, What::Image);
        self.tell_program(key);
        Next::Goes
    }

    fn job_stop(&mut self, key: usize, signal: Signal) {
        self.tell(key, None, What::Stopped(signal));
        self.tasks[key].stopped = true;
        if let (Some(signals), true) = (self.signals, self.is_root(key)) {
            self.view.idle(self.tasks.len()); // a person at the terminal sees why
            signals.root_stopped();
        }
    }

    /// `None`: nobody can know the status, because another thread's exec ended this one.
    fn death(&mut self, key: usize, status: Option<Status>) {
        if status.is_some() {
            self.end_calls(key);
        }
        self.cut_calls(key);
        let Some(status) = status else {
            let Task { pid, process, .. } = self.tasks[key];
            if process == Some(pid) {
                self.replaced.push(pid); // its last line is the exec's
            } else {
                self.tell(key, None, What::Dies(None));
            }
            return;
        };
        self.tell(key, None, What::Dies(Some(status)));
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
        self.cut_calls(key);
        self.tell(key, None, What::Leaves);
        self.ready.forget(key);
        let task = self.tasks.remove(key);
        if self.by_pid.get(&task.pid) == Some(&key) {
            self.by_pid.remove(&task.pid);
        }
    }
}

fn is_stop(event: &PtraceEvent) -> bool {
    event.cause & (PtraceFlags::STOP_MASK | PtraceFlags::STOP_INTERRUPT.bits()) != 0
}
