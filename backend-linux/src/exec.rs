//! exec: a new program, and for a thread that is not its process's first, a new pid.

use kernel_model::machine::{Demand, Pid, Report, Task};

use crate::Linux;
use crate::stop::{Raw, Stop};
use crate::sys::{self, Target};
use crate::tracee::{Held, Life, Tracee};

impl Linux {
    /// PTRACE_EVENT_EXEC, reported under the process's pid whichever thread it was.
    ///
    /// All other threads have ended and been reaped by now, or the kernel would not have come this far (de_thread in
    /// fs/exec.c), except the first one, whose pid the caller took: it has no end of its own that wait could tell.
    pub(crate) fn exec(&mut self, pid: i32) -> Option<(Task, Report)> {
        // Until wait has consumed it, the kernel refuses all requests where the pid has changed
        // (looks_like_a_spurious_pid in kernel/ptrace.c). No signal is lost with it.
        let _ = sys::wait(Target::One(pid), false, true);
        let former = sys::event_message(pid).ok()? as i32;
        let task = match self.table.by_pid(former) {
            Some(task) if former != pid => {
                if let Some(leader) = self.table.by_pid(pid) {
                    self.gone(leader, None);
                }
                self.table.rename(task, pid);
                task
            }
            _ => self.table.by_pid(pid)?,
        };
        let tracee = self.table.get_mut(task).ok()?;
        tracee.mem = None;
        tracee.reads = 0;
        // It takes over the first thread's start time with its pid (de_thread).
        tracee.start = None;
        tracee.parked = None;
        if matches!(tracee.life, Life::Leaving) {
            self.leave_now(task, Raw::Event(libc::PTRACE_EVENT_EXEC));
            return self.pending.pop_front();
        }
        tracee.start_image();
        let report = Report::Image { former: Pid(former as u32) };
        // A new pid is told in any case: the kernel above names files by it.
        if former != pid || tracee.demand.contains(Demand::IMAGE) {
            let report = self.hold(task, report);
            self.pending.push_back(report);
        } else {
            self.let_go(task);
        }
        self.pending.pop_front()
    }
}

impl Tracee {
    fn start_image(&mut self) {
        let raw = Raw::Event(libc::PTRACE_EVENT_EXEC);
        let stop = self.classify(raw).unwrap_or(Stop::Event(libc::PTRACE_EVENT_EXEC));
        self.life = Life::Stopped(Held { consumed: true, ..Held::new(stop) });
    }
}
