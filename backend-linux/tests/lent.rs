//! Arguments that are lent to a call: back at its end, whoever demands that, and only there.

mod common;

use common::{Free, Tracer, guest};
use kernel_model::abi::IntRegisters;
use kernel_model::machine::{CallChange, CallValues, Demand, Machine, Report, Task};

fn lend(tracer: &mut Tracer, task: Task, args: [Option<u64>; 6]) {
    let change = CallChange { args, lent: true, ..CallChange::default() };
    tracer.machine.set_call(task, &change).unwrap();
}

fn last_three(regs: &IntRegisters) -> [u64; 3] {
    [regs.r10, regs.r8, regs.r9]
}

/// One register, and more; nothing is demanded before the signal that the call sends.
#[test]
fn they_come_back_where_no_exit_is_demanded() {
    for args in [[None, None, None, Some(41), None, None], [None, None, None, Some(41), Some(42), Some(43)]] {
        let mut free = Free::start(&["go", "raise", "10"]);
        let mut tracer = Tracer::new();
        let task = tracer.hold(&free, Demand::CALL_ENTRY);
        free.go();
        tracer.go(task);
        tracer.until_entry(task, libc::SYS_tgkill);
        let own = last_three(&tracer.regs(task));
        lend(&mut tracer, task, args);
        assert_ne!(last_three(&tracer.regs(task)), own);
        tracer.demand(task, Demand::SIGNAL);
        tracer.go(task);
        assert_eq!(tracer.next(), (task, Report::Signal));
        assert_eq!(last_three(&tracer.regs(task)), own);
        tracer.go(task);
        tracer.finish(task);
        assert_eq!(free.finish().0, "seen 1\n");
    }
}

#[test]
fn those_of_a_32_bit_call_are_its_own_registers() {
    let mut tracer = Tracer::new();
    let task = tracer.spawn(&["int80"]);
    tracer.demand(task, Demand::CALL_ENTRY);
    tracer.go(task);
    tracer.until(task, |tracer, report| report == Report::CallEntry && tracer.call(task).2 == 1);
    let own = tracer.regs(task);
    lend(&mut tracer, task, [Some(41), Some(42), None, None, None, Some(43)]);
    let lent = tracer.regs(task);
    assert_eq!((lent.rbx, lent.rcx, lent.rbp), (41, 42, 43));
    tracer.demand(task, Demand::CALL_EXIT);
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::CallExit));
    let after = tracer.regs(task);
    assert_eq!((after.rbx, after.rcx, after.rbp), (own.rbx, own.rcx, own.rbp));
    let CallValues { args, .. } = tracer.machine.call_values(task).unwrap();
    assert_eq!((args[0], args[1]), (own.rbx & 0xffff_ffff, own.rcx & 0xffff_ffff));
}

/// An exec that fails is a call like others; one that succeeds leaves nobody to give them back to.
#[test]
fn a_new_program_is_given_nothing() {
    for (path, succeeds) in [(guest(), true), ("/none", false)] {
        let mut tracer = Tracer::new();
        let task = tracer.spawn(&["exec", path, "exit", "6"]);
        tracer.demand(task, Demand::CALL_ENTRY);
        tracer.go(task);
        tracer.until_entry(task, libc::SYS_execve);
        let own = IntRegisters { r10: 31, r8: 32, r9: 33, ..tracer.regs(task) };
        tracer.set_regs(task, &own);
        lend(&mut tracer, task, [None, None, None, Some(41), Some(42), Some(43)]);
        tracer.demand(task, Demand::STEP | Demand::IMAGE);
        tracer.go(task);
        if succeeds {
            assert!(matches!(tracer.next(), (_, Report::Image { .. })));
            tracer.demand(task, Demand::STEP);
            tracer.go(task);
        }
        assert_eq!(tracer.next(), (task, Report::Step));
        assert_eq!(last_three(&tracer.regs(task)), if succeeds { [0; 3] } else { [31, 32, 33] });
    }
}

/// A birth stops its parent inside the call, and so does an end that is demanded: neither is taken for the exit.
#[test]
fn stops_inside_the_call_are_told() {
    let mut tracer = Tracer::new();
    let task = tracer.spawn(&["fork"]);
    tracer.demand(task, Demand::CALL_ENTRY);
    tracer.go(task);
    tracer.until_entry(task, libc::SYS_clone);
    let own = last_three(&tracer.regs(task));
    lend(&mut tracer, task, [None, None, None, None, None, Some(43)]);
    tracer.demand(task, Demand::BORN | Demand::CALL_EXIT);
    tracer.go(task);
    let (_, report) = tracer.next();
    assert!(matches!(report, Report::Born { .. }), "{report:?}");
    assert_ne!(last_three(&tracer.regs(task)), own);
    tracer.pass(task, report);
    tracer.until(task, |_, report| report == Report::CallExit);
    assert_eq!(last_three(&tracer.regs(task)), own);
    tracer.go(task);
    tracer.finish(task);

    // Another number makes it an end.
    let task = tracer.spawn(&["getppid"]);
    tracer.demand(task, Demand::CALL_ENTRY);
    tracer.go(task);
    tracer.until_entry(task, libc::SYS_getppid);
    lend(&mut tracer, task, [None, None, None, None, None, Some(43)]);
    let exit = CallChange { register: Some(libc::SYS_exit as u64), ..CallChange::default() };
    tracer.machine.set_call(task, &exit).unwrap();
    tracer.demand(task, Demand::EXITING);
    tracer.go(task);
    assert!(matches!(tracer.next(), (_, Report::Exiting { .. })));
    tracer.go(task);
    tracer.finish(task);
}
