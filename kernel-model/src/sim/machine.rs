//! [`Machine`] for [`Sim`]: finds the process behind a task, checks that it is stopped, and does the little there is.

use std::sync::Arc;

use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{EnvRegisters, FloatRegisters, IntRegisters, Pid, Signal};
use crate::machine::{
    CallChange, CallName, CallValues, Demand, Detail, Error, Facts, Filter, Leave, Machine, Medium, OnDeath,
    Program, RegSet, Report, Result, SigInfo, State, Task, Verdict, Wait, Wake, Which,
};

use super::frames::{arguments, back_up};
use super::memory::{Access, TOP};
use super::process::{Kind, Next, Trace};
use super::{OWNER, Quirks, Sim, names};

/// Turns that a poll takes at most.
const POLL: u64 = 10_000;

impl Machine for Sim {
    fn spawn(&mut self, program: &Program) -> Result<Task> {
        if !self.processes.contains_key(&OWNER.0) {
            return Err(Error::Denied);
        }
        let env = program.env.as_deref().unwrap_or_default();
        // Programs there belong to the tracer's user, who is root or may become nobody else.
        let (uid, gid) = (self.config.uid, self.config.gid);
        let user = program.user.as_ref().filter(|user| (user.uid, user.gid) != (uid, gid));
        if user.is_some() && uid != 0 {
            return Err(Error::Denied);
        }
        let pid = self.start(&program.path, &program.args, env, OWNER).map_err(Error::Other)?;
        if let Some(user) = user {
            let process = self.process(pid);
            (process.uid, process.gid) = (user.uid, user.gid);
        }
        let task = self.new_task(pid, true);
        let on_death = if program.pushed.is_some() { OnDeath::Kill } else { OnDeath::Leave };
        let mut trace = Trace::new(task, on_death);
        // No report is made of this stop, and none of the verdicts means anything at it.
        trace.held = Some(Report::Interrupt);
        self.process(pid).trace = Some(trace);
        Ok(task)
    }

    fn attach(&mut self, pid: Pid, on_owner_death: OnDeath) -> Result<Task> {
        let process = self.processes.get(&pid.0).filter(|process| !process.is_zombie()).ok_or(Error::Gone)?;
        if process.trace.is_some() || process.foreign.is_some() {
            return Err(Error::Traced);
        }
        if matches!(process.kind, Kind::System | Kind::Owner) || !self.processes.contains_key(&OWNER.0) {
            return Err(Error::Denied);
        }
        let task = match self.spawned_task(pid) {
            Some(task) => task,
            None => self.new_task(pid, false),
        };
        let process = self.process(pid);
        process.trace = Some(Trace::new(task, on_owner_death));
        process.forget_ids();
        self.log.add(pid, || "attached".into());
        if let Some(signal) = self.process(pid).stopped {
            self.stop(pid, Report::GroupStop { signal });
        }
        Ok(task)
    }

    fn on_owner_death(&mut self, task: Task, what: OnDeath) -> Result<()> {
        let (process, _) = self.traced(task)?;
        process.trace.as_mut().ok_or(Error::Gone)?.on_death = what;
        Ok(())
    }

    fn pid(&self, task: Task) -> Result<Pid> {
        self.slot(task).map(|(_, pid)| pid)
    }

    fn demand(&mut self, task: Task, demand: Demand) -> Result<()> {
        let (process, _) = self.traced(task)?;
        process.trace.as_mut().ok_or(Error::Gone)?.demand = demand;
        if demand.contains(Demand::STEP) {
            process.stale_step = false;
        }
        Ok(())
    }

    fn filter(&mut self, task: Task, filter: &Filter) -> Result<()> {
        let (process, _) = self.traced(task)?;
        process.trace.as_mut().ok_or(Error::Gone)?.filter = filter.clone();
        Ok(())
    }

    fn calls(&self) -> &[CallName] {
        &names::NAMES
    }

    fn interrupt(&mut self, task: Task) -> Result<()> {
        let (process, _) = self.traced(task)?;
        let trace = process.trace.as_mut().ok_or(Error::Gone)?;
        trace.interrupted |= trace.held.is_none();
        Ok(())
    }

    fn resume(&mut self, task: Task, verdict: Verdict) -> Result<()> {
        let (process, report) = self.stopped(task)?;
        let pid = process.pid;
        let within = matches!(report, Report::CallEntry | Report::CallExit);
        if within && process.demands(Demand::STEP) && self.config.quirks.contains(Quirks::STEP_ENDS_WITH_CALL)
        {
            self.process(pid).step_over = true;
        }
        self.let_go(pid, verdict);
        Ok(())
    }

    fn next_stop(&mut self, wait: Wait) -> Result<Option<(Task, Report)>> {
        let mut left = POLL;
        loop {
            if let Some((task, report)) = self.reports.pop_front() {
                if let Report::Gone { .. } = report {
                    self.bury(task);
                }
                return Ok(Some((task, report)));
            }
            if left == 0 || (wait == Wait::Block && self.bell.take()) {
                return Ok(None);
            }
            let Some((pid, quantum)) = self.pick() else {
                return if wait == Wait::Block { Err(Error::Idle) } else { Ok(None) };
            };
            let taken = self.run(pid, quantum);
            if wait == Wait::Poll {
                left = left.saturating_sub(taken);
            }
        }
    }

    fn waker(&mut self) -> Result<Arc<dyn Wake>> {
        let rung: Arc<dyn Wake> = self.bell.0.clone();
        Ok(rung)
    }

    fn detail(&mut self, task: Task) -> Result<Detail> {
        let (process, report) = self.stopped(task)?;
        let signal = match (report, &process.next, process.call) {
            (Report::CallEntry | Report::CallExit, _, Some(call)) => {
                return Ok(Detail::Call { number: call.came, id: call.id, abi: 0 });
            }
            (Report::Signal, Next::Act(signal, _), _) => *signal,
            (Report::Trap, ..) => Signal::TRAP,
            _ => return Ok(Detail::None),
        };
        Ok(Detail::Signal { signal, handler: process.signals.action(signal).handler })
    }

    fn call_values(&mut self, task: Task) -> Result<CallValues> {
        let (process, report) = self.stopped(task)?;
        let int = process.cpu.int;
        let result = match report {
            Report::CallEntry => None,
            Report::CallExit => Some(int.rax as i64),
            _ => return Err(Error::Invalid),
        };
        let number = process.call.map_or(0, |call| call.number);
        let returns = !matches!(number, names::EXIT | names::EXIT_GROUP | names::RT_SIGRETURN);
        Ok(CallValues {
            args: [int.rdi, int.rsi, int.rdx, int.r10, int.r8, int.r9],
            result,
            returns,
            word: 8,
        })
    }

    fn set_call(&mut self, task: Task, change: &CallChange) -> Result<()> {
        let (process, report) = self.stopped(task)?;
        if !matches!(report, Report::CallEntry | Report::CallExit) {
            return Err(Error::Invalid);
        }
        let int = &mut process.cpu.int;
        let lends = change.lent && report == Report::CallEntry;
        for (at, (place, new)) in arguments(int).into_iter().zip(change.args).enumerate() {
            let Some(new) = new else { continue };
            let old = std::mem::replace(place, new);
            if let Some(call) = &mut process.call {
                call.lent[at] = lends.then(|| call.lent[at].unwrap_or(old));
            }
        }
        int.rax = change.register.unwrap_or(int.rax);
        Ok(())
    }

    fn now(&mut self) -> u64 {
        self.clock.0
    }

    fn reg_size(&self, set: RegSet) -> usize {
        match set {
            RegSet::Int => size_of::<IntRegisters>(),
            RegSet::Float => size_of::<FloatRegisters>(),
            RegSet::Env => size_of::<EnvRegisters>(),
        }
    }

    fn read_regs(&mut self, task: Task, set: RegSet, buf: &mut [u8]) -> Result<()> {
        let (process, report) = self.stopped(task)?;
        let mut int = process.cpu.int;
        if Sim::is_backed_up(process, report) {
            let number = process.call.map_or(int.rax, |call| call.number);
            back_up(&mut int, number);
        }
        let bytes = match set {
            RegSet::Int => int.as_bytes(),
            RegSet::Float => process.cpu.float.as_bytes(),
            RegSet::Env => process.cpu.env.as_bytes(),
        };
        let size = buf.len().min(bytes.len());
        buf[..size].copy_from_slice(&bytes[..size]);
        Ok(())
    }

    fn write_regs(&mut self, task: Task, set: RegSet, bytes: &[u8]) -> Result<()> {
        let (process, report) = self.stopped(task)?;
        match set {
            RegSet::Int => {
                let int = IntRegisters::read_from_bytes(bytes).map_err(|_| Error::Invalid)?;
                let mut old = process.cpu.int;
                if !process.cpu.set_int(int) {
                    return Err(Error::Invalid);
                }
                // What is written is not lent any more.
                if let Some(call) = &mut process.call {
                    let places = arguments(&mut old).into_iter().zip(arguments(&mut process.cpu.int));
                    for ((old, new), lent) in places.zip(&mut call.lent) {
                        *lent = lent.filter(|_| old == new);
                    }
                }
                if Sim::is_backed_up(process, report) {
                    process.next = Next::User;
                    process.call = None;
                    if let Some(mask) = process.signals.saved.take() {
                        process.signals.mask = mask;
                    }
                }
            }
            RegSet::Float => {
                process.cpu.float = FloatRegisters::read_from_bytes(bytes).map_err(|_| Error::Invalid)?;
                process.cpu.float.reserved = 0;
            }
            RegSet::Env => {
                let env = EnvRegisters::read_from_bytes(bytes).map_err(|_| Error::Invalid)?;
                if env.fsbase >= TOP || env.gsbase >= TOP {
                    return Err(Error::Invalid);
                }
                process.cpu.env = env;
            }
        }
        Ok(())
    }

    fn read_mem(&mut self, pid: Pid, start: u64, address: u64, buf: &mut [u8]) -> Result<()> {
        let process = self.any(pid, start)?;
        process.memory.read(address, buf, Access::Tracer).map_err(|_| Error::Fault)
    }

    fn write_mem(&mut self, pid: Pid, start: u64, address: u64, bytes: &[u8]) -> Result<()> {
        let guarded = self.config.quirks.contains(Quirks::GUARDED_WRITES);
        let access = if guarded { Access::Write } else { Access::Tracer };
        self.any(pid, start)?.memory.write(address, bytes, access).map_err(|_| Error::Fault)
    }

    fn facts(&mut self, pid: Pid) -> Result<Facts> {
        let process = self.processes.get(&pid.0).ok_or(Error::Gone)?;
        let state = if process.is_zombie() {
            State::Zombie
        } else if process.held().is_some() {
            State::Traced
        } else if process.stopped.is_some() {
            State::Stopped
        } else if process.is_uninterruptible() {
            State::Uninterruptible
        } else {
            State::Running
        };
        Ok(Facts {
            process: pid,
            parent: process.parent,
            uid: process.uid,
            gid: process.gid,
            state,
            start: process.start,
            tracer: process.foreign,
            user: process.kind != Kind::System,
        })
    }

    fn start(&mut self, pid: Pid) -> Result<u64> {
        let process = self.processes.get(&pid.0).ok_or(Error::Gone)?;
        if process.is_zombie() { Err(Error::Gone) } else { Ok(process.start) }
    }

    fn threads(&mut self, pid: Pid) -> Result<Vec<Pid>> {
        self.processes.get(&pid.0).map(|_| vec![pid]).ok_or(Error::Gone)
    }

    fn exe(&mut self, pid: Pid) -> Result<Vec<u8>> {
        self.processes.get(&pid.0).map(|process| process.exe.clone()).ok_or(Error::Gone)
    }

    fn siginfo(&mut self, task: Task) -> Result<Option<SigInfo>> {
        let (process, report) = self.stopped(task)?;
        Ok(match report {
            Report::Signal => Some(process.signals.info),
            Report::Trap => Some(SigInfo::raised(Signal::TRAP)),
            _ => None,
        })
    }

    fn descriptor(&mut self, pid: Pid, which: Which) -> Result<Option<Vec<u8>>> {
        let process = self.processes.get(&pid.0).ok_or(Error::Gone)?;
        let file = match which {
            Which::Folder => return Ok(None), // there are none
            Which::Number(number) => process.files.get(&number),
        };
        Ok(file.map(|file| file.name().into_bytes()))
    }

    fn descriptor_facts(&mut self, pid: Pid, which: Which) -> Result<Option<Medium>> {
        Ok(self.descriptor(pid, which)?.map(|_| Medium::Named))
    }

    fn signal(&mut self, pid: Pid, signal: Signal) -> Result<()> {
        let process = self.processes.get(&pid.0).ok_or(Error::Gone)?;
        let owner = self.config.uid;
        if signal.0 > 64 {
            return Err(Error::Invalid);
        }
        if process.kind == Kind::System || (owner != 0 && owner != process.uid) {
            return Err(Error::Denied);
        }
        if signal.0 != 0 {
            self.post(pid, signal, self.owner());
        }
        Ok(())
    }

    fn detach(&mut self, task: Task, leave: Leave) -> Result<()> {
        let (process, pid) = self.traced(task)?;
        if let (Some(_), Leave::Free(verdict)) = (process.held(), leave) {
            self.let_go(pid, verdict);
        }
        self.process(pid).trace = None;
        self.log.add(pid, || "detached".into());
        self.forget_reports(task);
        if leave == Leave::Dead {
            self.post(pid, Signal::KILL, self.owner());
        }
        if self.spawned_task(pid).is_none() {
            self.free(task);
        }
        Ok(())
    }
}
