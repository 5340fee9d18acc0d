//! `log`: an observer's handle (RFC 0006). Reading gives records, writing replaces its table; it never holds anybody.

use super::{Ctx, Node, Step, table};
use crate::abi::{Errno, LogHeader, OpenFlags, Result};
use crate::core::{Identity, On, SeatId};
use crate::machine::Machine;

/// `proc:<pid>/log`.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Log {
    seat: SeatId,
}

impl Log {
    pub(super) fn open<M: Machine>(ctx: &mut Ctx<'_, M>, id: Identity) -> Result<Node> {
        Ok(Node::Log(Log { seat: ctx.core.observe(ctx.client, id)? }))
    }

    pub(crate) fn seat(&self) -> SeatId {
        self.seat
    }

    /// Errors in order: EINVAL no such table; ESRCH everybody has ended; EPERM the pushed filter lets some of its calls pass.
    pub(super) fn write<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, bytes: &[u8]) -> Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
        let table = table::parse(text, ctx.core.machine().calls()).ok_or(Errno::EINVAL)?;
        ctx.core.set_table(self.seat, table)?;
        Ok(bytes.len())
    }

    /// EINVAL no room for the next record; then records, also of tasks that have ended; then ESRCH; else it waits, or EAGAIN.
    pub(super) fn read<M: Machine>(
        &mut self,
        ctx: &mut Ctx<'_, M>,
        flags: OpenFlags,
        buf: &mut [u8],
    ) -> Step<usize> {
        if buf.len() < size_of::<LogHeader>() {
            return Step::Done(Err(Errno::EINVAL));
        }
        match ctx.core.read_log(self.seat, buf) {
            None => Step::Done(Err(Errno::EINVAL)),
            Some(0) if ctx.core.is_over(self.seat) => Step::Done(Err(Errno::ESRCH)),
            Some(0) if flags.contains(OpenFlags::O_NONBLOCK) => Step::Done(Err(Errno::EAGAIN)),
            Some(0) => Step::Wait(ctx.core.wait_on(On::Seat(self.seat))),
            Some(n) => Step::Done(Ok(n)),
        }
    }
}
