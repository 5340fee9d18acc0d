//! `sets/entry`, `sets/exit`, `sets/signal`: which of the stops that a session's mask asks for are wanted (RFC 0005).
//!
//! A write is one whole set, as text; a read gives its canonical form, from the cursor on. A handle belongs to the session
//! that its opener had then, and is of no use after it.

use super::words::{self, Part};
use super::{Ctx, Node, state};
use crate::abi::{Errno, Pid, Result};
use crate::core::{Core, Identity, SeatRef};
use crate::machine::Machine;

/// No set is longer: more than each call of each ABI by number.
const LONGEST: usize = 1 << 16;

/// One set of a session.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Set {
    seat: SeatRef,
    part: Part,
    cursor: u64,
}

impl Set {
    /// ENODEV: the client has no session on the task.
    pub(super) fn open<M: Machine>(ctx: &mut Ctx<'_, M>, id: Identity, part: Part) -> Result<Node> {
        let seat = ctx.core.seat_at(ctx.client, id.pid).ok_or(Errno::ENODEV)?;
        Ok(Node::Set(Set { seat, part, cursor: 0 }))
    }

    pub(crate) fn pid<M: Machine>(&self, core: &Core<M>) -> Option<Pid> {
        core.pid_of_ref(self.seat)
    }

    fn text<M: Machine>(&self, core: &mut Core<M>) -> Result<String> {
        let sets = core.sets(self.seat).ok_or(Errno::ENODEV)?.clone();
        Ok(words::text(&sets, self.part, core.machine().calls()))
    }

    /// ENODEV the session is over.
    pub(super) fn read<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, buf: &mut [u8]) -> Result<usize> {
        let text = self.text(ctx.core)?;
        let rest = text.as_bytes().get(self.cursor as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.cursor += n as u64;
        Ok(n)
    }

    /// Errors in order: ENODEV the session is over; EINVAL no such set; ESRCH the task has ended; EPERM the pushed filter lets
    /// some of these calls pass.
    pub(super) fn write<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, bytes: &[u8]) -> Result<usize> {
        let mut sets = ctx.core.sets(self.seat).ok_or(Errno::ENODEV)?.clone();
        let text =
            std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST).ok_or(Errno::EINVAL)?;
        words::parse(text, &mut sets, self.part, ctx.core.machine().calls()).ok_or(Errno::EINVAL)?;
        ctx.core.set_sets(self.seat, sets)?;
        self.cursor = 0;
        Ok(bytes.len())
    }

    pub(super) fn seek(&mut self, offset: i64, whence: u32) -> Result<u64> {
        self.cursor = state::seek(self.cursor, LONGEST as u64, offset, whence)?;
        Ok(self.cursor)
    }
}
