//! Single steps: one instruction each, around calls, into handlers, over exec, and no trap flag left behind.

mod common;

use common::{CALLS, Free, Tracer, guest, untraced};
use kernel_model::machine::{Demand, Machine, Pid, Report, Signal, Status, Task};

fn begin(args: &[&str], demand: Demand) -> (Free, Tracer, Task) {
    let mut free = Free::start(&[&["go"], args].concat());
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, demand);
    free.go();
    tracer.go(task);
    (free, tracer, task)
}

fn step(tracer: &mut Tracer, task: Task, also: Demand) -> Report {
    tracer.demand(task, Demand::STEP | also);
    tracer.go(task);
    let (who, report) = tracer.next();
    assert_eq!(who, task);
    report
}

fn code(tracer: &mut Tracer, pid: Pid, at: u64) -> [u8; 2] {
    let start = tracer.machine.facts(pid).unwrap().start;
    let mut bytes = [0; 2];
    tracer.machine.read_mem(pid, start, at, &mut bytes).unwrap();
    bytes
}

const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// At the `syscall` of the getpid between getuid and getgid.
fn before_getpid() -> (Free, Tracer, Task, u64) {
    let (free, mut tracer, task) = begin(&["marks"], CALLS);
    tracer.until_entry(task, libc::SYS_getuid);
    tracer.go(task);
    tracer.until(task, |_, report| report == Report::CallExit);
    loop {
        assert_eq!(step(&mut tracer, task, Demand::empty()), Report::Step);
        let rip = tracer.regs(task).rip;
        if code(&mut tracer, free.pid(), rip) == SYSCALL && tracer.regs(task).rax == libc::SYS_getpid as u64 {
            return (free, tracer, task, rip);
        }
    }
}

fn end(free: Free, mut tracer: Tracer, task: Task) {
    tracer.demand(task, Demand::empty());
    tracer.go(task);
    // A trap flag left behind would end it with SIGTRAP.
    assert_eq!(tracer.finish(task), Some(Status::exited(0)));
    free.finish();
}

/// Without call stops, the call instruction is one step; then one per instruction.
#[test]
fn a_call_is_one_instruction() {
    let (free, mut tracer, task, rip) = before_getpid();
    for (after, rax) in [(2, u64::from(free.pid().0)), (7, 1), (12, 2), (17, 3)] {
        assert_eq!(step(&mut tracer, task, Demand::empty()), Report::Step);
        let regs = tracer.regs(task);
        assert_eq!((regs.rip, regs.rax), (rip + after, rax));
        assert_eq!(regs.rflags & 0x100, 0);
    }
    end(free, tracer, task);
}

/// On a call instruction the order is entry, exit, step (R26), and the step is the instruction after (R35).
#[test]
fn call_stops_come_before_the_step() {
    let (free, mut tracer, task, rip) = before_getpid();
    assert_eq!(step(&mut tracer, task, CALLS), Report::CallEntry);
    assert_eq!(step(&mut tracer, task, CALLS), Report::CallExit);
    assert_eq!(tracer.regs(task).rip, rip + 2);
    assert_eq!(step(&mut tracer, task, CALLS), Report::Step);
    assert_eq!((tracer.regs(task).rip, tracer.regs(task).rax), (rip + 7, 1));
    end(free, tracer, task);
}

/// One half of the call is enough to see that half, and the step after it.
#[test]
fn half_of_the_call_stops_and_the_step() {
    let (free, mut tracer, task, rip) = before_getpid();
    assert_eq!(step(&mut tracer, task, Demand::CALL_EXIT), Report::CallExit);
    assert_eq!(step(&mut tracer, task, Demand::CALL_EXIT), Report::Step);
    assert_eq!(tracer.regs(task).rip, rip + 7);
    end(free, tracer, task);
}

/// From an entry, a step ends after the first instruction after the call (R35), with call stops or without.
#[test]
fn a_step_from_an_entry_ends_after_the_call() {
    for also in [Demand::empty(), Demand::CALL_ENTRY] {
        let (free, mut tracer, task, rip) = before_getpid();
        assert_eq!(step(&mut tracer, task, CALLS), Report::CallEntry);
        assert_eq!(step(&mut tracer, task, also), Report::Step);
        assert_eq!((tracer.regs(task).rip, tracer.regs(task).rax), (rip + 7, 1));
        end(free, tracer, task);
    }
}

/// A delivered signal takes the step into its handler, to the handler's first instruction.
#[test]
fn a_step_goes_into_a_handler() {
    for also in [Demand::empty(), CALLS] {
        let (free, mut tracer, task, rip) = before_getpid();
        tracer.signal(free.pid(), Signal::USR1);
        assert_eq!(step(&mut tracer, task, Demand::SIGNAL | also), Report::Signal);
        assert_eq!(tracer.regs(task).rip, rip);
        assert_eq!(step(&mut tracer, task, also), Report::Step);
        let regs = tracer.regs(task);
        assert_eq!(regs.rdi, u64::from(Signal::USR1.0));
        assert_ne!(regs.rip, rip);
        end(free, tracer, task);
    }
}

/// Nobody wants the signal: the step goes into its handler all the same (R36).
#[test]
fn a_step_goes_into_a_handler_unseen() {
    let (free, mut tracer, task, _) = before_getpid();
    tracer.signal(free.pid(), Signal::USR1);
    assert_eq!(step(&mut tracer, task, Demand::empty()), Report::Step);
    assert_eq!(tracer.regs(task).rdi, u64::from(Signal::USR1.0));
    end(free, tracer, task);
}

/// A step asked for before an exec ends after the new program's first instruction (R36).
#[test]
fn a_step_goes_over_exec() {
    for also in [Demand::empty(), CALLS, Demand::IMAGE] {
        let (free, mut tracer, task) = begin(&["exec", guest(), "exit", "0"], Demand::CALL_ENTRY);
        tracer.until_entry(task, libc::SYS_execve);
        let mut report = step(&mut tracer, task, also);
        if also == Demand::IMAGE {
            assert_eq!(report, Report::Image { former: free.pid() });
            report = step(&mut tracer, task, also);
        }
        assert_eq!(report, Report::Step);
        assert_eq!(tracer.machine.threads(free.pid()).unwrap().len(), 1);
        let after = tracer.regs(task).rip;
        // A spawned one stands on that first instruction: one step more, and they are at the same place.
        let mut other = Tracer::new();
        let twin = other.spawn(&["exit", "0"]);
        let first = other.regs(twin).rip;
        assert_ne!(after, first);
        assert_eq!(step(&mut other, twin, also - Demand::IMAGE), Report::Step);
        assert_eq!(other.regs(twin).rip, after);
        end(free, tracer, task);
    }
}

/// The flag that a program sets itself is its own business, stepped or not (R37). Its handler is not stepped here.
#[test]
fn the_programs_own_trap_flag_still_works() {
    let plain = untraced(&["ownflag"]);
    let (free, mut tracer, task) = begin(&["ownflag"], Demand::CALL_ENTRY);
    tracer.until_entry(task, libc::SYS_rt_sigaction);
    let mut entered = 0;
    let mut also = Demand::STEP;
    loop {
        tracer.demand(task, also | Demand::CALL_ENTRY);
        tracer.go(task);
        also = Demand::STEP;
        match tracer.next().1 {
            Report::Step if in_handler(&mut tracer, task) => {
                entered += 1;
                also = Demand::empty();
            }
            Report::Step => {}
            Report::CallEntry if tracer.call(task).0 as i64 == libc::SYS_write => break,
            Report::CallEntry => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(entered > 0);
    tracer.demand(task, Demand::empty());
    tracer.go(task);
    assert_eq!(tracer.finish(task), Some(Status::exited(0)));
    assert_eq!(free.finish().0, plain.0);
}

/// The first instruction of a handler of SIGTRAP: the signal in rdi, and the frame it was given on top of the stack.
fn in_handler(tracer: &mut Tracer, task: Task) -> bool {
    let regs = tracer.regs(task);
    regs.rdi == u64::from(Signal::TRAP.0) && regs.rdx == regs.rsp + 8
}

/// Divergence: the trap of a step is forced upon the task (force_sig_info_to_task), so stepping where SIGTRAP is blocked
/// or ignored resets what the program does about it. Here: within its own handler, whose next trap then is deadly.
#[test]
fn divergence_stepping_where_sigtrap_is_blocked_loses_its_handler() {
    let (free, mut tracer, task) = begin(&["ownflag"], Demand::CALL_ENTRY);
    tracer.until_entry(task, libc::SYS_rt_sigaction);
    while step(&mut tracer, task, Demand::empty()) == Report::Step {}
    drop(tracer);
    assert!(!free.finish().0.contains("trap"));
}
