//! Ways out: detaching a stopped, a running, or an unstoppable task; and the end of the machine itself.

use std::collections::HashSet;

use kernel_model::machine::{Leave, OnDeath, Result, Task, Verdict};
use nix::errno::Errno;

use crate::Linux;
use crate::birth::free_unseen;
use crate::facts;
use crate::stop::{Raw, Stop};
use crate::sys::{self, Target};
use crate::tracee::{Held, Life, Phase, Request, Tracee};
use crate::wait::wait_for;

impl Linux {
    /// Stops tracing a task.
    pub(crate) fn leave(&mut self, task: Task, leave: Leave) -> Result<()> {
        let tracee = self.table.get_mut(task)?;
        let verdict = match leave {
            Leave::Free(verdict) if !tracee.filtered => verdict,
            Leave::Free(_) | Leave::Dead => {
                let _ = sys::kill(tracee.pid, libc::SIGKILL);
                // One that is exiting already is not woken by a signal (complete_signal), only by us.
                if matches!(&tracee.life, Life::Stopped(held) if held.stop == Stop::Event(libc::PTRACE_EVENT_EXIT))
                {
                    let _ = sys::restart(libc::PTRACE_CONT, tracee.pid, 0);
                }
                tracee.life = Life::Leaving;
                return Ok(());
            }
        };
        if verdict == Verdict::Proceed {
            tracee.pass_entry();
        }
        match tracee.life {
            Life::Stopped(_) => {
                let done = tracee.let_free(verdict).is_ok();
                self.left(task, done);
            }
            Life::Running(_) => {
                let stops = !tracee.vforking && !facts::is_unstoppable(tracee.pid);
                let _ = sys::interrupt(tracee.pid);
                let pid = tracee.pid;
                let was = std::mem::replace(&mut tracee.life, Life::Leaving);
                let mut came = stops.then(|| wait_for(pid, false)).flatten().map(Raw::decode);
                // The trap of a step may be pending behind the interrupt's stop: it is ours, and no step is armed now
                // that would raise another.
                if came == Some(Raw::Trap)
                    && matches!(was, Life::Running(Request::Step))
                    && facts::has_pending(pid, libc::SIGTRAP)
                    && sys::restart(libc::PTRACE_CONT, pid, 0).is_ok()
                {
                    came = wait_for(pid, false).map(Raw::decode);
                }
                if let Some(raw) = came {
                    let tracee = self.table.get_mut(task)?;
                    if let Raw::End(status) = raw {
                        let _ = sys::wait(Target::One(pid), false, true);
                        self.gone(task, Some(status));
                        return Ok(());
                    }
                    tracee.life = was;
                    self.free_at(task, raw);
                }
            }
            Life::Leaving | Life::Left => {}
        }
        Ok(())
    }

    /// A leaving task has stopped at last.
    pub(crate) fn leave_now(&mut self, task: Task, raw: Raw) {
        if let Ok(tracee) = self.table.get_mut(task) {
            tracee.life = Life::Running(Request::Cont);
        }
        self.free_at(task, raw);
    }

    /// Detaches from a stop that nobody was told of: what it is stopped before happens.
    fn free_at(&mut self, task: Task, raw: Raw) {
        let Ok(tracee) = self.table.get_mut(task) else { return };
        let filtered = tracee.filtered;
        let (done, child) = tracee.free_at(raw);
        if let Raw::Event(libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE) = raw
        {
            // Its child was made while we were still there; nobody has heard of it.
            if let Some(child) = child {
                self.free_child(child, filtered);
            }
        }
        self.left(task, done);
    }

    fn free_child(&mut self, pid: i32, filtered: bool) {
        if self.early.remove(&pid).is_none()
            && matches!(wait_for(pid, false).map(Raw::decode), None | Some(Raw::End(_)))
        {
            let _ = sys::wait(Target::One(pid), false, true);
            return;
        }
        free_unseen(pid, filtered);
    }

    /// Books a detached task. One that could not be detached was killed, and is reaped when wait says so.
    fn left(&mut self, task: Task, done: bool) {
        let Ok(tracee) = self.table.get_mut(task) else { return };
        match (done, tracee.spawned) {
            (true, true) => {
                tracee.life = Life::Left;
                tracee.mem = None;
                self.watch.left += 1;
            }
            (true, false) => {
                self.table.remove(task);
            }
            (false, _) => tracee.life = Life::Leaving,
        }
    }
}

impl Tracee {
    /// Lets a task that is stopped at the entry of a call go on into it, as far as an interrupt allows. Detaching wakes
    /// it with TIF_SIGPENDING set (ptrace_signal_wake_up), which a call not yet begun takes for a signal; for one that
    /// then says EINTR, only a stop after it lets us hide that.
    fn pass_entry(&mut self) {
        let pid = self.pid;
        let abi = self.call.abi;
        let breaks = self.held().is_some_and(|held| {
            held.stop == Stop::Entry
                && held.fetch(pid).is_ok_and(|regs| abi.is_broken_by_interrupt(regs.orig_rax))
        });
        if breaks && sys::interrupt(pid).is_ok() && sys::restart(libc::PTRACE_CONT, pid, 0).is_ok() {
            self.phase = Phase::Unseen;
            self.life = Life::Running(Request::Cont);
        }
    }

    /// Detaches at `raw`; whether that worked, and the child that `raw` tells of.
    fn free_at(&mut self, raw: Raw) -> (bool, Option<i32>) {
        let was_listening = matches!(self.life, Life::Running(Request::Listen));
        let child = sys::event_message(self.pid).ok().map(|pid| pid as i32);
        let Some(stop) = self.classify(raw) else { return (false, child) };
        self.life = Life::Stopped(Held { was_listening, ..Held::new(stop) });
        // A step's trap is ours, and nobody waits for it any more.
        let verdict = if matches!(stop, Stop::Step { .. }) { Verdict::Skip } else { Verdict::Proceed };
        self.pass_entry();
        if matches!(self.life, Life::Running(_)) {
            return match wait_for(self.pid, false).map(Raw::decode) {
                None | Some(Raw::End(_)) => (false, None),
                Some(raw) => self.free_at(raw),
            };
        }
        (self.let_free(verdict).is_ok(), child)
    }
}

impl Drop for Linux {
    /// What the contract says of the owner's death, without waiting for tasks that cannot stop: those are the kernel's
    /// to detach when this thread ends.
    fn drop(&mut self) {
        for task in self.table.tasks() {
            let Ok(tracee) = self.table.get(task) else { continue };
            let leave = match tracee.on_death {
                OnDeath::Kill => Leave::Dead,
                OnDeath::Leave => Leave::Free(Verdict::Proceed),
            };
            let _ = self.leave(task, leave);
        }
        for (&pid, early) in &self.early {
            if !early.has_ended() {
                free_unseen(pid, early.filtered);
            }
        }
        self.reap_killed();
        self.bell.remove();
    }
}

impl Linux {
    /// Waits for those that were killed, so that their parents hear of it. All that comes meanwhile is taken: a first
    /// thread is reported only after all others, newborns that nobody has heard of among them.
    fn reap_killed(&mut self) {
        let mut killed: HashSet<i32> = self
            .table
            .iter_mut()
            .filter(|tracee| matches!(tracee.life, Life::Leaving) && tracee.on_death == OnDeath::Kill)
            .map(|tracee| tracee.pid)
            .collect();
        while !killed.is_empty() {
            let change = match sys::wait(Target::Tracees, true, true) {
                Ok(Some(change)) => change,
                Err(Errno::EINTR) => continue,
                Ok(None) | Err(_) => return,
            };
            let raw = Raw::decode(change);
            match self.table.by_pid(change.pid) {
                _ if matches!(raw, Raw::End(_)) => drop(killed.remove(&change.pid)),
                Some(task) if !killed.contains(&change.pid) => self.leave_now(task, raw),
                // The sleeper, a newborn, or somebody at a last stop.
                _ => drop(sys::restart(libc::PTRACE_CONT, change.pid, 0)),
            }
        }
    }
}
