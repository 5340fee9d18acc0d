//! Section F, writing a mask: R11–R18. What a write changes, what it refuses, and what it leaves alone.

use kernel_model::abi::OpenFlags;
use kernel_model::abi::{Errno, Pid, PtraceFlags, Signal, Status};
use kernel_model::client::EventQueue;

use super::bench::{event, refused};
use super::{Failure, Rule};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;

/// Three calls and the end.
pub(super) const CALLS: &str = "
program main
.text
    sys getpid
    sys getppid
    sys getuid
    sys exit, 3
";

/// A child that ends with 4; the parent ends with 4 too, once it has seen that.
pub(super) const FORKER: &str = "
program main
.text
    sys fork
    cmp rax, 0
    je child
    sys getpid
    sys wait4, -1, status, 0, 0
    mov rbx, status
    mov rax, [rbx+0]
    cmp rax, 0x400
    je good
    sys exit, 1
good:
    sys exit, 4
child:
    sys getuid
    sys exit, 4
.data
status:
    .word 0
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R11",
        sentence: "When a write is accepted, its set replaces the whole set of before; stops not reached are forgotten.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(PRE)?;
            same!(event(&trace, PRE)?.d, b.call("getpid"));
            trace.resume(POST)?;
            same!(event(&trace, POST)?.d, b.call("getpid"));
            trace.resume(POST)?;
            same!(event(&trace, POST)?.d, b.call("getppid"));
            Ok(())
        },
    },
    Rule {
        id: "R12",
        sentence: "When a set has neither a stop nor an event, the tracee runs free until the next write.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            trace.resume(PtraceFlags::empty())?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?, Status::exited(3));
            Ok(())
        },
    },
    Rule {
        id: "R13",
        sentence: "When a written bit is 16 or above, the write is EINVAL and changes nothing, except that `trace.x` takes its \
                   experiments; bits 0-15 without a meaning are taken and never match.",
        guest: CALLS,
        run: |b| {
            const NAMED: u64 = 0x113f; // stops, CLONE, IGNORE
            let (_, trace) = b.begin()?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            for bit in 16..64 {
                same!(refused(trace.resume(PtraceFlags::from_bits_retain(1 << bit)))?, Errno::EINVAL);
            }
            same!(trace.next()?, None);
            trace.resume(PtraceFlags::from_bits_retain((0xffff & !NAMED) | POST.bits()))?;
            let post = event(&trace, POST)?;
            same!(post.d, b.call("getpid"));

            let (_, trace) = b.begin_experimental()?;
            for bit in (16..64).filter(|bit| PtraceFlags::EXPERIMENTS.bits() & (1 << bit) == 0) {
                same!(refused(trace.resume(PtraceFlags::from_bits_retain(1 << bit)))?, Errno::EINVAL);
            }
            let quiet = PtraceFlags::EXPERIMENTS - PtraceFlags::STOP_INTERRUPT;
            trace.resume(quiet | POST)?;
            event(&trace, POST)?;
            Ok(())
        },
    },
    Rule {
        id: "R14",
        sentence: "When a write is shorter than 8 bytes it answers 0 and sets nothing; of a longer one 8 bytes are taken, and it answers 8.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            for len in 0..8 {
                same!(trace.handle().write(&[0xff; 8][..len])?, 0);
            }
            same!(trace.next()?, None);
            let mut long = [0xff; 13];
            long[..8].copy_from_slice(&POST.bits().to_ne_bytes());
            same!(trace.handle().write(&long)?, 8);
            same!(event(&trace, POST)?.d, b.call("getpid"));
            Ok(())
        },
    },
    Rule {
        id: "R15",
        sentence: "When a set has events but no stop, those events are delivered (generation 3).",
        guest: FORKER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(CLONE)?;
            event(&trace, CLONE)?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(4));
            Ok(())
        },
    },
    Rule {
        id: "R16",
        sentence: "When a write is refused for its bits or too short, the children it was offered are released all the same.",
        guest: FORKER,
        run: |b| {
            for bad in [&(1u64 << 20).to_ne_bytes()[..], &[]] {
                let (pid, trace) = b.begin()?;
                trace.resume(CLONE)?;
                event(&trace, CLONE)?;
                let answer = trace.handle().write(bad);
                ensure!(matches!(answer, Ok(0) | Err(Errno::EINVAL)), "{answer:?}");
                same!(b.ended(pid)?, Status::exited(4));
            }
            Ok(())
        },
    },
    Rule {
        id: "R17",
        sentence: "When the tracee runs, a write is legal and changes the set at once.",
        guest: "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys pause
    sys exit, 0
handler:
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
",
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            trace.resume(PtraceFlags::empty())?;
            trace.resume(PtraceFlags::STOP_SIGNAL)?;
            b.host.kill(pid, Signal::USR1)?;
            same!(event(&trace, PtraceFlags::STOP_SIGNAL)?.a, u64::from(Signal::USR1.0));
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(0));
            Ok(())
        },
    },
    Rule {
        id: "R18",
        sentence: "When a write comes while events are unread, the tracee goes on and the events stay queued.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(trace.handle().fd(), 1)?;
            trace.resume(PRE)?;
            queue.next()?;
            trace.resume(PRE)?;
            same!(event(&trace, PRE)?.d, b.call("getpid"));
            same!(event(&trace, PRE)?.d, b.call("getppid"));
            match trace.next()? {
                None => Ok(()),
                Some(more) => Err(Failure::new(format!("and {more:?}"))),
            }
        },
    },
];

/// The child that a CLONE event names.
pub(super) fn child_of(event: &kernel_model::abi::PtraceEvent) -> Pid {
    Pid(event.a as u32)
}
