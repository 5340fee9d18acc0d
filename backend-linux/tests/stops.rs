//! Interrupts that the task cannot notice, and job control that its shell sees as if nobody traced.

mod common;

use common::{CALLS, Free, Tracer, untraced};
use kernel_model::machine::{
    Demand, Error, Leave, Machine, OnDeath, RegSet, Report, Signal, Status, Verdict, Wait,
};

/// Calls that end with EINTR after a mere interrupt, and others that restart by themselves.
const BRIEF: [(&str, i64); 11] = [
    ("nanosleep", libc::SYS_clock_nanosleep),
    ("poll", libc::SYS_poll),
    ("ppoll", libc::SYS_ppoll),
    ("epoll_wait", libc::SYS_epoll_wait),
    ("epoll_pwait", libc::SYS_epoll_pwait),
    ("epoll_pwait2", 441),
    ("sigtimedwait", libc::SYS_rt_sigtimedwait),
    ("semtimedop", libc::SYS_semtimedop),
    ("recv", libc::SYS_recvfrom),
    ("io_getevents", libc::SYS_io_getevents),
    ("futex", libc::SYS_futex),
];

/// Whether the kernel restarts it under its own number.
fn restarts_by_number(name: &str) -> bool {
    !matches!(name, "nanosleep" | "poll" | "futex")
}

#[test]
fn an_interrupt_is_not_noticed() {
    for (name, number) in BRIEF {
        let mut free = Free::start(&["go", "brief", name]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, CALLS);
        free.go();
        tracer.go(task);
        for round in 0..3 {
            // The second and third time it is the restart of the call.
            let restart = if restarts_by_number(name) { number } else { libc::SYS_restart_syscall };
            tracer.until_entry(task, if round == 0 { number } else { restart });
            tracer.go(task);
            tracer.machine.interrupt(task).unwrap();
            tracer.until(task, |_, report| report == Report::Interrupt);
            tracer.go(task);
        }
        assert_eq!(tracer.finish(task), Some(Status::exited(0)), "{name}");
        assert_eq!(free.finish().0, untraced(&["brief", name]).0, "{name}");
    }
}

/// Writing back what is there, or registers that no call looks at, is not noticed either.
#[test]
fn a_write_of_the_same_is_not_noticed() {
    for (name, number) in BRIEF {
        for set in [RegSet::Int, RegSet::Float, RegSet::Env] {
            let mut free = Free::start(&["go", "brief", name]);
            let mut tracer = Tracer::new();
            let task = tracer.hold(&free, CALLS);
            free.go();
            tracer.go(task);
            tracer.until_entry(task, number);
            tracer.go(task);
            tracer.machine.interrupt(task).unwrap();
            tracer.until(task, |_, report| report == Report::Interrupt);
            let mut bytes = vec![0; tracer.machine.reg_size(set)];
            tracer.machine.read_regs(task, set, &mut bytes).unwrap();
            tracer.machine.write_regs(task, set, &bytes).unwrap();
            tracer.go(task);
            assert_eq!(tracer.finish(task), Some(Status::exited(0)), "{name}");
            assert_eq!(free.finish().0, untraced(&["brief", name]).0, "{name} {set:?}");
        }
    }
}

/// The same where nobody asked: a demand that grows, and a detach.
#[test]
fn a_change_of_demand_and_a_detach_are_not_noticed() {
    for (name, number) in BRIEF {
        let mut free = Free::start(&["go", "brief", name]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, CALLS);
        free.go();
        tracer.go(task);
        tracer.until_entry(task, number);
        tracer.demand(task, Demand::empty());
        tracer.go(task);
        tracer.demand(task, CALLS);
        // Its restart, or the call itself if that had not begun to wait.
        tracer.until(task, |_, report| report == Report::CallExit || report == Report::CallEntry);
        tracer.demand(task, Demand::empty());
        tracer.go(task);
        tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
        assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
        assert_eq!(free.finish(), untraced(&["brief", name]), "{name}");
    }
}

/// Untraced, a signal that is discarded wakes nobody; traced, it breaks the call. A continue signal does the same.
#[test]
fn a_discarded_signal_is_not_noticed() {
    for (name, number) in BRIEF {
        for signal in [Signal::WINCH, Signal::CHLD, Signal::URG, Signal::CONT] {
            for demand in [Demand::CALL_ENTRY, Demand::CALL_ENTRY | Demand::SIGNAL] {
                let mut free = Free::start(&["go", "brief", name]);
                let mut tracer = Tracer::new();
                let task = tracer.hold(&free, demand);
                free.go();
                tracer.go(task);
                tracer.until_entry(task, number);
                tracer.signal(free.pid(), signal);
                tracer.go(task);
                assert_eq!(tracer.finish(task), Some(Status::exited(0)));
                assert_eq!(free.finish().0, untraced(&["brief", name]).0, "{name} {signal}");
            }
        }
    }
}

/// Where a handler runs, the call is broken, with us and without.
#[test]
fn a_handled_signal_still_breaks_the_call() {
    for (name, number) in BRIEF {
        let mut free = Free::start(&["go", "handled", name]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, Demand::CALL_ENTRY);
        free.go();
        tracer.go(task);
        tracer.until_entry(task, number);
        tracer.signal(free.pid(), Signal::WINCH);
        tracer.go(task);
        tracer.finish(task);
        // futex without SA_RESTART, too.
        assert_eq!(free.finish().0, format!("{name} {}\n", -libc::EINTR));
    }
}

#[test]
fn a_job_looks_the_same_to_its_shell() {
    let plain = untraced(&["job"]);
    assert_eq!(plain.0.matches("stopped").count(), 2, "{}", plain.0);
    for demand in [Demand::BORN, Demand::BORN | Demand::GROUP_STOP | Demand::SIGNAL, Demand::BORN | CALLS] {
        let mut free = Free::start(&["go", "job"]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, demand);
        free.go();
        tracer.go(task);
        let mut stops = 0;
        let status = loop {
            let (who, report) = tracer.next();
            match report {
                Report::Born { child, .. } => {
                    tracer.demand(child, demand);
                    tracer.go(child);
                    tracer.go(who);
                    continue;
                }
                Report::GroupStop { signal } => {
                    assert!([Signal::STOP, Signal::TSTP].contains(&signal));
                    stops += 1;
                }
                Report::Gone { status } if who == task => break status,
                _ => {}
            }
            tracer.pass(who, report);
        };
        assert_eq!(status, Some(Status::exited(0)));
        assert_eq!(free.finish().0, plain.0);
        assert_eq!(stops, if demand.contains(Demand::GROUP_STOP) { 2 } else { 0 });
    }
}

/// A listener stays stopped through interrupts and until SIGCONT, which alone runs it.
#[test]
fn a_stopped_job_can_be_looked_at_and_stays_stopped() {
    let mut free = Free::start(&["go", "stop"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, Demand::GROUP_STOP);
    free.go();
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::GroupStop { signal: Signal::STOP }));
    tracer.go(task);
    for _ in 0..3 {
        tracer.machine.interrupt(task).unwrap();
        assert_eq!(tracer.next(), (task, Report::Interrupt));
        assert_ne!(tracer.regs(task).rsp, 0);
        tracer.go(task);
    }
    tracer.demand(task, Demand::CALL_ENTRY);
    tracer.signal(free.pid(), Signal::CONT);
    assert_eq!(tracer.next(), (task, Report::CallEntry));
    tracer.go(task);
    tracer.finish(task);
    assert_eq!(free.finish().0, "continued 1\n");
}

/// Attaching to a stopped job reports the stop; leaving it, by name or by the machine's end, leaves it stopped: the
/// next one to attach finds it so.
#[test]
fn attach_and_detach_keep_a_job_stopped() {
    let mut free = Free::start(&["go", "stop"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, Demand::GROUP_STOP);
    free.go();
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::GroupStop { signal: Signal::STOP }));
    tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
    for resume in [true, false, true] {
        let mut tracer = Tracer::new();
        let task = tracer.machine.attach(free.pid(), OnDeath::Leave).unwrap();
        tracer.demand(task, Demand::GROUP_STOP);
        assert_eq!(tracer.next(), (task, Report::GroupStop { signal: Signal::STOP }));
        if resume {
            tracer.go(task);
        }
    }
    tracer.signal(free.pid(), Signal::CONT);
    assert_eq!(free.finish(), ("continued 1\n".into(), 8));
}

/// A second request is no second report, and a stopped task needs none.
#[test]
fn interrupts_do_not_pile_up() {
    let mut free = Free::start(&["go", "read"]);
    let mut tracer = Tracer::new();
    let task = tracer.machine.attach(free.pid(), OnDeath::Leave).unwrap();
    for _ in 0..3 {
        tracer.machine.interrupt(task).unwrap();
    }
    assert_eq!(tracer.next(), (task, Report::Interrupt));
    tracer.machine.interrupt(task).unwrap();
    tracer.go(task);
    assert_eq!(tracer.machine.next_stop(Wait::Poll), Ok(None));
    free.go();
    tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
    assert_eq!(free.finish(), ("eof 0\n".into(), 3));
}

/// A task that never enters the kernel by itself is stopped as well.
#[test]
fn a_spinning_task_is_stopped_by_a_demand() {
    let mut free = Free::start(&["go", "spin"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, Demand::empty());
    free.go();
    tracer.go(task);
    assert_eq!(free.line(), "spins 1");
    tracer.demand(task, Demand::STEP);
    assert_eq!(tracer.next(), (task, Report::Step));
    tracer.go(task);
    tracer.signal(free.pid(), Signal::USR1);
    assert_eq!(tracer.finish(task), Some(Status::exited(4)));
    free.finish();
}

/// Divergence: what was written before an interrupt is the result; there is no code for "go on from here" (pipe_write).
#[test]
fn divergence_a_partial_write_shows() {
    let mut free = Free::start(&["go", "big"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, CALLS);
    free.go();
    tracer.go(task);
    tracer.until_entry(task, libc::SYS_write);
    tracer.go(task);
    tracer.machine.interrupt(task).unwrap();
    tracer.until(task, |_, report| report == Report::CallExit);
    assert_eq!(tracer.regs(task).rax, 65536);
    tracer.go(task);
    assert_eq!(tracer.finish(task), Some(Status::exited(1)));
    free.finish();
    assert_eq!(untraced(&["big"]).1, 0);
}
