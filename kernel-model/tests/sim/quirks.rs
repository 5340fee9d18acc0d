//! Each quirk breaks the rule it names, and nothing does without it.

use kernel_model::abi::Signal;
use kernel_model::machine::{Demand, Error, Machine, Report, Verdict, Wait};
use kernel_model::sim::{Quirks, Sim, SimConfig};

use super::{CALLS, config, go, next, regs, set_regs, spawn_with, to};

const TEXT: &str = "
program main
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rbx, rax
    int3
    sys kill, rbx, sig.winch
    sys kill, rbx, sig.stop
    sys exit, 0
handler:
    sys write, 1, action, 1
    ret
restorer:
    mov rax, sys.rt_sigreturn
    syscall
.data
action: .word handler, sa.restorer, restorer, 0
";

/// Says `true` of a healthy machine and `false` of one with the quirk.
fn breaks(quirk: Quirks, holds: impl Fn(&mut Sim, kernel_model::machine::Task) -> bool) {
    for quirks in [Quirks::empty(), quirk] {
        let (mut sim, task) = spawn_with(SimConfig { quirks, ..config() }, TEXT);
        assert_eq!(holds(&mut sim, task), quirks.is_empty(), "{quirks:?}");
    }
}

#[test]
fn each_breaks_its_rule() {
    breaks(Quirks::LOSES_WAKES, |sim, task| {
        to(sim, task, CALLS);
        sim.resume(task, Verdict::Proceed).unwrap();
        sim.waker().unwrap().wake();
        sim.next_stop(Wait::Block).unwrap().is_none()
    });
    breaks(Quirks::RUNS_WHILE_HELD, |sim, task| {
        to(sim, task, CALLS);
        to(sim, task, CALLS);
        to(sim, task, CALLS);
        sim.demand(task, Demand::empty()).unwrap();
        let pid = sim.pid(task).unwrap();
        sim.signal(pid, Signal::USR1).unwrap();
        sim.next_stop(Wait::Poll).unwrap();
        sim.output(1).is_empty()
    });
    breaks(Quirks::STALE_STEP, |sim, task| {
        while to(sim, task, CALLS | Demand::STEP) != Report::CallEntry {}
        to(sim, task, Demand::SIGNAL | Demand::TRAP) == Report::Trap
    });
    breaks(Quirks::DIES_TWICE, |sim, task| {
        let pid = sim.pid(task).unwrap();
        sim.signal(pid, Signal::KILL).unwrap();
        next(sim);
        sim.next_stop(Wait::Poll).unwrap().is_none()
    });
    breaks(Quirks::PC_AFTER_TRAP, |sim, task| {
        to(sim, task, Demand::TRAP);
        let rip = regs(sim, task).rip;
        super::peek(sim, task, rip) & 0xff == 0xcc
    });
    breaks(Quirks::SKIP_FAILS, |sim, task| {
        to(sim, task, CALLS);
        set_regs(sim, task, |int| int.rax = 123);
        go(sim, task, CALLS, Verdict::Skip);
        regs(sim, task).rax == 123
    });
    let past_trap = |sim: &mut Sim, task| {
        to(sim, task, Demand::TRAP);
        set_regs(sim, task, |int| int.rip += 1);
    };
    breaks(Quirks::ONLY_HANDLED_SIGNALS, |sim, task| {
        past_trap(sim, task);
        go(sim, task, Demand::SIGNAL | Demand::GROUP_STOP, Verdict::Skip) == Report::Signal
    });
    breaks(Quirks::GROUP_STOP_RUNS, |sim, task| {
        to(sim, task, Demand::TRAP);
        set_regs(sim, task, |int| int.rip += 1);
        go(sim, task, Demand::GROUP_STOP, Verdict::Skip);
        sim.resume(task, Verdict::Proceed).unwrap();
        sim.next_stop(Wait::Block) == Err(Error::Idle)
    });
    breaks(Quirks::GUARDED_WRITES, |sim, task| {
        let pid = sim.pid(task).unwrap();
        let start = sim.facts(pid).unwrap().start;
        sim.write_mem(pid, start, 0x40_0000, &[0x90]).is_ok()
    });
    breaks(Quirks::KILL_WAITS, |sim, task| {
        let pid = sim.pid(task).unwrap();
        sim.signal(pid, Signal::KILL).unwrap();
        matches!(sim.next_stop(Wait::Block), Ok(Some(_)))
    });
    breaks(Quirks::STEP_ENDS_WITH_CALL, |sim, task| {
        to(sim, task, CALLS);
        let rip = regs(sim, task).rip;
        to(sim, task, Demand::STEP);
        regs(sim, task).rip > rip
    });
}

#[test]
fn a_child_escapes() {
    let text = "program main\n sys fork\n test rax, rax\n je child\n sys pause\nchild: sys write, 1, 0x400000, 1\n sys exit, 0";
    for quirks in [Quirks::empty(), Quirks::CHILDREN_ESCAPE] {
        let (mut sim, task) = spawn_with(SimConfig { quirks, ..config() }, text);
        assert!(matches!(to(&mut sim, task, Demand::BORN), Report::Born { .. }));
        sim.next_stop(Wait::Poll).unwrap();
        assert_eq!(sim.output(1).is_empty(), quirks.is_empty());
    }
}
