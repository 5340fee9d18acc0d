//! What an explorer asks of a simulator beside [`Machine`](crate::machine::Machine): who is where, and what a turn would do.
//!
//! Nothing here changes anything but the log.

use crate::abi::{Pid, Signal, Status};
use crate::machine::{Demand, Report};

use super::process::{Kind, Next, Process};
use super::{Sim, names};

/// What a process is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Instructions of its program.
    Program,
    /// The beginning of the call with this number.
    Call(u64),
    /// That call, which waits.
    Waits(&'static str),
    /// The end of the call: its result is known, or was seen.
    Returns,
    /// A signal that is about to be acted on.
    Signal(Signal),
    /// Its end.
    Ending(Status),
    /// Nothing: it has ended, and nobody has waited for it.
    Ended(Status),
}

/// A process as an explorer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// Who made it.
    pub parent: Option<Pid>,
    /// What it is at.
    pub doing: Doing,
    /// The stop it is held in.
    pub held: Option<Report>,
    /// A tracer has it.
    pub traced: bool,
    /// Job control has stopped it.
    pub stopped: bool,
    /// SIGKILL was sent.
    pub killed: bool,
    /// Whether nothing can come between this turn and the next: no signal, no stop asked for.
    pub alone: bool,
    /// The same, and nobody else can tell when it takes that turn: nothing is sent, made or reported by it.
    pub quiet: bool,
}

impl Sim {
    /// All processes that run programs, or have ended and were not waited for, ascending.
    pub fn programs(&self) -> impl Iterator<Item = Pid> {
        self.processes.values().filter(|process| process.kind == Kind::Program).map(|process| process.pid)
    }

    /// One of them.
    pub fn look(&self, pid: Pid) -> Option<Look> {
        let process = self.processes.get(&pid.0)?;
        let doing = match &process.next {
            Next::User => Doing::Program,
            Next::Dispatch => Doing::Call(process.call.map_or(0, |call| call.number)),
            Next::Wait(wait) => Doing::Waits(wait.reason()),
            Next::Done(_) | Next::Left => Doing::Returns,
            Next::Act(signal, _) => Doing::Signal(*signal),
            Next::Again(..) => Doing::Program,
            Next::Die(status) | Next::Dead(status) => Doing::Ending(*status),
            Next::Zombie(status) => Doing::Ended(*status),
        };
        Some(Look {
            parent: process.parent,
            doing,
            held: process.held(),
            traced: process.trace.is_some(),
            stopped: process.stopped.is_some(),
            killed: process.killed,
            alone: is_alone(process),
            quiet: is_alone(process) && is_unseen(process),
        })
    }

    /// The report that [`next_stop`](crate::machine::Machine::next_stop) gives next, and whose it is.
    pub fn coming(&self) -> Option<(Pid, Report)> {
        let (task, report) = self.reports.front()?;
        self.slot(*task).ok().map(|(_, pid)| (pid, *report))
    }

    /// Whether a report of this process, or of its birth, was made and not given yet.
    pub fn is_announced(&self, pid: Pid) -> bool {
        let born = |report: &Report| matches!(report, Report::Born { pid: child, .. } if *child == pid);
        let of = |task| self.slot(task).is_ok_and(|(_, other)| other == pid);
        self.reports.iter().any(|(task, report)| of(*task) || born(report))
    }

    /// The log's lines, taken out.
    pub fn take_log(&mut self) -> Vec<String> {
        self.log.take()
    }

    /// A call's name.
    pub fn call_name(number: u64) -> String {
        names::call(number).map_or_else(|| format!("call {number}"), |call| call.name.to_owned())
    }
}

fn is_alone(process: &Process) -> bool {
    let asked = process.trace.as_ref().is_some_and(|trace| trace.interrupted);
    !asked
        && !process.killed
        && process.stopped.is_none()
        && process.signals.deliverable() == 0
        && !process.stale_step
}

fn is_unseen(process: &Process) -> bool {
    match process.next {
        Next::User => !process.demands(Demand::CALL_ENTRY | Demand::STEP | Demand::TRAP),
        Next::Done(_) => !process.wants_call(Demand::CALL_EXIT),
        Next::Left => !process.demands(Demand::STEP),
        _ => false,
    }
}
