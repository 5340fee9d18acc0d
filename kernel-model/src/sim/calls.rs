//! System calls: [`Sim::call`] picks one by number; the small ones are here.
//!
//! The others: files in [`super::files`], processes in [`super::family`]. A call that must wait says so and is made
//! again, from its start, when that can succeed; none has done anything before it waits.

use crate::abi::{Errno, Pid, Signal};

use super::Sim;
use super::memory::{Access, PAGE, Protection, TOP};
use super::names::{self, ARCH_SET_FS, MAP_ANONYMOUS, MAP_FIXED, PROT_EXEC, PROT_READ, PROT_WRITE};
use super::process::{Kind, Wait};
use super::signal::{Action, UNMASKABLE};

/// What comes of a call.
pub(super) enum Reply {
    /// A result.
    Done(u64),
    /// Nothing yet.
    Wait(Wait),
    /// The call does not come back, and has said itself what is next.
    Away,
}

pub(super) type Answer = Result<Reply, Errno>;

/// Where mmap looks for space.
const MAPPINGS: u64 = 0x7000_0000_0000;

impl Sim {
    /// Makes the call that the registers name.
    pub(super) fn call(&mut self, pid: Pid) -> Answer {
        let process = self.process(pid);
        let int = process.cpu.int;
        let (a, b, c, d) = (int.rdi, int.rsi, int.rdx, int.r10);
        let known = match int.rax {
            names::GETPID | names::GETTID => u64::from(pid.0),
            names::GETPPID => process.parent.map_or(0, |parent| u64::from(parent.0)),
            names::GETUID => u64::from(process.uid),
            names::SCHED_YIELD => 0,
            names::EXIT | names::EXIT_GROUP => return self.call_exit(pid, a),
            names::SETUID => return self.call_setuid(pid, a),
            names::FORK => return self.call_fork(pid, false),
            names::VFORK => return self.call_fork(pid, true),
            names::EXECVE => return self.call_execve(pid, a, b, c),
            names::WAIT4 => return self.call_wait4(pid, i64::from(a as i32), b, c),
            names::KILL => return self.call_kill(pid, i64::from(a as i32), b),
            names::TKILL => return self.call_kill(pid, i64::from((a as i32).max(0)), b),
            names::RT_SIGACTION => return self.call_sigaction(pid, a, b, c, d),
            names::RT_SIGPROCMASK => return self.call_sigprocmask(pid, a, b, c, d),
            names::RT_SIGRETURN => {
                self.leave_handler(pid);
                return Ok(Reply::Away);
            }
            names::PAUSE => return Ok(Reply::Wait(Wait::Signal)),
            names::RT_SIGSUSPEND => return self.call_sigsuspend(pid, a, b),
            names::PIPE => return self.call_pipe(pid, a),
            names::READ => return self.call_read(pid, a, b, c),
            names::WRITE => return self.call_write(pid, a, b, c),
            names::CLOSE => return self.call_close(pid, a),
            names::MMAP => return self.call_mmap(pid, a, b, c, d),
            names::MUNMAP => return self.call_unmap(pid, a, b),
            names::MPROTECT => return self.call_mprotect(pid, a, b, c),
            names::SETPGID => return self.call_setpgid(pid, a, b),
            names::GETPGID => return self.call_getpgid(pid, a),
            names::SETSID => return self.call_setsid(pid),
            names::ARCH_PRCTL if a == ARCH_SET_FS => {
                if b >= TOP {
                    return Err(Errno::EPERM);
                }
                process.cpu.env.fsbase = b;
                0
            }
            names::ARCH_PRCTL => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENOSYS),
        };
        Ok(Reply::Done(known))
    }

    fn call_setuid(&mut self, pid: Pid, uid: u64) -> Answer {
        let uid = u32::try_from(uid).map_err(|_| Errno::EINVAL)?;
        let process = self.process(pid);
        if process.uid != 0 && process.uid != uid {
            return Err(Errno::EPERM);
        }
        process.uid = uid;
        Ok(Reply::Done(0))
    }

    fn call_kill(&mut self, pid: Pid, target: i64, number: u64) -> Answer {
        if number > 64 {
            return Err(Errno::EINVAL);
        }
        let sender = self.process(pid);
        let (uid, group) = (sender.uid, i64::from(sender.group.0));
        let chosen = |other: i64, of_group: i64| match target {
            0 => of_group == group,
            -1 => other != 1 && other != i64::from(pid.0),
            pid if pid > 0 => other == pid,
            minus => of_group == -minus,
        };
        let found: Vec<(Pid, bool)> = self
            .processes
            .values()
            .filter(|process| process.kind != Kind::System || target > 0)
            .filter(|process| chosen(i64::from(process.pid.0), i64::from(process.group.0)))
            .map(|process| (process.pid, uid == 0 || uid == process.uid))
            .collect();
        if found.is_empty() {
            return Err(Errno::ESRCH);
        }
        let allowed: Vec<Pid> = found.iter().filter(|(_, allowed)| *allowed).map(|(pid, _)| *pid).collect();
        if allowed.is_empty() {
            return Err(Errno::EPERM);
        }
        for target in allowed.into_iter().filter(|_| number != 0) {
            if target == pid
                && let Some(call) = &mut self.process(pid).call
            {
                call.signals_self = true;
            }
            self.post(target, Signal(number as u8), pid);
        }
        Ok(Reply::Done(0))
    }

    fn call_sigaction(&mut self, pid: Pid, number: u64, new: u64, old: u64, size: u64) -> Answer {
        use zerocopy::{FromBytes, IntoBytes};
        let signal = Signal(u8::try_from(number).unwrap_or(0));
        let fixed = signal == Signal::KILL || signal == Signal::STOP;
        if size != 8 || signal.0 == 0 || signal.0 > 64 || (fixed && new != 0) {
            return Err(Errno::EINVAL);
        }
        let process = self.process(pid);
        let before = process.signals.action(signal);
        let mut bytes = [0; size_of::<Action>()];
        if new != 0 {
            process.memory.read(new, &mut bytes, Access::Read).map_err(|_| Errno::EFAULT)?;
        }
        if old != 0 {
            process.memory.write(old, before.as_bytes(), Access::Write).map_err(|_| Errno::EFAULT)?;
        }
        if new != 0 {
            let action = Action::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL)?;
            process.signals.actions.insert(signal.0, action);
            // What is pending and now ignored is forgotten.
            if process.signals.ignores(signal) {
                process.signals.pending &= !super::signal::bit(signal);
            }
        }
        Ok(Reply::Done(0))
    }

    fn call_sigprocmask(&mut self, pid: Pid, how: u64, new: u64, old: u64, size: u64) -> Answer {
        if size != 8 {
            return Err(Errno::EINVAL);
        }
        let process = self.process(pid);
        let before = process.signals.mask;
        let mut mask = before;
        if new != 0 {
            let set = process.memory.read_word(new).map_err(|_| Errno::EFAULT)?;
            mask = match how {
                names::SIG_BLOCK => before | set,
                names::SIG_UNBLOCK => before & !set,
                names::SIG_SETMASK => set,
                _ => return Err(Errno::EINVAL),
            };
        }
        if old != 0 {
            process.memory.write_word(old, before).map_err(|_| Errno::EFAULT)?;
        }
        process.signals.mask = mask & !UNMASKABLE;
        Ok(Reply::Done(0))
    }

    fn call_sigsuspend(&mut self, pid: Pid, set: u64, size: u64) -> Answer {
        if size != 8 {
            return Err(Errno::EINVAL);
        }
        let process = self.process(pid);
        let mask = process.memory.read_word(set).map_err(|_| Errno::EFAULT)?;
        process.signals.saved = Some(process.signals.mask);
        process.signals.mask = mask & !UNMASKABLE;
        Ok(Reply::Wait(Wait::Signal))
    }

    fn call_mmap(&mut self, pid: Pid, hint: u64, size: u64, protection: u64, flags: u64) -> Answer {
        if flags & MAP_ANONYMOUS == 0 || size == 0 {
            return Err(Errno::EINVAL);
        }
        let process = self.process(pid);
        let (start, size) = if flags & MAP_FIXED != 0 {
            range(hint, size)?
        } else {
            let (_, size) = range(0, size)?;
            let start = process.memory.free_range(MAPPINGS, size).ok_or(Errno::ENOMEM)?;
            (start, size)
        };
        process.memory.map(start, size, to_protection(protection));
        Ok(Reply::Done(start))
    }

    fn call_unmap(&mut self, pid: Pid, start: u64, size: u64) -> Answer {
        let (start, size) = range(start, size)?;
        if size == 0 {
            return Err(Errno::EINVAL);
        }
        self.process(pid).memory.unmap(start, size);
        Ok(Reply::Done(0))
    }

    fn call_mprotect(&mut self, pid: Pid, start: u64, size: u64, protection: u64) -> Answer {
        let (start, size) = range(start, size)?;
        let protect = self.process(pid).memory.protect(start, size, to_protection(protection));
        protect.map_err(|_| Errno::ENOMEM)?;
        Ok(Reply::Done(0))
    }
}

fn to_protection(bits: u64) -> Protection {
    Protection {
        read: bits & (PROT_READ | PROT_WRITE) != 0,
        write: bits & PROT_WRITE != 0,
        execute: bits & PROT_EXEC != 0,
    }
}

/// The largest mapping: pages are made at once, and a number in a register is easily wrong.
const LARGEST: u64 = 1 << 28;

/// A page-aligned start, and the size in whole pages.
fn range(start: u64, size: u64) -> Result<(u64, u64), Errno> {
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    match size.checked_next_multiple_of(PAGE) {
        Some(size) if size <= LARGEST && start.checked_add(size).is_some_and(|end| end <= TOP) => {
            Ok((start, size))
        }
        _ => Err(Errno::ENOMEM),
    }
}
