//! What a report of the machine does: notices into queues, holders onto the stop, waiters awake.

use super::{Core, Grab, Holder, Identity, Notice, On, Phase, SeatId, TaskKey, UNKNOWN_START};
use crate::machine::{CallValues, Demand, Detail, Leave, Machine, Pid, Report, Task, Verdict};

/// What was asked of the machine for one report: once, however many want to know.
#[derive(Default)]
pub(super) struct Asked {
    detail: Option<Detail>,
    values: Option<Option<CallValues>>,
    now: Option<u64>,
    process: Option<Pid>,
}

impl Asked {
    pub(super) fn detail(&mut self, machine: &mut impl Machine, task: Task) -> Detail {
        *self.detail.get_or_insert_with(|| machine.detail(task).unwrap_or(Detail::None))
    }

    pub(super) fn values(&mut self, machine: &mut impl Machine, task: Task) -> Option<CallValues> {
        *self.values.get_or_insert_with(|| machine.call_values(task).ok())
    }

    /// The process that a newborn belongs to.
    pub(super) fn process(&mut self, machine: &mut impl Machine, child: Pid) -> Pid {
        *self.process.get_or_insert_with(|| machine.facts(child).map_or(child, |facts| facts.process))
    }

    pub(super) fn now(&mut self, machine: &mut impl Machine) -> u64 {
        *self.now.get_or_insert_with(|| machine.now())
    }
}

/// Reports whose [`Detail`] goes into their notices.
const DETAILED: Demand = Demand::CALL_ENTRY.union(Demand::CALL_EXIT).union(Demand::SIGNAL);

impl<M: Machine> Core<M> {
    pub(super) fn report(&mut self, task: Task, report: Report) {
        let Some(key) = self.find(task) else { return self.stray(task, report) };
        match report {
            Report::Gone { status } => return self.gone(key, status),
            Report::Image { former } => self.renamed(key, former),
            _ => {}
        }
        let tracee = &mut self.tasks[key.0];
        tracee.phase = Phase::Stopped;
        tracee.verdict = Verdict::Proceed;
        // A stop that was held is over if another comes: the task was killed in it (R43).
        tracee.holders.clear();
        // The machine has used up a step.
        tracee.pushed.remove(Demand::STEP);
        let born = match report {
            Report::Born { child, pid } => Some((child, pid)),
            _ => None,
        };
        let child = born
            .map(|(child, pid)| self.adopt(child, Identity { pid, start: UNKNOWN_START }, Phase::Stopped));
        if let Some(child) = child {
            self.tasks[child.0].pushed_filter = self.tasks[key.0].pushed_filter.clone();
        }
        let mut asked = Asked::default();
        for n in 0..self.tasks[key.0].seats.len() {
            let seat = self.tasks[key.0].seats[n];
            if self.seats[seat.0].observer.is_some() {
                self.note(key, seat, report, &mut asked);
            } else {
                self.tell(key, seat, report, child, &mut asked);
            }
        }
        if let (Some(child), Some((_, pid))) = (child, born) {
            self.inherit_observers(key, child, pid, &mut asked);
            self.settle(child);
        }
        self.catch_waiters(key);
        self.settle(key);
    }

    /// One seat's part of a report.
    fn tell(
        &mut self,
        key: TaskKey,
        seat: SeatId,
        report: Report,
        child: Option<TaskKey>,
        asked: &mut Asked,
    ) {
        let s = &mut self.seats[seat.0];
        let kind = report.kind();
        let stops = s.stops.contains(kind);
        let mut told = stops || s.notes.contains(kind);
        let mut held = stops;
        if matches!(kind, Demand::INTERRUPT | Demand::GROUP_STOP)
            && let Some(grab) = s.grab.take()
        {
            held = true;
            if grab == Grab::Told {
                self.push(seat, Notice { kind: Demand::INTERRUPT, value: 0, detail: Detail::None });
                told &= kind != Demand::INTERRUPT;
            }
        }
        let wants_detail = DETAILED.contains(kind);
        let detail = if wants_detail && told {
            asked.detail(&mut self.machine, self.tasks[key.0].task)
        } else {
            Detail::None
        };
        if told && wants_detail && !self.seats[seat.0].wants(kind, detail) {
            return;
        }
        if told {
            let value = match report {
                Report::Born { pid, .. } => u64::from(pid.0),
                Report::Image { former } => u64::from(former.0),
                Report::GroupStop { signal } => u64::from(signal.0),
                Report::Exiting { status } => u64::from(status.0),
                _ => 0,
            };
            self.push(seat, Notice { kind, value, detail });
            if let Some(child) = child {
                self.hold(child, Holder::Parent(seat));
            }
        }
        if held {
            // Whatever stop it is: one that was asked for is no longer outstanding.
            self.seats[seat.0].grab = None;
            self.hold(key, Holder::Seat(seat));
            self.wake(On::Seat(seat));
        }
    }

    fn push(&mut self, seat: SeatId, notice: Notice) {
        let queue = &mut self.seats[seat.0].queue;
        queue.push_back(notice);
        if queue.len() == 1 {
            self.readable.push(seat);
        }
        self.wake(On::Seat(seat));
    }

    fn gone(&mut self, key: TaskKey, status: Option<crate::abi::Status>) {
        let tracee = &mut self.tasks[key.0];
        if tracee.phase == Phase::Gone {
            return;
        }
        tracee.phase = Phase::Gone;
        tracee.holders.clear();
        let pid = tracee.id.pid;
        // From here on the number may be another process's (F15).
        if self.pids.get(&pid) == Some(&key) {
            self.pids.remove(&pid);
        }
        if let (Some(child), Some(status)) = (self.children.get_mut(&pid), status) {
            child.status = Some(status);
        }
        let mut asked = Asked::default();
        // Observers of descendants leave meanwhile.
        for seat in self.tasks[key.0].seats.clone() {
            if self.seats[seat.0].observer.is_some() {
                self.note(key, seat, Report::Gone { status }, &mut asked);
                continue;
            }
            if self.seats[seat.0].notes.contains(Demand::GONE) {
                let value = status.map_or(u64::MAX, |status| u64::from(status.0));
                self.push(seat, Notice { kind: Demand::GONE, value, detail: Detail::None });
            }
            // A death is readable even with nothing queued (R52).
            if !self.readable.contains(&seat) {
                self.readable.push(seat);
            }
            self.wake(On::Seat(seat));
        }
        self.wake(On::Stop(key));
        self.wake(On::Child(pid));
        self.forget(key);
    }

    /// After exec the pid may be another: the process's, taken over from its first thread, which is gone by now.
    fn renamed(&mut self, key: TaskKey, former: crate::abi::Pid) {
        let Ok(pid) = self.machine.pid(self.tasks[key.0].task) else { return };
        let tracee = &mut self.tasks[key.0];
        if tracee.id.pid == pid {
            return;
        }
        tracee.aliases.push(tracee.id);
        tracee.id.pid = pid;
        self.tasks[key.0].id.start = UNKNOWN_START;
        if self.pids.get(&former) == Some(&key) {
            self.pids.remove(&former);
        }
        self.pids.insert(pid, key);
    }

    /// A report of a task this kernel does not know, or no longer: it is let go.
    fn stray(&mut self, task: Task, report: Report) {
        if let Report::Born { child, .. } = report {
            let _ = self.machine.detach(child, Leave::Free(Verdict::Proceed));
        }
        if !matches!(report, Report::Gone { .. }) {
            let _ = self.machine.resume(task, Verdict::Proceed);
        }
    }
}
