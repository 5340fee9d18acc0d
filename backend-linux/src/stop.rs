//! From a wait status to what it is: [`Raw`] by looking at the number alone, [`Stop`] after asking the task.

use kernel_model::machine::{Signal, Status};

use crate::calls::Abi;
use crate::sys::{self, CallInfo, Change};
use crate::tracee::{Call, Life, Phase, Request, Tracee};

/// PTRACE_EVENT_STOP of ptrace(2).
const EVENT_STOP: i32 = 128;
/// SIGTRAP with the mark of PTRACE_O_TRACESYSGOOD.
const CALL_STOP: i32 = libc::SIGTRAP | 0x80;

/// A wait status, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// Entry or exit of a system call.
    Call,
    /// A signal is about to be delivered.
    Signal(i32),
    /// PTRACE_EVENT_FORK and its siblings.
    Event(i32),
    /// PTRACE_EVENT_STOP without job control: an interrupt, a newborn, or a SIGCONT.
    Trap,
    /// PTRACE_EVENT_STOP of a task that job control has stopped.
    Group(i32),
    /// It has ended.
    End(Status),
}

impl Raw {
    pub(crate) fn decode(change: Change) -> Raw {
        let low = (change.status & 0xff) as u8;
        match change.code {
            libc::CLD_EXITED => Raw::End(Status::exited(low)),
            libc::CLD_KILLED => Raw::End(Status::killed(Signal(low))),
            libc::CLD_DUMPED => Raw::End(Status(u32::from(low) | 0x80)),
            _ => match (change.status >> 8, i32::from(low)) {
                (0, CALL_STOP) => Raw::Call,
                (0, signal) => Raw::Signal(signal),
                (EVENT_STOP, libc::SIGTRAP) => Raw::Trap,
                (EVENT_STOP, signal) => Raw::Group(signal),
                (event, _) => Raw::Event(event),
            },
        }
    }
}

impl Change {
    /// What wait would say of an entry or an exit.
    pub(crate) fn of_call(pid: i32) -> Change {
        Change { pid, code: libc::CLD_TRAPPED, status: CALL_STOP }
    }
}

impl CallInfo {
    /// The result register of 64-bit calls; that of others may be another (syscall_get_error extends the sign).
    pub(crate) fn result(&self) -> Option<u64> {
        let told = self.op == libc::PTRACE_SYSCALL_INFO_EXIT && Abi::of(self.arch) == Abi::X64;
        told.then_some(self.number)
    }

    /// The change that wait would say of the stop. `None`: it is not one of a call.
    pub(crate) fn change(&self, pid: i32) -> Option<Change> {
        match self.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY | libc::PTRACE_SYSCALL_INFO_EXIT => Some(Change::of_call(pid)),
            libc::PTRACE_SYSCALL_INFO_SECCOMP => {
                let status = libc::SIGTRAP | libc::PTRACE_EVENT_SECCOMP << 8;
                Some(Change { status, ..Change::of_call(pid) })
            }
            _ => None,
        }
    }
}

/// What a task is stopped at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Before a call is handled.
    Entry,
    /// After it; `silent` where the contract knows no exit (exec, sigreturn).
    Exit { silent: bool },
    /// Before a signal is delivered.
    Signal(i32),
    /// On an int3, as a SIGTRAP that would be delivered.
    Breakpoint,
    /// After a step. `short`: it only left the call it was asked in; an instruction is still owed (R35).
    Step { short: bool },
    /// In the middle of a call, at a PTRACE_EVENT.
    Event(i32),
    /// PTRACE_EVENT_STOP, running otherwise.
    Trap,
    /// PTRACE_EVENT_STOP, stopped by job control.
    Group(i32),
}

impl Stop {
    /// Whether the kernel is inside a call here that it will still leave.
    pub(crate) fn is_inside_call(self) -> bool {
        matches!(self, Stop::Entry | Stop::Event(_))
    }
}

impl Tracee {
    /// Asks the task what a stop is. `None`: it was killed meanwhile, and will be reported as ended.
    pub(crate) fn classify(&mut self, raw: Raw) -> Option<Stop> {
        let told = self.told.take();
        let stop = match raw {
            Raw::Call => return self.classify_call(told),
            Raw::Event(libc::PTRACE_EVENT_SECCOMP) => return self.classify_filtered(told),
            Raw::Signal(libc::SIGTRAP) => self.classify_sigtrap()?,
            Raw::Signal(signal) => Stop::Signal(signal),
            Raw::Trap => Stop::Trap,
            Raw::Group(signal) => Stop::Group(signal),
            Raw::Event(event) => {
                // A call whose entry was not seen: whether its exit follows is asked there.
                if self.phase != Phase::Inside {
                    self.phase = Phase::Unseen;
                }
                if event == libc::PTRACE_EVENT_EXEC {
                    self.phase = Phase::Exec;
                    self.lent.forget();
                }
                return Some(Stop::Event(event));
            }
            Raw::End(_) => return None,
        };
        // Signals and traps are taken on the way to user mode: whatever call there was has been left.
        self.phase = Phase::Outside;
        Some(stop)
    }

    /// Entry or exit: known without a request where the entry was seen, or the task was asked already.
    fn classify_call(&mut self, told: Option<CallInfo>) -> Option<Stop> {
        match self.phase {
            Phase::Inside => {
                self.phase = Phase::Outside;
                if self.call.returns {
                    self.give_back();
                }
                return Some(Stop::Exit { silent: !self.call.returns });
            }
            Phase::Exec => {
                self.phase = Phase::Outside;
                return Some(Stop::Exit { silent: true });
            }
            Phase::Outside | Phase::Unseen => {}
        }
        let info = told.or_else(|| sys::call_info(self.pid).ok())?;
        if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
            self.call.id += 1;
            self.call.abi = Abi::of(info.arch);
            let regs = sys::get_regs(self.pid).ok()?;
            let number = regs.orig_rax;
            self.call.number = number;
            // A call changes no argument register, whatever it does to the result's.
            self.call.args = self.call.abi.args(&regs);
            self.phase = Phase::Outside;
            // sigreturn leaves −1 behind (restore_sigcontext).
            return Some(Stop::Exit { silent: number == u64::MAX });
        }
        Some(self.enter_call(&info))
    }

    /// A call was not seen before.
    pub(crate) fn enter_call(&mut self, info: &CallInfo) -> Stop {
        let abi = Abi::of(info.arch);
        self.call = Call {
            number: info.number,
            id: self.call.id + 1,
            abi,
            args: info.args,
            returns: !abi.has_no_exit(info.number),
            passed_filter: false,
            refused: false,
        };
        self.lent.forget();
        self.phase = Phase::Inside;
        Stop::Entry
    }

    /// One SIGTRAP has many meanings; `si_code` tells them apart.
    fn classify_sigtrap(&mut self) -> Option<Stop> {
        const INT3: i32 = libc::SI_KERNEL;
        // The step trap, the report of a step on the way out of a call (user_single_step_report), and the notice that
        // a handler was entered (signal_setup_done).
        const STEPPED: i32 = libc::TRAP_TRACE;
        const STEPPED_OUT: i32 = libc::TRAP_BRKPT;
        const IN_HANDLER: i32 = libc::SIGTRAP;

        let code = sys::signal_code(self.pid).ok()?;
        let stepping = matches!(self.life, Life::Running(Request::Step));
        Some(match code {
            INT3 => Stop::Breakpoint,
            STEPPED_OUT if stepping => Stop::Step { short: self.step.from_inside },
            STEPPED | IN_HANDLER if stepping => Stop::Step { short: false },
            _ => Stop::Signal(libc::SIGTRAP),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trapped(status: i32) -> Raw {
        Raw::decode(Change { pid: 1, code: libc::CLD_TRAPPED, status })
    }

    #[test]
    fn statuses_are_taken_apart() {
        assert_eq!(trapped(0x85), Raw::Call);
        assert_eq!(trapped(5), Raw::Signal(5));
        assert_eq!(trapped(64), Raw::Signal(64));
        assert_eq!(trapped(5 | 128 << 8), Raw::Trap);
        assert_eq!(trapped(20 | 128 << 8), Raw::Group(20));
        assert_eq!(trapped(5 | libc::PTRACE_EVENT_EXEC << 8), Raw::Event(libc::PTRACE_EVENT_EXEC));
        let end = |code, status| Raw::decode(Change { pid: 1, code, status });
        assert_eq!(end(libc::CLD_EXITED, 3), Raw::End(Status(0x300)));
        assert_eq!(end(libc::CLD_KILLED, 9), Raw::End(Status(9)));
        assert_eq!(end(libc::CLD_DUMPED, 11), Raw::End(Status(11 | 0x80)));
    }
}
