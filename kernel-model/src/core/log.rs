//! Observers: seats that hold nobody. What happens is made into records at once, which one [`Log`] queues for many seats:
//! the task it was opened on, and if its table says so, all that descend from it.
//!
//! A queue has so much room. A record that finds none is counted; the count becomes a record in that place as soon as there
//! is room for it. So a slow reader costs nobody anything but itself.
//!
//! Here: a log's seats and its queue. `note`: what a report becomes.

mod note;

use std::collections::VecDeque;
use std::sync::Arc;

use zerocopy::IntoBytes;

use super::capture::Table;
use super::report::Asked;
use super::{ClientId, Core, Identity, Seat, SeatId, Sets, TaskKey};
use crate::abi::{LOG_VERSION, LogCall, LogDrop, LogHeader};
use crate::machine::{Demand, Error, Filter, Machine, OnDeath, Pid, Result};
use crate::sets::{CallSet, SignalSet};

const DROP: usize = size_of::<LogHeader>() + size_of::<LogDrop>();

/// A log's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct LogId(usize);

/// What one handle reads.
#[derive(Clone, Hash, Debug)]
pub(super) struct Log {
    /// The handle's own seat; it stays when its task has ended.
    root: SeatId,
    /// Seats at tasks that descend from the root's and have not ended.
    others: Vec<SeatId>,
    table: Arc<Table>,
    queue: VecDeque<Vec<u8>>,
    /// Bytes in it.
    used: usize,
    lost: Lost,
}

/// Records that found no room since the last that did.
#[derive(Clone, Hash, Debug, Default)]
struct Lost {
    count: u64,
    /// Of the first of them.
    header: LogHeader,
}

/// What makes a seat an observer's.
#[derive(Clone, Hash, Debug)]
pub(super) struct Observer {
    log: LogId,
    process: Pid,
    /// Calls without an exit yet, oldest first.
    calls: Vec<Open>,
    /// The id of the last call whose entry was seen.
    last: u64,
}

/// A call between its stops.
#[derive(Clone, Hash, Debug)]
struct Open {
    call: LogCall,
    captures: Vec<u8>,
    /// A signal came since: calls that follow may be a handler's.
    interrupted: bool,
}

impl Log {
    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.lost.count == 0
    }

    /// Puts the count of what was lost where it was lost, if there is room for it, and for `more`.
    fn tell_lost(&mut self, more: usize) {
        if self.lost.count > 0 && self.used + DROP + more <= self.table.room {
            let Lost { count, header } = std::mem::take(&mut self.lost);
            self.push(record(header, LogHeader::DROP, LogDrop { count }.as_bytes(), &[]));
        }
    }

    fn push(&mut self, record: Vec<u8>) {
        self.used += record.len();
        self.queue.push_back(record);
    }

    fn add(&mut self, header: LogHeader, record: Vec<u8>) {
        self.tell_lost(record.len());
        if self.lost.count == 0 && self.used + record.len() <= self.table.room {
            return self.push(record);
        }
        if self.lost.count == 0 {
            self.lost.header = header;
        }
        self.lost.count += 1;
    }
}

fn record(header: LogHeader, kind: u16, body: &[u8], captures: &[u8]) -> Vec<u8> {
    let length = size_of::<LogHeader>() + body.len() + captures.len();
    let header = LogHeader { length: length as u32, version: LOG_VERSION, kind, ..header };
    [header.as_bytes(), body, captures].concat()
}

impl<M: Machine> Core<M> {
    /// Takes an observer's seat at this task, with a log of its own. Whoever holds the task goes on holding it.
    ///
    /// Errors: those of [`Machine::attach`].
    pub fn observe(&mut self, owner: ClientId, id: Identity) -> Result<SeatId> {
        let process = self.machine.facts(id.pid)?.process;
        let known = self.key_of(id, OnDeath::Leave)?;
        let log = LogId(self.logs.vacant_key());
        let observer = Observer { log, process, calls: Vec::new(), last: 0 };
        let filter = self.observed(known, &Table::default())?;
        let root = self.sit(known, observer_seat(owner, known, filter, observer));
        let table = Arc::new(Table::default());
        let (queue, others, lost) = Default::default();
        self.logs.insert(Log { root, others, table, queue, used: 0, lost });
        self.push_demand(known);
        Ok(root)
    }

    /// What a table's seat at this task wants. `Denied`: the pushed filter lets some of it pass.
    fn observed(&self, key: TaskKey, table: &Table) -> Result<Filter> {
        let most = self.tasks[key.0].pushed_filter.as_ref().map(|pushed| pushed.calls());
        let calls = match (&table.calls, most) {
            (Some(calls), Some(most)) if !calls.is_within(&most) => return Err(Error::Denied),
            (Some(calls), _) => calls.clone(),
            (None, most) => most.unwrap_or(CallSet::ALL),
        };
        Ok(Filter { entry: calls.clone(), exit: calls, signal: SignalSet::ALL })
    }

    /// The observers of a parent that inherit take seats at its child, which nobody has let run yet.
    pub(super) fn inherit_observers(&mut self, parent: TaskKey, child: TaskKey, pid: Pid, asked: &mut Asked) {
        for n in 0..self.tasks[parent.0].seats.len() {
            let seat = &self.seats[self.tasks[parent.0].seats[n].0];
            let Some(observer) = &seat.observer else { continue };
            let log = observer.log;
            if !self.logs[log.0].table.inherit {
                continue;
            }
            let (owner, filter) = (seat.owner, seat.sets.filter.clone());
            let process = asked.process(&mut self.machine, pid);
            let observer = Observer { log, process, calls: Vec::new(), last: 0 };
            let seat = self.sit(child, observer_seat(owner, child, filter, observer));
            self.logs[log.0].others.push(seat);
            self.push_on_death(child);
        }
    }

    /// Replaces what a log's seats want, from their next stop on.
    ///
    /// Errors: `Gone` all its tasks have ended; `Denied` a pushed filter lets some of these calls pass.
    pub fn set_table(&mut self, root: SeatId, table: Table) -> Result<()> {
        let Some(log) = self.log_of(root) else { return Err(Error::Gone) };
        if self.is_over(root) {
            return Err(Error::Gone);
        }
        let seats: Vec<SeatId> = [root].into_iter().chain(self.logs[log.0].others.iter().copied()).collect();
        let filters: Vec<Filter> =
            seats.iter().map(|seat| self.observed(self.seats[seat.0].task, &table)).collect::<Result<_>>()?;
        self.logs[log.0].table = Arc::new(table);
        for (seat, filter) in seats.into_iter().zip(filters) {
            // The exit of a call that is no longer wanted may not be reported.
            if let Some(observer) = &mut self.seats[seat.0].observer {
                observer.calls.retain(|open| filter.entry.has(u64::from(open.call.abi), open.call.number));
            }
            self.seats[seat.0].sets.filter = filter;
            if !self.is_gone(seat) {
                let key = self.seats[seat.0].task;
                self.push_filter(key);
                self.push_demand(key);
            }
        }
        Ok(())
    }

    /// Moves whole records, oldest first, as many as fit. `None`: not even the first does.
    pub fn read_log(&mut self, root: SeatId, buf: &mut [u8]) -> Option<usize> {
        let log = self.log_of(root)?;
        let log = &mut self.logs[log.0];
        let mut n = 0;
        loop {
            log.tell_lost(0);
            let Some(record) = log.queue.front() else { break };
            let Some(place) = buf[n..].get_mut(..record.len()) else {
                return (n > 0).then_some(n);
            };
            place.copy_from_slice(record);
            n += record.len();
            log.used -= record.len();
            log.queue.pop_front();
        }
        Some(n)
    }

    /// Whether every task of a log has ended.
    pub fn is_over(&self, root: SeatId) -> bool {
        self.is_gone(root) && self.log_of(root).is_none_or(|log| self.logs[log.0].others.is_empty())
    }

    /// Whether a log's read would not wait; `None` if the seat is no observer's.
    pub(super) fn is_log_readable(&self, root: SeatId) -> Option<bool> {
        let log = self.log_of(root)?;
        Some(!self.logs[log.0].is_empty() || self.is_over(root))
    }

    /// Gives back all seats of a log.
    pub fn close_log(&mut self, root: SeatId) {
        let Some(log) = self.log_of(root) else { return };
        for seat in self.logs[log.0].others.clone() {
            self.leave(seat);
        }
        self.leave(root);
        self.logs.remove(log.0);
    }

    fn log_of(&self, seat: SeatId) -> Option<LogId> {
        self.seats[seat.0].observer.as_ref().map(|observer| observer.log)
    }
}

fn observer_seat(owner: ClientId, task: TaskKey, filter: Filter, observer: Observer) -> Seat {
    Seat {
        owner,
        serial: 0,
        task,
        stops: Demand::empty(),
        notes: Demand::CALL_ENTRY
            | Demand::CALL_EXIT
            | Demand::SIGNAL
            | Demand::BORN
            | Demand::IMAGE
            | Demand::GONE,
        sets: Sets { filter, ..Sets::default() },
        queue: VecDeque::new(),
        offered: Vec::new(),
        grab: None,
        on_leave: OnDeath::Leave,
        observer: Some(observer),
    }
}
