//! Section X, end and close: R51–R58, R63. What is left of a tracee that ended, and of one whose tracer did.

use kernel_model::abi::{Errno, OpenFlags, PtraceFlags, Signal, Status};
use kernel_model::client::{EventQueue, Trace};

use super::Rule;
use super::bench::{event, refused};
use super::flags::{CALLS, child_of};
use crate::same;

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const EXIT: PtraceFlags = PtraceFlags::STOP_EXIT;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;
const IGNORE: PtraceFlags = PtraceFlags::FLAG_IGNORE;
const DEATH: PtraceFlags = PtraceFlags::EVENT_DEATH;

/// Three ways to end: as a call, by a signal to itself, by a fault.
const ENDS: &str = "
program main
.text
    sys exit, 7
program signalled
.text
    sys getpid
    mov rdi, rax
    mov rsi, sig.term
    mov rax, sys.kill
    syscall
    sys exit, 0
program fault
.text
    mov rbx, 1
    ud2
    sys exit, 0
";

/// Waits for its child, and ends as that did.
const REAPER: &str = "
program main
.text
    sys fork
    cmp rax, 0
    je child
    sys wait4, -1, status, 0, 0
    mov rbx, status
    mov rdi, [rbx+0]
    cmp rdi, 0x2100
    je good
    sys exit, 1
good:
    sys exit, 33
child:
    sys exit, 33
.data
status:
    .word 0
";

/// Stops at a getpid, then sleeps.
const IDLER: &str = "
program main
.text
    sys getpid
asleep:
    sys pause
    jmp asleep
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R51",
        sentence: "When a tracee ends, by exit, signal or fault, STOP_EXIT stops it before, with its wait status in a; it can be \
                   inspected and not be saved.",
        guest: ENDS,
        run: |b| {
            let ends = [
                ("main", Status::exited(7)),
                ("signalled", Status::killed(Signal::TERM)),
                ("fault", Status::killed(Signal::ILL)),
            ];
            for (program, want) in ends {
                let pid = b.start_program(program)?;
                let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
                trace.resume(EXIT)?;
                let status = Status(event(&trace, EXIT)?.a as u32);
                same!((status.code(), status.signal()), (want.code(), want.signal()));
                trace.regs()?.int()?;
                trace.resume(EXIT | IGNORE)?;
                same!(refused(trace.next())?, Errno::ESRCH);
                let status = b.ended(pid)?;
                same!((status.code(), status.signal()), (want.code(), want.signal()));
            }
            Ok(())
        },
    },
    Rule {
        id: "R52",
        sentence: "When the tracee is gone and its events were read, read, write, regs and mem answer ESRCH for as long as the handle is open.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let (regs, mem) = (trace.regs()?, trace.mem()?);
            trace.resume(PtraceFlags::empty())?;
            for reaped in [false, true] {
                same!(refused(trace.next())?, Errno::ESRCH);
                same!(refused(trace.resume(PRE))?, Errno::ESRCH);
                same!(refused(regs.int())?, Errno::ESRCH);
                same!(refused(mem.word(0x40_0000))?, Errno::ESRCH);
                same!(refused(trace.handle().dup("regs/int").map(drop))?, Errno::ESRCH);
                if !reaped {
                    b.ended(pid)?;
                }
            }
            Ok(())
        },
    },
    Rule {
        id: "R53",
        sentence: "When a tracee ends, its parent gets the status as if nobody traced; for a spawned one it is there at once after ESRCH, once.",
        guest: REAPER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(CLONE)?;
            let child = child_of(&event(&trace, CLONE)?);
            let born = Trace::open(b.host, child, OpenFlags::empty())?;
            born.resume(PtraceFlags::empty())?;
            same!(refused(born.next())?, Errno::ESRCH);
            trace.resume(PtraceFlags::empty())?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.host.wait(pid, false)?, Some(Status::exited(33)));
            same!(refused(b.host.wait(pid, false))?, Errno::ECHILD);
            Ok(())
        },
    },
    Rule {
        id: "R54",
        sentence: "When a tracee ends with events unread, they are read first, and ESRCH follows.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(trace.handle().fd(), 1)?;
            trace.resume(PRE)?;
            queue.next()?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(3));
            event(&trace, PRE)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            Ok(())
        },
    },
    Rule {
        id: "R55",
        sentence: "When `trace` is closed without O_EXCL, the tracee runs free; a call it was stopped before is made.",
        guest: "
program main
.text
    sys exit, 9
    sys exit, 10
",
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "exit")?;
            trace.close()?;
            same!(b.ended(pid)?, Status::exited(9));
            Ok(())
        },
    },
    Rule {
        id: "R56",
        sentence: "When `trace` was opened with O_EXCL, its close kills the tracee; one that has ended does not make close fail.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin_with(OpenFlags::O_EXCL)?;
            b.to_call(&trace, "getpid")?;
            trace.close()?;
            same!(b.ended(pid)?, Status::killed(Signal::KILL));
            let (pid, trace) = b.begin_with(OpenFlags::O_EXCL)?;
            trace.resume(PtraceFlags::empty())?;
            same!(refused(trace.next())?, Errno::ESRCH);
            trace.close()?;
            same!(b.ended(pid)?, Status::exited(3));
            Ok(())
        },
    },
    Rule {
        id: "R57",
        sentence: "When a tracer dies, that is the close of its descriptors: a session ends with the last, and a forked copy keeps it.",
        guest: IDLER,
        run: |b| {
            let pid = b.start()?;
            let path = format!("proc:{pid}/trace");
            let first = b.client(b.me());
            first.host().open(&path, OpenFlags::O_RDWR | OpenFlags::O_EXCL)?;
            let second = first.fork(b.me());
            drop(first);
            same!(refused(b.host.open(&path, OpenFlags::O_RDWR))?, Errno::EBUSY);
            drop(second);
            same!(b.ended(pid)?, Status::killed(Signal::KILL));
            Ok(())
        },
    },
    Rule {
        id: "R58",
        sentence: "When `trace` is opened again after its close, that is a new session with an empty queue.",
        guest: IDLER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(trace.handle().fd(), 1)?;
            trace.resume(PRE)?;
            queue.next()?;
            trace.close()?;
            let trace = Trace::open(b.host, pid, OpenFlags::O_NONBLOCK)?;
            same!(refused(trace.next())?, Errno::EAGAIN);
            Ok(())
        },
    },
    Rule {
        id: "R63",
        sentence: "When the set of a `trace.x` handle has EVENT_DEATH and the tracee ends, DEATH with its wait status is its last event.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin_experimental()?;
            trace.resume(DEATH)?;
            same!(event(&trace, DEATH)?.a, 0x300);
            same!(refused(trace.next())?, Errno::ESRCH);
            Ok(())
        },
    },
];
