//! Job control, and interrupts of whatever a task is doing.

use kernel_model::abi::{Signal, Status};
use kernel_model::machine::{Demand, Machine, OnDeath, Report, State, Verdict, Wait};

use super::{ALL, CALLS, assert_idle, next, regs, run, set_regs, spawn, story, to};

const STOPS: &str = "
program main
    sys fork
    test rax, rax
    je child
    mov rbx, rax
    sys wait4, rbx, status, wuntraced, 0
    mov rdi, [status]
    cmp rdi, 0x147f
    jne bad
    sys kill, rbx, sig.cont
    sys wait4, rbx, status, wcontinued, 0
    mov rdi, [status]
    cmp rdi, 0xffff
    jne bad
    sys kill, rbx, sig.term
    sys wait4, rbx, status, 0, 0
    mov rdi, [status]
    cmp rdi, sig.term
    jne bad
    sys exit, 0
bad:
    sys exit, 1
child:
    sys getpid
    sys kill, rax, sig.tstp
    sys pause
.data
status: .word 0
";

#[test]
fn a_parent_sees_its_child_stop_continue_and_end() {
    assert_eq!(run(STOPS).1, Status::exited(0));
}

#[test]
fn tracing_the_child_changes_nothing_of_that() {
    let (mut sim, task) = spawn(STOPS);
    let Report::Born { child, .. } = to(&mut sim, task, Demand::BORN) else { panic!() };
    sim.resume(task, Verdict::Proceed).unwrap();
    let mut seen = Vec::new();
    loop {
        sim.demand(child, ALL).unwrap();
        sim.resume(child, Verdict::Proceed).unwrap();
        let (stopped, report) = next(&mut sim);
        if let Report::Gone { status } = report
            && stopped == child
        {
            continue_to_end(&mut sim, task);
            assert_eq!(status, Some(Status::killed(Signal::TERM)));
            break;
        }
        assert_eq!(stopped, child);
        seen.push(report.kind());
    }
    let expected = [
        Demand::CALL_ENTRY,
        Demand::CALL_EXIT,
        Demand::CALL_ENTRY,
        Demand::SIGNAL,
        Demand::GROUP_STOP,
        Demand::SIGNAL, // CONT
        Demand::CALL_EXIT,
        Demand::CALL_ENTRY,
        Demand::SIGNAL, // TERM
        Demand::EXITING,
    ];
    assert_eq!(without_the_order_of_cont(&seen), without_the_order_of_cont(&expected));
}

/// Whether CONT is acted on inside the kill that stopped, or after it, depends on when it comes.
fn without_the_order_of_cont(kinds: &[Demand]) -> Vec<Demand> {
    let mut kinds = kinds.to_vec();
    kinds.sort_by_key(|kind| kind.bits());
    kinds
}

fn continue_to_end(sim: &mut kernel_model::sim::Sim, task: kernel_model::machine::Task) {
    assert_eq!(next(sim), (task, Report::Gone { status: Some(Status::exited(0)) }));
}

const SELF_STOP: &str = "
program main
    sys getpid
    sys kill, rax, sig.stop
    sys exit, 4
";

#[test]
fn a_group_stop_outlasts_its_resumption_until_cont() {
    let (mut sim, task) = spawn(SELF_STOP);
    let pid = sim.pid(task).unwrap();
    assert_eq!(to(&mut sim, task, Demand::GROUP_STOP), Report::GroupStop { signal: Signal::STOP });
    assert_eq!(sim.facts(pid).unwrap().state, State::Traced);
    sim.demand(task, CALLS | Demand::SIGNAL).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_idle(&mut sim);
    assert_eq!(sim.facts(pid).unwrap().state, State::Stopped);
    sim.signal(pid, Signal::CONT).unwrap();
    assert_eq!(next(&mut sim), (task, Report::Signal));
    assert_eq!(to(&mut sim, task, CALLS), Report::CallExit);
    assert_eq!(to(&mut sim, task, Demand::empty()), Report::Gone { status: Some(Status::exited(4)) });
}

#[test]
fn cont_does_not_run_a_task_that_is_held() {
    let (mut sim, task) = spawn(SELF_STOP);
    let pid = sim.pid(task).unwrap();
    to(&mut sim, task, Demand::GROUP_STOP);
    sim.signal(pid, Signal::CONT).unwrap();
    assert_idle(&mut sim);
    assert_eq!(to(&mut sim, task, Demand::CALL_EXIT), Report::CallExit);
}

#[test]
fn attaching_to_a_stopped_task_reports_its_stop_and_then_the_exit_of_kill() {
    let (mut sim, task) = spawn(SELF_STOP);
    let pid = sim.pid(task).unwrap();
    sim.detach(task, kernel_model::machine::Leave::Free(Verdict::Proceed)).unwrap();
    assert_idle(&mut sim);
    let again = sim.attach(pid, OnDeath::Leave).unwrap();
    assert_eq!(next(&mut sim), (again, Report::GroupStop { signal: Signal::STOP }));
    sim.signal(pid, Signal::CONT).unwrap();
    assert_eq!(to(&mut sim, again, CALLS), Report::CallExit);
    assert_eq!(super::describe(&mut sim, again, Report::CallExit), "exit kill 1 = 0");
}

#[test]
fn an_interrupt_stops_a_task_that_is_stopped_waits_or_runs() {
    let (mut sim, task) = spawn(SELF_STOP);
    to(&mut sim, task, Demand::GROUP_STOP);
    sim.resume(task, Verdict::Proceed).unwrap();
    sim.interrupt(task).unwrap();
    sim.interrupt(task).unwrap();
    assert_eq!(next(&mut sim), (task, Report::Interrupt));
    sim.interrupt(task).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_idle(&mut sim);

    let (mut sim, task) = spawn("program main\nhere: jmp here");
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_eq!(sim.next_stop(Wait::Poll).unwrap(), None);
    sim.interrupt(task).unwrap();
    assert_eq!(next(&mut sim), (task, Report::Interrupt));
}

const WAITS: &str = "
program main
    sys pipe, fds
    sys read, 3, fds, 1
    sys exit, 0
.data
fds: .word 0
";

#[test]
fn an_interrupt_in_a_call_is_not_noticed_and_borrowed_registers_can_be_given_back() {
    let (mut sim, task) = spawn(WAITS);
    to(&mut sim, task, CALLS);
    to(&mut sim, task, CALLS);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_idle(&mut sim);
    sim.interrupt(task).unwrap();
    assert_eq!(next(&mut sim), (task, Report::Interrupt));
    let before = regs(&mut sim, task);
    assert_eq!(super::peek(&mut sim, task, before.rip) & 0xffff, 0x050f);
    // Untouched, the call goes on waiting.
    sim.demand(task, CALLS).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_idle(&mut sim);
    // Touched, it has not begun.
    sim.interrupt(task).unwrap();
    next(&mut sim);
    set_regs(&mut sim, task, |int| *int = before);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    assert_eq!(super::describe(&mut sim, task, Report::CallEntry), "entry read 3");
}

#[test]
fn a_handled_cont_runs_its_handler_after_the_stop() {
    let text = "
program main
    sys rt_sigaction, sig.cont, action, 0, 8
    sys getpid
    mov rbx, rax
    sys fork
    test rax, rax
    je child
    sys kill, rbx, sig.stop
    sys exit, r15
child:
    sys sched_yield
    sys sched_yield
    sys sched_yield
    sys kill, rbx, sig.cont
    sys exit, 0
handler:
    sys write, 1, text, 1
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, sa.restorer, restorer, 0
text: .byte 'h'
";
    assert_eq!(run(text), ("h".into(), Status::exited(0)));
    assert!(story(text, ALL).contains(&"group-stop SIGSTOP".into()));
}

/// Found by the explorer: the stop signal was taken out of the pending set, and shown to the tracer, when CONT came.
#[test]
fn cont_takes_back_a_stop_signal_that_is_about_to_be_acted_on() {
    for traced in [true, false] {
        let (mut sim, task) = spawn("program main\n sys getpid\n sys exit, 0");
        let pid = sim.pid(task).unwrap();
        sim.demand(task, if traced { Demand::SIGNAL } else { Demand::empty() }).unwrap();
        sim.signal(pid, Signal::STOP).unwrap();
        sim.resume(task, Verdict::Proceed).unwrap();
        sim.turn(pid);
        assert_eq!(sim.coming().is_some(), traced);
        sim.signal(pid, Signal::CONT).unwrap();
        if traced {
            assert_eq!(next(&mut sim).1, Report::Signal);
            sim.demand(task, Demand::empty()).unwrap();
            sim.resume(task, Verdict::Proceed).unwrap();
        }
        assert_eq!(next(&mut sim).1, Report::Gone { status: Some(Status::exited(0)) }, "traced: {traced}");
    }
}
