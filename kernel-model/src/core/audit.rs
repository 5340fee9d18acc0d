//! What can be asked of a [`Core`] by those who check it, and its [`Hash`]: cores that hash alike have the same future.
//!
//! Places in the tables are names that other entries use; the order of free places is not part of the state.

use std::hash::{Hash, Hasher};

use super::{ClientId, Core, Holder, Phase, SeatId};
use crate::machine::Pid;

/// Who keeps a task stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeper {
    /// A client: by a seat, by being told of a birth, or by having spawned it.
    Client(ClientId),
    /// An operation that waits.
    Operation,
    /// A seat or an operation that is no more: nobody will ever let go.
    Nobody,
}

/// A seat, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// Its task's.
    pub pid: Pid,
    /// Notices in its queue.
    pub queued: usize,
    /// It holds its task stopped.
    pub held: bool,
    /// Its task has ended.
    pub gone: bool,
}

impl<M> Core<M> {
    /// Every task that is stopped as far as this kernel knows, and who keeps it so.
    pub fn stops(&self) -> Vec<(Pid, Vec<Keeper>)> {
        let keeper = |holder: &Holder| match holder {
            Holder::Seat(seat) | Holder::Parent(seat) => {
                self.seats.get(seat.0).map_or(Keeper::Nobody, |seat| Keeper::Client(seat.owner))
            }
            Holder::Spawner(client) => Keeper::Client(*client),
            Holder::Waiter(waiter) if self.waiters.contains(waiter.0) => Keeper::Operation,
            Holder::Waiter(_) => Keeper::Nobody,
        };
        let stopped = self.tasks.iter().filter(|(_, tracee)| tracee.phase == Phase::Stopped);
        stopped.map(|(_, t)| (t.id.pid, t.holders.iter().map(keeper).collect())).collect()
    }

    /// A seat that exists.
    pub fn session(&self, seat: SeatId) -> Session {
        let seat_is = &self.seats[seat.0];
        let tracee = &self.tasks[seat_is.task.0];
        Session {
            pid: tracee.id.pid,
            queued: seat_is.queue.len(),
            held: tracee.phase == Phase::Stopped && tracee.holders.contains(&Holder::Seat(seat)),
            gone: !matches!(tracee.phase, Phase::Running | Phase::Stopped),
        }
    }

    /// Whether a spawned process has ended, and its spawner could fetch the status.
    pub fn has_status(&self, pid: Pid) -> bool {
        self.children.get(&pid).is_some_and(|child| child.status.is_some())
    }
}

impl<M: Hash> Hash for Core<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Core { machine, tasks, seats, serials: _, waiters, slots: _, pids, children, readable, logs } =
            self;
        machine.hash(state);
        (tasks.len(), seats.len(), waiters.len(), logs.len()).hash(state);
        tasks.iter().for_each(|task| task.hash(state));
        waiters.iter().for_each(|waiter| waiter.hash(state));
        logs.iter().for_each(|log| log.hash(state));
        for (place, seat) in seats {
            // A serial only tells this use of a place from others; who refers to it by one says so (see `Kernel`).
            (place, seat.owner, seat.task, seat.stops, seat.notes).hash(state);
            (&seat.sets, &seat.queue, &seat.offered, seat.grab, seat.on_leave, &seat.observer).hash(state);
        }
        (pids, children, readable).hash(state);
    }
}
