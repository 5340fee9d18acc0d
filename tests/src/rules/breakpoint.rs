//! Section B, int3: R38–R40. The breakpoint as a stop of its own, where it reads, and what happens to its signal.

use kernel_model::abi::{Errno, PtraceFlags, Signal, Status};

use super::Rule;
use super::bench::{event, refused};
use crate::same;

const BREAKPOINT: PtraceFlags = PtraceFlags::STOP_BREAKPOINT;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;
const IGNORE: PtraceFlags = PtraceFlags::FLAG_IGNORE;

/// An int3 between nothing and an exit with 3.
const TRAPPER: &str = "
program main
.text
    mov rbx, 1
trap:
    int3
    sys exit, 3
";

/// The byte of `nop`.
const NOP: u8 = 0x90;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R38",
        sentence: "When int3 is executed, it is a BREAKPOINT stop if the set has that bit; otherwise a SIGTRAP, which STOP_SIGNAL sees.",
        guest: TRAPPER,
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(BREAKPOINT | SIGNAL)?;
            event(&trace, BREAKPOINT)?;
            let (_, trace) = b.begin()?;
            trace.resume(SIGNAL)?;
            same!(event(&trace, SIGNAL)?.a, u64::from(Signal::TRAP.0));
            let (pid, trace) = b.begin()?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?.signal(), Some(Signal::TRAP));
            Ok(())
        },
    },
    Rule {
        id: "R39",
        sentence: "When the tracee is at a BREAKPOINT stop, rip reads as the address of the int3.",
        guest: TRAPPER,
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(BREAKPOINT)?;
            event(&trace, BREAKPOINT)?;
            same!(trace.regs()?.int()?.rip, b.label("trap"));
            Ok(())
        },
    },
    Rule {
        id: "R40",
        sentence: "When the write at a BREAKPOINT stop has IGNORE, SIGTRAP is dropped and the tracee goes on at the rip shown; without, \
                   SIGTRAP is raised with rip behind the int3.",
        guest: "
program main
.text
    sys rt_sigaction, sig.trap, action, 0, 8
trap:
    int3
    mov rax, count
    mov rdi, [rax+0]
    mov rax, sys.exit
    syscall
handler:
    mov rax, count
    mov rbx, 1
    mov [rax+0], rbx
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
count:
    .word 40
",
        run: |b| {
            // The tool that planted the int3: restores the byte, and goes on there.
            let (pid, trace) = b.begin()?;
            trace.resume(BREAKPOINT)?;
            event(&trace, BREAKPOINT)?;
            trace.mem()?.write_at(b.label("trap"), &[NOP])?;
            trace.resume(BREAKPOINT | IGNORE)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?, Status::exited(40));
            // The tool that skips the program's own int3.
            let (pid, trace) = b.begin()?;
            trace.resume(BREAKPOINT)?;
            event(&trace, BREAKPOINT)?;
            let regs = trace.regs()?;
            let mut at = regs.int()?;
            at.rip += 1;
            regs.set_int(&at)?;
            trace.resume(BREAKPOINT | IGNORE)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?, Status::exited(40));
            // The tool that lets the program have it.
            let (pid, trace) = b.begin()?;
            trace.resume(BREAKPOINT)?;
            event(&trace, BREAKPOINT)?;
            trace.resume(BREAKPOINT)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?, Status::exited(1));
            Ok(())
        },
    },
];
