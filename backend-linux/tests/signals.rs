//! Signals and traps: stops before delivery, siginfo kept, dropped signals, int3, and SIGTRAPs that are only signals.

mod common;

use common::{Free, Tracer, untraced};
use kernel_model::machine::{Demand, Detail, Leave, Machine, Report, Signal, Status, Task, Verdict};

fn begin(args: &[&str], demand: Demand) -> (Free, Tracer, Task) {
    let mut free = Free::start(&[&["go"], args].concat());
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, demand);
    free.go();
    tracer.go(task);
    (free, tracer, task)
}

fn signal_at(tracer: &mut Tracer, task: Task) -> (Signal, u64) {
    match tracer.machine.detail(task).unwrap() {
        Detail::Signal { signal, handler } => (signal, handler),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signal_stops_before_it_is_delivered_or_dropped() {
    for skip in [false, true] {
        let (free, mut tracer, task) = begin(&["raise", "10"], Demand::SIGNAL);
        assert_eq!(tracer.next(), (task, Report::Signal));
        assert_eq!(signal_at(&mut tracer, task), (Signal::USR1, Detail::SOME_HANDLER));
        if skip {
            tracer.skip(task)
        } else {
            tracer.go(task)
        }
        tracer.finish(task);
        assert_eq!(free.finish().0, format!("seen {}\n", i32::from(!skip)));
    }
}

/// Default and ignored signals stop, too, and a deadly one can be dropped.
#[test]
fn signals_without_a_handler_stop() {
    for (signal, handler) in [(Signal::TERM, 0), (Signal::WINCH, 0), (Signal::PIPE, 0)] {
        let (free, mut tracer, task) = begin(&["read"], Demand::SIGNAL);
        tracer.signal(free.pid(), signal);
        assert_eq!(tracer.next(), (task, Report::Signal));
        assert_eq!(signal_at(&mut tracer, task), (signal, handler));
        tracer.skip(task);
        tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
        assert_eq!(free.finish(), ("eof 0\n".into(), 3));
    }
}

#[test]
fn a_deadly_signal_proceeds_to_death() {
    let (free, mut tracer, task) = begin(&["read"], Demand::SIGNAL);
    tracer.signal(free.pid(), Signal::TERM);
    assert_eq!(tracer.next(), (task, Report::Signal));
    tracer.go(task);
    assert_eq!(tracer.finish(task), Some(Status::killed(Signal::TERM)));
    free.finish();
}

/// KILL never stops, and ends a task in any stop (R42, R43 differ here).
#[test]
fn kill_ends_a_stopped_task_at_once() {
    let (free, mut tracer, task) = begin(&["raise", "10"], Demand::SIGNAL);
    assert_eq!(tracer.next(), (task, Report::Signal));
    tracer.signal(free.pid(), Signal::KILL);
    assert_eq!(tracer.next(), (task, Report::Gone { status: Some(Status::killed(Signal::KILL)) }));
    free.finish();
}

/// A value that was queued with the signal arrives.
#[test]
fn siginfo_is_kept() {
    for demand in [Demand::SIGNAL, Demand::empty()] {
        let (free, mut tracer, task) = begin(&["queue"], demand);
        tracer.finish(task);
        assert_eq!(free.finish().0, "value 77\n");
    }
}

#[test]
fn a_breakpoint_is_shown_at_its_own_address() {
    for (guest, bytes) in [("int3", 1), ("int3long", 2)] {
        // Proceed: the signal comes, with the hardware's pc. Skip: no signal; the instruction would run again, so the
        // tracer moves the task on.
        let (free, mut tracer, task) = begin(&[guest], Demand::TRAP);
        assert_eq!(tracer.next(), (task, Report::Trap));
        assert_eq!(signal_at(&mut tracer, task), (Signal::TRAP, Detail::SOME_HANDLER));
        let facts = tracer.machine.facts(free.pid()).unwrap();
        let mut code = [0; 2];
        let rip = tracer.regs(task).rip;
        tracer.machine.read_mem(free.pid(), facts.start, rip, &mut code).unwrap();
        assert_eq!(code[..bytes], [[0xcc, 0], [0xcd, 3]][bytes - 1][..bytes]);
        tracer.go(task);
        tracer.finish(task);
        assert_eq!(free.finish().0, "trap 1\n");

        let (free, mut tracer, task) = begin(&[guest], Demand::TRAP);
        for _ in 0..2 {
            assert_eq!(tracer.next(), (task, Report::Trap));
            assert_eq!(tracer.regs(task).rip, rip);
            tracer.skip(task);
        }
        assert_eq!(tracer.next(), (task, Report::Trap));
        let mut regs = tracer.regs(task);
        regs.rip += bytes as u64;
        tracer.set_regs(task, &regs);
        assert_eq!(tracer.regs(task).rip, regs.rip);
        tracer.skip(task);
        tracer.finish(task);
        assert_eq!(free.finish().0, "trap 0\n");
    }
}

/// Without a demand for breakpoints, int3 is the signal it raises (R38).
#[test]
fn an_unwanted_breakpoint_is_a_signal() {
    let (free, mut tracer, task) = begin(&["int3"], Demand::SIGNAL);
    assert_eq!(tracer.next(), (task, Report::Signal));
    assert_eq!(signal_at(&mut tracer, task).0, Signal::TRAP);
    tracer.go(task);
    tracer.finish(task);
    assert_eq!(free.finish().0, untraced(&["int3"]).0);
}

/// A SIGTRAP that somebody sent, or that the task's own trap flag raised, is a signal (R37).
#[test]
fn other_sigtraps_are_signals() {
    for args in [&["raise", "5"][..], &["ownflag"]] {
        let plain = untraced(args);
        let (free, mut tracer, task) = begin(args, Demand::TRAP | Demand::SIGNAL);
        let status = loop {
            match tracer.next().1 {
                Report::Signal => assert_eq!(signal_at(&mut tracer, task).0, Signal::TRAP),
                Report::Gone { status } => break status,
                other => panic!("{other:?}"),
            }
            tracer.go(task);
        };
        assert_eq!(status, Some(Status::exited(0)));
        assert_eq!(free.finish().0, plain.0);
    }
}

/// A call that a dropped signal would have broken goes on, as if there had been none.
#[test]
fn a_dropped_signal_breaks_no_call() {
    let (free, mut tracer, task) = begin(&["handled", "epoll_wait"], Demand::SIGNAL | Demand::CALL_ENTRY);
    tracer.until_entry(task, libc::SYS_epoll_wait);
    tracer.signal(free.pid(), Signal::WINCH);
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::Signal));
    tracer.demand(task, Demand::empty());
    tracer.skip(task);
    tracer.finish(task);
    assert_eq!(free.finish().0, untraced(&["brief", "epoll_wait"]).0);
}
