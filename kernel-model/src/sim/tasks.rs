//! The table of tasks, and what a stop turns into when it ends.

use std::collections::VecDeque;

use crate::abi::{Errno, Pid};
use crate::machine::{Error, Report, Result, Task, Verdict};

use super::frames::failed;
use super::process::{Next, Process, Trace};
use super::{Quirks, Sim, Slot};

impl Sim {
    /// A place in the table of tasks.
    pub(super) fn new_task(&mut self, pid: Pid, spawned: bool) -> Task {
        let free = self.slots.iter().position(|slot| slot.pid.is_none());
        let index = free.unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, pid: None, spawned });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.generation += 1;
        (slot.pid, slot.spawned) = (Some(pid), spawned);
        Task { slot: index as u32, generation: slot.generation }
    }

    pub(super) fn slot(&self, task: Task) -> Result<(&Slot, Pid)> {
        let slot = self.slots.get(task.slot as usize).filter(|slot| slot.generation == task.generation);
        slot.and_then(|slot| Some((slot, slot.pid?))).ok_or(Error::Gone)
    }

    pub(super) fn free(&mut self, task: Task) {
        if let Some(slot) =
            self.slots.get_mut(task.slot as usize).filter(|slot| slot.generation == task.generation)
        {
            slot.pid = None;
        }
    }

    /// The task under which a spawned process is known, traced or not.
    pub(super) fn spawned_task(&self, pid: Pid) -> Option<Task> {
        let index = self.slots.iter().position(|slot| slot.spawned && slot.pid == Some(pid))?;
        Some(Task { slot: index as u32, generation: self.slots[index].generation })
    }

    /// A task that is traced and has not ended.
    pub(super) fn traced(&mut self, task: Task) -> Result<(&mut Process, Pid)> {
        let (_, pid) = self.slot(task)?;
        let process = self
            .processes
            .get_mut(&pid.0)
            .filter(|process| process.trace.as_ref().is_some_and(|trace| trace.task == task));
        process.map(|process| (&mut **process, pid)).ok_or(Error::Gone)
    }

    /// One that is stopped, too.
    pub(super) fn stopped(&mut self, task: Task) -> Result<(&mut Process, Report)> {
        let (process, _) = self.traced(task)?;
        let report = process.held().ok_or(Error::Running)?;
        Ok((process, report))
    }

    pub(super) fn any(&mut self, pid: Pid, start: u64) -> Result<&mut Process> {
        let process =
            self.processes.get_mut(&pid.0).filter(|process| process.start == start && !process.is_zombie());
        process.map(|process| &mut **process).ok_or(Error::Gone)
    }

    /// Ends a stop.
    pub(super) fn let_go(&mut self, pid: Pid, verdict: Verdict) {
        let quirks = self.config.quirks;
        let process = self.process(pid);
        let Some(trace) = &mut process.trace else { return };
        let trap = trace.trap;
        match (trace.held.take(), verdict) {
            (Some(Report::CallEntry), Verdict::Skip) => {
                let result = if quirks.contains(Quirks::SKIP_FAILS) {
                    failed(Errno::ENOSYS)
                } else {
                    process.cpu.int.rax
                };
                process.next = Next::Done(result);
            }
            (Some(Report::Signal), Verdict::Skip) => {
                if let Next::Act(_, back) = std::mem::replace(&mut process.next, Next::User) {
                    process.next = *back;
                }
            }
            (Some(Report::Trap), Verdict::Proceed) => {
                if process.cpu.int.rip == trap {
                    process.cpu.int.rip += 1;
                }
                self.act_on_trap(pid);
            }
            (Some(Report::GroupStop { .. }), _) if quirks.contains(Quirks::GROUP_STOP_RUNS) => {
                process.stopped = None
            }
            _ => {}
        }
        self.log.add(pid, || format!("resumed: {verdict:?}"));
    }

    /// Whether the registers that are shown differ from those that are there: a call that waits is shown as if it had
    /// not begun, so that whoever puts other registers there and later these back makes it begin again.
    pub(super) fn is_backed_up(process: &Process, report: Report) -> bool {
        matches!(report, Report::Interrupt | Report::GroupStop { .. })
            && matches!(process.next, Next::Wait(_))
    }

    /// Nobody will hear of these: a child that one of them tells of is let go, for nobody else could (contract 1).
    pub(super) fn forget_reports(&mut self, task: Task) {
        let (lost, kept): (VecDeque<_>, _) = self.reports.drain(..).partition(|(other, _)| *other == task);
        self.reports = kept;
        for (_, report) in lost {
            if let Report::Born { child, pid } = report {
                // It may have been killed since, and its end is not told either.
                self.forget_reports(child);
                self.free(child);
                let held = |trace: &Trace| trace.task == child;
                let process = self.processes.get_mut(&pid.0);
                if let Some(process) = process.filter(|process| process.trace.as_ref().is_some_and(held)) {
                    process.trace = None;
                    self.log.add(pid, || "detached: its birth was not told yet".into());
                }
            }
        }
    }

    /// The end of a task was told. What the owner started is thereby waited for.
    pub(super) fn bury(&mut self, task: Task) {
        if self.reports.iter().any(|(other, _)| *other == task) {
            return;
        }
        if let Ok((slot, pid)) = self.slot(task) {
            let spawned = slot.spawned;
            self.free(task);
            if spawned && self.processes.get(&pid.0).is_some_and(|process| process.is_zombie()) {
                self.processes.remove(&pid.0);
            }
        }
    }
}
