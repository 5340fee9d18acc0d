//! The tracer's death, detaching, and wakes.

use kernel_model::abi::{Pid, Signal, Status};
use kernel_model::machine::{Demand, Error, Leave, Machine, OnDeath, Program, Report, State, Verdict, Wait};

use super::{CALLS, assert_idle, go, next, regs, spawn, to};

const WRITES: &str = "
program main
    sys getpid
    sys write, 1, text, 1
    sys pause
.data
text: .byte 'x'
";

#[test]
fn at_the_owners_death_tasks_go_on_or_die_as_it_was_said() {
    for (on_death, state, output) in
        [(OnDeath::Leave, Ok(State::Running), "x"), (OnDeath::Kill, Err(Error::Gone), "")]
    {
        let (mut sim, task) = spawn(WRITES);
        let pid = sim.pid(task).unwrap();
        sim.on_owner_death(task, on_death).unwrap();
        assert_eq!(to(&mut sim, task, Demand::CALL_ENTRY), Report::CallEntry);
        sim.kill_owner();
        assert_idle(&mut sim);
        assert_eq!(sim.facts(pid).map(|facts| facts.state), state);
        assert_eq!(sim.output(1), output.as_bytes());
        if on_death == OnDeath::Leave {
            assert_eq!(sim.facts(pid).unwrap().parent, Some(Pid(1)));
        }
    }
}

#[test]
fn a_signal_that_was_shown_survives_the_owners_death() {
    let (mut sim, task) = spawn(WRITES);
    let pid = sim.pid(task).unwrap();
    sim.signal(pid, Signal::TERM).unwrap();
    assert_eq!(to(&mut sim, task, Demand::SIGNAL), Report::Signal);
    sim.kill_owner();
    assert_idle(&mut sim);
    assert_eq!(sim.facts(pid), Err(Error::Gone));
}

#[test]
fn what_was_spawned_is_reported_gone_even_after_it_was_detached() {
    let (mut sim, task) = spawn(WRITES);
    let pid = sim.pid(task).unwrap();
    sim.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
    assert_idle(&mut sim);
    sim.signal(pid, Signal::TERM).unwrap();
    assert_eq!(next(&mut sim), (task, Report::Gone { status: Some(Status::killed(Signal::TERM)) }));
    assert_eq!(sim.pid(task), Err(Error::Gone));
}

#[test]
fn detaching_passes_a_verdict_and_can_kill() {
    let (mut sim, task) = spawn(WRITES);
    let pid = sim.pid(task).unwrap();
    to(&mut sim, task, CALLS);
    to(&mut sim, task, CALLS);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    sim.detach(task, Leave::Free(Verdict::Skip)).unwrap();
    assert_idle(&mut sim);
    assert_eq!(sim.output(1), b"");
    let again = sim.attach(pid, OnDeath::Leave).unwrap();
    sim.detach(again, Leave::Dead).unwrap();
    assert_eq!(next(&mut sim), (again, Report::Gone { status: Some(Status::killed(Signal::KILL)) }));
}

#[test]
fn a_skipped_call_is_not_made_and_keeps_the_result_register() {
    let (mut sim, task) = spawn(WRITES);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    super::set_regs(&mut sim, task, |int| int.rax = 123);
    assert_eq!(go(&mut sim, task, CALLS, Verdict::Skip), Report::CallExit);
    assert_eq!(regs(&mut sim, task).rax, 123);
    assert_eq!(super::describe(&mut sim, task, Report::CallExit), "exit getpid 1 = 123");
}

#[test]
fn the_number_can_be_changed_at_the_entry() {
    let (mut sim, task) = spawn(WRITES);
    to(&mut sim, task, CALLS);
    let getppid = kernel_model::sim::CALLS.iter().find(|call| call.name == "getppid").unwrap().number;
    super::set_regs(&mut sim, task, |int| int.rax = getppid);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallExit);
    assert_eq!(regs(&mut sim, task).rax, u64::from(sim.owner().0));
}

#[test]
fn a_wake_ends_a_wait_even_if_it_came_before() {
    let (mut sim, task) = spawn("program main\nhere: jmp here");
    sim.resume(task, Verdict::Proceed).unwrap();
    let waker = sim.waker().unwrap();
    waker.wake();
    assert_eq!(sim.next_stop(Wait::Block), Ok(None));
    std::thread::scope(|scope| {
        scope.spawn(|| waker.wake());
        assert_eq!(sim.next_stop(Wait::Block), Ok(None));
    });
}

#[test]
fn a_new_tracing_counts_calls_from_one_even_if_it_begins_inside_one() {
    let (mut sim, task) = spawn("program main\n sys getpid\n sys kill, rax, sig.stop\n sys exit, 0");
    let pid = sim.pid(task).unwrap();
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    to(&mut sim, task, CALLS);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    assert_eq!(super::describe(&mut sim, task, Report::CallEntry), "entry kill 2");
    sim.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
    assert_idle(&mut sim);
    let again = sim.attach(pid, OnDeath::Leave).unwrap();
    assert!(matches!(next(&mut sim).1, Report::GroupStop { .. }));
    sim.signal(pid, Signal::CONT).unwrap();
    assert_eq!(to(&mut sim, again, CALLS), Report::CallExit);
    assert_eq!(super::describe(&mut sim, again, Report::CallExit), "exit kill 1 = 0");
}

#[test]
fn a_pid_can_be_used_again_with_another_start() {
    let (mut sim, task) = spawn("program main\n sys exit, 0");
    let pid = sim.pid(task).unwrap();
    let start = sim.facts(pid).unwrap().start;
    assert!(!sim.use_pid_again(pid));
    to(&mut sim, task, Demand::empty());
    assert!(sim.use_pid_again(pid));
    let second = sim.spawn(&Program::new("main")).unwrap();
    assert_eq!(sim.pid(second), Ok(pid));
    assert_ne!(second, task);
    assert_ne!(sim.facts(pid).unwrap().start, start);
    let third = sim.spawn(&Program::new("main")).unwrap();
    assert_eq!(sim.pid(third), Ok(Pid(pid.0 + 1)));
}
