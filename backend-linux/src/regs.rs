//! The only place where the kernel's registers and the contract's meet.
//!
//! Three translations: at a call's entry the result register shows the number; at a breakpoint the pc shows the
//! instruction's address; and a write that moves a task out of an interrupted call calls off that call's restart.

use kernel_model::abi::{EnvRegisters, FloatRegisters, IntRegisters};
use kernel_model::machine::{CallChange, CallValues, Error, RegSet, Result};
use zerocopy::{FromBytes, IntoBytes};

use crate::calls::Abi;
use crate::facts::request_error;
use crate::stop::Stop;
use crate::sys::{self, FP_BYTES, Regs};
use crate::tracee::{Call, Held, Life, Tracee};

/// End of user addresses with four-level page tables; the kernel refuses bases above it (TASK_SIZE_MAX).
const USER_END: u64 = 0x7fff_ffff_f000;
const FLOAT_BYTES: usize = size_of::<FloatRegisters>();

/// Bytes of a register file.
pub(crate) const fn size(set: RegSet) -> usize {
    match set {
        RegSet::Int => size_of::<IntRegisters>(),
        RegSet::Float => FLOAT_BYTES,
        RegSet::Env => size_of::<EnvRegisters>(),
    }
}

impl Held {
    /// The general registers, fetched once per stop.
    pub(crate) fn fetch(&mut self, pid: i32) -> sys::Result<&mut Regs> {
        let regs = match self.regs.take() {
            Some(regs) => regs,
            None => Box::new(sys::get_regs(pid)?),
        };
        Ok(self.regs.insert(regs))
    }
}

/// The registers of a call: its arguments, then the one of the number at an entry and the result at an exit.
pub(crate) fn call_register(regs: &mut Regs, abi: Abi, place: usize, at_entry: bool) -> &mut u64 {
    match (abi, place) {
        (Abi::X64, 0) => &mut regs.rdi,
        (Abi::X64, 1) => &mut regs.rsi,
        (_, 2) => &mut regs.rdx,
        (Abi::X64, 3) => &mut regs.r10,
        (Abi::X64, 4) => &mut regs.r8,
        (Abi::X64, 5) => &mut regs.r9,
        (Abi::I386, 0) => &mut regs.rbx,
        (Abi::I386, 1) => &mut regs.rcx,
        (Abi::I386, 3) => &mut regs.rsi,
        (Abi::I386, 4) => &mut regs.rdi,
        (Abi::I386, 5) => &mut regs.rbp,
        _ if at_entry => &mut regs.orig_rax,
        _ => &mut regs.rax,
    }
}

impl Tracee {
    /// Runs `act` on the stop this task is in.
    fn in_stop<T>(&mut self, act: impl FnOnce(&mut Tracee, &mut Held) -> Result<T>) -> Result<T> {
        match std::mem::replace(&mut self.life, Life::Leaving) {
            Life::Stopped(mut held) => {
                let result = act(self, &mut held);
                self.life = Life::Stopped(held);
                result
            }
            other => {
                self.life = other;
                Err(Error::Running)
            }
        }
    }

    /// One register file, cut to `buf`.
    pub(crate) fn read_regs(&mut self, set: RegSet, buf: &mut [u8]) -> Result<()> {
        self.in_stop(|tracee, held| {
            let copy = |bytes: &[u8], buf: &mut [u8]| {
                let len = buf.len().min(bytes.len());
                buf[..len].copy_from_slice(&bytes[..len]);
            };
            match set {
                RegSet::Int => copy(tracee.shown(held)?.as_bytes(), buf),
                RegSet::Float => {
                    copy(&sys::get_fp_regs(tracee.pid).map_err(request_error)?[..FLOAT_BYTES], buf)
                }
                RegSet::Env => {
                    let regs = held.fetch(tracee.pid).map_err(request_error)?;
                    copy(EnvRegisters { fsbase: regs.fs_base, gsbase: regs.gs_base }.as_bytes(), buf);
                }
            }
            Ok(())
        })
    }

    /// One register file, whole.
    pub(crate) fn write_regs(&mut self, set: RegSet, bytes: &[u8]) -> Result<()> {
        self.entry_regs = None;
        self.in_stop(|tracee, held| match set {
            RegSet::Int => {
                let new = IntRegisters::read_from_bytes(bytes).map_err(|_| Error::Invalid)?;
                tracee.write_int(held, &new)
            }
            RegSet::Float => {
                let new = FloatRegisters::read_from_bytes(bytes).map_err(|_| Error::Invalid)?;
                tracee.write_float(new)
            }
            RegSet::Env => {
                let new = EnvRegisters::read_from_bytes(bytes).map_err(|_| Error::Invalid)?;
                if new.fsbase >= USER_END || new.gsbase >= USER_END {
                    return Err(Error::Invalid);
                }
                let mut regs = *held.fetch(tracee.pid).map_err(request_error)?;
                (regs.fs_base, regs.gs_base) = (new.fsbase, new.gsbase);
                tracee.store(held, regs)
            }
        })
    }

    /// How many bytes the shown pc lies before the hardware's: int3 is a trap, so the hardware is past it.
    pub(crate) fn trap_bytes(&mut self, held: &mut Held) -> u64 {
        if held.stop != Stop::Breakpoint {
            return 0;
        }
        if let Some(bytes) = held.trap_bytes {
            return bytes;
        }
        // `int 3` in its two-byte form raises the same trap.
        let mut code = [0; 2];
        let rip = held.fetch(self.pid).map_or(0, |regs| regs.rip);
        let long = self.peek(rip.wrapping_sub(2), &mut code) == 2 && code == [0xcd, 0x03];
        *held.trap_bytes.insert(if long { 2 } else { 1 })
    }

    /// At a call's exit: the registers of its entry and the result, if nothing else can have changed.
    fn complete(&mut self, held: &mut Held) {
        if !matches!(held.stop, Stop::Exit { .. }) || held.regs.is_some() {
            return;
        }
        if let Some(mut regs) = self.entry_regs.take()
            && let Ok(rax) = held.result.map_or_else(|| sys::peek_result(self.pid), Ok)
        {
            regs.rax = rax;
            held.regs = Some(regs);
        }
    }

    /// Arguments and result of the call it is stopped at. Costs one request at an exit, if neither came with the stop nor
    /// with registers that somebody read.
    pub(crate) fn call_values(&mut self) -> Result<CallValues> {
        if self.entry_regs.is_some() {
            // If a session looks at the registers of this exit next, they are there.
            self.in_stop(|tracee, held| {
                tracee.complete(held);
                Ok(())
            })?;
        }
        let Life::Stopped(held) = &mut self.life else { return Err(Error::Running) };
        let Call { args, abi, returns, .. } = self.call;
        let result = match (held.stop, &held.regs) {
            (Stop::Entry, _) => None,
            (Stop::Exit { .. }, Some(regs)) => Some(regs.rax),
            (Stop::Exit { .. }, None) => {
                let known = held.result.map_or_else(|| sys::peek_result(self.pid), Ok);
                Some(*held.result.insert(known.map_err(request_error)?))
            }
            _ => return Err(Error::Invalid),
        };
        // The kernel sign-extends the results of 32-bit calls itself where they are errors, not where others see them.
        let result = result.map(|rax| if abi.word() == 4 { i64::from(rax as i32) } else { rax as i64 });
        Ok(CallValues { args, result, returns, word: abi.word() })
    }

    /// Changes the call it is stopped at. One register is written by itself, which costs a quarter of fetching and storing all;
    /// more are written in one request, so that a call is changed whole or not at all wherever we die.
    pub(crate) fn set_call(&mut self, change: &CallChange) -> Result<()> {
        self.in_stop(|tracee, held| {
            let at_entry = held.stop == Stop::Entry;
            let abi = tracee.call.abi;
            if !at_entry && !matches!(held.stop, Stop::Exit { .. }) {
                return Err(Error::Invalid);
            }
            let limit = if abi.word() == 4 { u64::from(u32::MAX) } else { u64::MAX };
            let (mut count, mut only) = (0, (0, 0));
            for (place, value) in change.each() {
                if value > limit && place < change.args.len() {
                    return Err(Error::Invalid);
                }
                (count, only) = (count + 1, (place, value));
            }
            let apply = |regs: &mut Regs| {
                change.each().for_each(|(place, value)| *call_register(regs, abi, place, at_entry) = value);
            };
            if count == 1 && held.regs.is_none() {
                let (place, value) = only;
                let offset = sys::register_offset(|regs| call_register(regs, abi, place, at_entry));
                sys::poke_register(tracee.pid, offset, value).map_err(request_error)?;
                if let Some(regs) = &mut tracee.entry_regs {
                    apply(regs);
                }
            } else if count > 0 {
                tracee.complete(held);
                let mut regs = *held.fetch(tracee.pid).map_err(request_error)?;
                apply(&mut regs);
                tracee.store(held, regs)?;
            }
            if at_entry {
                tracee.lent.note(change, &tracee.call, !held.written);
            }
            for (place, value) in change.each() {
                match tracee.call.args.get_mut(place) {
                    Some(arg) => *arg = value,
                    None if at_entry => tracee.call.returns = !abi.has_no_exit(value),
                    None => held.result = Some(value),
                }
            }
            held.written |= at_entry || change.register.is_some();
            Ok(())
        })
    }

    fn shown(&mut self, held: &mut Held) -> Result<IntRegisters> {
        let back = self.trap_bytes(held);
        let at_entry = held.stop == Stop::Entry;
        self.complete(held);
        let regs = held.fetch(self.pid).map_err(request_error)?;
        Ok(IntRegisters {
            r15: regs.r15,
            r14: regs.r14,
            r13: regs.r13,
            r12: regs.r12,
            rbp: regs.rbp,
            rbx: regs.rbx,
            r11: regs.r11,
            r10: regs.r10,
            r9: regs.r9,
            r8: regs.r8,
            rax: if at_entry { regs.orig_rax } else { regs.rax },
            rcx: regs.rcx,
            rdx: regs.rdx,
            rsi: regs.rsi,
            rdi: regs.rdi,
            rip: regs.rip.wrapping_sub(back),
            cs: regs.cs,
            rflags: regs.eflags,
            rsp: regs.rsp,
            ss: regs.ss,
            fs: regs.fs,
        })
    }

    fn write_int(&mut self, held: &mut Held, new: &IntRegisters) -> Result<()> {
        let shown = self.shown(held)?;
        let old = *held.fetch(self.pid).map_err(request_error)?;
        let at_entry = held.stop == Stop::Entry;
        let mut regs = Regs {
            r15: new.r15,
            r14: new.r14,
            r13: new.r13,
            r12: new.r12,
            rbp: new.rbp,
            rbx: new.rbx,
            r11: new.r11,
            r10: new.r10,
            r9: new.r9,
            r8: new.r8,
            rax: if at_entry { old.rax } else { new.rax },
            rcx: new.rcx,
            rdx: new.rdx,
            rsi: new.rsi,
            rdi: new.rdi,
            orig_rax: if at_entry { new.rax } else { old.orig_rax },
            rip: if new.rip == shown.rip { old.rip } else { new.rip },
            cs: new.cs,
            eflags: new.rflags,
            rsp: new.rsp,
            ss: new.ss,
            fs: new.fs,
            ..old
        };
        let moved_pc = new.rip != shown.rip;
        if !at_entry && !held.stop.is_inside_call() {
            self.park_restart(&old, &mut regs);
        }
        self.store(held, regs)?;
        // Whoever writes back what was there has not taken the task out of its call.
        held.written |= at_entry || moved_pc || new.rax != shown.rax;
        if at_entry {
            // The number stays the one it came with: what is written may as well be the result of a call to be skipped.
            let args = self.call.abi.args(&regs);
            self.lent.rewritten(&self.call.args, &args);
            self.call.args = args;
            self.call.returns = !self.call.abi.has_no_exit(new.rax);
        }
        if moved_pc && held.stop == Stop::Breakpoint {
            held.trap_bytes = Some(0);
        }
        Ok(())
    }

    /// A task that is moved must not have its pc set back by a restart of the call it was in; one that is moved back
    /// must have its restart again.
    fn park_restart(&mut self, old: &Regs, regs: &mut Regs) {
        let moved = (regs.rip, regs.rax) != (old.rip, old.rax);
        match self.parked {
            Some((rip, rax, orig_rax)) if (regs.rip, regs.rax) == (rip, rax) => {
                regs.orig_rax = orig_rax;
                self.parked = None;
            }
            _ if moved && old.orig_rax as i64 >= 0 => {
                self.parked = Some((old.rip, old.rax, old.orig_rax));
                regs.orig_rax = u64::MAX;
            }
            _ => {}
        }
    }

    fn write_float(&mut self, new: FloatRegisters) -> Result<()> {
        let mut area: [u8; FP_BYTES] = sys::get_fp_regs(self.pid).map_err(request_error)?;
        let old = FloatRegisters::read_from_bytes(&area[..FLOAT_BYTES]).map_err(|_| Error::Invalid)?;
        let new = FloatRegisters {
            reserved: old.reserved,
            mxcsr: new.mxcsr & old.mxcsr_mask,
            mxcsr_mask: old.mxcsr_mask,
            ..new
        };
        area[..FLOAT_BYTES].copy_from_slice(new.as_bytes());
        sys::set_fp_regs(self.pid, &area).map_err(request_error)
    }

    fn store(&mut self, held: &mut Held, regs: Regs) -> Result<()> {
        // The kernel corrects some values (reserved flags, selectors): read back what it has, if anybody looks.
        (held.regs, held.result) = (None, None);
        sys::set_regs(self.pid, &regs).map_err(request_error)
    }
}
