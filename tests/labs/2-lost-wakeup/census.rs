//! Lab 2: counts the children of several workers, and looks after each birth where the next worker is. Sometimes it never
//! comes back. census.scenario is a model of it, and lost.schedule the shortest order in which that hangs.

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceFlags};
use kernel_model::client::{EventQueue, Trace};
use kernel_model::scheme::Host;

const MASK: PtraceFlags = PtraceFlags::EVENT_CLONE;

/// Children of each worker, in the order of `workers`, which are held before their first instruction.
pub(crate) fn census(host: &dyn Host, workers: &[Pid]) -> Result<Vec<u32>, Errno> {
    let queue = EventQueue::open(host, OpenFlags::empty())?;
    let mut traces = Vec::new();
    for (n, &pid) in workers.iter().enumerate() {
        let trace = Trace::open(host, pid, OpenFlags::O_NONBLOCK)?;
        queue.watch(trace.handle().fd(), n as u64)?;
        traces.push(trace);
    }
    for trace in &traces {
        trace.resume(MASK)?;
    }
    let mut born = vec![0; workers.len()];
    let mut ended = vec![false; workers.len()];
    while ended.contains(&false) {
        let n = queue.next()?.data as usize;
        match traces[n].next() {
            Ok(Some(_)) => {
                born[n] += 1;
                look_at(&traces[(n + 1) % traces.len()]);
                let _ = traces[n].resume(MASK); // the child need not wait
            }
            Err(Errno::ESRCH) => ended[n] = true,
            Ok(None) | Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(born)
}

/// Its registers, which stops it for a moment. It may have ended.
fn look_at(trace: &Trace<'_>) {
    let _ = trace.regs().and_then(|regs| regs.int());
}
