//! What a front-end does with a seat: take, order, hold, drain, leave.

use super::{ClientId, Core, Holder, Identity, Notice, Phase, Seat, SeatId, TaskKey};
use crate::machine::{Demand, Error, Machine, OnDeath, Pid, Result, Verdict};

/// A stop that a seat asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Grab {
    /// No notice is made of it.
    Quiet,
    /// An [`Demand::INTERRUPT`] notice is queued.
    Told,
}

/// What a seat wants from now on, and how it lets go of the stop it holds, if it holds one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Order {
    /// Stops to be held at.
    pub stops: Demand,
    /// Stops to be told of, without holding.
    pub notes: Demand,
    /// For what the task is stopped before.
    pub verdict: Verdict,
    /// Whether to be stopped again at once.
    pub grab: Option<Grab>,
}

impl<M: Machine> Core<M> {
    /// Takes a seat at the task with this pid, for `owner`. One that is held for want of a seat (newborn, just spawned) is held by
    /// the new seat from now on.
    ///
    /// Errors: those of [`Machine::attach`]; `Denied` a task with a pushed filter must be killed when the seat is left.
    pub fn take(&mut self, owner: ClientId, id: Identity, on_leave: OnDeath) -> Result<SeatId> {
        let key = self.key_of(id, on_leave)?;
        if self.tasks[key.0].pushed_filter.is_some() && on_leave == OnDeath::Leave {
            return Err(Error::Denied);
        }
        let sets = self.first_sets(owner, key);
        let seat = self.sit(
            key,
            Seat {
                owner,
                serial: 0,
                task: key,
                stops: Demand::empty(),
                notes: Demand::empty(),
                sets,
                queue: Default::default(),
                offered: Vec::new(),
                grab: None,
                on_leave,
                observer: None,
            },
        );
        let tracee = &mut self.tasks[key.0];
        let mut vacant = false;
        tracee.holders.retain(|holder| {
            let keep = matches!(holder, Holder::Seat(_) | Holder::Waiter(_));
            vacant |= !keep;
            keep
        });
        if vacant {
            tracee.holders.push(Holder::Seat(seat));
        }
        Ok(seat)
    }

    /// The live task with this pid, attached if it was not.
    pub(super) fn key_of(&mut self, id: Identity, on_leave: OnDeath) -> Result<TaskKey> {
        match self.pids.get(&id.pid).copied().filter(|&key| self.is_live(key)) {
            Some(key) => Ok(key),
            None => {
                let task = self.machine.attach(id.pid, on_leave)?;
                Ok(self.adopt(task, id, Phase::Running))
            }
        }
    }

    /// Enters a seat, and tells the machine what follows from it.
    pub(super) fn sit(&mut self, key: TaskKey, seat: Seat) -> SeatId {
        self.serials += 1;
        let seat = SeatId(self.seats.insert(Seat { serial: self.serials, ..seat }));
        self.tasks[key.0].seats.push(seat);
        self.push_on_death(key);
        self.push_filter(key);
        seat
    }

    /// Whether somebody controls this task. Front-ends that allow one session ask; observers do not count.
    pub fn is_taken(&self, pid: Pid) -> bool {
        let controls = |seat: &SeatId| self.seats[seat.0].observer.is_none();
        self.pids.get(&pid).is_some_and(|key| self.tasks[key.0].seats.iter().any(controls))
    }

    /// Stops the seat's task as soon as possible.
    pub fn grab(&mut self, seat: SeatId, how: Grab) {
        let key = self.seats[seat.0].task;
        match self.tasks[key.0].phase {
            Phase::Stopped if how == Grab::Quiet => self.hold(key, Holder::Seat(seat)),
            Phase::Running | Phase::Stopped => {
                self.seats[seat.0].grab = Some(how);
                let _ = self.machine.interrupt(self.tasks[key.0].task);
            }
            Phase::Free | Phase::Gone => {}
        }
    }

    /// Replaces what the seat wants, and lets go of the stop it holds. Legal while the task runs.
    ///
    /// Errors: `Gone`.
    pub fn order(&mut self, seat: SeatId, order: Order) -> Result<()> {
        let key = self.seats[seat.0].task;
        if !self.is_live(key) {
            return Err(Error::Gone);
        }
        let s = &mut self.seats[seat.0];
        s.stops = order.stops;
        s.notes = order.notes;
        s.grab = None;
        // A stopped task's is told when it is resumed.
        if self.tasks[key.0].phase == Phase::Running {
            self.push_demand(key);
        }
        self.let_go(key, Holder::Seat(seat), order.verdict);
        if let Some(how) = order.grab {
            self.grab(seat, how);
        }
        Ok(())
    }

    /// Takes the oldest notice. A birth that was taken is *offered*: the child waits for a seat or a refusal.
    pub fn next_notice(&mut self, seat: SeatId) -> Option<Notice> {
        let s = &mut self.seats[seat.0];
        let notice = s.queue.pop_front()?;
        if notice.kind == Demand::BORN
            && let Some(&child) = self.pids.get(&Pid(notice.value as u32))
            && self.tasks[child.0].holders.contains(&Holder::Parent(seat))
        {
            s.offered.push(child);
        }
        Some(notice)
    }

    /// Whether a notice is queued.
    pub fn has_notices(&self, seat: SeatId) -> bool {
        !self.seats[seat.0].queue.is_empty()
    }

    /// Whether reading the seat's queue would not wait: something is queued, or the end has come.
    pub fn is_readable(&self, seat: SeatId) -> bool {
        self.is_log_readable(seat).unwrap_or_else(|| self.has_notices(seat) || self.is_gone(seat))
    }

    /// The pid of the seat's task now.
    pub fn pid_of(&self, seat: SeatId) -> Pid {
        self.tasks[self.seats[seat.0].task.0].id.pid
    }

    /// Whether the seat holds its task stopped.
    pub fn is_held(&self, seat: SeatId) -> bool {
        self.holds(self.seats[seat.0].task, Holder::Seat(seat))
    }

    /// Whether the seat's task has ended.
    pub fn is_gone(&self, seat: SeatId) -> bool {
        !self.is_live(self.seats[seat.0].task)
    }

    /// Lets go of the children that were offered to this seat and in which it took no seat.
    pub fn refuse_offered(&mut self, seat: SeatId) {
        for child in std::mem::take(&mut self.seats[seat.0].offered) {
            if self.tasks.contains(child.0) {
                self.let_go(child, Holder::Parent(seat), Verdict::Proceed);
            }
        }
    }

    /// Gives the seat back: every child it keeps, read of or not, is let go (F5), and so is its task, or killed.
    pub fn leave(&mut self, seat: SeatId) {
        while self.next_notice(seat).is_some() {}
        self.refuse_offered(seat);
        let Seat { task: key, on_leave, .. } = self.seats[seat.0];
        self.seats.remove(seat.0);
        self.readable.retain(|&s| s != seat);
        let tracee = &mut self.tasks[key.0];
        tracee.seats.retain(|&s| s != seat);
        tracee.holders.retain(|&h| h != Holder::Seat(seat));
        let live = matches!(tracee.phase, Phase::Running | Phase::Stopped);
        if live && on_leave == OnDeath::Kill {
            self.end(key);
        } else {
            if live && !tracee.seats.is_empty() {
                self.push_on_death(key);
                self.push_filter(key);
                self.push_demand(key);
            }
            self.settle(key);
        }
    }

    fn is_live(&self, key: TaskKey) -> bool {
        matches!(self.tasks[key.0].phase, Phase::Running | Phase::Stopped)
    }
}
