//! Handlers: the frame that one runs on, the way back, and what becomes of the call that it interrupted.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::{Errno, FloatRegisters, IntRegisters, Pid, Signal, Status};

use super::Sim;
use super::alu::TRAP;
use super::memory::Access;
use super::process::{Call, Next, Wait};
use super::signal::{Action, SA_NODEFER, SA_RESETHAND, SA_RESTART, UNMASKABLE, bit};

/// What lies on the stack above the return address while a handler runs.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Frame {
    int: IntRegisters,
    mask: u64,
    float: FloatRegisters,
}

/// What a handler interrupted, where that was more than instructions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Nested {
    /// Where the handler's return address lies.
    frame: u64,
    pub(super) call: Option<Call>,
    next: Next,
}

/// A call that a signal interrupted, before it is known whether it fails or starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Restart {
    number: u64,
    /// What the result register shows meanwhile.
    shown: u64,
    /// Whether any handler makes the call fail, even one with SA_RESTART.
    fragile: bool,
}

impl Sim {
    /// Pushes a frame, and goes to the handler.
    pub(super) fn enter_handler(&mut self, pid: Pid, signal: Signal, action: Action, back: Next) {
        let process = self.process(pid);
        let next = match back {
            Next::Wait(Wait::Signal) => Next::Done(failed(Errno::EINTR)),
            Next::Wait(_) if action.flags & SA_RESTART == 0 => Next::Done(failed(Errno::EINTR)),
            back => back,
        };
        if let Some(restart) = process.signals.restart.take()
            && process.cpu.int.rax == restart.shown
        {
            if restart.fragile || action.flags & SA_RESTART == 0 {
                process.cpu.int.rax = failed(Errno::EINTR);
            } else {
                back_up(&mut process.cpu.int, restart.number);
            }
        }
        let mask = process.signals.saved.take().unwrap_or(process.signals.mask);
        let frame = Frame { int: process.cpu.int, mask, float: process.cpu.float };
        // 128 bytes below the stack pointer belong to the function that was interrupted. A function finds the stack
        // pointer 8 below a multiple of 16.
        let room = (8 + size_of::<Frame>()) as u64;
        let base = (process.cpu.int.rsp.wrapping_sub(128 + room) & !15).wrapping_sub(8);
        let memory = &mut process.memory;
        let pushed = memory
            .write(base.wrapping_add(8), frame.as_bytes(), Access::Write)
            .and_then(|()| memory.write_word(base, action.restorer));
        if pushed.is_err() {
            process.next = Next::Die(Status(Status::killed(Signal::SEGV).0 | 0x80));
            return;
        }
        let signals = &mut process.signals;
        signals.nested.retain(|nested| nested.frame > base);
        if next != Next::User {
            signals.nested.push(Nested { frame: base, call: process.call.take(), next });
        }
        signals.mask |= action.mask & !UNMASKABLE;
        if action.flags & SA_NODEFER == 0 {
            signals.mask |= bit(signal);
        }
        if action.flags & SA_RESETHAND != 0 {
            signals.actions.remove(&signal.0);
        }
        let int = &mut process.cpu.int;
        (int.rsp, int.rip, int.rdi, int.rsi, int.rdx, int.rax) =
            (base, action.handler, u64::from(signal.0), 0, 0, 0);
        // A handler begins without it, as on the hardware's systems; the frame gives it back.
        int.rflags &= !TRAP;
        process.next = Next::User;
        process.call = None;
        self.log.add(pid, || format!("entered handler: {signal}"));
    }

    /// rt_sigreturn: back to what the frame above the stack pointer says.
    pub(super) fn leave_handler(&mut self, pid: Pid) {
        let process = self.process(pid);
        let at = process.cpu.int.rsp;
        let mut bytes = [0; size_of::<Frame>()];
        let read = process.memory.read(at, &mut bytes, Access::Read);
        let frame = Frame::read_from_bytes(&bytes).expect("the buffer has the frame's size");
        process.call = None;
        if read.is_err() || !process.cpu.set_int(frame.int) {
            process.next = Next::User;
            return self.force(pid, Signal::SEGV);
        }
        process.cpu.float = frame.float;
        process.signals.mask = frame.mask & !UNMASKABLE;
        let base = at.wrapping_sub(8);
        process.signals.nested.retain(|nested| nested.frame >= base);
        process.next = match process.signals.nested.last() {
            Some(nested) if nested.frame == base => {
                let next = nested.next.clone();
                process.call = nested.call;
                process.signals.nested.pop();
                next
            }
            _ => Next::Left,
        };
        self.log.add(pid, || "left handler: rt_sigreturn".into());
    }

    /// Deferred order: the call ends first; whether it fails or starts again is decided after the signal.
    pub(super) fn interrupt_call(&mut self, pid: Pid, wait: Wait) {
        let process = self.process(pid);
        let fragile = wait == Wait::Signal;
        let shown = if fragile { (-514_i64) as u64 } else { (-512_i64) as u64 };
        let number = process.call.map_or(0, |call| call.number);
        process.signals.restart = Some(Restart { number, shown, fragile });
        process.next = Next::Done(shown);
    }

    /// No handler ran for the signal that interrupted a call: the call starts again.
    pub(super) fn restart_call(&mut self, pid: Pid) {
        let process = self.process(pid);
        if let Some(mask) = process.signals.saved.take() {
            process.signals.mask = mask;
        }
        if let Some(restart) = process.signals.restart.take()
            && process.cpu.int.rax == restart.shown
        {
            back_up(&mut process.cpu.int, restart.number);
            self.log.add(pid, || "starts its call again: no handler ran".into());
        }
    }
}

/// The registers of a call's arguments, in order.
pub(super) fn arguments(int: &mut IntRegisters) -> [&mut u64; 6] {
    [&mut int.rdi, &mut int.rsi, &mut int.rdx, &mut int.r10, &mut int.r8, &mut int.r9]
}

/// An error as a result register holds it.
pub(super) fn failed(errno: Errno) -> u64 {
    (-i64::from(errno.0)) as u64
}

/// To before the `syscall` instruction, so that it is run again.
pub(super) fn back_up(int: &mut IntRegisters, number: u64) {
    int.rip = int.rip.wrapping_sub(2);
    int.rax = number;
}
