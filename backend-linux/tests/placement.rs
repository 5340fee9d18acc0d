//! Following a core: the tracing thread goes where its task runs, and gets its CPUs back. Waiting where there is one only.

mod common;

use std::collections::BTreeMap;

use common::{CALLS, Tracer};
use kernel_model::machine::{Demand, Machine, Report, Status};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const SELF: Pid = Pid::from_raw(0);

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu).unwrap();
    set
}

#[test]
fn the_thread_goes_where_its_task_is_and_comes_back() {
    let all = sched_getaffinity(SELF).unwrap();
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| all.is_set(cpu) == Ok(true)).collect();
    for &cpu in &cpus {
        let mut tracer = Tracer::new();
        tracer.machine.follow_core(true);
        let task = tracer.spawn(&["busy"]);
        let pid = Pid::from_raw(tracer.machine.pid(task).unwrap().0 as i32);
        assert_eq!(sched_getaffinity(pid), Ok(all), "the task is bound");
        sched_setaffinity(pid, &only(cpu)).unwrap();
        tracer.demand(task, CALLS);
        tracer.go(task);
        for _ in 0..200 {
            let (who, _) = tracer.next();
            tracer.go(who);
        }
        // Unbound where it was beside its task at every look.
        let own = sched_getaffinity(SELF).unwrap();
        assert!(own == only(cpu) || own == all, "{cpu}: {own:?}");
        drop(tracer);
        assert_eq!(sched_getaffinity(SELF), Ok(all));
    }
}

/// Three threads that make calls, one that sleeps, and the one that waits for them, all beside their tracer.
#[test]
fn on_one_cpu_every_task_is_heard() {
    let all = sched_getaffinity(SELF).unwrap();
    let cpu = (0..CpuSet::count()).find(|&cpu| all.is_set(cpu) == Ok(true)).unwrap();
    sched_setaffinity(SELF, &only(cpu)).unwrap();
    let mut tracer = Tracer::new();
    let root = tracer.spawn(&["callers"]);
    tracer.demand(root, CALLS | Demand::BORN);
    tracer.go(root);
    let mut inside = BTreeMap::new();
    let mut calls = BTreeMap::new();
    let status = loop {
        let (task, report) = tracer.next();
        match report {
            Report::CallEntry => {
                let call = tracer.call(task);
                assert_eq!(inside.insert(task, call), None, "an exit is missing");
                if call.0 == libc::SYS_getppid as u64 {
                    *calls.entry(task).or_insert(0) += 1;
                }
            }
            Report::CallExit => assert_eq!(inside.remove(&task), Some(tracer.call(task))),
            Report::Gone { status } if task == root => break status,
            _ => {}
        }
        tracer.pass(task, report);
    };
    assert_eq!(status, Some(Status::exited(0)));
    assert_eq!(calls.into_values().collect::<Vec<i32>>(), [500; 3]);
    sched_setaffinity(SELF, &all).unwrap();
}
