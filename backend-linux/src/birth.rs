//! Children: their parent's event and their own first stop come in either order; reported when both are there.
//!
//! The child runs before the parent's event is raised (kernel_clone: wake_up_new_task, then ptrace_event_pid) and stops
//! or dies without anybody's help, so the event waits for it. A child that is seen first is kept as [`Early`].

use kernel_model::machine::{Demand, Pid, Report, Status, Task};

use crate::Linux;
use crate::facts;
use crate::stop::{Raw, Stop};
use crate::sys::{self, Target};
use crate::table::Table;
use crate::tracee::{Held, Life, Phase, Tracee};
use crate::wait::wait_for;

/// A child seen before its parent's event.
pub(crate) struct Early {
    raw: Raw,
    /// The process that made it, and the one that it is in, if that had to be found out already.
    family: Option<[Option<i32>; 2]>,
    /// Somebody of its family is under a filter, so it is, too.
    pub(crate) filtered: bool,
}

fn family(pid: i32) -> [Option<i32>; 2] {
    [facts::stat(pid).ok().map(|stat| stat.parent as i32), facts::tgid(pid).ok()]
}

impl Early {
    pub(crate) fn meet(pid: i32, raw: Raw, table: &mut Table) -> Early {
        let among_filtered = table.iter_mut().any(|tracee| tracee.filtered);
        // Who has ended cannot be asked later.
        let asked = among_filtered || matches!(raw, Raw::End(_));
        let family = asked.then(|| family(pid));
        let of_family = |tgid| family.is_some_and(|family| family.contains(&Some(tgid)));
        let filtered = table.iter_mut().any(|tracee| tracee.filtered && of_family(tracee.tgid));
        Early { raw, family, filtered }
    }

    /// Whether one of these processes made it, or has it as a thread.
    fn is_of(&self, pid: i32, processes: &[i32]) -> bool {
        self.family.unwrap_or_else(|| family(pid)).iter().flatten().any(|tgid| processes.contains(tgid))
    }

    /// Whether there is nothing left to detach from.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.raw, Raw::End(_))
    }
}

impl Linux {
    /// PTRACE_EVENT_FORK and its siblings: the parent is stopped.
    pub(crate) fn birth(&mut self, parent: Task, event: i32) -> Option<(Task, Report)> {
        let tracee = self.table.get(parent).ok()?;
        let (options, on_death, filtered) = (tracee.options, tracee.on_death, tracee.filtered);
        let wanted = filtered || tracee.demand.contains(Demand::BORN);
        // The parent was killed: its end follows, and the child becomes an orphan.
        let pid = sys::event_message(tracee.pid).ok()? as i32;
        let (raw, consumed) = match self.early.remove(&pid) {
            Some(early) => (Some(early.raw), true),
            None => (wait_for(pid, false).map(Raw::decode), false),
        };
        if !wanted {
            if matches!(raw, Some(Raw::End(_))) && !consumed {
                let _ = sys::wait(Target::One(pid), false, true);
            } else {
                let _ = sys::restart(libc::PTRACE_DETACH, pid, 0);
            }
            self.let_go(parent);
            return None;
        }
        let tgid = match event {
            libc::PTRACE_EVENT_CLONE => facts::tgid(pid).unwrap_or(pid),
            _ => pid,
        };
        let stop = match raw {
            Some(Raw::Group(signal)) => Stop::Group(signal),
            _ => Stop::Trap,
        };
        let life = Life::Stopped(Held { consumed, ..Held::new(stop) });
        let child =
            Tracee { options, on_death, filtered, phase: Phase::Outside, ..Tracee::new(pid, tgid, life) };
        let child = self.table.insert(child);
        match raw {
            Some(Raw::End(status)) => self.stillborn(child, pid, Some(status), consumed),
            None => self.stillborn(child, pid, None, true),
            Some(_) => self.watch.peeked.push(child),
        }
        Some(self.hold(parent, Report::Born { child, pid: Pid(pid as u32) }))
    }

    /// Killed before it ran: born, then gone.
    fn stillborn(&mut self, child: Task, pid: i32, status: Option<Status>, consumed: bool) {
        if !consumed {
            let _ = sys::wait(Target::One(pid), false, true);
        }
        self.gone(child, status);
    }

    /// Early children whose parent will never tell of them, because it was killed before it could, go their own way.
    pub(crate) fn free_orphans(&mut self) {
        if self.early.is_empty() {
            return;
        }
        let families: Vec<i32> = self.table.iter_mut().map(|tracee| tracee.tgid).collect();
        self.early.retain(|&pid, early| {
            let awaited = early.is_of(pid, &families);
            if !awaited && !early.has_ended() {
                free_unseen(pid, early.filtered);
            }
            awaited
        });
    }
}

/// Lets a stopped child go that nobody was told of.
pub(crate) fn free_unseen(pid: i32, filtered: bool) {
    if filtered {
        let _ = sys::kill(pid, libc::SIGKILL);
    }
    let _ = sys::restart(libc::PTRACE_DETACH, pid, 0);
}
