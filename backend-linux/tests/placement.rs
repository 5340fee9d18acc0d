//! Following a core: the tracing thread goes where its task runs, and gets its CPUs back.

mod common;

use common::{CALLS, Tracer};
use kernel_model::machine::Machine;
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
