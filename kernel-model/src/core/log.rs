//! Observers: seats that hold nobody. What happens is made into records at once, which one [`Log`] queues for many seats:
//! the task it was opened on, and if its table says so, all that descend from it.
//!
//! A queue has so much room. A record that finds none is counted; the count becomes a record in that place as soon as there
//! is room for it. So a slow reader costs nobody anything but itself.

use std::collections::VecDeque;
use std::sync::Arc;

use zerocopy::IntoBytes;

use super::capture::{Scene, Table};
use super::report::Asked;
use super::{ClientId, Core, Identity, On, Seat, SeatId, Sets, TaskKey};
use crate::abi::{
    LOG_MOST, LOG_VERSION, LogBirth, LogCall, LogDeath, LogDrop, LogHeader, LogImage, LogSignal, Status,
};
use crate::machine::{CallValues, Demand, Detail, Error, Filter, Machine, OnDeath, Pid, Report, Result};
use crate::sets::{CallSet, SignalSet};

/// Calls of one task that may be interrupted by handlers at a time; older ones are given up.
const MOST_NESTED: usize = 64;
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
    pub(super) fn inherit_observers(&mut self, parent: TaskKey, child: TaskKey, pid: Pid) {
        let mut process = None;
        for n in 0..self.tasks[parent.0].seats.len() {
            let seat = &self.seats[self.tasks[parent.0].seats[n].0];
            let Some(observer) = &seat.observer else { continue };
            let log = observer.log;
            if !self.logs[log.0].table.inherit {
                continue;
            }
            let (owner, filter) = (seat.owner, seat.sets.filter.clone());
            let process = *process.get_or_insert_with(|| self.machine.facts(pid).map_or(pid, |f| f.process));
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

    /// An observer's part of a report.
    pub(super) fn note(&mut self, key: TaskKey, seat: SeatId, report: Report, asked: &mut Asked) {
        let task = self.tasks[key.0].task;
        match report {
            Report::CallEntry | Report::CallExit => {
                let Detail::Call { number, id, abi } = asked.detail(&mut self.machine, task) else { return };
                if !self.seats[seat.0].sets.filter.entry.has(abi, number) {
                    return;
                }
                let Some(values) = asked.values(&mut self.machine, task) else { return };
                let now = asked.now(&mut self.machine);
                let call = LogCall { number, abi: abi as u32, id, args: values.args, ..LogCall::default() };
                if report == Report::CallEntry {
                    self.enter(key, seat, LogCall { entered: now, ..call }, values);
                } else {
                    self.leave_call(key, seat, LogCall { left: now, ..call }, values);
                }
            }
            Report::Signal => {
                let Detail::Signal { signal, handler } = asked.detail(&mut self.machine, task) else {
                    return;
                };
                if let Some(observer) = &mut self.seats[seat.0].observer {
                    observer.calls.iter_mut().for_each(|open| open.interrupted = true);
                }
                let now = asked.now(&mut self.machine);
                let body = LogSignal { signal: u64::from(signal.0), handler };
                self.emit(seat, key, now, LogHeader::SIGNAL, body.as_bytes(), &[]);
            }
            Report::Born { pid, .. } => {
                let now = asked.now(&mut self.machine);
                let process = *asked
                    .process
                    .get_or_insert_with(|| self.machine.facts(pid).map_or(pid, |facts| facts.process));
                let body = LogBirth { child: pid.0, process: process.0 };
                self.emit(seat, key, now, LogHeader::BIRTH, body.as_bytes(), &[]);
            }
            Report::Image { former } => {
                let now = asked.now(&mut self.machine);
                self.give_up(key, seat, now, |_| true);
                // The exec of a thread other than the first makes it the first.
                let pid = self.tasks[key.0].id.pid;
                if let Some(observer) = &mut self.seats[seat.0].observer {
                    observer.process = pid;
                }
                let body = LogImage { former: u64::from(former.0) };
                self.emit(seat, key, now, LogHeader::IMAGE, body.as_bytes(), &[]);
            }
            Report::Gone { status } => self.note_end(key, seat, status, asked),
            _ => {}
        }
    }

    fn enter(&mut self, key: TaskKey, seat: SeatId, call: LogCall, values: CallValues) {
        // Unless a handler may have made this call, those that are open will not come back.
        self.give_up(key, seat, call.entered, |open| !open.interrupted);
        let mut captures = Vec::new();
        self.capture(key, seat, &call, values, &mut captures);
        let Some(observer) = &mut self.seats[seat.0].observer else { return };
        observer.last = call.id;
        if values.returns {
            observer.calls.push(Open { call, captures, interrupted: false });
            if observer.calls.len() > MOST_NESTED {
                let oldest = observer.calls[0].call.id;
                self.give_up(key, seat, call.entered, |open| open.call.id == oldest);
            }
        } else {
            let call = LogCall { flags: LogCall::NO_EXIT, ..call };
            self.emit(seat, key, call.entered, LogHeader::CALL, call.as_bytes(), &captures);
        }
    }

    fn leave_call(&mut self, key: TaskKey, seat: SeatId, left: LogCall, values: CallValues) {
        // What began later and is still open did not come back.
        self.give_up(key, seat, left.left, |open| open.call.id > left.id);
        let Some(observer) = &mut self.seats[seat.0].observer else { return };
        let (mut call, mut captures) = match observer.calls.iter().position(|open| open.call.id == left.id) {
            Some(n) => {
                let open = observer.calls.remove(n);
                (open.call, open.captures)
            }
            // Its record was made already, at its entry.
            None if left.id <= observer.last => return,
            None => (LogCall { flags: LogCall::NO_ENTRY, ..left }, Vec::new()),
        };
        observer.last = observer.last.max(left.id);
        call.left = left.left;
        call.result = values.result.unwrap_or(0);
        // The arguments as they were: the tracee's registers may be others' by now.
        let values = CallValues { args: call.args, ..values };
        self.capture(key, seat, &call, values, &mut captures);
        self.emit(seat, key, call.left, LogHeader::CALL, call.as_bytes(), &captures);
    }

    /// Makes records of calls that will have no exit.
    fn give_up(&mut self, key: TaskKey, seat: SeatId, now: u64, which: impl Fn(&Open) -> bool) {
        let Some(observer) = &mut self.seats[seat.0].observer else { return };
        if observer.calls.is_empty() {
            return;
        }
        let (over, kept) = std::mem::take(&mut observer.calls).into_iter().partition(|open| which(open));
        observer.calls = kept;
        let over: Vec<Open> = over;
        for Open { call, captures, .. } in over {
            let call = LogCall { flags: call.flags | LogCall::NO_EXIT, ..call };
            self.emit(seat, key, now, LogHeader::CALL, call.as_bytes(), &captures);
        }
    }

    fn capture(&mut self, key: TaskKey, seat: SeatId, call: &LogCall, values: CallValues, out: &mut Vec<u8>) {
        let Some(log) = self.log_of(seat) else { return };
        let table = Arc::clone(&self.logs[log.0].table);
        let Some(lines) = table.captures.get(&(u64::from(call.abi), call.number)) else { return };
        if self.know_start(key).is_err() {
            return;
        }
        let Identity { pid, start } = self.tasks[key.0].id;
        let machine = &mut self.machine;
        let mut memory = |at: u64, buf: &mut [u8]| machine.read_mem(pid, start, at, buf).is_ok();
        let room = LOG_MOST - size_of::<LogHeader>() - size_of::<LogCall>();
        Scene { values, memory: &mut memory }.capture(lines, out, room);
    }

    fn emit(&mut self, seat: SeatId, key: TaskKey, time: u64, kind: u16, body: &[u8], captures: &[u8]) {
        let Some(observer) = &self.seats[seat.0].observer else { return };
        let (log, process) = (observer.log, observer.process);
        let pid = self.tasks[key.0].id.pid;
        let header = LogHeader { pid: pid.0, process: process.0, time, ..LogHeader::default() };
        let log = &mut self.logs[log.0];
        let was_empty = log.is_empty();
        log.add(header, record(header, kind, body, captures));
        let root = log.root;
        if was_empty {
            self.readable.push(root);
        }
        self.wake(On::Seat(root));
    }

    /// The task has ended: the last record of it. Only the handle's own seat outlives it.
    fn note_end(&mut self, key: TaskKey, seat: SeatId, status: Option<Status>, asked: &mut Asked) {
        let now = asked.now(&mut self.machine);
        self.give_up(key, seat, now, |_| true);
        let body = LogDeath { status: status.map_or(u64::MAX, |status| u64::from(status.0)) };
        self.emit(seat, key, now, LogHeader::DEATH, body.as_bytes(), &[]);
        let Some(log) = self.log_of(seat) else { return };
        let root = self.logs[log.0].root;
        if seat != root {
            self.logs[log.0].others.retain(|other| *other != seat);
            self.tasks[key.0].seats.retain(|other| *other != seat);
            self.seats.remove(seat.0);
        }
        if self.is_over(root) && !self.readable.contains(&root) {
            self.readable.push(root);
        }
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
