//! Who runs, and one turn of it. Everything that happens in the simulator happens in [`Sim::turn`].

use crate::abi::{Pid, Signal, Status};
use crate::machine::{Demand, Report};

use super::alu::TRAP;
use super::calls::Reply;
use super::cpu::Ran;
use super::frames::{arguments, failed};
use super::process::{Call, Kind, Next, Wait};
use super::{Quirks, Sim, names};

/// Turns that a process may have in a row, at most, if the seed is not 0.
const LONGEST_QUANTUM: u64 = 16;

impl Sim {
    /// Whether the process has a turn to take.
    fn is_runnable(&self, pid: Pid) -> bool {
        let Some(process) = self.processes.get(&pid.0) else { return false };
        if process.kind != Kind::Program || process.is_zombie() || process.held().is_some() {
            return false;
        }
        let interrupted = process.trace.as_ref().is_some_and(|trace| trace.interrupted);
        if process.killed || (interrupted && !process.is_uninterruptible()) {
            return true;
        }
        if process.stopped.is_some() {
            return false;
        }
        match process.next {
            Next::Wait(wait) => {
                self.is_over(pid, wait)
                    || (!process.is_uninterruptible() && process.signals.deliverable() != 0)
            }
            _ => true,
        }
    }

    /// Whether what a call waits for has come.
    fn is_over(&self, pid: Pid, wait: Wait) -> bool {
        match wait {
            Wait::PipeFull(pipe) => self.can_read(pipe),
            Wait::PipeSpace(pipe) => self.can_write(pipe),
            Wait::Child { selector, options } => self.has_news(pid, selector, options),
            Wait::Signal => false,
            Wait::Vfork(child) => self.processes.get(&child.0).is_none_or(|child| !child.borrowed),
        }
    }

    /// Every process that has a turn to take, ascending.
    pub fn runnable(&self) -> Vec<Pid> {
        self.processes.keys().map(|pid| Pid(*pid)).filter(|pid| self.is_runnable(*pid)).collect()
    }

    /// Picks the next process and how many turns it may have. Seed 0: one turn each, in a circle.
    pub(super) fn pick(&mut self) -> Option<(Pid, u64)> {
        if self.config.seed == 0 {
            let (before, after) = (..=self.last.0, self.last.0 + 1..);
            let circle = self.processes.range(after).chain(self.processes.range(before));
            let next = circle.map(|(pid, _)| Pid(*pid)).find(|pid| self.is_runnable(*pid))?;
            self.last = next;
            return Some((next, 1));
        }
        let runnable = self.runnable();
        if runnable.is_empty() {
            return None;
        }
        let pid = runnable[(self.random() % runnable.len() as u64) as usize];
        let quantum = 1 + self.random() % LONGEST_QUANTUM;
        Some((pid, quantum))
    }

    /// xorshift64: small, and the same everywhere.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// At most `turns` turns of one process; fewer if it can take no more, or something was reported.
    pub(super) fn run(&mut self, pid: Pid, turns: u64) -> u64 {
        for done in 0..turns {
            if !self.reports.is_empty() || !self.is_runnable(pid) {
                return done;
            }
            self.turn(pid);
        }
        turns
    }

    /// One turn of a process that [`runnable`](Self::runnable) named: one instruction, or one step of a call.
    pub fn turn(&mut self, pid: Pid) {
        if !self.is_runnable(pid) {
            return;
        }
        self.clock.0 += 1;
        let process = self.process(pid);
        if process.killed && !process.is_ending() {
            process.next = Next::Die(Status::killed(Signal::KILL));
        }
        let waits = process.stopped.is_some() || matches!(process.next, Next::User | Next::Wait(_));
        let waits = waits && !process.killed && !process.is_uninterruptible();
        if let Some(trace) = process.trace.as_mut().filter(|trace| trace.interrupted && waits) {
            trace.interrupted = false;
            return self.stop(pid, Report::Interrupt);
        }
        match std::mem::replace(&mut process.next, Next::User) {
            Next::User => self.user(pid),
            Next::Dispatch => self.dispatch(pid),
            Next::Wait(wait) => self.wait(pid, wait),
            Next::Done(result) => self.done(pid, result),
            Next::Left => self.left(pid),
            Next::Act(signal, back) => self.act(pid, signal, *back),
            Next::Again(report, next) => {
                self.process(pid).next = *next;
                self.stop(pid, report);
            }
            Next::Die(status) => {
                let process = self.process(pid);
                process.killed = false;
                process.next = Next::Dead(status);
                if process.demands(Demand::EXITING) {
                    self.stop(pid, Report::Exiting { status });
                }
            }
            Next::Dead(status) => self.end(pid, status),
            Next::Zombie(status) => process.next = Next::Zombie(status),
        }
    }

    /// Stops a task, and reports it.
    pub(super) fn stop(&mut self, pid: Pid, report: Report) {
        let stale = self.config.quirks.contains(Quirks::STALE_STEP);
        let process = self.process(pid);
        process.step_over = false;
        let Some(trace) = &mut process.trace else { return };
        trace.held = Some(report);
        process.stale_step = stale && report != Report::Step && trace.demand.contains(Demand::STEP);
        trace.demand.remove(Demand::STEP);
        let task = trace.task;
        self.reports.push_back((task, report));
        self.log.add(pid, || format!("stopped: {report:?}"));
    }

    fn user(&mut self, pid: Pid) {
        if self.offer(pid, Next::User) {
            return;
        }
        if self.process(pid).signals.restart.is_some() {
            self.restart_call(pid);
        }
        let quirk = self.config.quirks.contains(Quirks::PC_AFTER_TRAP);
        let process = self.process(pid);
        let before = process.cpu.int.rip;
        let steps = process.demands(Demand::STEP);
        // A debug trap that is nobody's step is a signal (R37).
        let traps = process.cpu.int.rflags & TRAP != 0;
        match process.cpu.step(&mut process.memory) {
            Ok(Ran::Plain) if steps => self.stop(pid, Report::Step),
            Ok(Ran::Plain) if traps || std::mem::take(&mut process.stale_step) => {
                self.force(pid, Signal::TRAP);
            }
            Ok(Ran::Plain) => {}
            Ok(Ran::Call) => {
                process.step_over = steps;
                self.enter(pid);
            }
            Ok(Ran::Breakpoint) if process.demands(Demand::TRAP) => {
                if !quirk {
                    process.cpu.int.rip = before;
                }
                if let Some(trace) = &mut process.trace {
                    trace.trap = before;
                }
                self.stop(pid, Report::Trap);
            }
            Ok(Ran::Breakpoint) => self.force(pid, Signal::TRAP),
            Err(signal) => self.force(pid, signal),
        }
    }

    fn enter(&mut self, pid: Pid) {
        let process = self.process(pid);
        let number = process.cpu.int.rax;
        process.call = Some(Call { came: number, number, ..Call::default() });
        process.next = Next::Dispatch;
        if process.demands(Demand::CALL_ENTRY | Demand::CALL_EXIT) {
            self.number_call(pid);
        }
        self.log.add(pid, || format!("calls: {}", name(number)));
        if self.process(pid).wants_call(Demand::CALL_ENTRY) {
            self.stop(pid, Report::CallEntry);
        }
    }

    /// Gives the call in progress its id, unless it has one.
    fn number_call(&mut self, pid: Pid) {
        let process = self.process(pid);
        if let (Some(trace), Some(call)) = (&mut process.trace, &mut process.call)
            && call.id == 0
        {
            trace.calls += 1;
            call.id = trace.calls;
        }
    }

    fn dispatch(&mut self, pid: Pid) {
        let process = self.process(pid);
        if let Some(call) = &mut process.call {
            call.number = process.cpu.int.rax;
        }
        process.next = Next::Dispatch;
        let next = match self.call(pid) {
            Ok(Reply::Done(result)) => Next::Done(result),
            Err(errno) => Next::Done(failed(errno)),
            Ok(Reply::Wait(wait)) => {
                self.log.add(pid, || format!("blocked: {}", wait.reason()));
                Next::Wait(wait)
            }
            Ok(Reply::Away) => return,
        };
        self.process(pid).next = next;
    }

    fn wait(&mut self, pid: Pid, wait: Wait) {
        if self.is_over(pid, wait) {
            self.log.add(pid, || "unblocked".into());
            match wait {
                Wait::Vfork(child) => self.process(pid).next = Next::Done(u64::from(child.0)),
                _ => self.dispatch(pid),
            }
        } else if self.config.nested_signals {
            if !self.offer(pid, Next::Wait(wait)) {
                self.process(pid).next = Next::Wait(wait);
            }
        } else {
            self.interrupt_call(pid, wait);
        }
    }

    fn done(&mut self, pid: Pid, result: u64) {
        let inside =
            self.config.nested_signals && self.process(pid).call.is_some_and(|call| call.signals_self);
        if inside && self.offer(pid, Next::Done(result)) {
            return;
        }
        let process = self.process(pid);
        if let Some(call) = &mut process.call {
            let lent = std::mem::take(&mut call.lent);
            for (place, own) in arguments(&mut process.cpu.int).into_iter().zip(lent) {
                *place = own.unwrap_or(*place);
            }
        }
        process.cpu.int.rax = result;
        process.next = Next::Left;
        let number = process.call.map_or(0, |call| call.number);
        self.log.add(pid, || format!("returns: {} = {}", name(number), result as i64));
        if self.process(pid).wants_call(Demand::CALL_EXIT) {
            self.number_call(pid);
            self.stop(pid, Report::CallExit);
        }
    }

    fn left(&mut self, pid: Pid) {
        let process = self.process(pid);
        process.call = None;
        process.next = Next::User;
        if std::mem::take(&mut process.step_over) && process.demands(Demand::STEP) {
            self.stop(pid, Report::Step);
        }
    }
}

fn name(number: u64) -> String {
    names::call(number).map_or_else(|| format!("call {number}"), |call| call.name.to_owned())
}
