//! Section N, notification: R59, R60, R64. What an `event:` queue says of the handles it watches.

use kernel_model::abi::{Errno, Event, EventFlags, OpenFlags, PtraceFlags, Status};
use kernel_model::client::EventQueue;

use super::Rule;
use super::bench::refused;
use crate::same;

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;

/// Asks its pid, makes a child, and ends.
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
        id: "R59",
        sentence: "When a watched queue gets its first event, EVENT_READ comes once until it was emptied, and once at the end; a watch on one \
                   that is readable fires at once.",
        guest: TWO_EVENTS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let fd = trace.handle().fd();
            let waits = EventQueue::open(b.host, OpenFlags::empty())?;
            waits.watch(fd, 16)?;
            let queue = EventQueue::open(b.host, OpenFlags::O_NONBLOCK)?;
            queue.watch(fd, 17)?;
            same!(refused(queue.next())?, Errno::EAGAIN);
            trace.resume(PRE)?;
            waits.next()?;
            let report = Event { id: u64::from(fd.0), flags: EventFlags::READ.bits() as u64, data: 17 };
            same!(queue.next()?, report);
            same!(refused(queue.next())?, Errno::EAGAIN);
            let late = EventQueue::open(b.host, OpenFlags::O_NONBLOCK)?;
            late.watch(fd, 18)?;
            same!(late.next()?.data, 18);
            // A second event while the first is unread is no news; the end is.
            trace.resume(CLONE)?;
            same!(b.ended(pid)?, Status::exited(2));
            same!(queue.next()?, report);
            same!(refused(queue.next())?, Errno::EAGAIN);
            Ok(())
        },
    },
    Rule {
        id: "R60",
        sentence: "When anything but a `trace`, `log` or `event:` handle is asked for readiness, the answer is none.",
        guest: TWO_EVENTS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let queue = EventQueue::open(b.host, OpenFlags::O_NONBLOCK)?;
            for op in ["mem", "regs/int", "regs/float", "regs/env", "exe", "status", "threads"] {
                let fd = b.host.open(&format!("proc:{pid}/{op}"), OpenFlags::O_RDWR)?;
                same!((op, b.host.fevent(fd, EventFlags::READ)?), (op, EventFlags::empty()));
            }
            let fd = trace.handle().fd();
            same!(b.host.fevent(fd, EventFlags::READ)?, EventFlags::empty());
            let waits = EventQueue::open(b.host, OpenFlags::empty())?;
            waits.watch(fd, 1)?;
            trace.resume(PRE)?;
            waits.next()?;
            same!(b.host.fevent(fd, EventFlags::READ)?, EventFlags::READ);
            same!(refused(queue.next())?, Errno::EAGAIN);
            Ok(())
        },
    },
    Rule {
        id: "R64",
        sentence: "When a watched descriptor is closed, its subscription ends with it.",
        guest: TWO_EVENTS,
        run: |b| {
            let (_, trace) = b.begin()?;
            let copy = b.host.dup(trace.handle().fd(), "")?;
            let closed = EventQueue::open(b.host, OpenFlags::O_NONBLOCK)?;
            closed.watch(copy, 1)?;
            b.host.close(copy)?;
            let open = EventQueue::open(b.host, OpenFlags::empty())?;
            open.watch(trace.handle().fd(), 2)?;
            trace.resume(PRE)?;
            same!(open.next()?.data, 2);
            same!(refused(closed.next())?, Errno::EAGAIN);
            Ok(())
        },
    },
];
