//! One instruction at a time: through calls, into handlers, over exec; and what an instruction does to registers.

use kernel_model::abi::FloatRegisters;
use kernel_model::machine::{Demand, Error, Machine, RegSet, Report, Verdict};
use zerocopy::{FromBytes, IntoBytes};

use super::{CALLS, regs, set_regs, spawn, to};

const STEP: Demand = Demand::STEP;

const PLAIN: &str = "
program main
    mov rax, 1
    push rax
    mov rax, 2
    push rax
    mov rax, 3
    push rax
    pop rax
    pop rbx
    pop rcx
    sys exit, 0
";

#[test]
fn each_step_is_one_instruction_and_must_be_asked_for_again() {
    let (mut sim, task) = spawn(PLAIN);
    let mut seen = Vec::new();
    for _ in 0..7 {
        assert_eq!(to(&mut sim, task, STEP), Report::Step);
        seen.push(regs(&mut sim, task).rax);
    }
    assert_eq!(seen, [1, 1, 2, 2, 3, 3, 3]);
    // Demanded once: the next stop is another one.
    sim.demand(task, CALLS).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_eq!(super::next(&mut sim).1, Report::CallEntry);
}

const CALL: &str = "
program main
    mov rax, sys.getpid
    syscall
    mov rbx, 5
    mov rcx, 6
    sys exit, 0
";

#[test]
fn at_a_call_the_order_is_entry_exit_step() {
    let (mut sim, task) = spawn(CALL);
    assert_eq!(to(&mut sim, task, STEP), Report::Step);
    assert_eq!(to(&mut sim, task, STEP | CALLS), Report::CallEntry);
    assert_eq!(to(&mut sim, task, STEP | CALLS), Report::CallExit);
    let at_exit = regs(&mut sim, task);
    assert_eq!(to(&mut sim, task, STEP | CALLS), Report::Step);
    // From inside the call: one instruction after it.
    assert_eq!((regs(&mut sim, task).rip - at_exit.rip, regs(&mut sim, task).rbx), (7, 5));
}

#[test]
fn a_step_demanded_before_the_call_ends_with_it() {
    let (mut sim, task) = spawn(CALL);
    to(&mut sim, task, STEP);
    assert_eq!(to(&mut sim, task, STEP), Report::Step);
    let int = regs(&mut sim, task);
    assert_eq!((int.rax, int.rbx), (4, 0));
    assert_eq!((int.rcx, int.r11), (int.rip, int.rflags));
}

#[test]
fn a_step_from_the_entry_ends_after_the_first_instruction_behind_the_call() {
    let (mut sim, task) = spawn(CALL);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    assert_eq!(to(&mut sim, task, STEP), Report::Step);
    assert_eq!((regs(&mut sim, task).rax, regs(&mut sim, task).rbx), (4, 5));
}

#[test]
fn a_step_is_carried_into_a_handler_and_out_of_it() {
    let text = "
program main
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    sys kill, rax, sig.usr1
    mov rbx, 5
    sys exit, 0
handler:
    mov r15, 9
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, sa.restorer, restorer, 0
";
    let (mut sim, task) = spawn(text);
    assert_eq!(to(&mut sim, task, Demand::SIGNAL), Report::Signal);
    assert_eq!(to(&mut sim, task, STEP), Report::Step);
    assert_eq!(regs(&mut sim, task).r15, 9);
    assert_eq!(to(&mut sim, task, STEP), Report::Step); // ret
    assert_eq!(to(&mut sim, task, STEP), Report::Step); // mov
    assert_eq!(to(&mut sim, task, STEP), Report::Step); // sigreturn, and with it the rest of kill
    assert_eq!((regs(&mut sim, task).r15, regs(&mut sim, task).rbx), (0, 0));
    assert_eq!(to(&mut sim, task, STEP), Report::Step);
    assert_eq!(regs(&mut sim, task).rbx, 5);
}

#[test]
fn a_step_over_exec_ends_after_the_new_programs_first_instruction() {
    let text = "
program main
    sys execve, path, 0, 0
.data
path: .path other
program other
    mov rbx, 5
    mov rcx, 6
";
    let (mut sim, task) = spawn(text);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallEntry);
    assert_eq!(to(&mut sim, task, STEP), Report::Step);
    assert_eq!((regs(&mut sim, task).rbx, regs(&mut sim, task).rcx), (5, 0));
}

#[test]
fn registers_of_a_running_task_are_refused_and_impossible_ones_too() {
    let (mut sim, task) = spawn(PLAIN);
    let before = regs(&mut sim, task);
    assert_eq!((before.rsp % 16, before.cs, before.ss), (0, 0x33, 0x2b));
    let mut bad = before;
    bad.cs = 0x10;
    assert_eq!(sim.write_regs(task, RegSet::Int, bad.as_bytes()), Err(Error::Invalid));
    let mut env = [0; 16];
    env[..8].copy_from_slice(&0x8000_0000_0000_u64.to_ne_bytes());
    assert_eq!(sim.write_regs(task, RegSet::Env, &env), Err(Error::Invalid));
    env[6] = 0;
    env[7] = 0;
    env[5] = 0x70;
    assert_eq!(sim.write_regs(task, RegSet::Env, &env), Ok(()));
    set_regs(&mut sim, task, |int| (int.rbx, int.rflags) = (77, u64::MAX));
    assert_eq!((regs(&mut sim, task).rbx, regs(&mut sim, task).rflags), (77, 0xfd7));
    sim.resume(task, Verdict::Proceed).unwrap();
    let mut bytes = [0; 168];
    assert_eq!(sim.read_regs(task, RegSet::Int, &mut bytes), Err(Error::Running));
    assert_eq!(sim.resume(task, Verdict::Proceed), Err(Error::Running));
}

#[test]
fn flags_and_jumps_agree_with_arithmetic() {
    // Each: left, right, then the jumps that must be taken after `cmp left, right`.
    for (left, right, taken) in [
        (1_i64, 1_i64, &["je", "jae", "jbe", "jge", "jle", "jns"][..]),
        (1, 2, &["jne", "jb", "jbe", "jl", "jle", "js"]),
        (-1, 1, &["jne", "ja", "jae", "jl", "jle", "js"]),
        (i64::MIN, 1, &["jne", "ja", "jae", "jl", "jle", "jns"]),
    ] {
        for jump in ["je", "jne", "jb", "jae", "jbe", "ja", "js", "jns", "jl", "jge", "jle", "jg"] {
            let text = format!(
                "program p\n mov rax, {left}\n mov rbx, {right}\n cmp rax, rbx\n {jump} yes\n sys exit, 0\nyes: sys exit, 1"
            );
            assert_eq!(super::code(&text), u8::from(taken.contains(&jump)), "{left} {jump} {right}");
        }
    }
}

#[test]
fn the_square_root_of_32_is_exact_to_the_last_bit() {
    let text = format!(
        "program p\n mov rbx, cell\n fld qword [rbx]\n fsqrt\n fstp qword [rbx]\n mov rdx, [rbx]\n nop\n.data\ncell: .word {:#x}",
        32_f64.to_bits()
    );
    let (mut sim, task) = spawn(&text);
    for _ in 0..3 {
        to(&mut sim, task, STEP);
    }
    let mut bytes = [0; 416];
    sim.read_regs(task, RegSet::Float, &mut bytes).unwrap();
    let float = FloatRegisters::read_from_bytes(&bytes).unwrap();
    // 4√2 as the hardware rounds it.
    assert_eq!(float.st[0][..10], [0x84, 0x64, 0xde, 0xf9, 0x33, 0xf3, 0x04, 0xb5, 0x01, 0x40]);
    assert_eq!((float.fcw, float.ftw, float.fsw), (0x37f, 0x80, 0x3800));
    to(&mut sim, task, STEP);
    to(&mut sim, task, STEP);
    assert_eq!(f64::from_bits(regs(&mut sim, task).rdx), 32_f64.sqrt());
}

#[test]
fn the_trap_flag_is_a_signal_unless_it_is_a_demanded_step() {
    let (mut sim, task) = spawn(PLAIN);
    set_regs(&mut sim, task, |int| int.rflags |= 0x100);
    assert_eq!(to(&mut sim, task, STEP), Report::Step);
    assert_eq!(to(&mut sim, task, Demand::SIGNAL), Report::Signal);
    assert_eq!(regs(&mut sim, task).rip - 0x40_0000, 7 + 1);
}
