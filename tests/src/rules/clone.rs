//! Section C, children: R46–R49. A child is offered to the tracer, who opens it or lets it go.

use kernel_model::abi::{Errno, OpenFlags, PtraceFlags, Status};
use kernel_model::client::{EventQueue, Trace};

use super::Rule;
use super::bench::{event, refused};
use super::flags::{FORKER, child_of};
use crate::same;

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const EXIT: PtraceFlags = PtraceFlags::STOP_EXIT;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;

/// Two children, ending with 1 and 2; the parent waits for both and ends with 6.
const TWO_CHILDREN: &str = "
program main
.text
    sys fork
    cmp rax, 0
    je first
    sys fork
    cmp rax, 0
    je second
    sys wait4, -1, 0, 0, 0
    sys wait4, -1, 0, 0, 0
    sys exit, 6
first:
    sys exit, 1
second:
    sys exit, 2
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R46",
        sentence: "When the set has EVENT_CLONE and a child is made, CLONE with its pid is queued, the child waits before its first \
                   instruction, and the parent goes on; without, the child runs untraced.",
        guest: FORKER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(CLONE | PRE)?;
            event(&trace, PRE)?;
            trace.resume(CLONE | PRE)?;
            let child = child_of(&event(&trace, CLONE)?);
            same!(event(&trace, PRE)?.d, b.call("getpid"));
            let born = Trace::open(b.host, child, OpenFlags::empty())?;
            same!(born.next()?, None);
            same!(born.regs()?.int()?.rax, 0);
            born.resume(PRE)?;
            same!(event(&born, PRE)?.d, b.call("getuid"));
            born.resume(PtraceFlags::empty())?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(4));

            let (pid, trace) = b.begin()?;
            trace.resume(EXIT)?;
            same!(event(&trace, EXIT)?.a, 0x400);
            trace.close()?;
            same!(b.ended(pid)?, Status::exited(4));
            Ok(())
        },
    },
    Rule {
        id: "R47",
        sentence: "When an offered child's `trace` is opened, it waits for that handle's write; the next write on the parent's handle, or \
                   its close, releases the offered children that were not opened.",
        guest: TWO_CHILDREN,
        run: |b| {
            for close in [false, true] {
                let (pid, trace) = b.begin()?;
                trace.resume(CLONE)?;
                let first = child_of(&event(&trace, CLONE)?);
                let born = Trace::open(b.host, first, OpenFlags::empty())?;
                event(&trace, CLONE)?;
                match close {
                    false => trace.resume(PtraceFlags::empty())?,
                    true => trace.close()?,
                }
                b.meanwhile()?;
                same!(born.next()?, None);
                born.resume(EXIT)?;
                same!(event(&born, EXIT)?.a, 0x100);
                born.resume(PtraceFlags::empty())?;
                same!(b.ended(pid)?, Status::exited(6));
            }
            Ok(())
        },
    },
    Rule {
        id: "R48",
        sentence: "When a CLONE event is unread, a write does not release its child, and closing the parent's handle does.",
        guest: FORKER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(trace.handle().fd(), 1)?;
            trace.resume(CLONE)?;
            queue.next()?;
            trace.resume(CLONE)?;
            let child = child_of(&event(&trace, CLONE)?);
            let born = Trace::open(b.host, child, OpenFlags::empty())?;
            same!(born.next()?, None);
            born.close()?;
            same!(b.ended(pid)?, Status::exited(4));

            let (pid, trace) = b.begin()?;
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(trace.handle().fd(), 1)?;
            trace.resume(CLONE)?;
            queue.next()?;
            trace.close()?;
            same!(b.ended(pid)?, Status::exited(4));
            Ok(())
        },
    },
    Rule {
        id: "R49",
        sentence: "When a child was released, its parent's wait4 for it completes as if nobody traced.",
        guest: FORKER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            trace.resume(CLONE)?;
            event(&trace, CLONE)?;
            trace.resume(PtraceFlags::empty())?;
            same!(refused(trace.next())?, Errno::ESRCH);
            same!(b.ended(pid)?, Status::exited(4));
            Ok(())
        },
    },
];
