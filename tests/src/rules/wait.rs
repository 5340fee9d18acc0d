//! Section W, waiting and reading: R19–R26. When a read returns, with what, and in which order.

use kernel_model::abi::{Errno, OpenFlags, PtraceEvent, PtraceFlags, Status};
use kernel_model::client::{EventQueue, Trace};

use super::bench::{event, refused};
use super::flags::CALLS;
use super::{Bench, Check, Rule};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const STEP: PtraceFlags = PtraceFlags::STOP_SINGLESTEP;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;
const WAIT: PtraceFlags = PtraceFlags::FLAG_WAIT;

/// Asks its pid, makes a child that ends at once, and ends.
const TWO_EVENTS: &str = "
program main
.text
    sys getpid
    sys fork
    cmp rax, 0
    je child
    sys exit, 2
child:
    sys exit, 0
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R19",
        sentence: "When a blocking read finds no event and the tracee is not held, it waits until an event is queued or the tracee is gone.",
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
        id: "R20",
        sentence: "When the tracee is held by this handle and its events were read, a blocking read answers 0.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            same!(trace.next()?, None);
            same!(trace.next()?, None);
            Ok(())
        },
    },
    Rule {
        id: "R21",
        sentence: "When the handle is O_NONBLOCK, a read answers the queued events, else 0 if the tracee is held, else EAGAIN.",
        guest: "
program main
.text
    sys getpid
    sys pause
    sys exit, 0
",
        run: |b| {
            let (_, trace) = b.begin_with(OpenFlags::O_NONBLOCK)?;
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(trace.handle().fd(), 1)?;
            trace.resume(PRE)?;
            queue.next()?;
            event(&trace, PRE)?;
            same!(trace.next()?, None);
            trace.resume(PtraceFlags::empty())?;
            same!(refused(trace.next())?, Errno::EAGAIN);
            Ok(())
        },
    },
    Rule {
        id: "R22",
        sentence: "When several events are queued, they are read first in, first out.",
        guest: TWO_EVENTS,
        run: |b| {
            let trace = two_unread(b)?;
            let mut buf = [0; 3 * PtraceEvent::SIZE];
            same!(read_causes(&trace, &mut buf)?, [PRE, CLONE]);
            Ok(())
        },
    },
    Rule {
        id: "R23",
        sentence: "When a read has room for n whole events, it takes as many as are queued, at most n, and never a part of one.",
        guest: TWO_EVENTS,
        run: |b| {
            let trace = two_unread(b)?;
            let mut buf = [0; 2 * PtraceEvent::SIZE - 1];
            same!(trace.handle().read(&mut buf)?, PtraceEvent::SIZE);
            same!(trace.handle().read(&mut buf)?, PtraceEvent::SIZE);
            let trace = two_unread(b)?;
            let mut buf = [0; 2 * PtraceEvent::SIZE + 10];
            same!(trace.handle().read(&mut buf)?, 2 * PtraceEvent::SIZE);
            Ok(())
        },
    },
    Rule {
        id: "R24",
        sentence: "When an event that is no stop is queued, the tracee goes on: several such may come before one stop.",
        guest: "
program main
.text
    sys fork
    cmp rax, 0
    je child
    sys fork
    cmp rax, 0
    je child
    sys exit, 0
child:
    sys exit, 0
",
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(CLONE | PtraceFlags::STOP_EXIT)?;
            event(&trace, CLONE)?;
            event(&trace, CLONE)?;
            event(&trace, PtraceFlags::STOP_EXIT)?;
            same!(trace.next()?, None);
            Ok(())
        },
    },
    Rule {
        id: "R25",
        sentence: "When `trace.g2` is written (generation 2), the write waits for the stop; FLAG_WAIT alone waits and changes nothing.",
        guest: CALLS,
        run: |b| {
            let pid = b.start()?;
            let trace = Trace::at(b.host, pid, "trace.g2", OpenFlags::empty())?;
            trace.resume(PRE)?;
            same!(b.host.fevent(trace.handle().fd(), kernel_model::abi::EventFlags::READ)?.bits(), 1);
            for _ in 0..5 {
                trace.resume(WAIT)?;
            }
            b.meanwhile()?;
            same!(event(&trace, PRE)?.d, b.call("getpid"));
            same!(trace.next()?, None);
            trace.resume(PRE | WAIT)?;
            same!(event(&trace, PRE)?.d, b.call("getppid"));
            Ok(())
        },
    },
    Rule {
        id: "R26",
        sentence: "When PRE, POST and SINGLESTEP are all asked for at a call, they come in this order, one bit to an event.",
        guest: "
program main
.text
    mov rax, sys.getpid
    syscall
after:
    nop
    nop
    sys exit, 0
",
        run: |b| {
            let (_, trace) = b.begin()?;
            for cause in [STEP, PRE, POST, STEP, STEP] {
                trace.resume(PRE | POST | STEP)?;
                event(&trace, cause)?;
            }
            ensure!(trace.regs()?.int()?.rip > b.label("after"), "did not get past the call");
            Ok(())
        },
    },
];

/// A tracee that is gone, with a PRE and a CLONE event in its queue.
fn two_unread<'h>(b: &Bench<'h>) -> Check<Trace<'h>> {
    let (pid, trace) = b.begin()?;
    let queue = EventQueue::open(b.host, OpenFlags::empty())?;
    queue.watch(trace.handle().fd(), 1)?;
    trace.resume(PRE)?;
    queue.next()?;
    trace.resume(CLONE)?;
    same!(b.ended(pid)?, Status::exited(2));
    Ok(trace)
}

/// The causes of the events that one read takes.
fn read_causes(trace: &Trace<'_>, buf: &mut [u8]) -> Check<Vec<PtraceFlags>> {
    let n = trace.handle().read(buf)?;
    same!(n % PtraceEvent::SIZE, 0);
    let mut causes = Vec::new();
    for event in buf[..n].chunks_exact(PtraceEvent::SIZE) {
        let mut cause = [0; 8];
        cause.copy_from_slice(&event[..8]);
        causes.push(PtraceFlags::from_bits_retain(u64::from_ne_bytes(cause)));
    }
    Ok(causes)
}
