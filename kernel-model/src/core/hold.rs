//! The one rule: a stop has holders, and when the last one lets go the task resumes, or is left if no seat wants it.

use super::{Core, Holder, On, Phase, TaskKey};
use crate::machine::{Demand, Leave, Machine, OnDeath, Signal, Verdict};

impl<M: Machine> Core<M> {
    pub(super) fn holds(&self, key: TaskKey, holder: Holder) -> bool {
        let tracee = &self.tasks[key.0];
        tracee.phase == Phase::Stopped && tracee.holders.contains(&holder)
    }

    pub(super) fn hold(&mut self, key: TaskKey, holder: Holder) {
        let holders = &mut self.tasks[key.0].holders;
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }

    /// `holder` lets go with this verdict. No effect on the task while others hold it.
    pub(super) fn let_go(&mut self, key: TaskKey, holder: Holder, verdict: Verdict) {
        let tracee = &mut self.tasks[key.0];
        let before = tracee.holders.len();
        tracee.holders.retain(|&h| h != holder);
        if tracee.holders.len() != before && verdict == Verdict::Skip {
            tracee.verdict = Verdict::Skip;
        }
        self.settle(key);
    }

    /// Resumes, detaches or forgets a task as its holders and seats say. The machine's refusal is never an error here:
    /// a task that was killed meanwhile is reported in its turn.
    pub(super) fn settle(&mut self, key: TaskKey) {
        let tracee = &self.tasks[key.0];
        if !tracee.holders.is_empty() {
            return;
        }
        let waited_for = self.waiters.iter().any(|(_, waiter)| waiter.on == On::Stop(key));
        match tracee.phase {
            Phase::Free => {}
            Phase::Gone => self.forget(key),
            Phase::Running | Phase::Stopped
                if tracee.seats.is_empty() && tracee.pushed_filter.is_none() && !waited_for =>
            {
                let leave = Leave::Free(tracee.verdict);
                self.part(key, leave);
            }
            Phase::Running => {}
            Phase::Stopped => {
                self.push_demand(key);
                let tracee = &mut self.tasks[key.0];
                tracee.phase = Phase::Running;
                let verdict = std::mem::replace(&mut tracee.verdict, Verdict::Proceed);
                let _ = self.machine.resume(tracee.task, verdict);
            }
        }
    }

    /// Kills a task that nobody holds, and ends its tracing unless there are observers, who are still to be told.
    pub(super) fn end(&mut self, key: TaskKey) {
        let tracee = &self.tasks[key.0];
        if !tracee.seats.is_empty() && self.machine.signal(tracee.id.pid, Signal::KILL).is_ok() {
            return self.settle(key);
        }
        self.part(key, Leave::Dead);
    }

    /// Ends the tracing of a task. Its seats, if any are left, learn of its end only if it was spawned here.
    pub(super) fn part(&mut self, key: TaskKey, leave: Leave) {
        let tracee = &mut self.tasks[key.0];
        tracee.phase = Phase::Free;
        tracee.verdict = Verdict::Proceed;
        let task = tracee.task;
        let _ = self.machine.detach(task, leave);
        for seat in self.tasks[key.0].seats.clone() {
            self.readable.push(seat);
            self.wake(On::Seat(seat));
        }
        // No stop of this tracing comes any more: who waits for one has to ask for another.
        self.wake(On::Stop(key));
        self.forget(key);
    }

    /// Tells the machine the union of what the seats want, if it changed. A step is one-shot, so it is always told.
    pub(super) fn push_demand(&mut self, key: TaskKey) {
        let tracee = &self.tasks[key.0];
        // Nobody of a tree with a pushed filter may get lost.
        let least = if tracee.pushed_filter.is_some() { Demand::BORN } else { Demand::empty() };
        let union = tracee.seats.iter().fold(least, |union, seat| union | self.seats[seat.0].demand());
        if union != tracee.pushed || union.contains(Demand::STEP) {
            let tracee = &mut self.tasks[key.0];
            tracee.pushed = union;
            let _ = self.machine.demand(tracee.task, union);
        }
    }

    /// Tells the machine what the seats want done if their owner dies: one that kills is enough.
    pub(super) fn push_on_death(&mut self, key: TaskKey) {
        let tracee = &self.tasks[key.0];
        let kill = tracee.pushed_filter.is_some()
            || tracee.seats.iter().any(|seat| self.seats[seat.0].on_leave == OnDeath::Kill);
        let what = if kill { OnDeath::Kill } else { OnDeath::Leave };
        let _ = self.machine.on_owner_death(tracee.task, what);
    }
}
