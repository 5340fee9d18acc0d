//! Handlers, masks, dispositions, and the two orders of signals and calls.

use kernel_model::abi::{Errno, Signal, Status};
use kernel_model::machine::{Demand, Detail, Machine, Report, Verdict};
use kernel_model::sim::SimConfig;

use super::{ALL, CALLS, code, config, go, next, regs, run, spawn, spawn_with, story_of, to};

/// Sends itself SIGUSR1; the handler asks for its pid and returns.
const SELF: &str = "
program main
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rbx, rax
    sys kill, rbx, sig.usr1
    mov rdi, rax
    sys exit, rdi
handler:
    sys getpid
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, sa.restorer, restorer, 0
";

#[test]
fn a_handler_nests_in_the_call_that_signals_its_own_process() {
    let (sim, task) = spawn(SELF);
    let story = story_of(sim, task, CALLS | Demand::SIGNAL);
    assert_eq!(
        story[4..],
        [
            "entry kill 3",
            "signal SIGUSR1 handled",
            "entry getpid 4",
            "exit getpid 4 = 4",
            "entry rt_sigreturn 5",
            "exit kill 3 = 0",
            "entry exit 6",
            "gone 0x0"
        ]
    );
}

#[test]
fn or_is_deferred_until_the_call_is_over() {
    let (sim, task) = spawn_with(SimConfig { nested_signals: false, ..config() }, SELF);
    let story = story_of(sim, task, CALLS | Demand::SIGNAL);
    assert_eq!(
        story[4..],
        [
            "entry kill 3",
            "exit kill 3 = 0",
            "signal SIGUSR1 handled",
            "entry getpid 4",
            "exit getpid 4 = 4",
            "entry rt_sigreturn 5",
            "entry exit 6",
            "gone 0x0"
        ]
    );
}

#[test]
fn inside_kill_the_result_register_is_the_number_and_the_handler_is_named() {
    let (mut sim, task) = spawn(SELF);
    assert_eq!(to(&mut sim, task, Demand::SIGNAL), Report::Signal);
    assert_eq!(kernel_model::sim::call(regs(&mut sim, task).rax).unwrap().name, "kill");
    let Detail::Signal { signal, handler } = sim.detail(task).unwrap() else { panic!() };
    assert_eq!(signal, Signal::USR1);
    assert!((0x40_0000..0x40_1000).contains(&handler));
}

#[test]
fn a_dropped_signal_has_no_effect() {
    let (mut sim, task) = spawn(SELF);
    assert_eq!(to(&mut sim, task, Demand::SIGNAL), Report::Signal);
    // Not the handler's getpid, but the exit.
    go(&mut sim, task, CALLS, Verdict::Skip);
    assert_eq!(go(&mut sim, task, Demand::CALL_ENTRY, Verdict::Proceed), Report::CallEntry);
    assert_eq!(regs(&mut sim, task).rax, 1);
}

#[test]
fn ignored_signals_stop_too_while_traced() {
    let text = "
program main
    sys rt_sigaction, sig.usr1, ignore, 0, 8
    sys getpid
    mov rbx, rax
    sys kill, rbx, sig.usr1
    sys kill, rbx, sig.winch
    sys exit, 3
.data
ignore: .word sa.ignore, 0, 0, 0
";
    let (sim, task) = spawn(text);
    let story = story_of(sim, task, Demand::SIGNAL);
    assert_eq!(story, ["signal SIGUSR1 ignored", "signal SIGWINCH default", "gone 0x300"]);
}

#[test]
fn default_actions_end_a_process_with_the_right_status() {
    let die = |signal: &str| {
        run(&format!("program main\n sys getpid\n sys kill, rax, sig.{signal}\n sys exit, 0")).1
    };
    assert_eq!(die("term"), Status::killed(Signal::TERM));
    assert_eq!(die("quit"), Status(Signal::QUIT.0 as u32 | 0x80));
    assert_eq!(die("kill"), Status::killed(Signal::KILL));
    assert_eq!(die("chld"), Status::exited(0));
}

#[test]
fn a_masked_signal_waits_until_it_is_unmasked() {
    let text = "
program main
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys rt_sigprocmask, sig.block, set, 0, 8
    sys getpid
    sys kill, rax, sig.usr1
    mov r12, [count]
    sys rt_sigprocmask, sig.unblock, set, old, 8
    mov r13, [count]
    sub r13, r12
    mov rbx, [old]
    cmp rbx, bit.usr1
    jne bad
    sys exit, r13
bad:
    sys exit, 99
handler:
    mov rax, [count]
    inc rax
    mov r11, count
    mov [r11], rax
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, sa.restorer, restorer, 0
set: .word bit.usr1
old: .word 0
count: .word 0
";
    assert_eq!(code(text), 1);
}

/// A parent waits in `read` of a pipe; its child signals it, then writes.
fn interrupted(flags: &str) -> String {
    format!(
        "
program main
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys pipe, fds
    sys fork
    test rax, rax
    je child
    mov rdi, 0
    sys read, 3, byte, 1
    mov rdi, rax
    cmp rdi, -errno.eintr
    je failed
    sys exit, rdi
failed:
    sys exit, 77
child:
    sys sched_yield
    sys sched_yield
    sys sched_yield
    sys getppid
    sys kill, rax, sig.usr1
    sys write, 4, byte, 1
    sys exit, 0
handler:
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, {flags}, restorer, 0
fds: .word 0
byte: .byte 'x'
"
    )
}

#[test]
fn a_blocked_call_fails_or_starts_again_after_a_handler() {
    for nested_signals in [true, false] {
        for (flags, expected) in [("sa.restorer", 77), ("sa.restorer + sa.restart", 1)] {
            let (mut sim, task) = spawn_with(SimConfig { nested_signals, ..config() }, &interrupted(flags));
            sim.resume(task, Verdict::Proceed).unwrap();
            let stop = next(&mut sim);
            assert_eq!(
                stop.1,
                Report::Gone { status: Some(Status::exited(expected)) },
                "{flags} {nested_signals}"
            );
        }
    }
}

#[test]
fn deferred_the_interrupted_call_ends_before_its_signal() {
    let (sim, task) =
        spawn_with(SimConfig { nested_signals: false, ..config() }, &interrupted("sa.restorer + sa.restart"));
    let story = story_of(sim, task, CALLS | Demand::SIGNAL);
    let from = story.iter().position(|line| line.starts_with("entry read")).unwrap();
    assert_eq!(
        story[from..from + 5],
        [
            "entry read 4",
            "exit read 4 = -512",
            "signal SIGUSR1 handled",
            "entry rt_sigreturn 5",
            "entry read 6"
        ]
    );
}

#[test]
fn nested_the_interrupted_call_ends_after_its_handler() {
    let (sim, task) = spawn(&interrupted("sa.restorer"));
    let story = story_of(sim, task, CALLS | Demand::SIGNAL);
    let from = story.iter().position(|line| line.starts_with("entry read")).unwrap();
    let eintr = -i64::from(Errno::EINTR.0);
    assert_eq!(
        story[from..from + 4],
        [
            "entry read 4".to_owned(),
            "signal SIGUSR1 handled".into(),
            "entry rt_sigreturn 5".into(),
            format!("exit read 4 = {eintr}")
        ]
    );
}

#[test]
fn sigsuspend_waits_with_another_mask_and_returns_to_the_old_one() {
    let text = "
program main
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys rt_sigprocmask, sig.block, set, 0, 8
    sys getpid
    sys kill, rax, sig.usr1
    sys rt_sigsuspend, empty, 8
    cmp rax, -errno.eintr
    jne bad
    sys rt_sigprocmask, sig.block, 0, old, 8
    mov rbx, [old]
    cmp rbx, bit.usr1
    jne bad
    sys exit, 0
bad:
    sys exit, 1
handler:
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, sa.restorer, restorer, 0
set: .word bit.usr1
empty: .word 0
old: .word 0
";
    assert_eq!(code(text), 0);
    let (mut sim, task) = spawn_with(SimConfig { nested_signals: false, ..config() }, text);
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_eq!(next(&mut sim).1, Report::Gone { status: Some(Status::exited(0)) });
}

#[test]
fn kill_ends_a_stopped_task_with_a_last_look() {
    let (mut sim, task) = spawn(SELF);
    assert_eq!(to(&mut sim, task, CALLS | Demand::EXITING), Report::CallEntry);
    let pid = sim.pid(task).unwrap();
    sim.signal(pid, Signal::KILL).unwrap();
    let status = Status::killed(Signal::KILL);
    assert_eq!(next(&mut sim), (task, Report::Exiting { status }));
    assert!(regs(&mut sim, task).rip >= 0x40_0000);
    sim.resume(task, Verdict::Skip).unwrap();
    assert_eq!(next(&mut sim), (task, Report::Gone { status: Some(status) }));
}

#[test]
fn faults_are_signals_and_cannot_be_masked() {
    let fault = |body: &str| run(&format!("program main\n{body}\n sys exit, 0\n.data\nset: .word -1")).1;
    let mask = "sys rt_sigprocmask, sig.block, set, 0, 8\n";
    assert_eq!(fault("mov rax, 8\n mov rbx, [rax]").signal(), Some(Signal::SEGV));
    assert_eq!(fault(&format!("{mask} mov rax, 8\n mov [rax], rax")).signal(), Some(Signal::SEGV));
    assert_eq!(fault(&format!("{mask} ud2")).signal(), Some(Signal::ILL));
    assert_eq!(fault("int3").signal(), Some(Signal::TRAP));
    assert_eq!(fault("jmp set").signal(), Some(Signal::SEGV));
}

#[test]
fn every_exit_of_a_handler_returns_to_the_registers_of_before() {
    let (sim, task) = spawn(SELF);
    let story = story_of(sim, task, ALL);
    assert_eq!(story.last().unwrap(), "gone 0x0");
    assert_eq!(story[story.len() - 2], "exiting 0x0");
}
