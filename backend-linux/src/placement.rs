//! Following a tracee's core: the tracing thread is bound to the CPU that its only task ran on last.
//!
//! Off unless asked for ([`Linux::follow_core`]): whether it helps is the scheduler's affair, which may wake the task on an
//! idle core rather than beside us (select_idle_sibling in kernel/sched/fair.c). Figures in RFC 0005.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use crate::Linux;
use crate::facts;

/// Resumptions before the first look, which costs as much as a whole stop. Each look that finds nothing new doubles the
/// number.
const FIRST: u32 = 64;
/// As far as that goes.
const MOST: u32 = 4096;
/// The calling thread.
const SELF: Pid = Pid::from_raw(0);

/// Where the thread may run, and where it was put.
pub(crate) struct Placement {
    follows: bool,
    /// Resumptions until the next look.
    left: u32,
    /// Resumptions between the last two looks.
    between: u32,
    /// The CPUs it was allowed before we bound it.
    before: Option<CpuSet>,
}

impl Default for Placement {
    fn default() -> Self {
        Placement { follows: false, left: FIRST, between: FIRST, before: None }
    }
}

impl Placement {
    /// Whether it is time to look.
    pub(crate) fn is_due(&mut self) -> bool {
        if !self.follows {
            return false;
        }
        self.left -= 1;
        self.left == 0
    }

    /// It was looked, and there was something new, or not.
    fn looked(&mut self, news: bool) {
        self.between = if news { FIRST } else { (self.between * 2).min(MOST) };
        self.left = self.between;
    }

    /// Binds this thread to a CPU, if it was allowed there.
    fn bind(&mut self, cpu: usize) {
        let Some(before) = self.before.or_else(|| sched_getaffinity(SELF).ok()) else { return };
        let mut one = CpuSet::new();
        if before.is_set(cpu) == Ok(true) && one.set(cpu).is_ok() && sched_setaffinity(SELF, &one).is_ok() {
            self.before = Some(before);
        }
    }

    /// Unbinds it. What it forks inherits its CPUs, and more than one task has more than one place.
    pub(crate) fn free(&mut self) {
        if let Some(before) = self.before.take() {
            let _ = sched_setaffinity(SELF, &before);
        }
    }
}

impl Linux {
    /// From now on, binds the calling thread to the core of the task it traces, while that is one task; or no longer.
    /// CPUs that the thread was not allowed before are never used, and it gets back those that it was.
    pub fn follow_core(&mut self, follows: bool) {
        self.placement.follows = follows;
        if !follows {
            self.placement.free();
        }
    }

    /// A task is about to be resumed, and it is time to look.
    pub(crate) fn place(&mut self, pid: i32) {
        if self.table.len() != 1 {
            self.placement.free();
            return self.placement.looked(true);
        }
        let (Ok(stat), Ok(own)) = (facts::stat(pid), sched_getcpu()) else {
            return self.placement.looked(false);
        };
        let apart = stat.processor != own;
        if apart {
            self.placement.bind(stat.processor);
        }
        self.placement.looked(apart);
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_thread_gets_its_cpus_back_and_no_others() {
        let all = sched_getaffinity(SELF).unwrap();
        let cpus: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| all.is_set(cpu) == Ok(true)).collect();
        let mut placement = Placement::default();
        for &cpu in &cpus {
            placement.bind(cpu);
            assert_eq!(sched_getcpu(), Ok(cpu));
            assert_eq!(placement.before, Some(all));
        }
        placement.free();
        assert_eq!(sched_getaffinity(SELF), Ok(all));
        let outside = (0..CpuSet::count()).find(|cpu| !cpus.contains(cpu));
        placement.bind(outside.unwrap());
        assert_eq!(sched_getaffinity(SELF), Ok(all));
        assert!(placement.before.is_none());
    }

    #[test]
    fn it_looks_now_and_then_if_asked_to() {
        let looks = |follows, news| {
            let mut placement = Placement { follows, ..Placement::default() };
            let mut at = Vec::new();
            for n in 1..=3 * MOST {
                if placement.is_due() {
                    at.push(n);
                    placement.looked(news);
                }
            }
            at
        };
        assert!(looks(false, false).is_empty());
        assert_eq!(looks(true, true).len() as u32, 3 * MOST / FIRST);
        // 64, 128, … 4096, and so on.
        assert_eq!(looks(true, false)[..3], [FIRST, 3 * FIRST, 7 * FIRST]);
        let late = looks(true, false);
        assert_eq!(late[late.len() - 1] - late[late.len() - 2], MOST);
    }
}
