//! Section T, single steps: R34–R37. What one instruction is, next to calls, handlers and new programs.

use kernel_model::abi::{Errno, PtraceFlags, Signal, Status};

use super::bench::{event, refused};
use super::{Rule, syscalls::SELF_SIGNALLER};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const STEP: PtraceFlags = PtraceFlags::STOP_SINGLESTEP;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;

/// Counts in rbx around a call.
const COUNTER: &str = "
program main
.text
    mov rbx, 1
    mov rbx, 2
    mov rbx, 3
    mov rax, sys.getpid
    syscall
    mov rbx, 7
after:
    mov rbx, 8
    sys exit, 0
";

/// The trap flag of x86-64.
const TF: u64 = 0x100;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R34",
        sentence: "When SINGLESTEP is written, the tracee stops after one instruction of its own; each step must be asked for again.",
        guest: COUNTER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let regs = trace.regs()?;
            for count in 1..=3 {
                trace.resume(STEP)?;
                event(&trace, STEP)?;
                same!(regs.int()?.rbx, count);
            }
            trace.resume(PRE)?;
            same!(event(&trace, PRE)?.d, b.call("getpid"));
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(0));
            Ok(())
        },
    },
    Rule {
        id: "R35",
        sentence: "When SINGLESTEP is written at PRE, the stop is after the first instruction that follows the call's.",
        guest: COUNTER,
        run: |b| {
            let (_, trace) = b.begin()?;
            b.to_call(&trace, "getpid")?;
            trace.resume(STEP)?;
            event(&trace, STEP)?;
            let at = trace.regs()?.int()?;
            same!((at.rip, at.rbx), (b.label("after"), 7));
            Ok(())
        },
    },
    Rule {
        id: "R36",
        sentence: "When SINGLESTEP is written at a SIGNAL stop, the step ends in the handler; at PRE of an exec, after the first \
                   instruction of the new program.",
        guest: "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rdi, rax
    mov rsi, sig.usr1
    mov rax, sys.kill
    syscall
    sys execve, path, arguments, arguments
    sys exit, 1
handler:
    nop
handler_1:
    nop
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
path:
    .path other
arguments:
    .word 0
program other
.text
    mov rbx, 77
second:
    mov rbx, 78
    sys exit, 0
",
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(SIGNAL)?;
            event(&trace, SIGNAL)?;
            trace.resume(STEP)?;
            event(&trace, STEP)?;
            let rip = trace.regs()?.int()?.rip;
            let handler = [b.label("handler"), b.label("handler_1")];
            ensure!(handler.contains(&rip), "{rip:#x} is not in the handler");
            b.to_call(&trace, "execve")?;
            trace.resume(STEP)?;
            event(&trace, STEP)?;
            let at = trace.regs()?.int()?;
            same!((at.rip, at.rbx), (b.label_in("other", "second"), 77));
            Ok(())
        },
    },
    Rule {
        id: "R37",
        sentence: "When a debug trap comes that no set asked for, it is a SIGTRAP to the tracee.",
        guest: SELF_SIGNALLER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let regs = trace.regs()?;
            let mut at = regs.int()?;
            at.rflags |= TF;
            regs.set_int(&at)?;
            trace.resume(SIGNAL)?;
            same!(event(&trace, SIGNAL)?.a, u64::from(Signal::TRAP.0));
            trace.resume(SIGNAL)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?.signal(), Some(Signal::TRAP));
            Ok(())
        },
    },
];
