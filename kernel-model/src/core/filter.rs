//! What a seat wants of the stops it asked for: its [`Filter`], the union that the machine is told, and trees whose filter
//! is below the machine's stops and cannot be taken back.

use super::{ClientId, Core, Seat, SeatId, TaskKey};
use crate::machine::{Demand, Detail, Error, Filter, Machine, Pid, Result};
use crate::sets::SignalSet;

/// A seat that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SeatRef {
    seat: SeatId,
    serial: u64,
}

/// A seat's sets.
#[derive(Clone, Hash, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What is wanted.
    pub filter: Filter,
    /// Which parts of it a seat at a child begins with, if the same client takes it.
    pub inherit: Inherit,
}

/// For each part of a [`Filter`].
#[derive(Clone, Copy, Hash, Debug, Default, PartialEq, Eq)]
pub struct Inherit {
    /// [`Filter::entry`]
    pub entry: bool,
    /// [`Filter::exit`]
    pub exit: bool,
    /// [`Filter::signal`]
    pub signal: bool,
}

impl Sets {
    /// What a seat at a child begins with, in place of parts of `own`.
    fn for_child(&self, own: Filter) -> Sets {
        let Sets { filter, inherit } = self;
        let filter = Filter {
            entry: if inherit.entry { filter.entry.clone() } else { own.entry },
            exit: if inherit.exit { filter.exit.clone() } else { own.exit },
            signal: if inherit.signal { filter.signal } else { own.signal },
        };
        Sets { filter, inherit: *inherit }
    }
}

impl Seat {
    /// Whether a stop is one that this seat wants, by its details.
    pub(super) fn wants(&self, kind: Demand, detail: Detail) -> bool {
        let filter = &self.sets.filter;
        match detail {
            Detail::Call { number, abi, .. } if kind == Demand::CALL_ENTRY => filter.entry.has(abi, number),
            Detail::Call { number, abi, .. } if kind == Demand::CALL_EXIT => filter.exit.has(abi, number),
            Detail::Signal { signal, .. } if kind == Demand::SIGNAL => filter.signal.has(signal),
            _ => true,
        }
    }

    /// What it demands: not what no member of its sets could be.
    pub(super) fn demand(&self) -> Demand {
        let filter = &self.sets.filter;
        let mut demand = self.stops | self.notes;
        demand.set(Demand::CALL_ENTRY, demand.contains(Demand::CALL_ENTRY) && !filter.entry.is_empty());
        demand.set(Demand::CALL_EXIT, demand.contains(Demand::CALL_EXIT) && !filter.exit.is_empty());
        demand.set(Demand::SIGNAL, demand.contains(Demand::SIGNAL) && filter.signal != SignalSet::NONE);
        demand
    }
}

impl<M: Machine> Core<M> {
    /// The client's seat at this task.
    pub fn seat_at(&self, client: ClientId, pid: Pid) -> Option<SeatRef> {
        let tracee = &self.tasks[self.pids.get(&pid)?.0];
        let seat = *tracee.seats.iter().find(|seat| {
            let seat = &self.seats[seat.0];
            seat.owner == client && seat.observer.is_none()
        })?;
        Some(SeatRef { seat, serial: self.seats[seat.0].serial })
    }

    fn deref(&self, seat: SeatRef) -> Option<&Seat> {
        self.seats.get(seat.seat.0).filter(|found| found.serial == seat.serial)
    }

    /// The pid of the seat's task now, while there is such a seat.
    pub fn pid_of_ref(&self, seat: SeatRef) -> Option<Pid> {
        self.deref(seat).map(|found| self.tasks[found.task.0].id.pid)
    }

    /// A seat's sets; `None`: the seat was left.
    pub fn sets(&self, seat: SeatRef) -> Option<&Sets> {
        self.deref(seat).map(|found| &found.sets)
    }

    /// Replaces a seat's sets, from the next stop on.
    ///
    /// Errors: `Gone` the seat was left, or its task has ended; `Denied` the pushed filter lets some of these calls pass.
    pub fn set_sets(&mut self, seat: SeatRef, sets: Sets) -> Result<()> {
        let key = self.deref(seat).ok_or(Error::Gone)?.task;
        if self.is_gone(seat.seat) {
            return Err(Error::Gone);
        }
        if let Some(pushed) = &self.tasks[key.0].pushed_filter {
            let most = pushed.calls();
            if !sets.filter.calls().is_within(&most) {
                return Err(Error::Denied);
            }
        }
        self.seats[seat.seat.0].sets = sets;
        self.push_filter(key);
        self.push_demand(key);
        Ok(())
    }

    /// What a new seat of `owner` at this task begins with.
    pub(super) fn first_sets(&self, owner: ClientId, key: TaskKey) -> Sets {
        let tracee = &self.tasks[key.0];
        let of_parent = tracee.holders.iter().find_map(|holder| match holder {
            super::Holder::Parent(seat) => self.seats.get(seat.0).filter(|seat| seat.owner == owner),
            _ => None,
        });
        let own = tracee.pushed_filter.as_deref().cloned().unwrap_or_default();
        match of_parent {
            Some(parent) => parent.sets.for_child(own),
            None => Sets { filter: own, inherit: Inherit::default() },
        }
    }

    /// Tells the machine the union of the seats' filters, if it changed.
    pub(super) fn push_filter(&mut self, key: TaskKey) {
        let tracee = &self.tasks[key.0];
        let mut filters = tracee.seats.iter().map(|seat| &self.seats[seat.0].sets.filter);
        let union = match (filters.next(), filters.next()) {
            (None, _) => return,
            (Some(only), None) => only.clone(),
            (Some(a), Some(b)) => filters.fold(a.union(b), |union, filter| union.union(filter)),
        };
        let tracee = &mut self.tasks[key.0];
        if tracee.filter != union {
            tracee.filter = union;
            let _ = self.machine.filter(tracee.task, &tracee.filter);
        }
    }
}
