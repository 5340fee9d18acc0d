//! What is remembered of one task: [`Tracee`], and [`Life`], whose transitions consume what they leave.

use std::fs::File;

use kernel_model::machine::{Demand, Filter, OnDeath};

use crate::calls::Abi;
use crate::lent::Lent;
use crate::stop::Stop;
use crate::sys::{CallInfo, Regs};

/// A traced task, or a child of ours that is not traced any more.
#[derive(Debug)]
pub(crate) struct Tracee {
    pub(crate) pid: i32,
    /// Thread group, as it was when the task was first seen; an exec makes it the pid.
    pub(crate) tgid: i32,
    pub(crate) generation: u32,
    /// [`kernel_model::machine::Facts::start`], once looked up. While a task is traced its pid is nobody else's.
    pub(crate) start: Option<u64>,
    pub(crate) life: Life,
    pub(crate) demand: Demand,
    /// What is wanted of that.
    pub(crate) filter: Filter,
    /// It runs under a seccomp filter of ours.
    pub(crate) filtered: bool,
    pub(crate) on_death: OnDeath,
    /// PTRACE_O_* as the kernel has them for this task.
    pub(crate) options: i32,
    pub(crate) phase: Phase,
    pub(crate) call: Call,
    /// Arguments of the call it is in that come back when that is over.
    pub(crate) lent: Lent,
    /// What it said of the call stop that is about to be looked at ([`Linux::ask`](crate::Linux)).
    pub(crate) told: Option<CallInfo>,
    /// The registers as they were let go at the entry of a call that [keeps](crate::calls::keeps_registers) all but
    /// its result.
    pub(crate) entry_regs: Option<Box<Regs>>,
    pub(crate) step: Step,
    /// An interrupt was asked for from above and is not answered.
    pub(crate) asked: bool,
    /// Job control stopped it while another stop was being reported.
    pub(crate) untold_group_stop: bool,
    /// Let go from PTRACE_EVENT_VFORK: it sleeps until its child has its own memory, and nothing stops it.
    pub(crate) vforking: bool,
    /// We are its parent: its end is reported even after detaching.
    pub(crate) spawned: bool,
    /// rip, rax and orig_rax of an interrupted call whose restart was called off because the tracer moved the task.
    pub(crate) parked: Option<(u64, u64, u64)>,
    /// /proc/pid/mem of the present address space.
    pub(crate) mem: Option<File>,
    /// Of this address space, before there was a descriptor.
    pub(crate) reads: u32,
}

/// Where a task is in its life.
#[derive(Debug)]
pub(crate) enum Life {
    /// Let go with this request.
    Running(Request),
    /// In a ptrace stop.
    Stopped(Held),
    /// Detached at its next stop, or reaped.
    Leaving,
    /// Detached, and a child of ours: only its end is awaited.
    Left,
}

/// How a task was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Cont,
    Syscall,
    Step,
    Listen,
}

impl Request {
    pub(crate) fn code(self) -> libc::c_uint {
        match self {
            Request::Cont => libc::PTRACE_CONT,
            Request::Syscall => libc::PTRACE_SYSCALL,
            Request::Step => libc::PTRACE_SINGLESTEP,
            Request::Listen => libc::PTRACE_LISTEN,
        }
    }
}

/// A stop, and what was fetched and written in it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) stop: Stop,
    /// Whether wait was told that we know. A signal stop that was consumed takes its signal with it if we die.
    pub(crate) consumed: bool,
    /// The listener was trapped again.
    pub(crate) was_listening: bool,
    /// A step was under way, which a birth in the middle of its call does not end.
    pub(crate) was_stepping: bool,
    /// Boxed, because most stops need none and a stop is moved about.
    pub(crate) regs: Option<Box<Regs>>,
    /// At an exit: the result register, if it came with the news of the stop.
    pub(crate) result: Option<u64>,
    /// The tracer wrote what a call's result or restart hangs on.
    pub(crate) written: bool,
    /// At [`Stop::Breakpoint`]: bytes from the pc that is shown to the hardware's, once looked up; 0 once the tracer
    /// has chosen a pc.
    pub(crate) trap_bytes: Option<u64>,
}

impl Held {
    pub(crate) fn new(stop: Stop) -> Held {
        Held {
            stop,
            consumed: false,
            was_listening: false,
            was_stepping: false,
            regs: None,
            result: None,
            written: false,
            trap_bytes: None,
        }
    }
}

/// What the next call stop will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// An entry.
    Outside,
    /// The exit of the call whose entry was seen.
    Inside,
    /// The exit of a successful exec.
    Exec,
    /// To be asked.
    Unseen,
}

/// The call a task is in, or was in last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) id: u64,
    pub(crate) abi: Abi,
    /// As it was made.
    pub(crate) args: [u64; 6],
    /// Whether an exit is to be reported.
    pub(crate) returns: bool,
    /// Its stop at a filter is behind it.
    pub(crate) passed_filter: bool,
    /// A filter of the task's own asked for a tracer that it does not have.
    pub(crate) refused: bool,
}

/// A single step under way.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// It was asked for inside a call.
    pub(crate) from_inside: bool,
    /// The task had set the trap flag itself: the trap is also its own SIGTRAP.
    pub(crate) own_flag: bool,
    /// It was asked for before a call that runs under PTRACE_SYSCALL, and nothing was told since: it ends with the call.
    pub(crate) over_call: bool,
}

impl Tracee {
    pub(crate) fn new(pid: i32, tgid: i32, life: Life) -> Tracee {
        Tracee {
            pid,
            tgid,
            generation: 0,
            start: None,
            life,
            demand: Demand::empty(),
            filter: Filter::ALL,
            filtered: false,
            on_death: OnDeath::Leave,
            options: 0,
            phase: Phase::Unseen,
            call: Call {
                number: 0,
                id: 0,
                abi: Abi::X64,
                args: [0; 6],
                returns: true,
                passed_filter: false,
                refused: false,
            },
            lent: Lent::default(),
            told: None,
            entry_regs: None,
            step: Step::default(),
            asked: false,
            untold_group_stop: false,
            vforking: false,
            spawned: false,
            parked: None,
            mem: None,
            reads: 0,
        }
    }

    /// The options this task should have.
    pub(crate) fn wanted_options(&self) -> i32 {
        let mut options = BASE_OPTIONS;
        if self.on_death == OnDeath::Kill {
            options |= libc::PTRACE_O_EXITKILL;
        }
        if self.filtered {
            options |= FILTERED_OPTIONS;
        }
        // It costs a stop per exit, so only where somebody looks.
        if self.demand.contains(Demand::EXITING) {
            options |= libc::PTRACE_O_TRACEEXIT;
        }
        options
    }

    /// The stop it is in.
    pub(crate) fn held(&mut self) -> Option<&mut Held> {
        match &mut self.life {
            Life::Stopped(held) => Some(held),
            _ => None,
        }
    }
}

/// Always on: TRACESYSGOOD because an unconsumed call stop would otherwise become a SIGTRAP if we die; the births and
/// exec because no later moment is early enough to turn them on. Not VFORKDONE: nobody needs that stop.
pub(crate) const BASE_OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC;

/// Also, under a filter: it stops nobody without the one, and without the other would outlive its tracer.
pub(crate) const FILTERED_OPTIONS: i32 = libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_EXITKILL;
