//! The trait, method by method; what is more than a few lines is in a file of its own.

use std::sync::Arc;

use kernel_model::machine::{
    CallChange, CallName, CallValues, Demand, Detail, Error, Facts, Filter, Leave, Machine, Medium, OnDeath,
    Pid, Program, RegSet, Report, Result, SigInfo, Signal, Task, Verdict, Wait, Wake, Which,
};

use crate::Linux;
use crate::facts::{self, Disposition, os_pid, request_error};
use crate::names::NAMES;
use crate::resume::CALLS;
use crate::stop::Stop;
use crate::tracee::{Life, Request, Tracee};
use crate::{descriptor, mem, regs, sys};

/// How often a task on its way into vfork's sleep is looked at before it is believed to be elsewhere. It gets there, or to our
/// interrupt, as soon as it has a core; beside others that compute each look gives them a time slice.
const LOOKS_AT_VFORK: usize = 1 << 14;

impl Linux {
    /// The task, if it is still traced.
    fn traced(&mut self, task: Task) -> Result<&mut Tracee> {
        match self.table.get_mut(task)? {
            Tracee { life: Life::Leaving | Life::Left, .. } => Err(Error::Gone),
            tracee => Ok(tracee),
        }
    }

    fn stopped(&mut self, task: Task) -> Result<&mut Tracee> {
        match self.traced(task)? {
            Tracee { life: Life::Running(_), .. } => Err(Error::Running),
            tracee => Ok(tracee),
        }
    }
}

impl Tracee {
    /// Brings a change of mind to a task: at once in a stop, else by a trap that nobody hears of.
    fn reconsider(&mut self, stop_it: bool) {
        match self.life {
            Life::Stopped(_) => self.sync_options(),
            Life::Running(_) if stop_it || self.options != self.wanted_options() => {
                let _ = sys::interrupt(self.pid);
            }
            _ => {}
        }
    }

    /// Whether it may be in a call whose exit was not wanted when it was let go.
    fn may_miss_an_exit(&self) -> bool {
        self.filtered && matches!(self.life, Life::Running(Request::Cont))
    }

    /// Whether the request under way would miss a demanded stop.
    fn is_let_go_too_far(&self) -> bool {
        let calls = self.demand.intersects(CALLS);
        let step = self.demand.contains(Demand::STEP);
        match self.life {
            Life::Running(Request::Cont) => (calls && !self.filtered) || step,
            Life::Running(Request::Syscall) => step,
            // Only after the step would calls be seen; the step itself ends soon.
            Life::Running(Request::Step) => calls && !step,
            // It goes on only after a trap.
            Life::Running(Request::Listen) | Life::Stopped(_) | Life::Leaving | Life::Left => false,
        }
    }
}

impl Machine for Linux {
    fn spawn(&mut self, program: &Program) -> Result<Task> {
        self.start(program)
    }

    fn attach(&mut self, pid: Pid, on_owner_death: OnDeath) -> Result<Task> {
        self.seize(pid, on_owner_death)
    }

    fn on_owner_death(&mut self, task: Task, what: OnDeath) -> Result<()> {
        let tracee = self.traced(task)?;
        tracee.on_death = if tracee.filtered { OnDeath::Kill } else { what };
        tracee.reconsider(false);
        Ok(())
    }

    fn pid(&self, task: Task) -> Result<Pid> {
        self.table.get(task).map(|tracee| Pid(tracee.pid as u32))
    }

    fn demand(&mut self, task: Task, demand: Demand) -> Result<()> {
        let tracee = self.traced(task)?;
        let exits = demand.contains(Demand::CALL_EXIT) && !tracee.demand.contains(Demand::CALL_EXIT);
        tracee.demand = demand;
        tracee.reconsider(tracee.is_let_go_too_far() || (exits && tracee.may_miss_an_exit()));
        Ok(())
    }

    fn filter(&mut self, task: Task, filter: &Filter) -> Result<()> {
        let tracee = self.traced(task)?;
        let exits = !filter.exit.is_within(&tracee.filter.exit);
        tracee.filter = filter.clone();
        tracee.reconsider(exits && tracee.may_miss_an_exit());
        Ok(())
    }

    fn calls(&self) -> &[CallName] {
        &NAMES
    }

    fn interrupt(&mut self, task: Task) -> Result<()> {
        let tracee = self.traced(task)?;
        if matches!(tracee.life, Life::Stopped(_)) {
            return Ok(());
        }
        if !std::mem::replace(&mut tracee.asked, true) {
            // ESRCH: it was killed, and its end is the answer.
            let _ = sys::interrupt(tracee.pid);
        }
        // Resumed from the stop of a vfork, it may not have gone to sleep yet, and nothing but the child ends that sleep.
        let looks = if tracee.vforking { LOOKS_AT_VFORK } else { 1 };
        for _ in 0..looks {
            match facts::stat(tracee.pid).map(|stat| stat.state) {
                Ok(b'D') => return Err(Error::Unstoppable),
                Ok(b'R') => {
                    let _ = nix::sched::sched_yield();
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn resume(&mut self, task: Task, verdict: Verdict) -> Result<()> {
        self.stopped(task)?;
        self.resume_task(task, verdict);
        Ok(())
    }

    fn next_stop(&mut self, wait: Wait) -> Result<Option<(Task, Report)>> {
        loop {
            if let Some(report) = self.pending.pop_front() {
                return Ok(Some(report));
            }
            // A glance in passing tells wait of no stop that is held: its signal would be lost if we died now.
            let glance = wait == Wait::Poll && self.has_few();
            if !glance {
                self.settle();
            }
            if wait == Wait::Block && self.bell.take_ring() {
                return Ok(None);
            }
            let change = match self.news.pop_front() {
                Some(change) => change,
                None => match self.watch(wait)? {
                    Some(change) => change,
                    // What vanished was found out while looking.
                    None => match self.pending.pop_front() {
                        Some(report) => return Ok(Some(report)),
                        // Without children, a wait that may block never would.
                        None if wait == Wait::Block => return Err(Error::Idle),
                        None => return Ok(None),
                    },
                },
            };
            if let Some(report) = self.arrive(change) {
                return Ok(Some(report));
            }
        }
    }

    fn waker(&mut self) -> Result<Arc<dyn Wake>> {
        self.bell.cord()
    }

    fn detail(&mut self, task: Task) -> Result<Detail> {
        let tracee = self.stopped(task)?;
        let Life::Stopped(held) = &tracee.life else { return Err(Error::Running) };
        Ok(match held.stop {
            Stop::Entry | Stop::Exit { .. } => {
                let call = &tracee.call;
                Detail::Call { number: call.number, id: call.id, abi: call.abi as u64 }
            }
            Stop::Signal(signal) => signal_detail(tracee.pid, signal),
            Stop::Breakpoint => signal_detail(tracee.pid, libc::SIGTRAP),
            Stop::Step { .. } | Stop::Event(_) | Stop::Trap | Stop::Group(_) => Detail::None,
        })
    }

    fn call_values(&mut self, task: Task) -> Result<CallValues> {
        self.stopped(task)?.call_values()
    }

    fn set_call(&mut self, task: Task, change: &CallChange) -> Result<()> {
        self.stopped(task)?.set_call(change)
    }

    fn now(&mut self) -> u64 {
        facts::now()
    }

    fn reg_size(&self, set: RegSet) -> usize {
        regs::size(set)
    }

    fn read_regs(&mut self, task: Task, set: RegSet, buf: &mut [u8]) -> Result<()> {
        self.stopped(task)?.read_regs(set, buf)
    }

    fn write_regs(&mut self, task: Task, set: RegSet, bytes: &[u8]) -> Result<()> {
        self.stopped(task)?.write_regs(set, bytes)
    }

    fn read_mem(&mut self, pid: Pid, start: u64, address: u64, buf: &mut [u8]) -> Result<()> {
        let pid = os_pid(pid)?;
        match self.keeper(pid) {
            Some(tracee) => tracee.memory(start, address, buf),
            None => mem::foreign(pid, start, address, buf),
        }
    }

    fn write_mem(&mut self, pid: Pid, start: u64, address: u64, bytes: &[u8]) -> Result<()> {
        let pid = os_pid(pid)?;
        match self.keeper(pid) {
            Some(tracee) => tracee.memory(start, address, bytes),
            None => mem::foreign(pid, start, address, bytes),
        }
    }

    fn facts(&mut self, pid: Pid) -> Result<Facts> {
        let (pid, own_tid) = (os_pid(pid)?, self.own_tid);
        match self.keeper(pid).map(Tracee::start) {
            Some(Ok(start)) => facts::of_ours(pid, own_tid, start),
            _ => facts::facts(pid, own_tid),
        }
    }

    fn start(&mut self, pid: Pid) -> Result<u64> {
        let pid = os_pid(pid)?;
        if let Some(tracee) = self.keeper(pid) {
            return tracee.start();
        }
        let stat = facts::stat(pid)?;
        if stat.is_zombie() { Err(Error::Gone) } else { Ok(stat.start) }
    }

    fn threads(&mut self, pid: Pid) -> Result<Vec<Pid>> {
        facts::threads(os_pid(pid)?)
    }

    fn exe(&mut self, pid: Pid) -> Result<Vec<u8>> {
        facts::exe(os_pid(pid)?)
    }

    fn siginfo(&mut self, task: Task) -> Result<Option<SigInfo>> {
        let tracee = self.stopped(task)?;
        let Life::Stopped(held) = &tracee.life else { return Err(Error::Running) };
        match held.stop {
            Stop::Signal(_) | Stop::Breakpoint => sys::siginfo(tracee.pid).map(Some).map_err(request_error),
            _ => Ok(None),
        }
    }

    fn descriptor(&mut self, pid: Pid, which: Which) -> Result<Option<Vec<u8>>> {
        descriptor::name(os_pid(pid)?, which)
    }

    fn descriptor_facts(&mut self, pid: Pid, which: Which) -> Result<Option<Medium>> {
        descriptor::facts(os_pid(pid)?, which)
    }

    fn signal(&mut self, pid: Pid, signal: Signal) -> Result<()> {
        let pid = os_pid(pid)?;
        let tgid = facts::tgid(pid)?;
        let number = i32::from(signal.0);
        if tgid == pid { sys::kill(pid, number) } else { sys::tgkill(tgid, pid, number) }
            .map_err(request_error)
    }

    fn detach(&mut self, task: Task, leave: Leave) -> Result<()> {
        self.traced(task)?;
        self.leave(task, leave)
    }
}

impl Linux {
    /// Whoever keeps a descriptor of this task's memory: only traced tasks tell of their exec.
    fn keeper(&mut self, pid: i32) -> Option<&mut Tracee> {
        let task = self.table.by_pid(pid)?;
        self.traced(task).ok()
    }
}

fn signal_detail(pid: i32, signal: i32) -> Detail {
    let handler = match facts::disposition(pid, signal) {
        Disposition::Default => 0,
        Disposition::Ignored => 1,
        Disposition::Handled => Detail::SOME_HANDLER,
    };
    Detail::Signal { signal: Signal(signal as u8), handler }
}
