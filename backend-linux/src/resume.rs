//! Letting a task go: the verdict becomes registers and a signal, the demand becomes a request.

use kernel_model::machine::{Demand, Verdict};

use crate::calls;
use crate::eintr;
use crate::facts::{self, Disposition};
use crate::stop::Stop;
use crate::sys;
use crate::tracee::{Held, Life, Phase, Request, Step, Tracee};

/// What makes calls stop.
pub(crate) const CALLS: Demand = Demand::CALL_ENTRY.union(Demand::CALL_EXIT);
/// EFLAGS.TF. GETREGS hides it where the kernel set it for a step (TIF_FORCED_TF).
const TRAP_FLAG: u64 = 1 << 8;

impl Tracee {
    /// Lets the task go on to the next demanded stop. That it was killed meanwhile is not an error here: its end is
    /// reported by wait.
    pub(crate) fn go(&mut self, verdict: Verdict) {
        let Some(mut held) = self.take_held() else { return };
        self.sync_options();
        let signal = self.apply(&mut held, verdict);
        let request = self.choose(&mut held, signal);
        if matches!(held.stop, Stop::Entry | Stop::Exit { .. }) {
            let kept = held.stop == Stop::Entry
                && verdict == Verdict::Proceed
                && !held.written
                && calls::keeps_registers(self.call.abi, self.call.number);
            self.entry_regs = held.regs.take().filter(|_| kept);
        }
        self.vforking = held.stop == Stop::Event(libc::PTRACE_EVENT_VFORK);
        if request != Request::Syscall {
            self.phase = Phase::Unseen;
        }
        // Any stop clears a pending interrupt (ptrace_stop in kernel/signal.c), one sent in a stop stays; but a listener
        // is trapped again only by one that is sent while it listens.
        if self.asked && request != Request::Listen {
            let _ = sys::interrupt(self.pid);
        }
        let _ = sys::restart(request.code(), self.pid, signal);
        if (self.asked || self.untold_group_stop) && request == Request::Listen {
            let _ = sys::interrupt(self.pid);
        }
        self.life = Life::Running(request);
    }

    /// Stops tracing a stopped task. Where that fails it was killed, and waits to be reaped.
    pub(crate) fn let_free(&mut self, verdict: Verdict) -> sys::Result<()> {
        let Some(mut held) = self.take_held() else { return Ok(()) };
        let signal = self.apply(&mut held, verdict);
        sys::restart(libc::PTRACE_DETACH, self.pid, signal)
    }

    fn take_held(&mut self) -> Option<Held> {
        match std::mem::replace(&mut self.life, Life::Leaving) {
            Life::Stopped(held) => Some(held),
            other => {
                self.life = other;
                None
            }
        }
    }

    /// Brings the kernel's options up to date, in a stop.
    pub(crate) fn sync_options(&mut self) {
        let wanted = self.wanted_options();
        if wanted != self.options && sys::set_options(self.pid, wanted).is_ok() {
            self.options = wanted;
        }
    }

    /// Does what the verdict says of the thing the task is stopped before, and gives the signal to resume with.
    fn apply(&mut self, held: &mut Held, verdict: Verdict) -> i32 {
        match (held.stop, verdict) {
            (Stop::Entry, Verdict::Skip) => {
                self.skip_call(held);
                0
            }
            (Stop::Entry | Stop::Event(libc::PTRACE_EVENT_SECCOMP), _) if self.call.refused => {
                self.refuse_call(held);
                0
            }
            (Stop::Signal(signal), Verdict::Proceed) => {
                if eintr::may_hide(self.pid, held) && facts::is_discarded(self.pid, signal) {
                    eintr::hide(self.pid, held);
                }
                signal
            }
            // Dropped: as if it had never come.
            (Stop::Signal(_), Verdict::Skip) => {
                eintr::hide(self.pid, held);
                0
            }
            (Stop::Breakpoint, Verdict::Proceed) => libc::SIGTRAP,
            (Stop::Breakpoint, Verdict::Skip) => {
                self.back_up(held);
                0
            }
            (Stop::Step { .. }, _) if self.step.own_flag => libc::SIGTRAP,
            // A stop signal would have broken the call without us, too.
            (Stop::Trap, _) if !held.was_listening => {
                eintr::hide(self.pid, held);
                0
            }
            _ => 0,
        }
    }

    /// No call, and the result register keeps what was shown or written as the number. Both registers go in one
    /// request, so that it holds wherever we die; −1 also keeps a result that looks like ERESTART* from being
    /// taken for one (arch_do_signal_or_restart).
    fn skip_call(&mut self, held: &mut Held) {
        let Ok(regs) = held.fetch(self.pid) else { return };
        regs.rax = regs.orig_rax;
        regs.orig_rax = u64::MAX;
        let _ = sys::set_regs(self.pid, regs);
        self.call.returns = true;
    }

    /// The pc goes to where it was shown: the breakpoint instruction itself.
    fn back_up(&mut self, held: &mut Held) {
        let bytes = self.trap_bytes(held);
        let Ok(regs) = held.fetch(self.pid) else { return };
        if bytes != 0 {
            regs.rip = regs.rip.wrapping_sub(bytes);
            let _ = sys::set_regs(self.pid, regs);
        }
    }

    /// The weakest request that still shows every demanded stop.
    fn choose(&mut self, held: &mut Held, signal: i32) -> Request {
        let calls = match self.demand.intersects(CALLS) {
            true if self.filtered => self.filtered_request(),
            true => Request::Syscall,
            false if self.lent.is_due() => Request::Syscall,
            false => Request::Cont,
        };
        match held.stop {
            Stop::Group(_) => Request::Listen,
            Stop::Event(libc::PTRACE_EVENT_EXIT) => Request::Cont,
            _ if self.demand.contains(Demand::STEP) => self.choose_step(held, signal, calls),
            _ => calls,
        }
    }

    /// A step over a call shows no call stops, so where those are demanded the call is run by PTRACE_SYSCALL, and
    /// stepped from its exit.
    fn choose_step(&mut self, held: &mut Held, signal: i32, calls: Request) -> Request {
        let inside = held.stop.is_inside_call();
        if calls == Request::Syscall {
            let into_call = if inside {
                self.phase != Phase::Exec
            } else {
                let into_handler =
                    signal != 0 && facts::disposition(self.pid, signal) == Disposition::Handled;
                !into_handler && self.is_before_call(held)
            };
            if into_call {
                self.step.over_call |= !inside;
                return Request::Syscall;
            }
        }
        let own_flag = held.fetch(self.pid).is_ok_and(|regs| regs.eflags & TRAP_FLAG != 0);
        // Neither a birth nor the trap of an interrupt or a SIGCONT ends a step: the trap of leaving the call, which it has to
        // go beyond, is still to come (get_signal takes job control's traps first).
        let from_inside = match held.stop {
            Stop::Event(libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE)
            | Stop::Trap
                if held.was_stepping =>
            {
                self.step.from_inside
            }
            _ => inside,
        };
        self.step = Step { from_inside, own_flag: own_flag && !inside && signal == 0, over_call: false };
        Request::Step
    }

    fn is_before_call(&mut self, held: &mut Held) -> bool {
        let Ok(rip) = held.fetch(self.pid).map(|regs| regs.rip) else { return false };
        let mut bytes = [0; 15];
        let have = self.peek(rip, &mut bytes);
        calls::is_call_instruction(&bytes[..have])
    }
}
