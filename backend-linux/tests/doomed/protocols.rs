//! The protocols: each a short use of the scheme, which makes one kind of request after another. Most [`follow`] the guest
//! to its end with one mask; the others lead it by hand.

use std::collections::BTreeMap;

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceEvent, PtraceFlags as F, Result};
use kernel_model::client::{EventQueue, Regs, Trace};
use kernel_model::sets::{CallSet, Filter, SignalSet};

use crate::Stage;

const BOTH: F = F::STOP_PRE_SYSCALL.union(F::STOP_POST_SYSCALL);
const STOPS: u64 = F::STOP_MASK | F::STOP_INTERRUPT.bits();
const SIGUSR2: u64 = 12;
const GETPPID: u64 = 110;
const GETUID: u64 = 102;

/// The filter that a protocol's guest starts under.
pub(crate) fn pushed(protocol: &str) -> Option<Filter> {
    let calls = CallSet::only([(0, GETPPID), (0, GETUID)]);
    (protocol == "filter").then(|| Filter { entry: calls.clone(), exit: calls, signal: SignalSet::NONE })
}

/// Goes through it.
pub(crate) fn run(protocol: &str, stage: &Stage<'_>) -> Result<()> {
    let follow = |mask: F| follow(stage, mask, true, |_, _| Ok(mask));
    match protocol {
        "calls" | "filter" => self::follow(stage, BOTH, true, |trace, _| trace.regs()?.int().map(|_| BOTH)),
        "skip" => self::follow(stage, F::STOP_PRE_SYSCALL, true, skip),
        "signals" => follow(F::STOP_SIGNAL),
        "drop" => self::follow(stage, F::STOP_SIGNAL, true, |_, event| {
            let dropped = event.a == SIGUSR2;
            Ok(if dropped { F::STOP_SIGNAL | F::FLAG_IGNORE } else { F::STOP_SIGNAL })
        }),
        "steps" => steps(stage),
        "breakpoint" => follow(F::STOP_BREAKPOINT),
        "planted" => planted(stage),
        "family" => follow(F::EVENT_CLONE),
        "family-calls" => follow(BOTH | F::EVENT_CLONE | F::EVENT_IMAGE | F::STOP_EXIT),
        "offered" => {
            let mask = F::EVENT_CLONE | F::STOP_EXIT;
            self::follow(stage, mask, false, |_, _| Ok(mask))
        }
        "unfollowed" => follow(F::STOP_EXIT),
        "images" => follow(F::EVENT_IMAGE | F::EVENT_CLONE | F::EVENT_DEATH),
        "jobs" => follow(F::EVENT_JOBSTOP | F::STOP_SIGNAL | F::EVENT_CLONE),
        "interrupt" => interrupt(stage),
        "leave-at-entry" => leave(stage, F::STOP_PRE_SYSCALL),
        "leave-at-exit" => leave(stage, F::STOP_POST_SYSCALL),
        "leave-at-signal" => leave(stage, F::STOP_SIGNAL),
        "leave-at-step" => leave(stage, F::STOP_SINGLESTEP),
        "leave-running" => {
            let trace = alone(stage)?;
            trace.resume(F::STOP_SIGNAL | F::STOP_BREAKPOINT)?;
            stage.go()
        }
        "leave-held" => alone(stage).and_then(|_trace| stage.go()),
        "registers" => registers(stage),
        other => panic!("no protocol {other}"),
    }
}

/// A session whose reads wait.
fn alone<'a>(stage: &Stage<'a>) -> Result<Trace<'a>> {
    Trace::experimental(stage.host, stage.pid, stage.flags)
}

/// Lets the guest go with `mask`, and on from each stop as `act` says, until it and, if `adopts`, all that it makes are
/// gone.
fn follow(
    stage: &Stage<'_>,
    mask: F,
    adopts: bool,
    mut act: impl FnMut(&Trace<'_>, &PtraceEvent) -> Result<F>,
) -> Result<()> {
    let queue = EventQueue::open(stage.host, OpenFlags::empty())?;
    let mut traces = BTreeMap::new();
    let open = |pid: u64| {
        let flags = stage.flags | OpenFlags::O_NONBLOCK;
        let trace = Trace::experimental(stage.host, Pid(pid as u32), flags)?;
        queue.watch(trace.handle().fd(), pid)?;
        trace.resume(mask)?;
        Ok(trace)
    };
    let first = u64::from(stage.pid.0);
    traces.insert(first, open(first)?);
    stage.go()?;
    while !traces.is_empty() {
        let pid = queue.next()?.data;
        let mut born = Vec::new();
        let Some(trace) = traces.get(&pid) else { continue };
        let over = loop {
            match trace.next() {
                Ok(Some(event)) if event.cause() == F::EVENT_CLONE => born.push(event.a),
                Ok(Some(event)) if event.cause & STOPS == 0 => {}
                Ok(Some(event)) => {
                    let mask = act(trace, &event)?;
                    // ESRCH is told by the next read, too.
                    let _ = trace.resume(mask);
                }
                Ok(None) | Err(Errno::EAGAIN) => break false,
                Err(Errno::ESRCH) => break true,
                Err(errno) => return Err(errno),
            }
        };
        if over {
            traces.remove(&pid);
        }
        if !adopts && !born.is_empty() {
            // Releases what it was offered, at a moment when it may be running.
            let _ = traces.get(&pid).map(|trace| trace.resume(mask));
            continue;
        }
        for pid in born {
            match open(pid) {
                Ok(trace) => drop(traces.insert(pid, trace)),
                Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Makes getuid answer 4321.
fn skip(trace: &Trace<'_>, event: &PtraceEvent) -> Result<F> {
    if event.d != GETUID {
        return Ok(F::STOP_PRE_SYSCALL);
    }
    let regs = trace.regs()?;
    let mut int = regs.int()?;
    int.rax = 4321;
    regs.set_int(&int)?;
    Ok(F::STOP_PRE_SYSCALL | F::FLAG_IGNORE)
}

/// Ten steps from wherever it is, ten from the entry of a call.
fn steps(stage: &Stage<'_>) -> Result<()> {
    let trace = alone(stage)?;
    for first in [F::empty(), F::STOP_PRE_SYSCALL] {
        if !first.is_empty() {
            trace.step(first)?;
        }
        for step in 0..10 {
            trace.resume(F::STOP_SINGLESTEP)?;
            if step == 0 && first.is_empty() {
                stage.go()?;
            }
            trace.next()?;
        }
    }
    Ok(())
}

/// A breakpoint of ours where the guest comes by: two hits, and away with it.
fn planted(stage: &Stage<'_>) -> Result<()> {
    let address = stage.address;
    let trace = alone(stage)?;
    let mem = trace.mem()?;
    let mut own = [0];
    mem.read_at(address, &mut own)?;
    mem.write_at(address, &[0xcc])?;
    trace.resume(F::STOP_BREAKPOINT)?;
    stage.go()?;
    for hit in 0..2 {
        trace.next()?;
        mem.write_at(address, &own)?;
        if hit == 0 {
            trace.step(F::STOP_SINGLESTEP | F::FLAG_IGNORE)?;
            mem.write_at(address, &[0xcc])?;
            trace.resume(F::STOP_BREAKPOINT)?;
        }
    }
    trace.resume(F::FLAG_IGNORE)
}

/// Stops a running guest at three odd moments.
fn interrupt(stage: &Stage<'_>) -> Result<()> {
    let trace = alone(stage)?;
    trace.resume(F::empty())?;
    stage.go()?;
    for _ in 0..3 {
        trace.step(F::STOP_INTERRUPT)?;
        trace.resume(F::empty())?;
    }
    Ok(())
}

/// Closes in the third stop of a kind.
fn leave(stage: &Stage<'_>, mask: F) -> Result<()> {
    let trace = alone(stage)?;
    trace.resume(mask)?;
    stage.go()?;
    trace.next()?;
    for _ in 0..2 {
        trace.step(mask)?;
    }
    Ok(())
}

/// Reads and writes back the registers of a task that runs, without a session.
fn registers(stage: &Stage<'_>) -> Result<()> {
    let regs = Regs::open(stage.host, stage.pid)?;
    stage.go()?;
    for _ in 0..2 {
        regs.int()?;
        regs.float()?;
        // What a running task has in it does not change.
        regs.set_env(&regs.env()?)?;
    }
    Ok(())
}
