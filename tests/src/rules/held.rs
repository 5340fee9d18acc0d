//! Section A, attach: R8–R10. What opening does to the process, and who else can see that it is held.

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceFlags, Signal, Status};
use kernel_model::client::Trace;

use super::attach::SLEEPER;
use super::bench::{event, refused};
use super::{Bench, Check, Rule};
use crate::same;

/// The child stops itself; the parent sees that, asks its own pid, and waits for the end.
pub(super) const SELF_STOPPER: &str = "
program main
.text
    sys fork
    cmp rax, 0
    je child
    mov rbx, child_pid
    mov [rbx+0], rax
    sys wait4, -1, status, wuntraced, 0
    sys getpid
    sys wait4, -1, status, 0, 0
    mov rbx, status
    mov rax, [rbx+0]
    cmp rax, 0x500
    je good
    sys exit, 1
good:
    sys exit, 5
child:
    sys getpid
    mov rdi, rax
    mov rsi, sig.stop
    mov rax, sys.kill
    syscall
stopped:
    sys getuid
    sys exit, 5
.data
child_pid:
    .word 0
status:
    .word 0
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R8",
        sentence: "When `trace` is opened with O_TRUNC, the process runs no further instruction until the first write; without, it \
                   goes on.",
        guest: SLEEPER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            trace.close()?;
            let trace = Trace::open(b.host, pid, OpenFlags::O_TRUNC)?;
            same!(trace.next()?, None);
            b.host.kill(pid, Signal::USR1)?;
            b.meanwhile()?;
            same!(trace.next()?, None);
            same!(b.host.wait(pid, false)?, None);
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(7));

            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            trace.close()?;
            let _trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            b.host.kill(pid, Signal::USR1)?;
            same!(b.ended(pid)?, Status::exited(7));
            Ok(())
        },
    },
    Rule {
        id: "R9",
        sentence: "When SIGCONT is sent to a process that job control stopped and O_TRUNC holds, it runs only after the tracer's write.",
        guest: SELF_STOPPER,
        run: |b| {
            let (pid, main) = b.begin()?;
            let child = stopped_child(b, &main)?;
            let trace = Trace::open(b.host, child, OpenFlags::O_TRUNC)?;
            same!(trace.next()?, None);
            b.host.kill(child, Signal::CONT)?;
            b.meanwhile()?;
            same!(trace.next()?, None);
            main.resume(PtraceFlags::empty())?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(5));
            Ok(())
        },
    },
    Rule {
        id: "R10",
        sentence: "When a tracer holds a process, its parent's wait4 with WUNTRACED does not report it; a job-control stop it does.",
        guest: "
program main
.text
    sys fork
    cmp rax, 0
    je child
    sys getpid
    mov rdi, -1
    mov rsi, status
    mov rdx, wuntraced
    or rdx, wnohang
    mov r10, 0
    mov rax, sys.wait4
    syscall
    sys getuid
    sys wait4, -1, status, wuntraced, 0
    sys exit, 0
child:
    sys pause
    jmp child
.data
status:
    .word 0
",
        run: |b| {
            const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
            const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
            let (_, main) = b.begin()?;
            let mask = PtraceFlags::EVENT_CLONE | PRE;
            main.resume(mask)?;
            event(&main, PRE)?;
            main.resume(mask)?;
            let child = Pid(event(&main, PtraceFlags::EVENT_CLONE)?.a as u32);
            event(&main, PRE)?;
            let trace = Trace::open(b.host, child, OpenFlags::empty())?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            same!(wait4_result(b, &main)?, 0);
            trace.resume(PtraceFlags::empty())?;
            b.host.kill(child, Signal::STOP)?;
            same!(wait4_result(b, &main)?, u64::from(child.0));
            same!(main.mem()?.word(b.label("status"))? as u32, 0x137f);
            main.resume(POST)?;
            same!(refused(main.next())?, Errno::ESRCH);
            b.host.kill(child, Signal::KILL)?;
            Ok(())
        },
    },
];

/// Runs the parent of [`SELF_STOPPER`] to where its child is stopped by job control, and says which that is.
pub(super) fn stopped_child(b: &Bench<'_>, main: &Trace<'_>) -> Check<Pid> {
    b.to_call(main, "getpid")?;
    Ok(Pid(main.mem()?.word(b.label("child_pid"))? as u32))
}

/// Runs to the end of the next wait4.
fn wait4_result(b: &Bench<'_>, main: &Trace<'_>) -> Check<u64> {
    loop {
        main.resume(PtraceFlags::STOP_POST_SYSCALL)?;
        if event(main, PtraceFlags::STOP_POST_SYSCALL)?.d == b.call("wait4") {
            return Ok(main.regs()?.int()?.rax);
        }
    }
}
