//! Who may touch whom. Asked once, when a path is opened (R5).

use super::{ClientId, Core, Error, Facts, Holder, Machine, Pid, Result, SeatId};
use crate::scheme::Caller;

/// The rule of this kernel. The machine may refuse more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Policy {
    /// Same user and group, and the caller is an ancestor of the process (Redox, R2).
    Descendants,
    /// Same user and group.
    SameUser,
}

impl<M: Machine> Core<M> {
    /// Whether `client`, who is `caller`, may control this task. User 0 may, except itself; group 0 means nothing (F1).
    ///
    /// Errors: `Gone`, `Denied`.
    pub fn check(&mut self, policy: Policy, client: ClientId, caller: Caller, pid: Pid) -> Result<()> {
        if caller.uid == 0 && self.is_traced_by(client, pid) {
            // Nobody traces itself, so this is not the caller: nothing is left to ask.
            return Ok(());
        }
        let facts = self.facts(pid)?;
        if facts.process == caller.pid {
            // A task that waits for its own stop never comes back.
            return Err(Error::Denied);
        }
        if caller.uid == 0 {
            return Ok(());
        }
        if facts.uid != caller.uid || facts.gid != caller.gid {
            return Err(Error::Denied);
        }
        match policy {
            Policy::SameUser => Ok(()),
            Policy::Descendants if self.descends(&facts, caller) => Ok(()),
            Policy::Descendants => Err(Error::Denied),
        }
    }

    /// Whether the client has a seat at the task, or was told of its birth and has not decided.
    fn is_traced_by(&self, client: ClientId, pid: Pid) -> bool {
        let Some(tracee) = self.pids.get(&pid).map(|key| &self.tasks[key.0]) else { return false };
        let mine = |seat: &SeatId| self.seats[seat.0].owner == client;
        let told = |holder: &Holder| matches!(holder, Holder::Parent(seat) if mine(seat));
        tracee.seats.iter().any(mine) || tracee.holders.iter().any(told)
    }

    /// Walks up from the parent. The tree is finite and has no cycles, but it moves while we look: a parent that is gone
    /// ends the walk, and so does a length no tree has.
    fn descends(&mut self, facts: &Facts, caller: Caller) -> bool {
        let mut parent = facts.parent;
        for _ in 0..4096 {
            match parent {
                Some(pid) if pid == caller.pid => return true,
                Some(pid) => parent = self.machine.facts(pid).ok().and_then(|facts| facts.parent),
                None => return false,
            }
        }
        false
    }
}
