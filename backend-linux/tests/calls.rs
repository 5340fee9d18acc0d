//! Calls: entry and exit with one id, no exit where there is none, another number, a skipped one, and the 32-bit table.

mod common;

use common::{CALLS, Free, Tracer, untraced};
use kernel_model::machine::{Demand, Machine, Program, Report, Signal, Status};

#[test]
fn entries_and_exits_pair_up() {
    let mut tracer = Tracer::new();
    let task = tracer.machine.spawn(&Program::new("/bin/true")).unwrap();
    tracer.demand(task, CALLS);
    tracer.go(task);
    let mut open = None;
    let mut numbers = Vec::new();
    let status = loop {
        match tracer.next() {
            (_, Report::CallEntry) => {
                let call = tracer.call(task);
                assert_eq!(open.replace(call), None, "an exit is missing");
                assert_eq!(call.1, numbers.len() as u64 + 1);
                assert_eq!(call.0, tracer.regs(task).rax);
                numbers.push(call.0 as i64);
            }
            (_, Report::CallExit) => assert_eq!(open.take(), Some(tracer.call(task))),
            (_, Report::Gone { status }) => break status,
            other => panic!("{other:?}"),
        }
        tracer.go(task);
    };
    assert_eq!(status, Some(Status::exited(0)));
    // The first is not exec: that one was over before the task was handed out. The last has no exit.
    assert_ne!(numbers[0], libc::SYS_execve);
    assert_eq!(numbers.last(), Some(&libc::SYS_exit_group));
    assert_eq!(open.map(|call| call.0 as i64), Some(libc::SYS_exit_group));
}

#[test]
fn only_what_is_demanded_is_reported() {
    for (demand, kind) in [(Demand::CALL_ENTRY, Report::CallEntry), (Demand::CALL_EXIT, Report::CallExit)] {
        let mut tracer = Tracer::new();
        let task = tracer.spawn(&["exit", "3"]);
        tracer.demand(task, demand);
        tracer.go(task);
        loop {
            match tracer.next().1 {
                Report::Gone { status } => {
                    assert_eq!(status, Some(Status::exited(3)));
                    break;
                }
                report => assert_eq!(report, kind),
            }
            tracer.go(task);
        }
    }
}

/// Values that look like an ERESTART code are values.
#[test]
fn a_skipped_call_has_the_result_it_is_given() {
    for value in [123, -1, -4, -512, -513, -514, -516] {
        let mut free = Free::start(&["go", "value"]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, CALLS);
        free.go();
        tracer.go(task);
        tracer.until_entry(task, libc::SYS_getppid);
        let id = tracer.call(task).1;
        let mut regs = tracer.regs(task);
        regs.rax = value as u64;
        tracer.set_regs(task, &regs);
        assert_eq!(tracer.regs(task).rax, value as u64);
        tracer.skip(task);
        assert_eq!(tracer.next(), (task, Report::CallExit));
        assert_eq!(tracer.call(task).1, id);
        assert_eq!(tracer.regs(task).rax, value as u64);
        // Signals on the way out are what would make the kernel look at the value.
        tracer.signal(free.pid(), Signal::WINCH);
        tracer.demand(task, Demand::empty());
        tracer.go(task);
        tracer.finish(task);
        let shown = if (-4095..0).contains(&value) { -1 } else { value };
        assert_eq!(free.finish().0, format!("value {shown}\n"));
    }
}

#[test]
fn a_skipped_call_keeps_its_number_as_result_unless_told() {
    let mut free = Free::start(&["go", "value"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, Demand::CALL_ENTRY);
    free.go();
    tracer.go(task);
    tracer.until_entry(task, libc::SYS_getppid);
    tracer.skip(task);
    tracer.finish(task);
    assert_eq!(free.finish().0, format!("value {}\n", libc::SYS_getppid));
}

/// Even exit comes back if it is skipped.
#[test]
fn a_skipped_exit_returns() {
    let mut tracer = Tracer::new();
    let task = tracer.spawn(&["exit", "3"]);
    tracer.demand(task, CALLS);
    tracer.go(task);
    tracer.until_entry(task, libc::SYS_exit_group);
    tracer.skip(task);
    assert_eq!(tracer.next(), (task, Report::CallExit));
    tracer.go(task);
    assert!(tracer.finish(task).is_some());
}

#[test]
fn another_number_is_another_call() {
    let mut free = Free::start(&["go", "value"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, CALLS);
    free.go();
    tracer.go(task);
    tracer.until_entry(task, libc::SYS_getppid);
    let mut regs = tracer.regs(task);
    regs.rax = libc::SYS_getpid as u64;
    tracer.set_regs(task, &regs);
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::CallExit));
    assert_eq!(tracer.regs(task).rax, u64::from(free.child.id()));
    tracer.go(task);
    tracer.finish(task);
    let pid = free.child.id();
    assert_eq!(free.finish().0, format!("value {pid}\n"));
}

#[test]
fn a_32_bit_call_from_64_bit_code_says_so() {
    let mut free = Free::start(&["go", "int80"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, CALLS);
    free.go();
    tracer.go(task);
    let mut seen = Vec::new();
    let status = loop {
        match tracer.next().1 {
            Report::CallEntry | Report::CallExit => seen.push(tracer.call(task)),
            Report::Gone { status } => break status,
            other => panic!("{other:?}"),
        }
        tracer.go(task);
    };
    let old: Vec<_> = seen.iter().filter(|call| call.2 == 1).collect();
    assert_eq!(old.len(), 2, "{seen:?}");
    assert!(old.iter().all(|call| call.0 == 20 && call.1 == old[0].1));
    assert_eq!(status, Some(Status::exited(0)));
    assert_eq!(free.finish().0, untraced(&["int80"]).0);
}

/// A handler's return and a successful exec have an entry only; the ids go on.
#[test]
fn no_exit_after_sigreturn_and_exec() {
    for args in [&["raise", "10"][..], &["exec", common::guest(), "exit", "0"]] {
        let silent = if args[0] == "exec" { libc::SYS_execve } else { libc::SYS_rt_sigreturn };
        let mut tracer = Tracer::new();
        let task = tracer.spawn(args);
        tracer.demand(task, CALLS);
        tracer.go(task);
        let (mut entries, mut exits) = (Vec::new(), Vec::new());
        loop {
            match tracer.next().1 {
                Report::CallEntry => entries.push(tracer.call(task)),
                Report::CallExit => exits.push(tracer.call(task)),
                Report::Gone { .. } => break,
                other => panic!("{other:?}"),
            }
            tracer.go(task);
        }
        let is_silent = |call: &&(u64, u64, u64)| call.0 as i64 == silent;
        assert_eq!(entries.iter().filter(is_silent).count(), 1);
        assert_eq!(exits.iter().filter(is_silent).count(), 0);
        assert_eq!(exits.len(), entries.len() - 2);
        assert!(entries.iter().enumerate().all(|(at, call)| call.1 == at as u64 + 1));
    }
}
