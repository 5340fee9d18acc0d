//! The flaws of the reference that no rule above decides already: F1, F2, F7, F8, F9, F11–F15, F24, F25.
//!
//! RFC 0002 has the table of all 25, with the rule that holds each decision.

use kernel_model::abi::{Errno, F_GETFL, F_SETFL, OpenFlags, PtraceEvent, PtraceFlags, Signal, Status};
use kernel_model::client::{Regs, Trace};
use kernel_model::scheme::Caller;

use super::bench::{event, events_to_end, refused};
use super::flags::CALLS;
use super::held::{SELF_STOPPER, stopped_child};
use super::syscalls::SELF_SIGNALLER;
use super::{Check, Failure, Rule};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const STEP: PtraceFlags = PtraceFlags::STOP_SINGLESTEP;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;
const INTERRUPT: PtraceFlags = PtraceFlags::STOP_INTERRUPT;
const JOBSTOP: PtraceFlags = PtraceFlags::EVENT_JOBSTOP;

/// Counts its USR1s in `count`; ends with that number when `pause` returned.
const COUNTER: &str = "
program main
.text
    sys setuid, 1000
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    sys pause
    mov rbx, count
    mov rdi, [rbx+0]
    mov rax, sys.exit
    syscall
handler:
    mov rbx, count
    mov rax, [rbx+0]
    inc rax
    mov [rbx+0], rax
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
count:
    .word 0
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "F1",
        sentence: "When a caller has gid 0, or only one of uid and gid right, that opens nothing; uid 0 alone passes.",
        guest: COUNTER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            let owner = b.owner();
            for (uid, gid) in [(owner.uid + 1, 0), (owner.uid + 1, owner.gid), (owner.uid, owner.gid + 1)] {
                let client = b.client(Caller { uid, gid, ..owner });
                let answer = client.host().open(&format!("proc:{pid}/mem"), OpenFlags::O_RDWR);
                ensure!(answer == Err(Errno::EPERM), "uid {uid}, gid {gid}: {answer:?}");
            }
            Ok(())
        },
    },
    Rule {
        id: "F2",
        sentence: "When a call is reported, d is its number, e the tracee's sequence id from 1, equal in its PRE and POST and in no other call, \
                   and f its ABI, 0 for the machine's own.",
        guest: SELF_SIGNALLER,
        run: |b| {
            let (_, trace) = b.begin()?;
            let calls = events_to_end(&trace, PRE | POST)?;
            let of = |cause| calls.iter().filter(move |event| event.cause() == cause);
            let ids: Vec<u64> = of(PRE).map(|pre| pre.e).collect();
            same!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
            for post in of(POST) {
                let pre: Vec<&PtraceEvent> = of(PRE).filter(|pre| pre.e == post.e).collect();
                ensure!(pre.len() == 1 && pre[0].d == post.d, "{post:?} belongs to {pre:?}");
            }
            let posts = of(POST).map(|post| post.e).collect::<std::collections::BTreeSet<_>>().len();
            same!(posts, of(POST).count());
            ensure!(calls.iter().all(|event| event.f == 0), "a call of another ABI");
            Ok(())
        },
    },
    Rule {
        id: "F7",
        sentence: "When a signal is sent to a tracee that is held, nothing is delivered and nothing queued until it is resumed; then once.",
        guest: COUNTER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "getpid")?;
            let rip = trace.regs()?.int()?.rip;
            b.host.kill(pid, Signal::USR1)?;
            b.meanwhile()?;
            same!(trace.next()?, None);
            same!(trace.regs()?.int()?.rip, rip);
            same!(trace.mem()?.word(b.label("count"))?, 0);
            trace.resume(SIGNAL)?;
            same!(event(&trace, SIGNAL)?.a, u64::from(Signal::USR1.0));
            trace.resume(PRE | SIGNAL)?;
            same!(event(&trace, PRE)?.d, b.call("rt_sigreturn"));
            trace.resume(PRE | SIGNAL)?;
            same!(event(&trace, PRE)?.d, b.call("pause"));
            same!(trace.mem()?.word(b.label("count"))?, 1);
            Ok(())
        },
    },
    Rule {
        id: "F8",
        sentence: "When a read is issued after the tracee has ended, it answers ESRCH and does not sleep.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(3));
            same!(refused(trace.next())?, Errno::ESRCH);
            Ok(())
        },
    },
    Rule {
        id: "F9",
        sentence: "When a read waits, it holds nothing: in the shared form every other handle stays usable in other threads.",
        guest: COUNTER,
        run: |b| {
            b.shared(&mut |host| {
                let pid = b.start_on(host)?;
                let trace = Trace::open(host, pid, OpenFlags::empty())?;
                b.to_call(&trace, "pause")?;
                trace.resume(PtraceFlags::empty())?;
                let fd = trace.handle().fd();
                std::thread::scope(|scope| {
                    let reader = scope.spawn(|| host.read(fd, &mut [0; PtraceEvent::SIZE]));
                    let others = || -> Check<Option<Status>> {
                        Regs::open(host, pid)?.int()?;
                        same!(trace.mem()?.word(b.label("count"))?, 0);
                        host.kill(pid, Signal::USR1)?;
                        Ok(host.wait(pid, true)?)
                    };
                    let status = others();
                    // Whatever happened, the reader must come back.
                    let _ = host.kill(pid, Signal::KILL);
                    let read = reader.join().map_err(|_| Failure::new("the reader panicked"))?;
                    same!((status?, read), (Some(Status::exited(1)), Err(Errno::ESRCH)));
                    Ok(())
                })
            })
        },
    },
    Rule {
        id: "F11",
        sentence: "When SINGLESTEP was asked for and another stop came first, the next write without it leaves no step behind.",
        guest: "
program main
.text
    mov rax, sys.getpid
    syscall
    nop
    nop
    sys exit, 3
",
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(PRE | STEP)?;
            event(&trace, STEP)?;
            trace.resume(PRE | STEP)?;
            event(&trace, PRE)?;
            trace.resume(SIGNAL)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?, Status::exited(3));
            Ok(())
        },
    },
    Rule {
        id: "F12",
        sentence: "When the buffer of a `trace` read is shorter than one event, that is EINVAL and no event is lost.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(PRE)?;
            let mut buf = [0; PtraceEvent::SIZE + 1];
            for len in [0, 1, PtraceEvent::SIZE - 1] {
                same!(refused(trace.handle().read(&mut buf[..len]))?, Errno::EINVAL);
            }
            // One byte off: no alignment is asked for.
            same!(trace.handle().read(&mut buf[1..])?, PtraceEvent::SIZE);
            same!(
                u64::from_ne_bytes([buf[1], buf[2], buf[3], buf[4], buf[5], buf[6], buf[7], buf[8]]),
                PRE.bits()
            );
            Ok(())
        },
    },
    Rule {
        id: "F13",
        sentence: "When a tracer writes rsp and the status bits of rflags, the tracee goes on with them.",
        guest: "
program main
.text
    mov rbx, 1
    cmp rbx, 2
    nop
    je equal
    sys exit, 1
equal:
    pop rdi
    mov rax, sys.exit
    syscall
.data
top:
    .word 44
",
        run: |b| {
            const ZERO: u64 = 0x40;
            let (pid, trace) = b.begin()?;
            for _ in 0..3 {
                trace.resume(STEP)?;
                event(&trace, STEP)?;
            }
            let regs = trace.regs()?;
            let mut at = regs.int()?;
            same!(at.rflags & ZERO, 0);
            at.rflags |= ZERO;
            at.rsp = b.label("top");
            regs.set_int(&at)?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(44));
            Ok(())
        },
    },
    Rule {
        id: "F14",
        sentence: "When F_SETFL is used, it sets or clears O_NONBLOCK and nothing else.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin_with(OpenFlags::O_EXCL)?;
            let fd = trace.handle().fd();
            let flags = || Ok::<_, Errno>(OpenFlags::from_bits_retain(b.host.fcntl(fd, F_GETFL, 0)? as u32));
            same!(flags()?, OpenFlags::O_RDWR | OpenFlags::O_EXCL);
            let nonblock = OpenFlags::O_NONBLOCK | OpenFlags::O_TRUNC;
            b.host.fcntl(fd, F_SETFL, u64::from(nonblock.bits()))?;
            same!(flags()?, OpenFlags::O_RDWR | OpenFlags::O_EXCL | OpenFlags::O_NONBLOCK);
            b.host.fcntl(fd, F_SETFL, 0)?;
            same!(flags()?, OpenFlags::O_RDWR | OpenFlags::O_EXCL);
            trace.close()?;
            same!(b.ended(pid)?, Status::killed(Signal::KILL));
            Ok(())
        },
    },
    Rule {
        id: "F15",
        sentence: "When a pid is used again, a handle of the process that had it before answers ESRCH and does not touch the new one.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin_with(OpenFlags::O_EXCL)?;
            let former = b.status(pid)?;
            let (regs, mem) = (trace.regs()?, trace.mem()?);
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(3));
            let again = b.start_as(pid, &former)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(refused(trace.resume(PRE))?, Errno::ESRCH);
            same!(refused(regs.int())?, Errno::ESRCH);
            same!(refused(mem.word(0x40_0000))?, Errno::ESRCH);
            trace.close()?;
            let new = Trace::open(b.host, again, OpenFlags::empty())?;
            new.resume(PtraceFlags::empty())?;
            same!(b.ended(again)?, Status::exited(3));
            Ok(())
        },
    },
    Rule {
        id: "F24",
        sentence: "When a write on `trace.x` has STOP_INTERRUPT, the tracee stops as soon as it can, INTERRUPT is queued, and a call it was in \
                   goes on afterwards as if nothing had been.",
        guest: COUNTER,
        run: |b| {
            let (pid, trace) = b.begin_experimental()?;
            b.to_call(&trace, "pause")?;
            trace.resume(INTERRUPT)?;
            event(&trace, INTERRUPT)?;
            same!(trace.next()?, None);
            trace.resume(INTERRUPT)?;
            event(&trace, INTERRUPT)?;
            trace.resume(PtraceFlags::empty())?;
            b.host.kill(pid, Signal::USR1)?;
            same!(b.ended(pid)?, Status::exited(1));
            Ok(())
        },
    },
    Rule {
        id: "F25",
        sentence: "When job control stops the tracee and the set of its `trace.x` handle has EVENT_JOBSTOP, JOBSTOP with the signal is queued; its \
                   parent sees what it would see untraced.",
        guest: SELF_STOPPER,
        run: |b| {
            let (pid, main) = b.begin()?;
            main.resume(PRE)?;
            event(&main, PRE)?;
            main.resume(PtraceFlags::EVENT_CLONE | PRE)?;
            let child = super::flags::child_of(&event(&main, PtraceFlags::EVENT_CLONE)?);
            let trace = Trace::experimental(b.host, child, OpenFlags::empty())?;
            trace.resume(JOBSTOP)?;
            same!(event(&trace, JOBSTOP)?.a, u64::from(Signal::STOP.0));
            same!(stopped_child(b, &main)?, child);
            b.meanwhile()?;
            // It stays stopped; had it gone on, it would have ended.
            b.status(child)?;
            trace.resume(PtraceFlags::empty())?;
            b.host.kill(child, Signal::CONT)?;
            same!(refused(trace.next())?, Errno::ESRCH);
            main.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(5));
            Ok(())
        },
    },
];
