//! The tasks of a machine: by slot for the kernel above, by pid for wait.

use std::cell::Cell;
use std::collections::HashMap;

use kernel_model::machine::{Error, Result, Task};
use slab::Slab;

use crate::tracee::Tracee;

/// How many pids are found without a search. A power of two.
const LATEST: usize = 16;

/// All tasks. A slot is reused, with another generation.
#[derive(Default)]
pub(crate) struct Table {
    tracees: Slab<Tracee>,
    by_pid: HashMap<i32, u32>,
    /// Pids asked for last and their slots, each at the place of its last bits: the same few tasks often stop again.
    latest: [Cell<(i32, u32)>; LATEST],
    generations: u32,
}

impl Table {
    pub(crate) fn insert(&mut self, mut tracee: Tracee) -> Task {
        self.generations = self.generations.wrapping_add(1);
        tracee.generation = self.generations;
        let pid = tracee.pid;
        let slot = self.tracees.insert(tracee) as u32;
        self.by_pid.insert(pid, slot);
        Task { slot, generation: self.generations }
    }

    pub(crate) fn get(&self, task: Task) -> Result<&Tracee> {
        let tracee = self.tracees.get(task.slot as usize);
        tracee.filter(|tracee| tracee.generation == task.generation).ok_or(Error::Gone)
    }

    pub(crate) fn get_mut(&mut self, task: Task) -> Result<&mut Tracee> {
        let tracee = self.tracees.get_mut(task.slot as usize);
        tracee.filter(|tracee| tracee.generation == task.generation).ok_or(Error::Gone)
    }

    pub(crate) fn by_pid(&self, pid: i32) -> Option<Task> {
        let latest = &self.latest[pid as usize % LATEST];
        let (known, slot) = latest.get();
        if known == pid
            && let Some(tracee) = self.tracees.get(slot as usize).filter(|tracee| tracee.pid == pid)
        {
            return Some(Task { slot, generation: tracee.generation });
        }
        let slot = *self.by_pid.get(&pid)?;
        let tracee = self.tracees.get(slot as usize)?;
        latest.set((pid, slot));
        Some(Task { slot, generation: tracee.generation })
    }

    /// Forgets a task; another may have taken over its pid.
    pub(crate) fn remove(&mut self, task: Task) -> Option<Tracee> {
        self.get(task).ok()?;
        let tracee = self.tracees.remove(task.slot as usize);
        if self.by_pid.get(&tracee.pid) == Some(&task.slot) {
            self.by_pid.remove(&tracee.pid);
        }
        Some(tracee)
    }

    /// Gives a task another pid, which nobody else has.
    pub(crate) fn rename(&mut self, task: Task, pid: i32) {
        let Ok(tracee) = self.get_mut(task) else { return };
        let former = std::mem::replace(&mut tracee.pid, pid);
        tracee.tgid = pid;
        self.by_pid.remove(&former);
        self.by_pid.insert(pid, task.slot);
    }

    pub(crate) fn len(&self) -> usize {
        self.tracees.len()
    }

    /// One more than the largest slot that may be in use.
    pub(crate) fn slots(&self) -> usize {
        self.tracees.capacity()
    }

    pub(crate) fn at(&self, slot: usize) -> Option<&Tracee> {
        self.tracees.get(slot)
    }

    pub(crate) fn tasks(&self) -> Vec<Task> {
        let task =
            |(slot, tracee): (usize, &Tracee)| Task { slot: slot as u32, generation: tracee.generation };
        self.tracees.iter().map(task).collect()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Tracee> {
        self.tracees.iter_mut().map(|(_, tracee)| tracee)
    }
}
