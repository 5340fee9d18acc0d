//! [`Process`]: everything the system knows of one process, and [`Next`]: what it does when it gets to run.
//!
//! A process is never in the middle of something: whatever it was doing when it was stopped is in `next` and `call`.

use std::collections::BTreeMap;

use crate::abi::{Pid, Signal, Status};
use crate::machine::{Demand, Filter, OnDeath, Report, Task};

use super::cpu::Cpu;
use super::files::File;
use super::memory::Memory;
use super::signal::Signals;

/// What kind of thing has this pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Runs a program.
    Program,
    /// Pid 1: has no code, adopts orphans, and reaps them at once.
    Init,
    /// Pid 2: a task of the system itself, without memory or registers of a program.
    System,
    /// The tracer, seen from inside: parent of what it spawns.
    Owner,
}

/// What a process does next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    /// Acts on a signal if one is there, or else runs an instruction.
    User,
    /// Makes the call that its registers name.
    Dispatch,
    /// Makes it again, once that can succeed.
    Wait(Wait),
    /// The call is over with this result.
    Done(u64),
    /// The result was seen, if anyone wanted to.
    Left,
    /// Acts on a signal, and goes on with what is in the box.
    Act(Signal, Box<Next>),
    /// Only under a quirk: reports the same stop again.
    Again(Report, Box<Next>),
    /// Begins to end.
    Die(Status),
    /// Ends.
    Dead(Status),
    /// Has ended; nobody has waited for it.
    Zombie(Status),
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wait {
    /// Bytes, or no more writers.
    PipeFull(u32),
    /// Space, or no more readers.
    PipeSpace(u32),
    /// News of a child, of those that the first argument of wait4 selects.
    Child { selector: i64, options: u64 },
    /// A signal that is acted on.
    Signal,
    /// A vfork child's exec or end. Nothing else ends this wait but death.
    Vfork(Pid),
}

impl Wait {
    /// For the log.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Wait::PipeFull(_) => "pipe empty",
            Wait::PipeSpace(_) => "pipe full",
            Wait::Child { .. } => "no news of a child",
            Wait::Signal => "waits for a signal",
            Wait::Vfork(_) => "lent its memory to a child",
        }
    }
}

/// A call in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// What it came with, and is told as.
    pub(super) came: u64,
    /// What is made of it: a tracer may have written another.
    pub(super) number: u64,
    /// 0 until it was, or could have been, reported.
    pub(super) id: u64,
    /// It sent a signal to its own process.
    pub(super) signals_self: bool,
    /// Arguments that come back when it is over.
    pub(super) lent: [Option<u64>; 6],
}

/// What a parent has not yet been told about job control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum News {
    Stopped(Signal),
    Continued,
}

/// A tracer's hold on a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Trace {
    pub(super) task: Task,
    pub(super) demand: Demand,
    pub(super) filter: Filter,
    pub(super) on_death: OnDeath,
    /// The stop it is in.
    pub(super) held: Option<Report>,
    /// An interrupt is under way.
    pub(super) interrupted: bool,
    /// Calls seen.
    pub(super) calls: u64,
    /// Where the breakpoint instruction of a `Trap` is.
    pub(super) trap: u64,
}

impl Trace {
    pub(super) fn new(task: Task, on_death: OnDeath) -> Trace {
        let (demand, filter) = (Demand::empty(), Filter::ALL);
        Trace { task, demand, filter, on_death, held: None, interrupted: false, calls: 0, trap: 0 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) kind: Kind,
    pub(super) parent: Option<Pid>,
    pub(super) group: Pid,
    pub(super) session: Pid,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) exe: Vec<u8>,
    pub(super) start: u64,
    pub(super) cpu: Cpu,
    pub(super) memory: Memory,
    pub(super) signals: Signals,
    pub(super) files: BTreeMap<u32, File>,
    pub(super) next: Next,
    pub(super) call: Option<Call>,
    /// By job control, with this signal.
    pub(super) stopped: Option<Signal>,
    pub(super) news: Option<News>,
    /// KILL was sent.
    pub(super) killed: bool,
    /// Its memory is on loan from its parent (vfork).
    pub(super) borrowed: bool,
    /// A step that was demanded before a `syscall` instruction, and is due when the call is over.
    pub(super) step_over: bool,
    /// Only under a quirk: the processor still steps, and nobody wants to know.
    pub(super) stale_step: bool,
    pub(super) trace: Option<Trace>,
    /// A tracer that is not this machine's owner.
    pub(super) foreign: Option<Pid>,
}

impl Process {
    /// One without a program.
    pub(super) fn bare(pid: Pid, kind: Kind, parent: Option<Pid>, exe: &str, start: u64) -> Process {
        Process {
            pid,
            kind,
            parent,
            group: pid,
            session: pid,
            uid: 0,
            gid: 0,
            exe: exe.into(),
            start,
            cpu: Cpu::new(0, 0),
            memory: Memory::default(),
            signals: Signals::default(),
            files: BTreeMap::new(),
            next: Next::User,
            call: None,
            stopped: None,
            news: None,
            killed: false,
            borrowed: false,
            step_over: false,
            stale_step: false,
            trace: None,
            foreign: None,
        }
    }

    /// What fork makes of it: the same, but for what is not inherited.
    pub(super) fn child(&self, pid: Pid, start: u64, borrowed: bool) -> Process {
        let mut child = self.clone();
        child.pid = pid;
        child.parent = Some(self.pid);
        child.start = start;
        child.borrowed = borrowed;
        child.signals.pending = 0;
        child.forget_ids();
        child.cpu.int.rax = 0;
        child.next = Next::User;
        child.call = None;
        child.news = None;
        child.killed = false;
        child.step_over = false;
        child.stale_step = false;
        child.trace = None;
        child.foreign = None;
        child
    }

    /// Ids belong to one tracing: calls in progress get new ones when they are seen again.
    pub(super) fn forget_ids(&mut self) {
        let nested = self.signals.nested.iter_mut().filter_map(|nested| nested.call.as_mut());
        for call in nested.chain(self.call.as_mut()) {
            call.id = 0;
        }
    }

    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.next, Next::Zombie(_))
    }

    /// About to end, or ended: no signal matters any more.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.next, Next::Die(_) | Next::Dead(_) | Next::Zombie(_))
    }

    pub(super) fn held(&self) -> Option<Report> {
        self.trace.as_ref().and_then(|trace| trace.held)
    }

    pub(super) fn demands(&self, demand: Demand) -> bool {
        self.trace.as_ref().is_some_and(|trace| trace.demand.intersects(demand))
    }

    /// Whether the entry (or the exit) of the call in progress is wanted.
    pub(super) fn wants_call(&self, kind: Demand) -> bool {
        let wanted = |trace: &Trace, call: Call| match kind {
            Demand::CALL_ENTRY => trace.filter.entry.has(0, call.came),
            _ => trace.filter.exit.has(0, call.came),
        };
        self.demands(kind)
            && self.trace.as_ref().zip(self.call).is_none_or(|(trace, call)| wanted(trace, call))
    }

    pub(super) fn wants_signal(&self, signal: Signal) -> bool {
        let wanted = |trace: &Trace| trace.demand.contains(Demand::SIGNAL) && trace.filter.signal.has(signal);
        self.trace.as_ref().is_some_and(wanted)
    }

    /// The lender of a vfork cannot be stopped.
    pub(super) fn is_uninterruptible(&self) -> bool {
        matches!(self.next, Next::Wait(Wait::Vfork(_)))
    }
}
