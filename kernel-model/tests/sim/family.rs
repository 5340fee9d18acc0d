//! fork, vfork, exec, exit, wait, orphans: as programs see them, and as reports.

use kernel_model::abi::{Errno, Pid, Signal, Status};
use kernel_model::machine::{Demand, Error, Leave, Machine, Report, State, Verdict, Wait};

use super::{ALL, CALLS, assert_idle, code, next, peek, regs, run, spawn, story, to};

const FORK: &str = "
program main
    sys fork
    test rax, rax
    je child
    mov rbx, rax
    sys wait4, rbx, status, 0, 0
    cmp rax, rbx
    jne bad
    mov rdi, [status]
    cmp rdi, 0x700
    jne bad
    sys exit, 0
bad:
    sys exit, 1
child:
    sys write, 1, text, 2
    sys exit, 7
.data
status: .word 0
text: .asciz \"c\\n\"
";

#[test]
fn a_parent_waits_for_its_child() {
    assert_eq!(run(FORK), ("c\n".into(), Status::exited(0)));
}

#[test]
fn a_child_is_born_stopped_between_entry_and_exit_of_fork() {
    assert_eq!(
        story(FORK, CALLS | Demand::BORN),
        [
            "entry fork 1",
            "born 5",
            "exit fork 1 = 5",
            "entry wait4 2",
            "exit wait4 2 = 5",
            "entry exit 3",
            "gone 0x0"
        ]
    );
}

#[test]
fn a_traced_child_makes_its_own_reports_and_stays_a_zombie_for_its_parent() {
    let (mut sim, task) = spawn(FORK);
    let Report::Born { child, pid } = to(&mut sim, task, Demand::BORN) else { panic!() };
    assert_eq!(sim.facts(pid).unwrap().state, State::Traced);
    assert_eq!(regs(&mut sim, child).rax, 0);
    // The child's fork has no exit of its own.
    assert_eq!(to(&mut sim, child, CALLS), Report::CallEntry);
    assert_eq!(to(&mut sim, child, Demand::empty()), Report::Gone { status: Some(Status::exited(7)) });
    assert_eq!(sim.facts(pid).unwrap().state, State::Zombie);
    assert_eq!(sim.attach(pid, kernel_model::machine::OnDeath::Leave), Err(Error::Gone));
    assert_eq!(to(&mut sim, task, Demand::empty()), Report::Gone { status: Some(Status::exited(0)) });
    assert_eq!(sim.facts(pid), Err(Error::Gone));
}

#[test]
fn memory_is_copied_by_fork() {
    let (mut sim, task) = spawn(FORK);
    let Report::Born { child, .. } = to(&mut sim, task, Demand::BORN) else { panic!() };
    let pid = sim.pid(child).unwrap();
    let start = sim.facts(pid).unwrap().start;
    sim.write_mem(pid, start, 0x60_0000, &[9; 8]).unwrap();
    assert_eq!(peek(&mut sim, child, 0x60_0000), u64::from_le_bytes([9; 8]));
    assert_eq!(peek(&mut sim, task, 0x60_0000), 0);
}

const EXEC: &str = "
program main
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys rt_sigaction, sig.usr2, ignore, 0, 8
    sys execve, path, args, env
    sys exit, 99
.data
action: .word main_end, sa.restorer, main_end, 0
ignore: .word sa.ignore, 0, 0, 0
path: .path other
word: .asciz \"one\"
args: .word path, word, 0
env: .word word, 0
main_end: .word 0
program other
    mov r15, [rsp]
    mov rbx, [rsp + 16]
    mov rbx, [rbx]
    cmp rbx, 0x656e6f
    jne bad
    mov rbx, [rsp + 24]
    test rbx, rbx
    jne bad
    sys rt_sigaction, sig.usr1, 0, old, 8
    mov rbx, [old]
    test rbx, rbx
    jne bad
    sys rt_sigaction, sig.usr2, 0, old, 8
    mov rbx, [old]
    cmp rbx, sa.ignore
    jne bad
    sys exit, r15
bad:
    sys exit, 50
.data
old: .space 32
";

#[test]
fn exec_passes_arguments_and_keeps_only_ignored_signals() {
    // One string ends where the next begins, so a word of it may hold the next one's first bytes: mask them off.
    let text = EXEC.replace("    cmp rbx, 0x656e6f\n", "    and rbx, 0x7fffffff\n    cmp rbx, 0x656e6f\n");
    assert_eq!(code(&text), 2);
}

#[test]
fn exec_has_an_image_report_and_no_exit() {
    let story = story(&EXEC.replace("    cmp", "    and rbx, 0x7fffffff\n    cmp"), CALLS | Demand::IMAGE);
    assert_eq!(story[4..6], ["entry execve 3", "image"]);
    assert_eq!(story[6], "entry rt_sigaction 4");
}

#[test]
fn a_failing_exec_comes_back() {
    let text = "program main\n sys execve, 0x600000, 0, 0\n mov rbx, 0\n sub rbx, rax\n sys exit, rbx\n.data\n.asciz \"none\"";
    assert_eq!(code(text), Errno::ENOENT.0 as u8);
    assert!(story(text, CALLS)[1].starts_with("exit execve 1 = -2"));
}

const VFORK: &str = "
program main
    sys vfork
    test rax, rax
    je child
    sys exit, 0
child:
    sys getpid
    sys execve, path, 0, 0
.data
path: .path other
program other
    sys pause
";

#[test]
fn the_lender_of_a_vfork_cannot_be_stopped_until_its_child_execs() {
    let (mut sim, task) = spawn(VFORK);
    let Report::Born { child, .. } = to(&mut sim, task, Demand::BORN) else { panic!() };
    sim.demand(task, ALL).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    let pid = sim.pid(task).unwrap();
    assert_eq!(sim.facts(pid).unwrap().state, State::Uninterruptible);
    sim.interrupt(task).unwrap();
    assert_idle(&mut sim);
    sim.detach(child, Leave::Free(Verdict::Proceed)).unwrap();
    let (stopped, report) = next(&mut sim);
    assert_eq!(stopped, task);
    assert!(matches!(report, Report::Interrupt | Report::CallExit), "{report:?}");
}

#[test]
fn orphans_go_to_init_which_buries_them() {
    let text = "
program main
    sys fork
    test rax, rax
    je child
    sys exit, 0
child:
    sys getppid
    cmp rax, 1
    jne child
    sys exit, 0
";
    let (mut sim, task) = spawn(text);
    let Report::Born { child, pid } = to(&mut sim, task, Demand::BORN) else { panic!() };
    assert_eq!(to(&mut sim, task, Demand::empty()), Report::Gone { status: Some(Status::exited(0)) });
    assert_eq!(sim.facts(pid).unwrap().parent, Some(Pid(1)));
    assert_eq!(to(&mut sim, child, Demand::empty()), Report::Gone { status: Some(Status::exited(0)) });
    assert_eq!(sim.facts(pid), Err(Error::Gone));
}

#[test]
fn wait_has_its_errors_and_options() {
    let result = |call: &str| {
        let text = format!(
            "program main\n sys fork\n test rax, rax\n je child\n {call}\n mov rbx, 0\n sub rbx, rax\n sys exit, rbx\nchild: sys pause"
        );
        let (mut sim, task) = spawn(&text);
        assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
        to(&mut sim, task, CALLS);
        to(&mut sim, task, CALLS);
        let Report::CallExit = to(&mut sim, task, CALLS) else { panic!() };
        regs(&mut sim, task).rax as i64
    };
    assert_eq!(result("sys wait4, -1, 0, wnohang, 0"), 0);
    assert_eq!(result("sys wait4, 77, 0, 0, 0"), -i64::from(Errno::ECHILD.0));
    assert_eq!(result("sys wait4, -1, 0, 64, 0"), -i64::from(Errno::EINVAL.0));
}

/// Found by the explorer: the parent was left, or killed, after the machine had made its report of a birth, and before
/// anybody had heard of it. Nobody could have let the child go.
#[test]
fn a_child_whose_birth_was_not_told_goes_its_way() {
    let text = "program main\n sys fork\n test rax, rax\n je child\n sys pause\nchild: sys write, 1, 0x400000, 1\n sys exit, 0";
    for kill in [false, true] {
        let (mut sim, task) = spawn(text);
        let parent = sim.pid(task).unwrap();
        sim.demand(task, Demand::BORN).unwrap();
        sim.resume(task, Verdict::Proceed).unwrap();
        while sim.coming().is_none() {
            sim.turn(parent);
        }
        let child = sim.programs().last().unwrap();
        if kill {
            sim.signal(parent, Signal::KILL).unwrap();
        } else {
            sim.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
        }
        assert_eq!(sim.facts(child).unwrap().state, State::Running, "kill: {kill}");
        while sim.next_stop(Wait::Poll).unwrap().is_some() {}
        assert_eq!(sim.output(1).len(), 1, "kill: {kill}");
    }
}

/// The same with a child that was killed before, and is a zombie, or gone altogether.
#[test]
fn a_child_whose_birth_was_not_told_may_have_ended() {
    for ignore in ["0", "1"] {
        let text = format!(
            "program main\n sys rt_sigaction, sig.chld, action, 0, 8\n sys fork\n sys pause\n.data\naction: .word {ignore}, 0, 0, 0"
        );
        let (mut sim, task) = spawn(&text);
        let parent = sim.pid(task).unwrap();
        sim.demand(task, Demand::BORN).unwrap();
        sim.resume(task, Verdict::Proceed).unwrap();
        while sim.coming().is_none() {
            sim.turn(parent);
        }
        let child = sim.programs().last().unwrap();
        sim.signal(child, Signal::KILL).unwrap();
        for _ in 0..10 {
            sim.turn(child);
        }
        assert_eq!(sim.facts(child).is_ok(), ignore == "0", "a zombie only if its parent wants to know");
        sim.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
        assert_eq!(sim.next_stop(Wait::Poll).unwrap(), None, "{ignore}");
    }
}
