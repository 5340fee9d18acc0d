//! `mem`, `regs/*`, `call` and `siginfo`: the task's state as bytes. They need no session.

use zerocopy::{FromBytes, IntoBytes};

use super::{Ctx, Step};
use crate::abi::{CallRecord, Errno, Pid, Result, SEEK_CUR, SEEK_END, SEEK_SET, SigInfo};
use crate::core::{CallNow, Identity};
use crate::machine::{CallChange, Machine, RegSet};

/// A cursor over the address space. Memory is reached whether the task runs or not.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Mem {
    id: Identity,
    cursor: u64,
}

impl Mem {
    pub(super) fn new(id: Identity) -> Mem {
        Mem { id, cursor: 0 }
    }

    pub(super) fn pid(&self) -> Pid {
        self.id.pid
    }

    pub(super) fn read<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, buf: &mut [u8]) -> Result<usize> {
        let id = ctx.core.current(self.id);
        if !buf.is_empty() {
            ctx.core.machine().read_mem(id.pid, id.start, self.cursor, buf)?;
        }
        self.advance(buf.len())
    }

    pub(super) fn write<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, bytes: &[u8]) -> Result<usize> {
        let id = ctx.core.current(self.id);
        if !bytes.is_empty() {
            ctx.core.machine().write_mem(id.pid, id.start, self.cursor, bytes)?;
        }
        self.advance(bytes.len())
    }

    pub(super) fn seek(&mut self, offset: i64, whence: u32) -> Result<u64> {
        self.cursor = seek(self.cursor, i64::MAX as u64, offset, whence)?;
        Ok(self.cursor)
    }

    fn advance(&mut self, n: usize) -> Result<usize> {
        self.cursor = self.cursor.checked_add(n as u64).ok_or(Errno::EFAULT)?;
        Ok(n)
    }
}

/// A register file: no cursor, every access starts at its first byte.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Regs {
    id: Identity,
    set: RegSet,
}

impl Regs {
    pub(super) fn new(id: Identity, set: RegSet) -> Regs {
        Regs { id, set }
    }

    pub(super) fn pid(&self) -> Pid {
        self.id.pid
    }

    pub(super) fn set(&self) -> RegSet {
        self.set
    }

    /// A short buffer gets the first bytes.
    pub(super) fn read<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, buf: &mut [u8]) -> Step<usize> {
        let n = ctx.core.reg_size(self.set).min(buf.len());
        let buf = &mut buf[..n];
        step(ctx.core.with_stopped(self.id, |machine, task| machine.read_regs(task, self.set, buf)), n)
    }

    /// A short write takes nothing; a long one only the file's size.
    pub(super) fn write<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, bytes: &[u8]) -> Step<usize> {
        let n = ctx.core.reg_size(self.set);
        let Some(bytes) = bytes.get(..n) else { return Step::Done(Ok(0)) };
        step(ctx.core.with_stopped(self.id, |machine, task| machine.write_regs(task, self.set, bytes)), n)
    }
}

/// What came with the signal that the task is stopped before. No cursor, as registers.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Info {
    id: Identity,
}

impl Info {
    pub(super) fn new(id: Identity) -> Info {
        Info { id }
    }

    pub(super) fn pid(&self) -> Pid {
        self.id.pid
    }

    /// ESRCH; ENODATA it is not stopped before a signal. A short buffer gets the first bytes.
    pub(super) fn read<M: Machine>(&self, ctx: &mut Ctx<'_, M>, buf: &mut [u8]) -> Result<usize> {
        let info = ctx.core.siginfo(self.id)?.ok_or(Errno::ENODATA)?;
        let n = buf.len().min(SigInfo::SIZE);
        buf[..n].copy_from_slice(&info.as_bytes()[..n]);
        Ok(n)
    }
}

/// The call a task is stopped at: no cursor, as a register file, but nothing is stopped for it.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Call {
    id: Identity,
}

impl Call {
    pub(super) fn new(id: Identity) -> Call {
        Call { id }
    }

    pub(super) fn pid(&self) -> Pid {
        self.id.pid
    }

    /// ESRCH; EINVAL it is not stopped at a call. A short buffer gets the first bytes.
    pub(super) fn read<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, buf: &mut [u8]) -> Result<usize> {
        let CallNow { number, id, abi, values, .. } = ctx.core.call_of(self.id)?;
        let ended = values.result.is_some().into();
        let result = values.result.unwrap_or(0);
        let record = CallRecord { number, id, abi, args: values.args, result, ended };
        let n = CallRecord::SIZE.min(buf.len());
        buf[..n].copy_from_slice(&record.as_bytes()[..n]);
        Ok(n)
    }

    /// A short write takes nothing. ESRCH; EINVAL it is not stopped at a call, or not at the one and the side of it that the record
    /// is of.
    pub(super) fn write<M: Machine>(&mut self, ctx: &mut Ctx<'_, M>, bytes: &[u8]) -> Result<usize> {
        let Ok((record, _)) = CallRecord::read_from_prefix(bytes) else { return Ok(0) };
        let now = ctx.core.call_of(self.id)?;
        let CallNow { number, id, abi, values, .. } = now;
        let at_entry = values.result.is_none();
        let lent = at_entry && record.ended == CallRecord::LENT;
        if (record.id, record.abi) != (id, abi) || !lent && record.ended != u64::from(!at_entry) {
            return Err(Errno::EINVAL);
        }
        let other = |new: u64, old: u64| (new != old).then_some(new);
        let change = CallChange {
            lent,
            args: std::array::from_fn(|n| other(record.args[n], values.args[n])),
            register: match values.result {
                None => other(record.number, number),
                Some(result) => other(record.result as u64, result as u64),
            },
        };
        if change.each().next().is_some() {
            ctx.core.set_call(&now, &change)?;
        }
        Ok(CallRecord::SIZE)
    }
}

fn step(
    result: std::result::Result<(), std::result::Result<crate::core::WaiterId, crate::machine::Error>>,
    n: usize,
) -> Step<usize> {
    match result {
        Ok(()) => Step::Done(Ok(n)),
        Err(Ok(waiter)) => Step::Wait(waiter),
        Err(Err(error)) => Step::Done(Err(error.into())),
    }
}

/// EINVAL a negative result; EOVERFLOW one that does not fit, or an unknown origin.
pub(super) fn seek(cursor: u64, end: u64, offset: i64, whence: u32) -> Result<u64> {
    let base = match whence {
        SEEK_SET => 0,
        SEEK_CUR => cursor,
        SEEK_END => end,
        _ => return Err(Errno::EOVERFLOW),
    };
    match i128::from(base) + i128::from(offset) {
        negative if negative < 0 => Err(Errno::EINVAL),
        large if large > i128::from(i64::MAX) => Err(Errno::EOVERFLOW),
        fits => Ok(fits as u64),
    }
}
