//! Breakpoints: planted through memory, passed, raised, and written by the program itself.

use kernel_model::abi::{Signal, Status};
use kernel_model::machine::{Demand, Detail, Error, Machine, Report, Verdict};

use super::{CALLS, go, regs, set_regs, spawn, to};

const TEXT: &str = "
program main
    mov rbx, 1
    mov rbx, 2
    sys exit, rbx
";
const SECOND: u64 = 0x40_0007;

#[test]
fn a_planted_breakpoint_stops_at_its_own_address_and_is_stepped_over() {
    let (mut sim, task) = spawn(TEXT);
    let pid = sim.pid(task).unwrap();
    let start = sim.facts(pid).unwrap().start;
    let mut saved = [0];
    sim.read_mem(pid, start, SECOND, &mut saved).unwrap();
    // The program itself may not write there.
    sim.write_mem(pid, start, SECOND, &[0xcc]).unwrap();
    assert_eq!(to(&mut sim, task, Demand::TRAP), Report::Trap);
    assert_eq!((regs(&mut sim, task).rip, regs(&mut sim, task).rbx), (SECOND, 1));
    assert_eq!(sim.detail(task).unwrap(), Detail::Signal { signal: Signal::TRAP, handler: 0 });
    sim.write_mem(pid, start, SECOND, &saved).unwrap();
    let report = go(&mut sim, task, Demand::STEP, Verdict::Skip);
    assert_eq!((report, regs(&mut sim, task).rbx), (Report::Step, 2));
    assert_eq!(to(&mut sim, task, Demand::GONE), Report::Gone { status: Some(Status::exited(2)) });
}

const OWN: &str = "
program main
    sys rt_sigaction, sig.trap, action, 0, 8
    int3
    sys exit, r15
handler:
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, sa.restorer, restorer, 0
";

#[test]
fn proceeding_raises_the_traps_signal_behind_the_instruction() {
    let (mut sim, task) = spawn(OWN);
    assert_eq!(to(&mut sim, task, Demand::TRAP | Demand::SIGNAL), Report::Trap);
    let at = regs(&mut sim, task).rip;
    // The signal is not shown a second time.
    assert_eq!(to(&mut sim, task, CALLS | Demand::SIGNAL), Report::CallEntry);
    assert_eq!(to(&mut sim, task, Demand::STEP), Report::Step);
    assert_eq!(regs(&mut sim, task).rip, at + 1 + 3);
}

#[test]
fn skipping_goes_on_where_the_counter_was_left() {
    let (mut sim, task) = spawn(OWN);
    to(&mut sim, task, Demand::TRAP);
    // Nobody removed it: it is hit again.
    assert_eq!(go(&mut sim, task, Demand::TRAP, Verdict::Skip), Report::Trap);
    set_regs(&mut sim, task, |int| (int.rip, int.r15) = (int.rip + 1, 8));
    let report = go(&mut sim, task, Demand::SIGNAL, Verdict::Skip);
    assert_eq!(report, Report::Gone { status: Some(Status::exited(8)) });
}

#[test]
fn undemanded_it_is_a_signal_like_others() {
    let (mut sim, task) = spawn(OWN);
    assert_eq!(to(&mut sim, task, Demand::SIGNAL), Report::Signal);
    let Detail::Signal { signal, handler } = sim.detail(task).unwrap() else { panic!() };
    assert!(signal == Signal::TRAP && handler > 1);
    assert_eq!(to(&mut sim, task, Demand::GONE), Report::Gone { status: Some(Status::exited(0)) });
}

#[test]
fn a_trap_cannot_be_ignored_or_masked() {
    let text = "program main\n sys rt_sigaction, sig.trap, ignore, 0, 8\n int3\n sys exit, 0\n.data\nignore: .word 1, 0, 0, 0";
    let (mut sim, task) = spawn(text);
    to(&mut sim, task, Demand::TRAP);
    let report = to(&mut sim, task, Demand::empty());
    assert_eq!(report, Report::Gone { status: Some(Status(5 | 0x80)) });
}

#[test]
fn memory_is_all_or_nothing_and_knows_who_is_meant() {
    let (mut sim, task) = spawn(TEXT);
    let pid = sim.pid(task).unwrap();
    let start = sim.facts(pid).unwrap().start;
    let mut buf = [0; 16];
    assert_eq!(sim.read_mem(pid, start, 0x40_0ff8, &mut buf), Err(Error::Fault));
    assert_eq!(sim.write_mem(pid, start, 0x40_0ff8, &[1; 16]), Err(Error::Fault));
    assert_eq!(sim.read_mem(pid, start, u64::MAX - 3, &mut buf), Err(Error::Fault));
    sim.read_mem(pid, start, 0x40_0ff0, &mut buf).unwrap();
    assert_eq!(buf, [0; 16]);
    assert_eq!(sim.read_mem(pid, start + 1, 0x40_0000, &mut buf), Err(Error::Gone));
}
