//! The kernel without files: tasks, seats, who holds a stop, queues, waiters. Knows no mask and no path, never blocks.
//!
//! - A **task** is what the machine runs. It is stopped or running, and while it is stopped somebody holds it.
//! - A **seat** is one party's interest in a task: what should stop it, what should be noted, a queue of notices, what
//!   happens when the seat is left. A front-end's handle is a reference to a seat.
//! - **One rule**: a stop has holders; when the last one lets go, the task resumes. Close, death of a client, a child
//!   nobody opens, registers read in passing: all are that rule.
//! - A **waiter** is one operation that could not finish. A report wakes it; who sleeps, and how, is not decided here.
//!
//! - An **observer** is a seat that never holds; what it is told goes into a log.
//!
//! `seat`, `filter` and `log` (with `capture`) are what front-ends call, `report` what the machine causes, `hold` the one rule, `waiter` and `access`
//! the rest; `audit` is for those who check all of it from outside.

mod access;
mod audit;
mod capture;
mod filter;
mod hold;
mod log;
mod report;
mod seat;
mod waiter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use slab::Slab;

pub use access::Policy;
pub use audit::{Keeper, Session};
pub use capture::{Capture, Table, Value, What, When};
pub use filter::{Inherit, SeatRef, Sets};
pub use seat::{Grab, Order};
pub use waiter::{CallNow, On, WaiterId};

use crate::abi::Status;
use crate::machine::{
    Demand, Detail, Error, Facts, Filter, Machine, OnDeath, Pid, Program, Result, SigInfo, Task, Verdict,
    Wait,
};

/// A client's number.
pub type ClientId = usize;

/// A task's number in this kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct TaskKey(usize);

/// A seat's number. Owned by the handle that asked for it, which gives it back with [`Core::leave`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct SeatId(usize);

/// A process that cannot be mistaken for another one: pids are used again, (pid, start) never is (F15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Its pid when it was looked up.
    pub pid: Pid,
    /// [`Facts::start`].
    pub start: u64,
}

/// No task started at the end of time.
const UNKNOWN_START: u64 = u64::MAX;

/// Something that happened to a task, in a seat's queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Notice {
    /// One kind.
    pub kind: Demand,
    /// Signal, status, child's or former pid; 0 where there is none.
    pub value: u64,
    /// Details of a call or of a signal.
    pub detail: Detail,
}

/// Where a task is in its life, as far as this kernel holds a part in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    /// Known (a spawned child), not traced.
    Free,
    Running,
    Stopped,
    Gone,
}

/// Who keeps a stopped task from running.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Holder {
    /// A party that was told of the stop, or asked for it.
    Seat(SeatId),
    /// A party that was told of this child's birth and has not decided.
    Parent(SeatId),
    /// The client that spawned it, until a seat is taken.
    Spawner(ClientId),
    /// An operation that needs it stopped for a moment.
    Waiter(WaiterId),
}

#[derive(Clone, Hash, Debug)]
struct Tracee {
    task: Task,
    /// Names of earlier tracings of the same spawned process; its end may be reported under any of them.
    former: Vec<Task>,
    id: Identity,
    /// What it was called before an exec gave it another pid; handles opened then still mean it (R50).
    aliases: Vec<Identity>,
    phase: Phase,
    seats: Vec<SeatId>,
    holders: Vec<Holder>,
    /// What the machine was last told.
    pushed: Demand,
    /// The same, of what is wanted of that.
    filter: Filter,
    /// It descends from a program that was started with this filter. Never let go: it could not live without its tracer.
    pushed_filter: Option<Arc<Filter>>,
    /// What the holders that let go of this stop have decided; one Skip is enough.
    verdict: Verdict,
}

#[derive(Clone, Hash, Debug)]
struct Seat {
    owner: ClientId,
    serial: u64,
    task: TaskKey,
    stops: Demand,
    notes: Demand,
    sets: Sets,
    queue: VecDeque<Notice>,
    /// Children whose birth was read and who still wait for a decision.
    offered: Vec<TaskKey>,
    grab: Option<Grab>,
    on_leave: OnDeath,
    /// It never holds, and what it is told goes into a log.
    observer: Option<log::Observer>,
}

/// A spawned process, until its status is fetched.
#[derive(Clone, Hash, Debug)]
struct Child {
    owner: ClientId,
    status: Option<Status>,
}

/// The kernel without files. See the module's documentation.
#[derive(Clone)]
pub struct Core<M> {
    machine: M,
    tasks: Slab<Tracee>,
    seats: Slab<Seat>,
    logs: Slab<log::Log>,
    /// Seats taken so far.
    serials: u64,
    waiters: Slab<waiter::Waiter>,
    /// Machine slot to (generation, key). Slots are dense; this is looked up at every stop.
    slots: Vec<Option<(u32, TaskKey)>>,
    pids: BTreeMap<Pid, TaskKey>,
    children: BTreeMap<Pid, Child>,
    /// Seats that became readable and were not collected yet.
    readable: Vec<SeatId>,
}

impl<M: Machine> Core<M> {
    /// Nothing traced yet.
    pub fn new(machine: M) -> Core<M> {
        Core {
            machine,
            tasks: Slab::new(),
            seats: Slab::new(),
            logs: Slab::new(),
            serials: 0,
            waiters: Slab::new(),
            slots: Vec::new(),
            pids: BTreeMap::new(),
            children: BTreeMap::new(),
            readable: Vec::new(),
        }
    }

    /// What is below.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The same, for those who only look.
    pub fn machine_ref(&self) -> &M {
        &self.machine
    }

    /// Looks for one report and acts on it. False: there was none, or the wait was ended by a wake.
    ///
    /// Errors: `Interrupted`, `Idle`.
    pub fn pump(&mut self, wait: Wait) -> Result<bool> {
        match self.machine.next_stop(wait)? {
            Some((task, report)) => {
                self.report(task, report);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Seats that became readable since the last call, each once.
    pub fn take_readable(&mut self, mut each: impl FnMut(&mut Self, SeatId)) {
        while let Some(seat) = self.readable.pop() {
            if self.seats.contains(seat.0) {
                each(self, seat);
            }
        }
    }

    /// Who a live task is. Cheap for one that is traced here. `Gone` for one that has ended, waited for or not.
    pub fn identify(&mut self, pid: Pid) -> Result<Identity> {
        if let Some(&key) = self.pids.get(&pid)
            && self.tasks[key.0].phase != Phase::Free
        {
            self.know_start(key)?;
            return Ok(self.tasks[key.0].id);
        }
        Ok(Identity { pid, start: self.machine.start(pid)? })
    }

    /// A newborn's start is looked up when somebody first asks.
    fn know_start(&mut self, key: TaskKey) -> Result<()> {
        let id = self.tasks[key.0].id;
        if id.start == UNKNOWN_START {
            self.tasks[key.0].id.start = self.machine.start(id.pid)?;
        }
        Ok(())
    }

    /// What came with the signal that a task is stopped before; `None` if it is not.
    pub fn siginfo(&mut self, id: Identity) -> Result<Option<SigInfo>> {
        let id = self.current(id);
        match self.pids.get(&id.pid).map(|key| &self.tasks[key.0]) {
            Some(tracee) if tracee.phase == Phase::Stopped && tracee.id == id => {
                self.machine.siginfo(tracee.task)
            }
            _ if self.machine.start(id.pid)? != id.start => Err(Error::Gone),
            _ => Ok(None),
        }
    }

    /// Facts of a live task. `Gone` for one that has ended, also while it is not waited for.
    pub fn facts(&mut self, pid: Pid) -> Result<Facts> {
        let facts = self.machine.facts(pid)?;
        match facts.state {
            crate::machine::State::Zombie => Err(Error::Gone),
            _ => Ok(facts),
        }
    }

    /// What a process is called now, if an exec gave it another pid since `id` was looked up.
    pub fn current(&self, id: Identity) -> Identity {
        if self.pids.contains_key(&id.pid) {
            return id;
        }
        self.renamed_from(id).map_or(id, |key| self.tasks[key.0].id)
    }

    /// The task that was called this before an exec.
    fn renamed_from(&self, id: Identity) -> Option<TaskKey> {
        self.tasks.iter().find(|(_, t)| t.aliases.contains(&id)).map(|(key, _)| TaskKey(key))
    }

    /// Starts a program for `owner`, who holds it.
    pub fn spawn(&mut self, owner: ClientId, program: &Program) -> Result<Pid> {
        let task = self.machine.spawn(program)?;
        let pid = self.machine.pid(task)?;
        let key = self.adopt(task, Identity { pid, start: UNKNOWN_START }, Phase::Stopped);
        self.tasks[key.0].pushed_filter = program.pushed.clone().map(Arc::new);
        self.tasks[key.0].holders.push(Holder::Spawner(owner));
        self.children.insert(pid, Child { owner, status: None });
        Ok(pid)
    }

    /// The status of a spawned process of `owner`'s; it is forgotten then. `None`: it has not ended.
    pub fn reap(&mut self, owner: ClientId, pid: Pid) -> Option<Option<Status>> {
        let child = self.children.get(&pid).filter(|child| child.owner == owner)?;
        let status = child.status;
        if status.is_some() {
            self.children.remove(&pid);
        }
        Some(status)
    }

    /// Lets go of everything a client holds beside its handles.
    pub fn forget_client(&mut self, client: ClientId) {
        self.children.retain(|_, child| child.owner != client);
        let held: Vec<TaskKey> = self.keys(|t| t.holders.contains(&Holder::Spawner(client)));
        for key in held {
            if self.tasks[key.0].pushed_filter.is_some() {
                self.tasks[key.0].holders.clear();
                self.end(key);
            } else {
                self.let_go(key, Holder::Spawner(client), Verdict::Proceed);
            }
        }
    }

    fn keys(&self, mut which: impl FnMut(&Tracee) -> bool) -> Vec<TaskKey> {
        self.tasks.iter().filter(|(_, t)| which(t)).map(|(key, _)| TaskKey(key)).collect()
    }

    /// Enters a task into the tables. One that was known under the same identity keeps its place.
    fn adopt(&mut self, task: Task, id: Identity, phase: Phase) -> TaskKey {
        let known = self.pids.get(&id.pid).copied().filter(|key| self.tasks[key.0].phase == Phase::Free);
        let key = match known {
            Some(key) => {
                let tracee = &mut self.tasks[key.0];
                tracee.former.push(tracee.task);
                tracee.task = task;
                tracee.phase = phase;
                tracee.pushed = Demand::empty();
                tracee.filter = Filter::ALL;
                key
            }
            None => TaskKey(self.tasks.insert(Tracee {
                task,
                former: Vec::new(),
                id,
                aliases: Vec::new(),
                phase,
                seats: Vec::new(),
                holders: Vec::new(),
                pushed: Demand::empty(),
                filter: Filter::ALL,
                pushed_filter: None,
                verdict: Verdict::Proceed,
            })),
        };
        let slot = task.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some((task.generation, key));
        self.pids.insert(id.pid, key);
        key
    }

    fn find(&self, task: Task) -> Option<TaskKey> {
        match self.slots.get(task.slot as usize) {
            Some(&Some((generation, key))) if generation == task.generation => Some(key),
            _ => None,
        }
    }

    /// Drops a task from the tables once nobody refers to it.
    fn forget(&mut self, key: TaskKey) {
        let tracee = &self.tasks[key.0];
        let referred = !tracee.seats.is_empty() || !tracee.holders.is_empty();
        let child = tracee.phase != Phase::Gone && self.children.contains_key(&tracee.id.pid);
        if referred || child {
            return;
        }
        if self.pids.get(&tracee.id.pid) == Some(&key) {
            self.pids.remove(&tracee.id.pid);
        }
        let Tracee { task, former, .. } = self.tasks.remove(key.0);
        for task in former.into_iter().chain([task]) {
            if self.find(task) == Some(key) {
                self.slots[task.slot as usize] = None;
            }
        }
    }
}
