//! What RFC 0098 promises, on both machines, by number: the names are yours to make.

use conformance::harness::Outcome;
use conformance::rules::stage::{Broken, on_linux, on_sim};
use conformance::rules::{Access, Bench, Check, Failure};
use conformance::same;
use kernel_model::abi::{Errno, OpenFlags, PtraceFlags, Status};
use kernel_model::client::{EventQueue, Trace, read_text};

/// FLAG_DISCARD.
const DISCARD: PtraceFlags = PtraceFlags::from_bits_retain(1 << 49);
const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;

/// A check with its name.
pub(crate) type Named = (&'static str, fn() -> Outcome);

/// All of them.
pub(crate) const CHECKS: &[Named] = &[
    ("features_lists_it", || on_both(CALLS, listed)),
    ("what_was_queued_is_never_read", || on_both(CALLS, discarded)),
    ("a_refused_write_discards_nothing", || on_both(CALLS, refused)),
    ("a_discarded_child_is_let_go", || on_both(FAMILY, child)),
];

const CALLS: &str = "
program main
    sys getpid
    sys getuid
    sys exit, 0
";
const FAMILY: &str = "
program main
    sys fork
    test rax, rax
    je child
    sys wait4, -1, 0, 0, 0
    sys exit, 3
child:
    sys exit, 0
";

/// First on the simulator, where waiting for ever is an error.
fn on_both(guest: &str, run: fn(&Bench<'_>) -> Check) -> Outcome {
    on_sim(guest, run, Access::SameUser, Broken::Nothing).map_err(|why| format!("on sim: {why}"))?;
    on_linux(guest, run, Access::SameUser).map_err(|why| format!("on Linux: {why}"))?;
    Ok(())
}

fn listed(b: &Bench<'_>) -> Check {
    let text = read_text(b.host, "proc:features")?;
    let text = String::from_utf8_lossy(&text);
    let line = format!("trace.x FLAG_DISCARD {:#x}", DISCARD.bits());
    if !text.lines().any(|found| found == line) {
        return Err(Failure::new(format!("no line: {line}")));
    }
    let plain = Trace::open(b.host, b.start()?, OpenFlags::empty())?;
    same!(plain.resume(DISCARD), Err(Errno::EINVAL));
    Ok(())
}

/// Leaves one event unread: a stop, so there cannot be a second one.
fn with_one_unread<'b>(b: &'b Bench<'_>, mask: PtraceFlags) -> Check<Trace<'b>> {
    let (_, trace) = b.begin_experimental()?;
    let queue = EventQueue::open(b.host, OpenFlags::empty())?;
    queue.watch(trace.handle().fd(), 0)?;
    trace.resume(mask)?;
    queue.next()?;
    Ok(trace)
}

fn discarded(b: &Bench<'_>) -> Check {
    let trace = with_one_unread(b, PRE)?;
    trace.resume(DISCARD | PRE)?;
    same!(trace.next()?.map(|event| event.d), Some(b.call("getuid")));
    same!(trace.next()?, None);
    // It is of this write alone.
    trace.resume(PRE)?;
    same!(trace.next()?.map(|event| event.d), Some(b.call("exit")));
    Ok(())
}

fn refused(b: &Bench<'_>) -> Check {
    let trace = with_one_unread(b, PRE)?;
    let unknown = PtraceFlags::from_bits_retain(1 << 31);
    same!(trace.resume(DISCARD | unknown), Err(Errno::EINVAL));
    same!(trace.next()?.map(|event| event.d), Some(b.call("getpid")));
    // Nor does one that comes too late.
    trace.resume(PtraceFlags::EVENT_DEATH)?;
    let pid = trace.pid();
    same!(b.host.wait(pid, true)?, Some(Status::exited(0)));
    same!(trace.resume(DISCARD), Err(Errno::ESRCH));
    same!(trace.next()?.map(|event| event.cause()), Some(PtraceFlags::EVENT_DEATH));
    Ok(())
}

fn child(b: &Bench<'_>) -> Check {
    let trace = with_one_unread(b, PtraceFlags::EVENT_CLONE)?;
    let pid = trace.pid();
    trace.resume(DISCARD)?;
    // It waits for the child, which would be held if it had been forgotten with its event.
    same!(b.host.wait(pid, true)?, Some(Status::exited(3)));
    Ok(())
}
