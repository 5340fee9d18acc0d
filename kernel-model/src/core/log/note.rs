//! What a report becomes: a record at once, or a call that is kept until its exit, or until it is certain that it has none.

use std::sync::Arc;

use zerocopy::IntoBytes;

use super::{Open, record};
use crate::abi::{LOG_MOST, LogBirth, LogCall, LogDeath, LogHeader, LogImage, LogSignal, Status};
use crate::core::capture::Scene;
use crate::core::report::Asked;
use crate::core::{Core, Identity, On, SeatId, TaskKey};
use crate::machine::{CallValues, Detail, Machine, Report};

/// Calls of one task that may be interrupted by handlers at a time; older ones are given up.
const MOST_NESTED: usize = 64;

impl<M: Machine> Core<M> {
    /// An observer's part of a report.
    pub(in crate::core) fn note(&mut self, key: TaskKey, seat: SeatId, report: Report, asked: &mut Asked) {
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
                let process = asked.process(&mut self.machine, pid);
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
