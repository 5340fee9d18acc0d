//! Arguments that are another's for the length of a call: who changes a path has nothing to do at the exit.
//!
//! Until the call is over the task is let go to its exit, whoever demands that. A tracer that dies before leaves the task with what
//! was lent, as with whatever else it wrote.

use kernel_model::machine::CallChange;

use crate::regs::call_register;
use crate::tracee::{Call, Phase, Tracee};
use crate::{calls, sys};

/// What a task has to get back.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    /// Places of arguments, and its own values of them.
    own: Vec<(usize, u64)>,
    /// Nothing else was written at the entry, of a call inside which nothing stops.
    alone: bool,
}

impl Lent {
    /// Whether an exit has to be seen for it.
    pub(crate) fn is_due(&self) -> bool {
        !self.own.is_empty()
    }

    /// The call is over, or there is another.
    pub(crate) fn forget(&mut self) {
        self.own.clear();
    }

    /// A call's arguments, or its number, are about to be changed. `first`: nothing was written at this stop.
    pub(crate) fn note(&mut self, change: &CallChange, call: &Call, first: bool) {
        for (place, &old) in call.args.iter().enumerate().filter(|&(place, _)| change.args[place].is_some()) {
            match self.own.iter().position(|&(lent, _)| lent == place) {
                None if change.lent => self.own.push((place, old)),
                Some(at) if !change.lent => drop(self.own.swap_remove(at)),
                _ => {}
            }
        }
        self.alone = first
            && self.own.len() == 1
            && change.register.is_none()
            && calls::keeps_registers(call.abi, call.number)
            && !calls::CHILDREN.contains(&call.number);
    }

    /// They were written, by register.
    pub(crate) fn rewritten(&mut self, old: &[u64; 6], new: &[u64; 6]) {
        self.own.retain(|&(place, _)| old[place] == new[place]);
        self.alone = false;
    }
}

impl Tracee {
    /// Whether it is at the exit: then it is given back what it is to have, for what the question alone would cost. `None`: it has to be
    /// asked. Inside such a call nothing stops but its end; a filter's stop lies before it.
    pub(crate) fn given_back(&mut self) -> Option<bool> {
        let entered = self.phase == Phase::Inside && (!self.filtered || self.call.passed_filter);
        let ends_unseen = self.options & libc::PTRACE_O_TRACEEXIT == 0;
        let &[(place, own)] = &self.lent.own[..] else { return None };
        if !(self.lent.alone && entered && ends_unseen) {
            return None;
        }
        let stopped = self.write_back(place, own).is_ok();
        if stopped {
            self.call.args[place] = own;
            self.lent.forget();
        }
        Some(stopped)
    }

    fn write_back(&self, place: usize, own: u64) -> sys::Result<()> {
        let offset = sys::register_offset(|regs| call_register(regs, self.call.abi, place, false));
        sys::poke_register(self.pid, offset, own)
    }

    /// At the exit. That it was killed meanwhile is told by wait.
    pub(crate) fn give_back(&mut self) {
        let abi = self.call.abi;
        if let [(place, own)] = self.lent.own[..] {
            let _ = self.write_back(place, own);
        } else if self.lent.is_due()
            && let Ok(mut regs) = sys::get_regs(self.pid)
        {
            self.lent.own.iter().for_each(|&(place, own)| *call_register(&mut regs, abi, place, false) = own);
            let _ = sys::set_regs(self.pid, &regs);
        }
        for (place, own) in self.lent.own.drain(..) {
            self.call.args[place] = own;
        }
    }
}
