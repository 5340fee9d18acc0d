//! From a change to a report, or to a task that goes on unnoticed: each stop is weighed against the demand, here only.

use kernel_model::machine::{Demand, Report, Signal, Status, Task, Verdict};

use crate::Linux;
use crate::birth::Early;
use crate::stop::{Raw, Stop};
use crate::sys::{self, CallInfo, Change, Target};
use crate::tracee::{Held, Life, Request, Tracee};
use crate::wait::wait_for;

impl Linux {
    /// What a change means to the kernel above, if anything.
    pub(crate) fn arrive(&mut self, change: Change) -> Option<(Task, Report)> {
        let raw = Raw::decode(change);
        let Some(task) = self.table.by_pid(change.pid) else {
            self.stranger(change.pid, raw);
            return None;
        };
        if let Raw::End(status) = raw {
            // Reap it: only then does the real parent hear of it.
            let _ = sys::wait(Target::One(change.pid), false, true);
            self.gone(task, Some(status));
            return self.pending.pop_front();
        }
        if raw == Raw::Event(libc::PTRACE_EVENT_EXEC) {
            return self.exec(change.pid);
        }
        let tracee = self.table.get_mut(task).ok()?;
        if matches!(tracee.life, Life::Leaving) {
            self.leave_now(task, raw);
            return None;
        }
        let was_listening = matches!(tracee.life, Life::Running(Request::Listen));
        let was_stepping = matches!(tracee.life, Life::Running(Request::Step));
        let result = tracee.told.as_ref().and_then(CallInfo::result);
        let stop = tracee.classify(raw)?;
        let mut held = Held { was_listening, was_stepping, result, ..Held::new(stop) };
        if tracee.filtered && stop == Stop::Entry {
            tracee.keep_child(&mut held);
        }
        tracee.life = Life::Stopped(held);
        if let Stop::Event(
            event @ (libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE),
        ) = stop
        {
            return self.birth(task, event);
        }
        match tracee.report(stop) {
            Some(Report::Step) if matches!(stop, Stop::Step { .. }) => self.disarm(task),
            Some(report) => Some(self.hold(task, report)),
            None => {
                self.let_go(task);
                None
            }
        }
    }

    /// Moves a task from the trap of its step to a plain one, without running it: if we died now, the trap would be
    /// delivered, and the armed step would raise another (exit_ptrace does not disarm it, any resumption but a step does).
    /// Where the trap is the task's own as well, it must stay.
    fn disarm(&mut self, task: Task) -> Option<(Task, Report)> {
        let tracee = self.table.get_mut(task).ok()?;
        if !tracee.step.own_flag {
            let pid = tracee.pid;
            let trapped = sys::interrupt(pid)
                .and_then(|()| sys::restart(libc::PTRACE_CONT, pid, 0))
                .map(|()| wait_for(pid, true));
            let held = tracee.held()?;
            held.consumed = true;
            match trapped.ok().flatten().map(|change| (change, Raw::decode(change))) {
                // Job control came at the same moment: its stop is told of after this one.
                Some((_, Raw::Group(signal))) => {
                    held.stop = Stop::Group(signal);
                    tracee.untold_group_stop = true;
                }
                Some((change, Raw::End(_) | Raw::Event(_))) => {
                    tracee.life = Life::Running(Request::Cont);
                    self.news.push_back(change);
                    return None;
                }
                _ => {}
            }
        }
        Some(self.hold(task, Report::Step))
    }

    /// Gives out a report; the task stays stopped.
    pub(crate) fn hold(&mut self, task: Task, report: Report) -> (Task, Report) {
        if let Ok(tracee) = self.table.get_mut(task) {
            // Another stop does not answer it: whoever resumes from that one may still wait for this.
            tracee.asked &= report != Report::Interrupt;
            tracee.demand.remove(Demand::STEP);
            tracee.step.over_call = false;
        }
        self.watch.peeked.push(task);
        (task, report)
    }

    /// Lets a task go on from a stop that nobody demanded.
    pub(crate) fn let_go(&mut self, task: Task) {
        self.resume_task(task, Verdict::Proceed);
    }

    pub(crate) fn resume_task(&mut self, task: Task, verdict: Verdict) {
        let Ok(tracee) = self.table.get_mut(task) else { return };
        let pid = tracee.pid;
        let ends = tracee.held().is_some_and(|held| held.stop == Stop::Entry)
            && tracee.call.abi.ends(tracee.call.number);
        if self.placement.is_due() {
            self.place(pid);
        }
        if let Ok(tracee) = self.table.get_mut(task) {
            tracee.go(verdict);
        }
        self.watch.resumed(pid, ends);
    }

    /// A task has ended, or was lost: the last report of it.
    pub(crate) fn gone(&mut self, task: Task, status: Option<Status>) {
        let Some(tracee) = self.table.remove(task) else { return };
        let silent = match tracee.life {
            Life::Leaving => !tracee.spawned,
            Life::Left => {
                self.watch.left -= 1;
                false
            }
            Life::Running(_) | Life::Stopped(_) => false,
        };
        if !silent {
            self.pending.push_back((task, Report::Gone { status }));
        }
        self.free_orphans();
    }

    /// A task that is not in the table: a child whose parent has not told of it yet, or nobody of ours.
    fn stranger(&mut self, pid: i32, raw: Raw) {
        if self.bell.answers(pid, raw) {
            return;
        }
        let early = Early::meet(pid, raw, &mut self.table);
        // Consumed, so that wait shows others. A stop of a newborn is no signal's, so nothing is lost if we die.
        let _ = sys::wait(Target::One(pid), false, true);
        self.early.insert(pid, early);
    }
}

impl Tracee {
    /// At an exit that is not told: the end of a step that was asked for before the call, if there was one. Going on with
    /// PTRACE_SINGLESTEP would end it an instruction later.
    fn stepped_over(&mut self) -> Option<Report> {
        let over = std::mem::take(&mut self.step.over_call) && self.demand.contains(Demand::STEP);
        if !over {
            return None;
        }
        self.entry_regs = None;
        self.held()?.stop = Stop::Step { short: false };
        Some(Report::Step)
    }

    /// The report of a stop, if it is demanded.
    fn report(&mut self, stop: Stop) -> Option<Report> {
        let demanded = |kind: Demand| self.demand.contains(kind);
        let signal = |number: i32| Signal(number as u8);
        let (abi, call) = (self.call.abi as u64, self.call.number);
        let report = match stop {
            Stop::Entry if !self.filter.entry.has(abi, call) => return None,
            Stop::Entry => Report::CallEntry,
            Stop::Exit { silent } => {
                let wanted = demanded(Demand::CALL_EXIT) && self.filter.exit.has(abi, call);
                if silent || !wanted {
                    return self.stepped_over();
                }
                Report::CallExit
            }
            Stop::Signal(number) if !self.filter.signal.has(signal(number)) => return None,
            Stop::Signal(_) => Report::Signal,
            // Where nobody wants breakpoints, it is the signal that it raises (R38).
            Stop::Breakpoint if !demanded(Demand::TRAP) && demanded(Demand::SIGNAL) => {
                self.held()?.stop = Stop::Signal(libc::SIGTRAP);
                return Some(Report::Signal);
            }
            Stop::Breakpoint => Report::Trap,
            Stop::Step { short: true } => return None,
            Stop::Step { short: false } => Report::Step,
            Stop::Trap => return self.asked.then_some(Report::Interrupt),
            Stop::Group(number) => {
                let told = self.held()?.was_listening && !std::mem::take(&mut self.untold_group_stop);
                if !told && self.demand.contains(Demand::GROUP_STOP) {
                    return Some(Report::GroupStop { signal: signal(number) });
                }
                return self.asked.then_some(Report::Interrupt);
            }
            Stop::Event(libc::PTRACE_EVENT_EXIT) => {
                let status = sys::event_message(self.pid).ok()? as u32;
                Report::Exiting { status: Status(status) }
            }
            Stop::Event(_) => return None,
        };
        demanded(report.kind()).then_some(report)
    }
}
