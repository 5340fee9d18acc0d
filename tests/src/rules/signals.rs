//! Section G, signals: R41–R45. Which of them stop, what dropping one means, and what the registers show.

use kernel_model::abi::{Errno, PtraceFlags, Signal, Status};

use super::Rule;
use super::bench::{event, events_to_end, refused};
use super::flags::CALLS;
use super::syscalls::SELF_SIGNALLER;
use crate::same;

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;
const IGNORE: PtraceFlags = PtraceFlags::FLAG_IGNORE;

/// Sends itself: USR1 ignored, URG and CONT by default harmless, USR2 handled, TERM by default deadly.
const DISPOSITIONS: &str = "
program main
.text
    sys rt_sigaction, sig.usr1, ignore, 0, 8
    sys rt_sigaction, sig.usr2, action, 0, 8
    sys getpid
    mov rbx, rax
    mov rsi, sig.usr1
    call send
    mov rsi, sig.urg
    call send
    mov rsi, sig.cont
    call send
    mov rsi, sig.usr2
    call send
    mov rsi, sig.term
    call send
    sys exit, 4
send:
    mov rdi, rbx
    mov rax, sys.kill
    syscall
    ret
handler:
    ret
restorer:
    sys rt_sigreturn
.data
ignore:
    .word 1, sa.restorer, restorer, 0
action:
    .word handler, sa.restorer, restorer, 0
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R41",
        sentence: "When a signal other than KILL is about to act, STOP_SIGNAL stops there whatever its disposition; b is 0 for the \
                   default, 1 for ignored, else the handler.",
        guest: DISPOSITIONS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let seen: Vec<_> = events_to_end(&trace, SIGNAL)?.iter().map(|e| (e.a, e.b.min(2))).collect();
            let want = [
                (Signal::USR1, 1),
                (Signal::URG, 0),
                (Signal::CONT, 0),
                (Signal::USR2, 2),
                (Signal::TERM, 0),
            ];
            same!(seen, want.map(|(signal, how)| (u64::from(signal.0), how)));
            same!(b.ended(pid)?, Status::killed(Signal::TERM));
            Ok(())
        },
    },
    Rule {
        id: "R42",
        sentence: "When IGNORE is in the write that resumes from SIGNAL, the signal is dropped; KILL never stops and cannot be dropped.",
        guest: DISPOSITIONS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let seen = events_to_end(&trace, SIGNAL | IGNORE)?.len();
            same!(seen, 5);
            same!(b.ended(pid)?, Status::exited(4));

            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "kill")?;
            let regs = trace.regs()?;
            let mut at = regs.int()?;
            at.rsi = u64::from(Signal::KILL.0);
            regs.set_int(&at)?;
            trace.resume(SIGNAL)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?, Status::killed(Signal::KILL));
            Ok(())
        },
    },
    Rule {
        id: "R43",
        sentence: "When SIGKILL is sent to a tracee that is held, it ends without any write.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            b.host.kill(pid, Signal::KILL)?;
            same!(b.ended(pid)?, Status::killed(Signal::KILL));
            same!(refused(trace.next())?, Errno::ESRCH);
            Ok(())
        },
    },
    Rule {
        id: "R44",
        sentence: "When a signal comes while its own handler runs, its SIGNAL stop is after the handler's return.",
        guest: "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    call send
    sys exit, 0
send:
    sys getpid
    mov rdi, rax
    mov rsi, sig.usr1
    mov rax, sys.kill
    syscall
    ret
handler:
    mov rbx, count
    mov rax, [rbx+0]
    cmp rax, 0
    jne second
    mov rax, 1
    mov [rbx+0], rax
    call send
second:
    sys getuid
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
count:
    .word 0
",
        run: |b| {
            let (pid, trace) = b.begin()?;
            let seen: Vec<_> = events_to_end(&trace, SIGNAL | PRE)?
                .iter()
                .filter(|e| e.cause() == SIGNAL || [b.call("getuid"), b.call("rt_sigreturn")].contains(&e.d))
                .map(|e| e.d)
                .collect();
            let (signal, work, done) = (0, b.call("getuid"), b.call("rt_sigreturn"));
            same!(seen, [signal, work, done, signal, work, done]);
            same!(b.ended(pid)?, Status::exited(0));
            Ok(())
        },
    },
    Rule {
        id: "R45",
        sentence: "When the tracee is at a SIGNAL stop, the registers are those of the interrupted code, not of the handler.",
        guest: SELF_SIGNALLER,
        run: |b| {
            let (_, trace) = b.begin()?;
            b.to_call(&trace, "kill")?;
            let regs = trace.regs()?;
            let rsp = regs.int()?.rsp;
            trace.resume(SIGNAL)?;
            event(&trace, SIGNAL)?;
            let at = regs.int()?;
            same!((at.rip, at.rsp, at.rsi), (b.label("back"), rsp, u64::from(Signal::USR1.0)));
            Ok(())
        },
    },
];
