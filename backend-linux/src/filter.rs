//! A task under a seccomp filter of ours: its calls stop once, at the filter, and its children must not get away.
//!
//! Without its tracer the calls that the filter traces fail with ENOSYS for ever (seccomp(2), SECCOMP_RET_TRACE). So such
//! a task is never let go: it is killed where others would be detached.
//!
//! The filter's stop comes after the entry stop of PTRACE_SYSCALL and in place of it under PTRACE_CONT
//! (syscall_trace_enter in kernel/entry/common.c), and PTRACE_SYSCALL from it stops at the exit next.

use kernel_model::machine::Demand;

use crate::bpf::OURS;
use crate::calls::CLONES;
use crate::facts;
use crate::stop::Stop;
use crate::sys::{self, CallInfo};
use crate::tracee::{Held, Phase, Request, Tracee};

/// CLONE_UNTRACED of linux/sched.h: the child has no tracer, whatever the options of its parent's say.
const CLONE_UNTRACED: u64 = 0x0080_0000;

impl Tracee {
    /// Asks what call the filter stopped at, unless its entry was seen already.
    pub(crate) fn classify_filtered(&mut self, told: Option<CallInfo>) -> Option<Stop> {
        let info = told.or_else(|| sys::call_info(self.pid).ok())?;
        let stop = match self.phase {
            Phase::Inside => Stop::Event(libc::PTRACE_EVENT_SECCOMP),
            _ => self.enter_call(&info),
        };
        self.call.passed_filter = true;
        self.call.refused = info.filter_data != OURS;
        Some(stop)
    }

    /// What the kernel answers for a filter that asks for a tracer where there is none (__seccomp_filter).
    pub(crate) fn refuse_call(&mut self, held: &mut Held) {
        let Ok(regs) = held.fetch(self.pid) else { return };
        regs.rax = -i64::from(libc::ENOSYS) as u64;
        regs.orig_rax = u64::MAX;
        let _ = sys::set_regs(self.pid, regs);
        self.call.returns = true;
    }

    /// How to go on where calls stop by themselves: by PTRACE_SYSCALL only to the exit of a call in progress.
    pub(crate) fn filtered_request(&self) -> Request {
        let call = &self.call;
        let wanted =
            || self.demand.contains(Demand::CALL_EXIT) && self.filter.exit.has(call.abi as u64, call.number);
        let exit = self.phase == Phase::Inside && call.returns && (self.lent.is_due() || wanted());
        // Steps have their own order of call stops.
        if exit || self.demand.contains(Demand::STEP) { Request::Syscall } else { Request::Cont }
    }

    /// At the entry of a call that makes a child: takes CLONE_UNTRACED out of its flags.
    pub(crate) fn keep_child(&mut self, held: &mut Held) {
        let call = (self.call.abi, self.call.number);
        if !CLONES.contains(&call) {
            return;
        }
        let pid = self.pid;
        let Ok(regs) = held.fetch(pid) else { return };
        let argument = match self.call.abi {
            crate::calls::Abi::X64 => &mut regs.rdi,
            crate::calls::Abi::I386 => &mut regs.rbx,
        };
        if call.1 != crate::calls::CLONE3 {
            if *argument & CLONE_UNTRACED != 0 {
                *argument &= !CLONE_UNTRACED;
                let _ = sys::set_regs(pid, regs);
            }
            return;
        }
        // The flags are the first field of struct clone_args.
        let (address, mut flags) = (*argument, [0; 8]);
        let Ok(start) = facts::stat(pid).map(|stat| stat.start) else { return };
        if self.memory(start, address, &mut flags[..]).is_ok() {
            let asked = u64::from_ne_bytes(flags);
            if asked & CLONE_UNTRACED != 0 {
                let kept = (asked & !CLONE_UNTRACED).to_ne_bytes();
                let _ = self.memory(start, address, &kept[..]);
            }
        }
    }
}
