//! Lab 1, one solution: a queue of handles, and for each task a stack of open calls.

use std::collections::BTreeMap;

use kernel_model::abi::{Errno, IntRegisters, OpenFlags, Pid, PtraceEvent, PtraceFlags as F, Status};
use kernel_model::client::{EventQueue, Trace};
use kernel_model::scheme::Host;

const MASK: F = F::STOP_PRE_SYSCALL
    .union(F::STOP_POST_SYSCALL)
    .union(F::STOP_SIGNAL)
    .union(F::STOP_EXIT)
    .union(F::EVENT_CLONE);
type Open = (PtraceEvent, IntRegisters);
type Tracee<'h> = (Trace<'h>, Vec<Open>);

pub(crate) fn trace(host: &dyn Host, root: Pid, out: &mut Vec<String>) -> Result<Status, Errno> {
    let queue = EventQueue::open(host, OpenFlags::empty())?;
    let mut tracees = BTreeMap::from([(root, open(host, root, &queue)?)]);
    while !tracees.is_empty() {
        let pid = Pid(queue.next()?.data as u32);
        while let Some((trace, calls)) = tracees.get_mut(&pid) {
            match trace.next() {
                Ok(Some(event)) if event.cause() == F::EVENT_CLONE => {
                    out.push(format!("{pid} child {}", event.a));
                    let child = Pid(event.a as u32);
                    tracees.insert(child, open(host, child, &queue)?);
                }
                Ok(Some(event)) => tell(pid, &event, &trace.regs()?.int()?, calls, out),
                Ok(None) => drop(trace.resume(MASK)), // stopped, and all was told; killed since: ESRCH comes
                Err(Errno::EAGAIN) => break,
                Err(_) => drop(tracees.remove(&pid)),
            }
        }
    }
    host.wait(root, true)?.ok_or(Errno::ECHILD)
}

fn open<'h>(host: &'h dyn Host, pid: Pid, queue: &EventQueue<'h>) -> Result<Tracee<'h>, Errno> {
    let trace = Trace::open(host, pid, OpenFlags::O_NONBLOCK)?;
    queue.watch(trace.handle().fd(), pid.0.into())?;
    trace.resume(MASK)?;
    Ok((trace, Vec::new()))
}

fn tell(pid: Pid, event: &PtraceEvent, regs: &IntRegisters, open: &mut Vec<Open>, out: &mut Vec<String>) {
    let call = |(pre, r): Open, end: &str| {
        format!("{pid} {}({:#x}, {:#x}, {:#x}) = {end}", pre.d, r.rdi, r.rsi, r.rdx)
    };
    let status = Status(event.a as u32);
    // What was begun later than this call has not come back: the return from a handler.
    let from = open.iter().position(|(pre, _)| pre.e == event.e).unwrap_or(open.len());
    match event.cause() {
        F::STOP_PRE_SYSCALL => open.push((*event, *regs)),
        F::STOP_SIGNAL => out.push(format!("{pid} signal {}", event.a)),
        F::STOP_POST_SYSCALL => {
            let ended = open.drain(from..).next();
            out.extend(ended.map(|pre| call(pre, &(regs.rax as i64).to_string())));
        }
        _ => {
            out.extend(open.drain(..).map(|pre| call(pre, "?")));
            let killed = format!("{pid} killed {}", event.a & 0x7f);
            out.push(status.code().map_or(killed, |code| format!("{pid} exited {code}")));
        }
    }
}
