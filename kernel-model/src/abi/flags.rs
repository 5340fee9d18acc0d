//! The masks: what a `trace` handle is told to stop at or to report, and what `event:` reports of a handle.

use bitflags::bitflags;

bitflags! {
    /// What is written to a `trace` handle, and the single bit in [`super::PtraceEvent::cause`].
    ///
    /// `STOP_*`: the tracee is held there until the next write. `EVENT_*`: queued, and the tracee goes on.
    /// Bits 0–15 are Redox's; any of them is accepted, and those without a meaning never match (R13).
    /// Bits 32–63 are experiments, accepted only on `trace.x` (RFC 0001); all others are EINVAL.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PtraceFlags: u64 {
        /// Before a system call is handled. IGNORE in the next write skips it.
        const STOP_PRE_SYSCALL = 0x0001;
        /// After the result of a call is in the result register.
        const STOP_POST_SYSCALL = 0x0002;
        /// After one user instruction. Must be asked for again each time.
        const STOP_SINGLESTEP = 0x0004;
        /// Before a signal is acted on, whatever its disposition. IGNORE in the next write drops it.
        const STOP_SIGNAL = 0x0008;
        /// On a breakpoint instruction; the program counter is the instruction's address.
        const STOP_BREAKPOINT = 0x0010;
        /// Before the task ends; `a` is its wait status. It can be inspected, not saved.
        const STOP_EXIT = 0x0020;
        /// A child was made; `a` is its pid. It waits until it is opened, or let go by the next write.
        const EVENT_CLONE = 0x0100;
        /// Skip what the tracee is about to do. Belongs in the write that resumes (R28).
        const FLAG_IGNORE = 0x1000;
        /// Generation 2 only (`trace.g2`): wait without resuming.
        const FLAG_WAIT = 0x2000;

        /// Experiment, `trace.x`: stop as soon as possible, without a signal.
        const STOP_INTERRUPT = 1 << 32;
        /// Experiment, `trace.x`: the program was replaced by exec; `a` is the pid the task had before.
        const EVENT_IMAGE = 1 << 40;
        /// Experiment, `trace.x`: job control stopped the task; `a` is the signal.
        const EVENT_JOBSTOP = 1 << 41;
        /// Experiment, `trace.x`: the task is gone; `a` is its wait status. Costs no stop.
        const EVENT_DEATH = 1 << 42;
    }

    /// What `event:` can report of a handle.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EventFlags: usize {
        /// Something can be read.
        const READ = 1;
        /// Reserved; never reported.
        const WRITE = 2;
    }
}

impl PtraceFlags {
    /// All bits that mean "hold the tracee there", as Redox groups them.
    pub const STOP_MASK: u64 = 0x00FF;
    /// All bits that mean "queue, and go on", as Redox groups them.
    pub const EVENT_MASK: u64 = 0x0F00;
    /// All bits that change what a write does, as Redox groups them.
    pub const FLAG_MASK: u64 = 0xF000;
    /// The experiments of this kernel.
    pub const EXPERIMENTS: PtraceFlags = PtraceFlags::STOP_INTERRUPT
        .union(PtraceFlags::EVENT_IMAGE)
        .union(PtraceFlags::EVENT_JOBSTOP)
        .union(PtraceFlags::EVENT_DEATH);
}
