//! Signals of one process: dispositions, masks, pending sets; and what the system does with them.
//!
//! A signal's life: [`Sim::post`] (it becomes pending, or vanishes) → [`Sim::offer`] (it is taken out of the pending
//! set, and the tracer may see it) → [`Sim::act`] (handler, default action, or nothing). Order in a set: those that an
//! instruction raised first, then by number. Signals do not queue: a second one of the same number is lost.

use std::collections::BTreeMap;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::{Pid, SigInfo, Signal, Status};
use crate::machine::{Demand, Report};

use super::frames::{Nested, Restart};
use super::process::{Kind, News, Next};
use super::{Quirks, Sim};

pub(super) const SA_NOCLDSTOP: u64 = 1;
pub(super) const SA_NOCLDWAIT: u64 = 2;
pub(super) const SA_RESTART: u64 = 0x1000_0000;
pub(super) const SA_NODEFER: u64 = 0x4000_0000;
pub(super) const SA_RESETHAND: u64 = 0x8000_0000;

/// Handler values that are not addresses.
pub(super) const DEFAULT: u64 = 0;
pub(super) const IGNORE: u64 = 1;

const STOPS: u64 = bit(Signal::STOP) | bit(Signal::TSTP) | bit(Signal::TTIN) | bit(Signal::TTOU);
/// What an instruction raises; acted on before anything else.
const FAULTS: u64 =
    bit(Signal::SEGV) | bit(Signal::ILL) | bit(Signal::TRAP) | bit(Signal::FPE) | bit(Signal::BUS);
/// No mask and no handler holds these.
pub(super) const UNMASKABLE: u64 = bit(Signal::KILL) | bit(Signal::STOP);

/// A signal as a set of one.
pub(super) const fn bit(signal: Signal) -> u64 {
    1 << (signal.0 - 1)
}

/// What rt_sigaction takes and gives: four words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Action {
    pub(super) handler: u64,
    pub(super) flags: u64,
    pub(super) restorer: u64,
    pub(super) mask: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Signals {
    pub(super) actions: BTreeMap<u8, Action>,
    pub(super) mask: u64,
    /// The mask to return to, while rt_sigsuspend has replaced it.
    pub(super) saved: Option<u64>,
    pub(super) pending: u64,
    /// What comes with the pending ones.
    infos: BTreeMap<u8, SigInfo>,
    /// What came with the one that was taken out last.
    pub(super) info: SigInfo,
    /// CONT came after the stop signal that is about to be acted on: it no longer stops (POSIX, 2.4.1).
    pub(super) outdated: bool,
    pub(super) nested: Vec<Nested>,
    pub(super) restart: Option<Restart>,
}

impl Signals {
    pub(super) fn action(&self, signal: Signal) -> Action {
        self.actions.get(&signal.0).copied().unwrap_or_default()
    }

    pub(super) fn deliverable(&self) -> u64 {
        self.pending & !self.mask
    }

    /// Whether acting on it does nothing.
    pub(super) fn ignores(&self, signal: Signal) -> bool {
        match self.action(signal).handler {
            IGNORE => true,
            DEFAULT => matches!(signal, Signal::CHLD | Signal::CONT | Signal::URG | Signal::WINCH),
            _ => false,
        }
    }

    /// What exec leaves: ignored signals stay ignored, handlers are gone.
    pub(super) fn exec(&mut self) {
        self.actions.retain(|_, action| action.handler == IGNORE);
        self.nested.clear();
        self.restart = None;
        self.saved = None;
    }

    /// It waits to be acted on; of two that are alike the first one's origin is kept.
    fn add(&mut self, info: SigInfo) {
        let signal = Signal(info.signo as u8);
        if self.pending & bit(signal) == 0 {
            self.pending |= bit(signal);
            self.infos.insert(signal.0, info);
        }
    }

    fn take(&mut self) -> Option<Signal> {
        let ready = self.deliverable();
        let from = if ready & FAULTS != 0 { ready & FAULTS } else { ready };
        if from == 0 {
            return None;
        }
        self.pending &= !(1 << from.trailing_zeros());
        let signal = Signal(from.trailing_zeros() as u8 + 1);
        self.info = self.infos.remove(&signal.0).unwrap_or(SigInfo::raised(signal));
        Some(signal)
    }
}

fn dumps_core(signal: Signal) -> bool {
    FAULTS & bit(signal) != 0
        || matches!(signal, Signal::QUIT | Signal::ABRT | Signal::SYS | Signal::XCPU | Signal::XFSZ)
}

impl Sim {
    /// Sends a signal, as kill does.
    pub(super) fn post(&mut self, pid: Pid, signal: Signal, sender: Pid) {
        let uid = self.processes.get(&sender.0).map_or(0, |process| process.uid);
        self.post_info(pid, SigInfo::sent(signal, sender, uid));
    }

    /// Sends a signal, whoever sent it.
    fn post_info(&mut self, pid: Pid, info: SigInfo) {
        let signal = Signal(info.signo as u8);
        let Some(process) = self.processes.get_mut(&pid.0) else { return };
        if process.kind != Kind::Program || process.is_zombie() {
            return;
        }
        if signal == Signal::KILL {
            self.log.add(pid, || "killed: SIGKILL".into());
            process.killed = true;
            process.stopped = None;
            if let Some(trace) = &mut process.trace
                && !self.config.quirks.contains(Quirks::KILL_WAITS)
            {
                trace.held = None;
                let task = trace.task;
                self.forget_reports(task);
            }
            return;
        }
        if process.is_ending() {
            return;
        }
        self.log.add(pid, || format!("sent: {signal}"));
        if STOPS & bit(signal) != 0 {
            process.signals.pending &= !bit(Signal::CONT);
        }
        let mut continued = false;
        if signal == Signal::CONT {
            process.signals.pending &= !STOPS;
            process.signals.outdated = matches!(process.next, Next::Act(stop, _) if STOPS & bit(stop) != 0);
            continued = process.stopped.take().is_some();
            if continued {
                process.news = Some(News::Continued);
            }
        }
        let masked = process.signals.mask & bit(signal) != 0;
        if masked || process.trace.is_some() || !process.signals.ignores(signal) {
            process.signals.add(info);
        }
        if continued {
            self.log.add(pid, || "continued: SIGCONT".into());
            self.tell_parent(pid, SigInfo::CONTINUED, Signal::CONT.0);
        }
        self.run_while_held(pid);
    }

    /// The quirk: a handler runs although the process is held, and then the same stop is reported again.
    fn run_while_held(&mut self, pid: Pid) {
        if !self.config.quirks.contains(Quirks::RUNS_WHILE_HELD) {
            return;
        }
        let process = self.process(pid);
        let Some(held) = process.held() else { return };
        let handled = (1..=64).find(|number| {
            process.signals.deliverable() & bit(Signal(*number)) != 0
                && process.signals.action(Signal(*number)).handler > IGNORE
        });
        if let Some(number) = handled {
            process.signals.pending &= !bit(Signal(number));
            let back = std::mem::replace(&mut process.next, Next::User);
            process.next = Next::Act(Signal(number), Box::new(Next::Again(held, Box::new(back))));
            if let Some(trace) = &mut process.trace {
                trace.held = None;
            }
        }
    }

    /// A signal that an instruction raised: it cannot be held back, only handled.
    pub(super) fn force(&mut self, pid: Pid, signal: Signal) {
        self.log.add(pid, || format!("raised: {signal}"));
        let signals = &mut self.process(pid).signals;
        signals.add(SigInfo::raised(signal));
        self.unblock(pid, signal);
    }

    fn unblock(&mut self, pid: Pid, signal: Signal) {
        let signals = &mut self.process(pid).signals;
        if signals.mask & bit(signal) != 0 || signals.action(signal).handler == IGNORE {
            signals.actions.remove(&signal.0);
            signals.mask &= !bit(signal);
        }
    }

    /// Takes out the first signal that can be acted on, and shows it to the tracer. `false`: there is none.
    pub(super) fn offer(&mut self, pid: Pid, back: Next) -> bool {
        let only_handled = self.config.quirks.contains(Quirks::ONLY_HANDLED_SIGNALS);
        let process = self.process(pid);
        let Some(signal) = process.signals.take() else { return false };
        let handler = process.signals.action(signal).handler;
        process.next = Next::Act(signal, Box::new(back));
        process.signals.outdated = false;
        if process.wants_signal(signal) && (!only_handled || handler > IGNORE) {
            self.stop(pid, Report::Signal);
        }
        true
    }

    /// Acts on a signal.
    pub(super) fn act(&mut self, pid: Pid, signal: Signal, back: Next) {
        let process = self.process(pid);
        let action = process.signals.action(signal);
        if action.handler > IGNORE {
            return self.enter_handler(pid, signal, action, back);
        }
        process.next = back;
        if process.signals.ignores(signal) {
            self.log.add(pid, || format!("ignored: {signal}"));
        } else if STOPS & bit(signal) != 0 && process.signals.outdated {
            self.log.add(pid, || format!("not job-stopped: SIGCONT came after {signal}"));
        } else if STOPS & bit(signal) != 0 {
            process.stopped = Some(signal);
            process.news = Some(News::Stopped(signal));
            self.log.add(pid, || format!("job-stopped: {signal}"));
            self.tell_parent(pid, SigInfo::STOPPED, signal.0);
            if self.process(pid).demands(Demand::GROUP_STOP) {
                self.stop(pid, Report::GroupStop { signal });
            }
        } else {
            let dumped = if dumps_core(signal) { 0x80 } else { 0 };
            process.next = Next::Die(Status(Status::killed(signal).0 | dumped));
        }
    }

    /// After `Trap`: the signal as the hardware would have raised it.
    pub(super) fn act_on_trap(&mut self, pid: Pid) {
        self.unblock(pid, Signal::TRAP);
        self.process(pid).next = Next::Act(Signal::TRAP, Box::new(Next::User));
    }

    /// SIGCHLD for `pid`'s parent, about job control.
    fn tell_parent(&mut self, pid: Pid, code: i32, status: u8) {
        let process = self.process(pid);
        let (parent, info) = (process.parent, SigInfo::child(code, pid, process.uid, status));
        let Some(parent) = parent else { return };
        let Some(process) = self.processes.get(&parent.0) else { return };
        if process.signals.action(Signal::CHLD).flags & SA_NOCLDSTOP == 0 {
            self.post_info(parent, info);
        }
    }

    /// SIGCHLD for `pid`'s parent, about its end.
    pub(super) fn tell_parent_of_end(&mut self, pid: Pid, status: Status) {
        let process = self.process(pid);
        let (parent, info) = (process.parent, SigInfo::ended(pid, process.uid, status));
        if let Some(parent) = parent {
            self.post_info(parent, info);
        }
    }
}
