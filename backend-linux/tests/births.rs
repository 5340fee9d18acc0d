//! Births, images and ends: fork, vfork, threads, exec from a thread, children that die early, leaders that exit first.

mod common;

use common::{CALLS, Free, Tracer, guest, untraced};
use kernel_model::machine::{
    Demand, Error, Leave, Machine, OnDeath, Pid, Report, Signal, State, Status, Task, Verdict, Wait,
};

const FAMILY: Demand = Demand::BORN.union(Demand::IMAGE);

/// Held at "go", let go with `demand`.
fn begin(args: &[&str], demand: Demand) -> (Free, Tracer, Task) {
    let mut free = Free::start(args);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, demand);
    free.go();
    tracer.go(task);
    (free, tracer, task)
}

#[test]
fn fork_stops_both_and_the_child_goes_when_told() {
    for demand in [FAMILY, FAMILY | CALLS] {
        let (free, mut tracer, parent) = begin(&["go", "fork"], demand);
        let mut born = None;
        tracer.until(parent, |_, report| match report {
            Report::Born { child, pid } => {
                born = Some((child, pid));
                true
            }
            _ => false,
        });
        let (child, pid) = born.unwrap();
        assert_eq!(tracer.machine.pid(child), Ok(pid));
        let facts = tracer.machine.facts(pid).unwrap();
        assert_eq!((facts.parent, facts.state), (Some(free.pid()), State::Traced));
        assert_eq!(tracer.regs(child).rax, 0);
        tracer.go(parent);
        tracer.demand(child, Demand::empty());
        tracer.go(child);
        let mut ends = Vec::new();
        while let Ok(Some((task, report))) = tracer.machine.next_stop(Wait::Block) {
            match report {
                Report::Gone { status } => ends.push((task, status)),
                _ => tracer.pass(task, report),
            }
        }
        assert_eq!(ends, [(child, Some(Status::exited(5))), (parent, Some(Status::exited(0)))]);
        assert_eq!(free.finish().0, "child 5\n");
    }
}

/// At a fork, entry and exit are one call.
#[test]
fn a_call_that_makes_a_child_still_pairs_up() {
    let (free, mut tracer, parent) = begin(&["go", "fork"], FAMILY | CALLS);
    tracer.until(parent, |tracer, report| {
        report == Report::CallEntry
            && [libc::SYS_clone, libc::SYS_fork].contains(&(tracer.call(parent).0 as i64))
    });
    let call = tracer.call(parent);
    tracer.go(parent);
    let (_, report) = tracer.next();
    assert!(matches!(report, Report::Born { .. }), "{report:?}");
    tracer.pass(parent, report);
    tracer.until(parent, |_, report| report == Report::CallExit);
    assert_eq!(tracer.call(parent), call);
    tracer.go(parent);
    tracer.finish(parent);
    free.finish();
}

#[test]
fn a_child_nobody_wants_runs_free() {
    let (free, mut tracer, parent) = begin(&["go", "fork"], CALLS);
    while let (task, Report::CallEntry | Report::CallExit) = tracer.next() {
        assert_eq!(task, parent);
        tracer.go(task);
    }
    assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
    assert_eq!(free.finish().0, "child 5\n");
}

#[test]
fn a_child_can_be_let_go_or_killed() {
    for (leave, printed) in [(Leave::Free(Verdict::Proceed), "child 5\n"), (Leave::Dead, "child 0\n")] {
        let (free, mut tracer, parent) = begin(&["go", "fork"], FAMILY);
        let (_, report) = tracer.next();
        let Report::Born { child, .. } = report else { panic!("{report:?}") };
        tracer.machine.detach(child, leave).unwrap();
        assert_eq!(tracer.machine.resume(child, Verdict::Proceed), Err(Error::Gone));
        tracer.go(parent);
        assert_eq!(tracer.finish(parent), Some(Status::exited(0)));
        assert_eq!(free.finish().0, printed);
    }
}

/// A child that is killed before it runs is born, then gone; its parent goes on.
#[test]
fn a_child_killed_at_birth_is_born_and_gone() {
    let (free, mut tracer, parent) = begin(&["go", "fork"], FAMILY);
    let (_, report) = tracer.next();
    let Report::Born { child, pid } = report else { panic!("{report:?}") };
    tracer.signal(pid, Signal::KILL);
    assert_eq!(tracer.next(), (child, Report::Gone { status: Some(Status::killed(Signal::KILL)) }));
    assert_eq!(tracer.machine.pid(child), Err(Error::Gone));
    tracer.go(parent);
    assert_eq!(tracer.finish(parent), Some(Status::exited(0)));
    assert_eq!(free.finish().0, "child 0\n");
}

/// The parent cannot be stopped while its child borrows its memory; it is left at its next stop.
#[test]
fn a_vfork_parent_is_unstoppable_until_the_exec() {
    let (free, mut tracer, parent) = begin(&["go", "vfork"], FAMILY);
    let (_, report) = tracer.next();
    let Report::Born { child, .. } = report else { panic!("{report:?}") };
    tracer.go(parent);
    // Nothing tells when it has gone to sleep but its state.
    while tracer.machine.facts(free.pid()).unwrap().state != State::Uninterruptible {
        std::thread::yield_now();
    }
    assert_eq!(tracer.machine.interrupt(parent), Err(Error::Unstoppable));
    tracer.machine.detach(parent, Leave::Free(Verdict::Proceed)).unwrap();
    tracer.demand(child, FAMILY);
    tracer.go(child);
    let pid = tracer.machine.pid(child).unwrap();
    assert_eq!(tracer.next(), (child, Report::Image { former: pid }));
    tracer.go(child);
    assert_eq!(tracer.finish(child), Some(Status::exited(6)));
    assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
    assert_eq!(free.finish(), untraced(&["vfork"]));
}

#[test]
fn threads_are_tasks() {
    let (free, mut tracer, leader) = begin(&["go", "threads"], FAMILY | CALLS);
    let mut tasks = vec![leader];
    let mut gone = Vec::new();
    while let Ok(Some((task, report))) = tracer.machine.next_stop(Wait::Block) {
        if let Report::Born { child, pid } = report {
            tasks.push(child);
            let facts = tracer.machine.facts(pid).unwrap();
            assert_eq!(facts.process, free.pid());
            assert!(tracer.machine.threads(pid).unwrap().contains(&pid));
        }
        if let Report::Gone { status } = report {
            assert_eq!(status, Some(Status::exited(0)));
            gone.push(task);
        }
        tracer.pass(task, report);
    }
    assert_eq!(tasks.len(), 5);
    // The first thread's end is the process's, and the last.
    assert_eq!(gone.last(), Some(&leader));
    gone.sort_unstable();
    tasks.sort_unstable();
    assert_eq!(gone, tasks);
    assert_eq!(free.finish().0, "joined 4\n");
}

/// The thread keeps its task and takes the process's pid; the others are gone before its new image is reported.
#[test]
fn exec_from_a_thread_takes_over_the_pid() {
    let (free, mut tracer, leader) = begin(&["go", "threadexec", guest(), "exit", "9"], FAMILY);
    let mut threads: Vec<(Task, Pid)> = Vec::new();
    let mut gone = Vec::new();
    let (task, former) = loop {
        let (task, report) = tracer.next();
        match report {
            Report::Born { child, pid } => {
                threads.push((child, pid));
                tracer.demand(child, FAMILY);
                tracer.go(child);
                tracer.go(task);
            }
            Report::Gone { status } => gone.push((task, status)),
            Report::Image { former } => break (task, former),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(threads.len(), 3);
    assert_eq!((task, former), threads[2]);
    assert_eq!(tracer.machine.pid(task), Ok(free.pid()));
    assert!(gone.contains(&(leader, None)), "{gone:?}");
    let mut tasks: Vec<Task> = gone.iter().map(|(task, _)| *task).collect();
    tasks.sort_unstable();
    let mut expected = vec![leader, threads[0].0, threads[1].0];
    expected.sort_unstable();
    assert_eq!(tasks, expected);
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::Gone { status: Some(Status::exited(9)) }));
    assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
    free.finish();
}

/// A thread that is not traced execs: the first thread, which is, goes without a trace.
#[test]
fn a_leader_that_vanishes_is_gone() {
    let (free, mut tracer, leader) = begin(&["go", "threadexec", guest(), "exit", "9"], Demand::empty());
    assert_eq!(tracer.next(), (leader, Report::Gone { status: None }));
    assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
    assert_eq!(free.finish(), (String::new(), 9));
}

/// A process whose first thread ends early is reported when its last does. That is Linux (wait(2), delay_group_leader).
#[test]
fn a_leader_that_exits_first_is_gone_last() {
    let (mut free, mut tracer, leader) = begin(&["go", "leaderexit"], FAMILY | Demand::EXITING);
    let (_, report) = tracer.next();
    let Report::Born { child, .. } = report else { panic!("{report:?}") };
    tracer.demand(child, FAMILY);
    tracer.go(child);
    tracer.go(leader);
    assert_eq!(tracer.next(), (leader, Report::Exiting { status: Status::exited(0) }));
    tracer.go(leader);
    // The thread reads on until its input ends.
    drop(free.child.stdin.take());
    assert_eq!(tracer.next(), (child, Report::Gone { status: Some(Status::exited(0)) }));
    assert_eq!(tracer.next(), (leader, Report::Gone { status: Some(Status::exited(0)) }));
    free.finish();
}

#[test]
fn exiting_is_before_gone_and_can_be_inspected() {
    let mut tracer = Tracer::new();
    let task = tracer.spawn(&["exit", "3"]);
    tracer.demand(task, Demand::EXITING);
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::Exiting { status: Status::exited(3) }));
    let pid = tracer.machine.pid(task).unwrap();
    let start = tracer.machine.facts(pid).unwrap().start;
    let sp = tracer.regs(task).rsp;
    tracer.machine.read_mem(pid, start, sp, &mut [0; 8]).unwrap();
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::Gone { status: Some(Status::exited(3)) }));
    assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
}

/// Tasks do not come back: a slot is used again under another generation.
#[test]
fn a_task_is_never_reused() {
    let mut tracer = Tracer::new();
    let mut seen: Vec<Task> = Vec::new();
    for _ in 0..3 {
        let task = tracer.spawn(&["exit", "0"]);
        assert!(!seen.contains(&task));
        tracer.go(task);
        tracer.finish(task);
        for old in seen.iter().chain([&task]) {
            assert_eq!(tracer.machine.demand(*old, CALLS), Err(Error::Gone));
        }
        seen.push(task);
    }
    assert_eq!(seen[0].slot, seen[2].slot);
}

/// A child inherits what happens on the owner's death, and can be told otherwise.
#[test]
fn on_owner_death_reaches_children() {
    let mut free = Free::start(&["go", "fork"]);
    {
        let mut tracer = Tracer::new();
        let parent = tracer.hold(&free, FAMILY);
        tracer.machine.on_owner_death(parent, OnDeath::Kill).unwrap();
        free.go();
        tracer.go(parent);
        let (_, report) = tracer.next();
        let Report::Born { child, .. } = report else { panic!("{report:?}") };
        tracer.machine.on_owner_death(parent, OnDeath::Leave).unwrap();
        let _ = child;
    }
    // The machine is gone: the child died with it, the parent goes on and waits for it.
    assert_eq!(free.finish(), ("child 0\n".into(), 0));
}
