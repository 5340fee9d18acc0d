//! Arguments that are another's for the length of a call: who changes a path has nothing to do at the exit.
//!
//! Until the call is over the task is let go to its exit, whoever demands that. A tracer that dies before leaves the task with what
//! was lent, as with whatever else it wrote.

use kernel_model::machine::CallChange;

use crate::regs::call_register;
use crate::sys;
use crate::tracee::Tracee;

/// Places of arguments, and the task's own values of them.
#[derive(Debug, Default)]
pub(crate) struct Lent(Vec<(usize, u64)>);

impl Lent {
    /// Whether an exit has to be seen for it.
    pub(crate) fn is_due(&self) -> bool {
        !self.0.is_empty()
    }

    /// The call is over, or there is another.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Arguments are about to be changed from what they are.
    pub(crate) fn note(&mut self, change: &CallChange, args: &[u64; 6]) {
        for (place, &old) in args.iter().enumerate().filter(|&(place, _)| change.args[place].is_some()) {
            match self.0.iter().position(|&(lent, _)| lent == place) {
                None if change.lent => self.0.push((place, old)),
                Some(at) if !change.lent => drop(self.0.swap_remove(at)),
                _ => {}
            }
        }
    }

    /// They were written, by register.
    pub(crate) fn rewritten(&mut self, old: &[u64; 6], new: &[u64; 6]) {
        self.0.retain(|&(place, _)| old[place] == new[place]);
    }
}

impl Tracee {
    /// At the exit. That it was killed meanwhile is told by wait.
    pub(crate) fn give_back(&mut self) {
        let abi = self.call.abi;
        if let [(place, own)] = self.lent.0[..] {
            let offset = sys::register_offset(|regs| call_register(regs, abi, place, false));
            let _ = sys::poke_register(self.pid, offset, own);
        } else if self.lent.is_due()
            && let Ok(mut regs) = sys::get_regs(self.pid)
        {
            self.lent.0.iter().for_each(|&(place, own)| *call_register(&mut regs, abi, place, false) = own);
            let _ = sys::set_regs(self.pid, &regs);
        }
        for (place, own) in self.lent.0.drain(..) {
            self.call.args[place] = own;
        }
    }
}
