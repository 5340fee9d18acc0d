//! Starting programs, and leaving tasks: from each stop, running, asleep, and by the end of the machine.

mod common;

use common::{CALLS, Free, Tracer, guest, untraced};
use kernel_model::abi::Errno;
use kernel_model::machine::{
    Demand, Error, Leave, Machine, OnDeath, Program, Report, Signal, Status, Verdict, Wait,
};

/// From each kind of stop: what the task was stopped before happens, or not, and nothing else.
#[test]
fn a_task_goes_on_from_every_stop() {
    let cases: [(&[&str], Demand, Verdict, &str); 12] = [
        (&["value"], Demand::CALL_ENTRY, Verdict::Proceed, ""),
        (&["value"], Demand::CALL_EXIT, Verdict::Proceed, ""),
        (&["value"], Demand::STEP, Verdict::Proceed, ""),
        (&["raise", "10"], Demand::SIGNAL, Verdict::Proceed, "seen 1\n"),
        (&["raise", "10"], Demand::SIGNAL, Verdict::Skip, "seen 0\n"),
        (&["raise", "10"], Demand::SIGNAL.union(Demand::STEP), Verdict::Proceed, "seen 1\n"),
        (&["int3"], Demand::TRAP, Verdict::Proceed, "trap 1\n"),
        (&["fork"], Demand::BORN, Verdict::Proceed, "child 5\n"),
        (&["vfork"], Demand::BORN, Verdict::Proceed, "child 6\n"),
        (&["exec", guest(), "exit", "0"], Demand::IMAGE, Verdict::Proceed, ""),
        (&["exit", "0"], Demand::EXITING, Verdict::Proceed, ""),
        (&["threads"], Demand::BORN, Verdict::Proceed, "joined 4\n"),
    ];
    for (args, demand, verdict, expected) in cases {
        let mut free = Free::start(&[&["go"], args].concat());
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, demand);
        free.go();
        // STEP is forgotten at each stop.
        tracer.demand(task, demand);
        tracer.go(task);
        let wanted = if demand.contains(Demand::STEP) { Demand::STEP } else { demand };
        let report = tracer.until(task, |_, report| wanted.contains(report.kind()));
        if let Report::Born { child, .. } = report {
            tracer.machine.detach(child, Leave::Free(Verdict::Proceed)).unwrap();
        }
        tracer.machine.detach(task, Leave::Free(verdict)).unwrap();
        assert_eq!(tracer.machine.detach(task, Leave::Dead), Err(Error::Gone));
        assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle), "{args:?}");
        let expected = if expected.is_empty() { untraced(args).0 } else { expected.into() };
        let shown = free.finish();
        let same = if args[0] == "value" { shown.0.starts_with("value ") } else { shown.0 == expected };
        assert!(same && shown.1 == 0, "{args:?} {demand:?} {verdict:?}: {shown:?}");
    }
}

#[test]
fn a_skipped_call_stays_skipped_when_left() {
    let mut free = Free::start(&["go", "value"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, Demand::CALL_ENTRY);
    free.go();
    tracer.go(task);
    tracer.until_entry(task, libc::SYS_getppid);
    let mut regs = tracer.regs(task);
    regs.rax = 123;
    tracer.set_regs(task, &regs);
    tracer.machine.detach(task, Leave::Free(Verdict::Skip)).unwrap();
    assert_eq!(free.finish(), ("value 123\n".into(), 0));
}

/// Left at its entry, a call that says EINTR to any disturbance is none the wiser.
#[test]
fn a_call_left_at_its_entry_is_not_interrupted() {
    let calls = [
        ("epoll_wait", libc::SYS_epoll_wait),
        ("epoll_pwait", libc::SYS_epoll_pwait),
        ("epoll_pwait2", libc::SYS_epoll_pwait2),
        ("sigtimedwait", libc::SYS_rt_sigtimedwait),
        ("semtimedop", libc::SYS_semtimedop),
        ("recv", libc::SYS_recvfrom),
        ("io_getevents", libc::SYS_io_getevents),
        ("poll", libc::SYS_poll),
        ("nanosleep", libc::SYS_clock_nanosleep),
        ("futex", libc::SYS_futex),
    ];
    for (name, number) in calls {
        let mut free = Free::start(&["go", "brief", name]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, Demand::CALL_ENTRY);
        free.go();
        tracer.go(task);
        tracer.until_entry(task, number);
        tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
        assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle), "{name}");
        assert_eq!(free.finish(), untraced(&["brief", name]), "{name}");
    }
}

#[test]
fn a_running_task_goes_on() {
    for args in [&["spin"][..], &["read"]] {
        for demand in [Demand::empty(), CALLS, Demand::SIGNAL] {
            let mut free = Free::start(args);
            if args == ["spin"] {
                free.line();
            }
            let mut tracer = Tracer::new();
            let task = tracer.machine.attach(free.pid(), OnDeath::Leave).unwrap();
            tracer.demand(task, demand);
            tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
            assert_eq!(tracer.machine.next_stop(Wait::Poll), Ok(None));
            if args == ["spin"] {
                tracer.signal(free.pid(), Signal::USR1);
            }
            assert_eq!(free.finish().1, if args == ["spin"] { 4 } else { 3 });
        }
    }
}

/// A signal that comes while it is being left is delivered.
#[test]
fn a_signal_is_not_lost_on_leaving() {
    for _ in 0..50 {
        let mut free = Free::start(&["spin"]);
        free.line();
        let mut tracer = Tracer::new();
        let task = tracer.machine.attach(free.pid(), OnDeath::Leave).unwrap();
        tracer.signal(free.pid(), Signal::USR1);
        tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
        assert_eq!(free.finish(), ("usr1 1\n".into(), 4));
    }
}

#[test]
fn the_machines_end_leaves_or_kills() {
    for (on_death, demand) in
        [(OnDeath::Leave, Demand::empty()), (OnDeath::Leave, CALLS), (OnDeath::Kill, Demand::empty())]
    {
        let mut free = Free::start(&["go", "threads"]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, demand | Demand::BORN);
        tracer.machine.on_owner_death(task, on_death).unwrap();
        free.go();
        tracer.go(task);
        for _ in 0..2 {
            let report = tracer.until(task, |_, report| matches!(report, Report::Born { .. }));
            tracer.pass(task, report);
        }
        drop(tracer);
        let (text, code) = free.finish();
        match on_death {
            OnDeath::Leave => assert_eq!((text.as_str(), code), ("joined 4\n", 0)),
            OnDeath::Kill => assert_eq!(text, ""),
        }
    }
}

/// A child of ours is reported gone even after it was left; others are not.
#[test]
fn a_spawned_task_is_gone_even_after_detach() {
    for leave in [Leave::Free(Verdict::Proceed), Leave::Dead] {
        let mut tracer = Tracer::new();
        let task = tracer.spawn(&["exit", "3"]);
        tracer.machine.detach(task, leave).unwrap();
        let status = if leave == Leave::Dead { Status::killed(Signal::KILL) } else { Status::exited(3) };
        assert_eq!(tracer.next(), (task, Report::Gone { status: Some(status) }));
        assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
    }
}

/// A child of the host's own on this thread, ended and not waited for, neither stops us nor is taken from the host.
#[test]
fn the_hosts_own_children_are_left_alone() {
    for beside in [false, true] {
        let mut own = Free::start(&["exit", "5"]);
        let mut tracer = Tracer::new();
        let left = tracer.spawn(&["exit", "3"]);
        let kept = tracer.spawn(&["exit", "4"]);
        tracer.go(kept);
        if beside {
            tracer.machine.detach(left, Leave::Free(Verdict::Proceed)).unwrap();
        } else {
            tracer.go(left);
        }
        let mut gone = [tracer.next(), tracer.next()];
        gone.sort_unstable_by_key(|(task, _)| *task);
        let status = |code| Report::Gone { status: Some(Status::exited(code)) };
        assert_eq!(gone, [(left, status(3)), (kept, status(4))]);
        assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
        assert_eq!(own.child.wait().unwrap().code(), Some(5));
    }
}

#[test]
fn spawn_says_why_not() {
    let dir = env!("CARGO_TARGET_TMPDIR");
    let text = format!("{dir}/not-a-program-{}", std::process::id());
    // Another process writes it: a child that another test starts meanwhile would hold it open, and it would be busy.
    let wrote = std::process::Command::new("sh").args(["-c", "echo no program >\"$0\"", &text]).status();
    assert!(wrote.unwrap().success());
    let mut tracer = Tracer::new();
    let mut start = |path: &str| tracer.machine.spawn(&Program::new(path)).map(drop);
    assert_eq!(start("/nonexistent/program"), Err(Error::Other(Errno::ENOENT)));
    assert_eq!(start(dir), Err(Error::Other(Errno::EISDIR)));
    assert_eq!(start(&text), Err(Error::Other(Errno::EACCES)));
    std::fs::set_permissions(&text, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(start(&text), Err(Error::Other(Errno::ENOEXEC)));
    assert_eq!(start("with\0nul"), Err(Error::Invalid));
    assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
    std::fs::remove_file(text).unwrap();
}
