//! `event:`: many handles, one read. Edge-triggered: a report when a queue becomes non-empty, at death, and at once if
//! a handle is readable when it is registered (R59). Handles that never become readable may be registered (R60).

use std::collections::VecDeque;

use slab::Slab;
use zerocopy::{FromBytes, IntoBytes};

use super::{Ctx, Step};
use crate::abi::{Errno, Event, EventFlags, OpenFlags, Result};
use crate::core::{ClientId, On, SeatId};
use crate::machine::Machine;
use crate::scheme::Fd;

#[derive(Clone, Hash, Debug)]
struct Watch {
    client: ClientId,
    fd: Fd,
    data: u64,
    seat: SeatId,
    /// Reported and not read yet: a second edge adds nothing.
    ready: bool,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    watches: Slab<Watch>,
    ready: VecDeque<usize>,
}

/// All queues, and which of them look at a seat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    queues: Slab<Queue>,
    /// For each seat that is watched: (queue, watch).
    by_seat: std::collections::BTreeMap<SeatId, Vec<(usize, usize)>>,
}

/// What decides how they go on: places in the tables are names, the order of free ones is not.
impl std::hash::Hash for Queues {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.queues.len().hash(state);
        for (q, queue) in &self.queues {
            (q, queue.watches.len(), &queue.ready).hash(state);
            queue.watches.iter().for_each(|watch| watch.hash(state));
        }
        self.by_seat.hash(state);
    }
}

impl Queues {
    pub(super) fn create(&mut self) -> usize {
        self.queues.insert(Queue::default())
    }

    pub(super) fn remove(&mut self, queue: usize) {
        self.queues.remove(queue);
        self.by_seat.values_mut().for_each(|watches| watches.retain(|&(q, _)| q != queue));
    }

    pub(super) fn is_ready(&self, queue: usize) -> bool {
        !self.queues[queue].ready.is_empty()
    }

    /// A seat became readable. Answers the queues to wake.
    pub(crate) fn fire(&mut self, seat: SeatId, mut wake: impl FnMut(usize)) {
        for &(q, w) in self.by_seat.get(&seat).into_iter().flatten() {
            let queue = &mut self.queues[q];
            if !std::mem::replace(&mut queue.watches[w].ready, true) {
                queue.ready.push_back(w);
            }
            wake(q);
        }
    }

    /// A descriptor closed, and with it its registrations.
    pub(crate) fn forget_fd(&mut self, client: ClientId, fd: Fd, seat: SeatId) {
        self.drop_watches(seat, |watch| watch.client == client && watch.fd == fd);
    }

    pub(super) fn forget_seat(&mut self, seat: SeatId) {
        self.drop_watches(seat, |_| true);
        self.by_seat.remove(&seat);
    }

    fn drop_watches(&mut self, seat: SeatId, which: impl Fn(&Watch) -> bool) {
        let Some(watches) = self.by_seat.get_mut(&seat) else { return };
        watches.retain(|&(q, w)| {
            let queue = &mut self.queues[q];
            let goes = which(&queue.watches[w]);
            if goes {
                queue.watches.remove(w);
                queue.ready.retain(|&ready| ready != w);
            }
            !goes
        });
    }

    fn add(&mut self, queue: usize, watch: Watch) -> usize {
        let seat = watch.seat;
        let w = self.queues[queue].watches.insert(watch);
        self.by_seat.entry(seat).or_default().push((queue, w));
        w
    }
}

/// Registers `fd`, which has `seat`, or nothing that ever becomes readable. Errors: EINVAL not one whole [`Event`].
pub(crate) fn subscribe<M: Machine>(
    ctx: &mut Ctx<'_, M>,
    queue: usize,
    buf: &[u8],
    seat_of: impl FnOnce(Fd) -> Result<Option<SeatId>>,
) -> Result<usize> {
    let (event, _) = Event::read_from_prefix(buf).map_err(|_| Errno::EINVAL)?;
    let fd = Fd(u32::try_from(event.id).map_err(|_| Errno::EBADF)?);
    let Some(seat) = seat_of(fd)? else { return Ok(Event::SIZE) };
    let client = ctx.client;
    let same = |watch: &Watch| watch.client == client && watch.fd == fd;
    let old = ctx
        .queues
        .by_seat
        .get(&seat)
        .into_iter()
        .flatten()
        .find(|&&(q, w)| q == queue && same(&ctx.queues.queues[q].watches[w]));
    if let Some(&(q, w)) = old {
        ctx.queues.queues[q].watches.remove(w);
        ctx.queues.queues[q].ready.retain(|&ready| ready != w);
        ctx.queues.by_seat.entry(seat).or_default().retain(|&entry| entry != (q, w));
    }
    if event.flags & EventFlags::READ.bits() as u64 != 0 {
        let ready = ctx.core.is_readable(seat);
        let w = ctx.queues.add(queue, Watch { client, fd, data: event.data, seat, ready });
        if ready {
            ctx.queues.queues[queue].ready.push_back(w);
            ctx.core.wake(On::Front(queue));
        }
    }
    Ok(Event::SIZE)
}

/// As many reports as fit. EINVAL no room for one; else it waits, or EAGAIN.
pub(super) fn read<M: Machine>(
    ctx: &mut Ctx<'_, M>,
    queue: usize,
    flags: OpenFlags,
    buf: &mut [u8],
) -> Step<usize> {
    if buf.len() < Event::SIZE {
        return Step::Done(Err(Errno::EINVAL));
    }
    let mut n = 0;
    for place in buf.chunks_exact_mut(Event::SIZE) {
        let q = &mut ctx.queues.queues[queue];
        let Some(w) = q.ready.pop_front() else { break };
        let watch = &mut q.watches[w];
        watch.ready = false;
        let event =
            Event { id: u64::from(watch.fd.0), flags: EventFlags::READ.bits() as u64, data: watch.data };
        place.copy_from_slice(event.as_bytes());
        n += Event::SIZE;
    }
    match n {
        0 if flags.contains(OpenFlags::O_NONBLOCK) => Step::Done(Err(Errno::EAGAIN)),
        0 => Step::Wait(ctx.core.wait_on(On::Front(queue))),
        n => Step::Done(Ok(n)),
    }
}
