//! The canonical front-end, Redox's third generation: write a mask, read records (RFC 0002).
//!
//! `trace` is Redox to the bit; `trace.x` also takes the experiments. Nothing here but the mapping of masks to what
//! `core` is asked for, and of notices to records.

use zerocopy::IntoBytes;

use super::{Ctx, Node, Step};
use crate::abi::{Errno, OpenFlags, PtraceEvent, PtraceFlags, Result};
use crate::core::{Grab, Identity, Notice, On, Order, SeatId};
use crate::machine::{Demand, Detail, Machine, OnDeath, Verdict};

/// Which bit stands for which kind of stop.
const KINDS: &[(PtraceFlags, Demand)] = &[
    (PtraceFlags::STOP_PRE_SYSCALL, Demand::CALL_ENTRY),
    (PtraceFlags::STOP_POST_SYSCALL, Demand::CALL_EXIT),
    (PtraceFlags::STOP_SINGLESTEP, Demand::STEP),
    (PtraceFlags::STOP_SIGNAL, Demand::SIGNAL),
    (PtraceFlags::STOP_BREAKPOINT, Demand::TRAP),
    (PtraceFlags::STOP_EXIT, Demand::EXITING),
    (PtraceFlags::EVENT_CLONE, Demand::BORN),
    (PtraceFlags::STOP_INTERRUPT, Demand::INTERRUPT),
    (PtraceFlags::EVENT_IMAGE, Demand::IMAGE),
    (PtraceFlags::EVENT_JOBSTOP, Demand::GROUP_STOP),
    (PtraceFlags::EVENT_DEATH, Demand::GONE),
];

/// Bits that stop; the others of [`KINDS`] are told without stopping.
const STOPS: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL
    .union(PtraceFlags::STOP_POST_SYSCALL)
    .union(PtraceFlags::STOP_SINGLESTEP)
    .union(PtraceFlags::STOP_SIGNAL)
    .union(PtraceFlags::STOP_BREAKPOINT)
    .union(PtraceFlags::STOP_EXIT);

fn demand(mask: PtraceFlags) -> Demand {
    KINDS.iter().filter(|(bit, _)| mask.contains(*bit)).fold(Demand::empty(), |set, (_, kind)| set | *kind)
}

/// What a mask asks of `core`.
pub(super) fn order(mask: PtraceFlags) -> Order {
    Order {
        stops: demand(mask & STOPS),
        notes: demand(mask - STOPS - PtraceFlags::STOP_INTERRUPT),
        verdict: if mask.contains(PtraceFlags::FLAG_IGNORE) { Verdict::Skip } else { Verdict::Proceed },
        grab: mask.contains(PtraceFlags::STOP_INTERRUPT).then_some(Grab::Told),
    }
}

/// The bit that asks for a kind of report, and tells of it; none for a kind that no mask knows.
pub(crate) fn bit_of(kind: Demand) -> PtraceFlags {
    KINDS.iter().find(|(_, known)| *known == kind).map_or(PtraceFlags::empty(), |(bit, _)| *bit)
}

fn record(notice: &Notice) -> PtraceEvent {
    let cause = bit_of(notice.kind).bits();
    let event = PtraceEvent { cause, a: notice.value, ..PtraceEvent::default() };
    match notice.detail {
        Detail::Call { number, id, abi } => PtraceEvent { d: number, e: id, f: abi, ..event },
        Detail::Signal { signal, handler } => PtraceEvent { a: u64::from(signal.0), b: handler, ..event },
        Detail::None => event,
    }
}

/// Takes the one session a task can have (R1), as the flags say (R8, R56).
pub(super) fn take<M: Machine>(ctx: &mut Ctx<'_, M>, id: Identity, flags: OpenFlags) -> Result<SeatId> {
    if ctx.core.is_taken(id.pid) {
        return Err(Errno::EBUSY);
    }
    let on_leave = if flags.contains(OpenFlags::O_EXCL) { OnDeath::Kill } else { OnDeath::Leave };
    let seat = ctx.core.take(ctx.client, id, on_leave)?;
    if flags.contains(OpenFlags::O_TRUNC) {
        ctx.core.grab(seat, Grab::Quiet);
    }
    Ok(seat)
}

/// Moves as many queued records as fit; all whole.
pub(super) fn drain<M: Machine>(ctx: &mut Ctx<'_, M>, seat: SeatId, buf: &mut [u8]) -> usize {
    let mut n = 0;
    for place in buf.chunks_exact_mut(PtraceEvent::SIZE) {
        let Some(notice) = ctx.core.next_notice(seat) else { break };
        place.copy_from_slice(record(&notice).as_bytes());
        n += PtraceEvent::SIZE;
    }
    n
}

/// The first 8 bytes of a write, or `None` if there are fewer. Bits in neither 0–15 nor `more` are EINVAL (R13).
pub(super) fn mask_of(buf: &[u8], more: PtraceFlags) -> Result<Option<PtraceFlags>> {
    let Some(bytes) = buf.first_chunk() else { return Ok(None) };
    let mask = PtraceFlags::from_bits_retain(u64::from_ne_bytes(*bytes));
    if mask.bits() & !(0xffff | more.bits()) != 0 { Err(Errno::EINVAL) } else { Ok(Some(mask)) }
}

/// `proc:<pid>/trace` and `trace.x`.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Trace {
    seat: SeatId,
    experimental: bool,
    /// The latest mask and what it asks: most writes repeat it.
    latest: (PtraceFlags, Order),
}

impl Trace {
    pub(super) fn open<M: Machine>(
        ctx: &mut Ctx<'_, M>,
        id: Identity,
        flags: OpenFlags,
        experimental: bool,
    ) -> Result<Node> {
        let latest = (PtraceFlags::empty(), order(PtraceFlags::empty()));
        Ok(Node::Trace(Trace { seat: take(ctx, id, flags)?, experimental, latest }))
    }

    pub(crate) fn seat(&self) -> SeatId {
        self.seat
    }

    /// Lets the refused children go, even if the rest fails (R16, R47); then errors in order: a short write takes 0
    /// bytes, EINVAL unknown bits, ESRCH gone.
    pub(super) fn write<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, buf: &[u8]) -> Result<usize> {
        ctx.core.refuse_offered(self.seat);
        let more = if self.experimental { PtraceFlags::EXPERIMENTS } else { PtraceFlags::empty() };
        let Some(mask) = mask_of(buf, more)? else { return Ok(0) };
        if self.latest.0 != mask {
            self.latest = (mask, order(mask));
        }
        ctx.core.order(self.seat, self.latest.1)?;
        Ok(8)
    }

    /// EINVAL no room for a record (F12); then records, also of a task that is gone; then ESRCH; 0 if this handle holds
    /// the task and has told everything; else it waits, or EAGAIN.
    pub(super) fn read<M: Machine>(
        &mut self,
        ctx: &mut Ctx<'_, M>,
        flags: OpenFlags,
        buf: &mut [u8],
    ) -> Step<usize> {
        if buf.len() < PtraceEvent::SIZE {
            return Step::Done(Err(Errno::EINVAL));
        }
        match drain(ctx, self.seat, buf) {
            0 if ctx.core.is_gone(self.seat) => Step::Done(Err(Errno::ESRCH)),
            0 if ctx.core.is_held(self.seat) => Step::Done(Ok(0)),
            0 if flags.contains(OpenFlags::O_NONBLOCK) => Step::Done(Err(Errno::EAGAIN)),
            0 => Step::Wait(ctx.core.wait_on(On::Seat(self.seat))),
            n => Step::Done(Ok(n)),
        }
    }
}
