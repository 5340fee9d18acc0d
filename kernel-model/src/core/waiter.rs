//! Operations that could not finish. Whoever runs this kernel sleeps until [`Core::is_woken`], tries again, and then
//! calls [`Core::finish`]: a waiter may hold a task until then.

use super::{Core, Holder, Identity, Phase, SeatId, TaskKey};
use crate::machine::{
    CallChange, CallValues, Demand, Detail, Error, Machine, OnDeath, Pid, RegSet, Result, State, Task,
    Verdict,
};

/// A waiter's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct WaiterId(pub(super) usize);

/// What ends a wait.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum On {
    /// A notice or a stop for a seat, or the end of its task.
    Seat(SeatId),
    /// The next stop of a task, which is then held for the waiter.
    Stop(TaskKey),
    /// The end of a spawned process.
    Child(Pid),
    /// Something of a front-end's own.
    Front(usize),
}

#[derive(Clone, Hash, Debug)]
pub(super) struct Waiter {
    pub(super) on: On,
    woken: bool,
}

/// The call that a task is stopped at, until the task goes on.
#[derive(Clone, Copy, Debug)]
pub struct CallNow {
    task: Task,
    /// Its number.
    pub number: u64,
    /// Its sequence id.
    pub id: u64,
    /// Its ABI.
    pub abi: u64,
    /// What it was given, and gave.
    pub values: CallValues,
}

impl<M: Machine> Core<M> {
    /// Registers a wait.
    pub fn wait_on(&mut self, on: On) -> WaiterId {
        WaiterId(self.waiters.insert(Waiter { on, woken: false }))
    }

    /// Wakes all that wait on this.
    pub fn wake(&mut self, on: On) {
        for (_, waiter) in self.waiters.iter_mut().filter(|(_, waiter)| waiter.on == on) {
            waiter.woken = true;
        }
    }

    /// Whether it is time to try again.
    pub fn is_woken(&self, waiter: WaiterId) -> bool {
        self.waiters[waiter.0].woken
    }

    /// The operation is over, done or given up: what the waiter held is let go.
    pub fn finish(&mut self, waiter: WaiterId) {
        if let On::Stop(key) = self.waiters.remove(waiter.0).on
            && self.tasks.contains(key.0)
        {
            self.let_go(key, Holder::Waiter(waiter), Verdict::Proceed);
        }
    }

    /// A stop is held for everyone who waits for one. Whatever stop it is, registers can be had in it.
    pub(super) fn catch_waiters(&mut self, key: TaskKey) {
        if self.waiters.is_empty() {
            return;
        }
        let holders = &mut self.tasks[key.0].holders;
        for (id, waiter) in self.waiters.iter_mut().filter(|(_, waiter)| waiter.on == On::Stop(key)) {
            waiter.woken = true;
            holders.push(Holder::Waiter(WaiterId(id)));
        }
    }

    /// Runs `act` on a task that is stopped for it, shortly, if it is not stopped already; nobody needs a seat.
    /// `Err(Ok(waiter))`: wait for this and try again.
    ///
    /// Errors: `Gone`, `Unstoppable`, and those of attaching.
    pub fn with_stopped<R>(
        &mut self,
        id: Identity,
        act: impl FnOnce(&mut M, crate::machine::Task) -> Result<R>,
    ) -> std::result::Result<R, std::result::Result<WaiterId, Error>> {
        let id = self.current(id);
        let key = self.live(id).map_err(Err)?;
        let tracee = &self.tasks[key.0];
        if tracee.phase == Phase::Stopped {
            return act(&mut self.machine, tracee.task).map_err(Err);
        }
        let task = tracee.task;
        // Asked in any case: one that cannot stop now is let go again when it does.
        let asked = self.machine.interrupt(task);
        let cannot_stop =
            matches!(self.machine.facts(id.pid), Ok(facts) if facts.state == State::Uninterruptible);
        let asked = if cannot_stop { Err(Error::Unstoppable) } else { asked };
        match asked {
            Ok(()) => Err(Ok(self.wait_on(On::Stop(key)))),
            Err(error) => {
                self.settle(key);
                Err(Err(error))
            }
        }
    }

    /// The call a task is stopped at.
    ///
    /// Errors: `Gone`; `Invalid` it is not stopped, or not at a call.
    pub fn call_of(&mut self, id: Identity) -> Result<CallNow> {
        let task = self.held(id)?;
        let Detail::Call { number, id, abi } = self.machine.detail(task)? else { return Err(Error::Invalid) };
        Ok(CallNow { task, number, id, abi, values: self.machine.call_values(task)? })
    }

    /// Changes it. Errors: the machine's.
    pub fn set_call(&mut self, now: &CallNow, change: &CallChange) -> Result<()> {
        self.machine.set_call(now.task, change)
    }

    /// The task, which is stopped. Errors: `Gone`; `Invalid` it is not.
    fn held(&mut self, id: Identity) -> Result<Task> {
        let key = self.pids.get(&id.pid).copied().or_else(|| self.renamed_from(id));
        let Some(key) = key.filter(|key| self.tasks[key.0].phase == Phase::Stopped) else {
            let id = self.current(id);
            return Err(if self.machine.start(id.pid)? == id.start { Error::Invalid } else { Error::Gone });
        };
        self.know_start(key)?;
        let tracee = &self.tasks[key.0];
        let same = tracee.id.start == id.start || tracee.aliases.contains(&id);
        if same { Ok(tracee.task) } else { Err(Error::Gone) }
    }

    /// The task, attached for the moment if it was not.
    fn live(&mut self, id: Identity) -> Result<TaskKey> {
        if let Some(&key) = self.pids.get(&id.pid) {
            self.know_start(key)?;
            match self.tasks[key.0].phase {
                Phase::Gone => return Err(Error::Gone),
                Phase::Running | Phase::Stopped if self.tasks[key.0].id.start == id.start => return Ok(key),
                Phase::Running | Phase::Stopped => return Err(Error::Gone),
                Phase::Free => {}
            }
        }
        if self.machine.start(id.pid)? != id.start {
            return Err(Error::Gone);
        }
        let task = self.machine.attach(id.pid, OnDeath::Leave)?;
        let key = self.adopt(task, id, Phase::Running);
        self.tasks[key.0].pushed = Demand::empty();
        Ok(key)
    }

    /// Size of a register file.
    pub fn reg_size(&self, set: RegSet) -> usize {
        self.machine.reg_size(set)
    }
}
