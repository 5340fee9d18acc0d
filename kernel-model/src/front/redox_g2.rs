//! The second generation (2019): the *write* waits, the read never does. The proof that a front-end is one module.
//!
//! `proc:<pid>/trace.g2`. A write of a mask resumes and, unless O_NONBLOCK, waits for a stop or a record; FLAG_WAIT
//! alone waits without resuming, also with O_NONBLOCK (R21, R25). A read answers 0 when there is nothing.

use super::redox::{drain, mask_of, order, take};
use super::{Ctx, Node, Step};
use crate::abi::{Errno, OpenFlags, PtraceEvent, PtraceFlags, Result};
use crate::core::{Identity, On, SeatId};
use crate::machine::Machine;

/// `proc:<pid>/trace.g2`.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Trace {
    seat: SeatId,
    /// The mask of a write that is being waited for was already obeyed.
    waiting: bool,
}

impl Trace {
    pub(super) fn open<M: Machine>(ctx: &mut Ctx<'_, M>, id: Identity, flags: OpenFlags) -> Result<Node> {
        Ok(Node::TraceG2(Trace { seat: take(ctx, id, flags)?, waiting: false }))
    }

    pub(crate) fn seat(&self) -> SeatId {
        self.seat
    }

    /// As in generation 3, but never waits, and 0 when there is nothing.
    pub(super) fn read<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, buf: &mut [u8]) -> Result<usize> {
        if buf.len() < PtraceEvent::SIZE {
            return Err(Errno::EINVAL);
        }
        match drain(ctx, self.seat, buf) {
            0 if ctx.core.is_gone(self.seat) => Err(Errno::ESRCH),
            n => Ok(n),
        }
    }

    pub(super) fn write<M: Machine>(
        &mut self,
        ctx: &mut Ctx<'_, M>,
        flags: OpenFlags,
        buf: &[u8],
    ) -> Step<usize> {
        if !std::mem::take(&mut self.waiting) {
            match self.obey(ctx, flags, buf) {
                Ok(Some(done)) => return Step::Done(Ok(done)),
                Ok(None) => {}
                Err(errno) => return Step::Done(Err(errno)),
            }
        }
        let seat = self.seat;
        if ctx.core.has_notices(seat) || ctx.core.is_held(seat) {
            return Step::Done(Ok(8));
        }
        if ctx.core.is_gone(seat) {
            return Step::Done(Err(Errno::ESRCH));
        }
        self.waiting = true;
        Step::Wait(ctx.core.wait_on(On::Seat(seat)))
    }

    /// What a write does at once: `Some` if that is all.
    fn obey<M: Machine>(
        &mut self,
        ctx: &mut Ctx<'_, M>,
        flags: OpenFlags,
        buf: &[u8],
    ) -> Result<Option<usize>> {
        ctx.core.refuse_offered(self.seat);
        let Some(mask) = mask_of(buf, PtraceFlags::empty())? else { return Ok(Some(0)) };
        let waits = mask.contains(PtraceFlags::FLAG_WAIT);
        let wants = mask.bits() & (PtraceFlags::STOP_MASK | PtraceFlags::EVENT_MASK) != 0;
        if wants || !waits {
            ctx.core.order(self.seat, order(mask))?;
        }
        let blocks = waits || (wants && !flags.contains(OpenFlags::O_NONBLOCK));
        Ok(if blocks { None } else { Some(8) })
    }
}
