//! [`Recording`]: any machine, and a file of what it reports and answers. To the kernel above it is that machine.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::entry::{Answer, Ask, Entry, Fact, Known};
use super::wire::put_frame;
use super::{Header, Time};
use crate::abi::{Pid, SigInfo, Signal};
use crate::machine::{
    CallChange, CallName, CallValues, Demand, Detail, Error, Facts, Filter, Leave, Machine, Medium, OnDeath,
    Program, RegSet, Report, Result, Task, Verdict, Wait, Wake, Which,
};

/// The record that ends a file of so many bytes, where the recorder is about to die and its tasks to go on: whoever has the
/// file appends it.
pub fn left(offset: u64) -> Vec<u8> {
    let (mut payload, mut frame) = (Vec::new(), Vec::new());
    let kind = Entry::End { left: true }.put(&mut payload, &mut Known::default());
    put_frame(&mut frame, offset, kind, &payload);
    frame
}

/// A machine that is recorded. Requests go to it unchanged; what cannot be written is not recorded, and changes nothing.
pub struct Recording<M: Machine> {
    machine: M,
    /// `None` after a failure.
    out: Option<Box<dyn Write>>,
    failure: Option<io::Error>,
    offset: u64,
    known: Known,
    demands: HashMap<Task, Demand>,
    /// The machine's clock, when it began.
    began: u64,
    time: Time,
    /// Of the last report.
    nanos: u64,
    polls: u64,
    payload: Vec<u8>,
    frame: Vec<u8>,
}

impl<M: Machine> Recording<M> {
    /// Records `machine` to `out`, beginning with `header`.
    pub fn new(mut machine: M, header: &Header, out: impl Write + 'static) -> Recording<M> {
        let began = machine.now();
        let bytes = header.bytes(&machine, began);
        let mut recording = Recording {
            machine,
            out: Some(Box::new(out)),
            failure: None,
            offset: 0,
            known: Known::default(),
            demands: HashMap::new(),
            began,
            time: Time::default(),
            nanos: 0,
            polls: 0,
            payload: Vec::new(),
            frame: bytes,
        };
        recording.write();
        recording
    }

    /// The machine itself.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The clock that is recorded.
    pub fn time(&self) -> Time {
        self.time.clone()
    }

    /// Why recording ended before the machine did.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    fn note(&mut self, entry: &Entry) {
        if self.out.is_none() {
            return;
        }
        self.payload.clear();
        let kind = entry.put(&mut self.payload, &mut self.known);
        self.frame.clear();
        put_frame(&mut self.frame, self.offset, kind, &self.payload);
        self.write();
    }

    fn write(&mut self) {
        let Some(out) = &mut self.out else { return };
        match out.write_all(&self.frame) {
            Ok(()) => self.offset += self.frame.len() as u64,
            Err(error) => {
                self.failure = Some(error);
                self.out = None;
            }
        }
    }

    /// Notes an answer about a stop, and gives it back.
    fn at<T: Clone>(
        &mut self,
        task: Task,
        ask: Ask,
        answer: Result<T>,
        of: impl FnOnce(T) -> Answer,
    ) -> Result<T> {
        self.note(&Entry::At { task, ask, answer: answer.clone().map(of) });
        answer
    }

    fn of<T: Clone>(
        &mut self,
        pid: Pid,
        answer: Result<T>,
        fact: impl FnOnce(Result<T>) -> Fact,
    ) -> Result<T> {
        self.note(&Entry::Of { pid, spare: false, fact: fact(answer.clone()) });
        answer
    }

    /// What every tool may ask of a new task or program sooner or later.
    fn introduce(&mut self, pid: Pid) {
        let facts = [
            Fact::Start(self.machine.start(pid)),
            Fact::All(self.machine.facts(pid)),
            Fact::Exe(self.machine.exe(pid)),
        ];
        for fact in facts {
            self.note(&Entry::Of { pid, spare: true, fact });
        }
    }

    fn reported(&mut self, task: Task, report: Report) {
        let pid = self.machine.pid(task).unwrap_or(Pid(0));
        let now = self.machine.now().saturating_sub(self.began).max(self.nanos);
        let nanos = now - self.nanos;
        self.nanos = now;
        self.time.set(now);
        let polls = std::mem::take(&mut self.polls);
        self.note(&Entry::Report { task, report, pid, nanos, polls });
        match report {
            Report::Born { pid, .. } => self.introduce(pid),
            Report::Image { .. } => self.introduce(pid),
            Report::Gone { .. } => drop(self.demands.remove(&task)),
            _ => {}
        }
    }
}

impl<M: Machine> Drop for Recording<M> {
    fn drop(&mut self) {
        self.note(&Entry::End { left: false });
        if let Some(out) = &mut self.out {
            let _ = out.flush(); // nobody is left to tell
        }
    }
}

impl<M: Machine> Machine for Recording<M> {
    fn spawn(&mut self, program: &Program) -> Result<Task> {
        let task = self.machine.spawn(program);
        let answer = task.and_then(|task| Ok((task, self.machine.pid(task)?)));
        self.note(&Entry::Spawn { path: program.path.clone(), args: program.args.clone(), answer });
        if let Ok((_, pid)) = answer {
            self.introduce(pid);
        }
        task
    }

    fn attach(&mut self, pid: Pid, on_owner_death: OnDeath) -> Result<Task> {
        let answer = self.machine.attach(pid, on_owner_death);
        self.note(&Entry::Attach { pid, answer });
        if answer.is_ok() {
            self.introduce(pid);
        }
        answer
    }

    fn on_owner_death(&mut self, task: Task, what: OnDeath) -> Result<()> {
        self.machine.on_owner_death(task, what)
    }

    fn pid(&self, task: Task) -> Result<Pid> {
        self.machine.pid(task)
    }

    fn demand(&mut self, task: Task, demand: Demand) -> Result<()> {
        self.demands.insert(task, demand);
        self.note(&Entry::Demand { task, demand });
        self.machine.demand(task, demand)
    }

    fn filter(&mut self, task: Task, filter: &Filter) -> Result<()> {
        self.machine.filter(task, filter)
    }

    fn calls(&self) -> &[CallName] {
        self.machine.calls()
    }

    fn interrupt(&mut self, task: Task) -> Result<()> {
        let answer = self.machine.interrupt(task);
        self.at(task, Ask::Interrupt, answer, |()| Answer::Done)
    }

    fn resume(&mut self, task: Task, verdict: Verdict) -> Result<()> {
        let answer = self.machine.resume(task, verdict);
        if answer.is_ok() {
            let demand = self.demands.get(&task).copied().unwrap_or_default();
            self.note(&Entry::Resume { task, verdict, demand });
        }
        answer
    }

    fn next_stop(&mut self, wait: Wait) -> Result<Option<(Task, Report)>> {
        let answer = self.machine.next_stop(wait);
        match answer {
            Ok(Some((task, report))) => self.reported(task, report),
            Ok(None) => self.polls += u64::from(wait == Wait::Poll),
            Err(Error::Interrupted) => {}
            Err(error) => self.note(&Entry::Failure { error }),
        }
        answer
    }

    fn waker(&mut self) -> Result<Arc<dyn Wake>> {
        self.machine.waker()
    }

    fn detail(&mut self, task: Task) -> Result<Detail> {
        let answer = self.machine.detail(task);
        self.at(task, Ask::Detail, answer, Answer::Detail)
    }

    fn call_values(&mut self, task: Task) -> Result<CallValues> {
        let answer = self.machine.call_values(task);
        self.at(task, Ask::Values, answer, Answer::Values)
    }

    fn set_call(&mut self, task: Task, change: &CallChange) -> Result<()> {
        let answer = self.machine.set_call(task, change);
        self.at(task, Ask::SetCall(Box::new(*change)), answer, |()| Answer::Done)
    }

    fn now(&mut self) -> u64 {
        let now = self.machine.now();
        self.note(&Entry::Now { nanos: now.saturating_sub(self.began) });
        now
    }

    fn reg_size(&self, set: RegSet) -> usize {
        self.machine.reg_size(set)
    }

    fn read_regs(&mut self, task: Task, set: RegSet, buf: &mut [u8]) -> Result<()> {
        let mut whole = vec![0; self.machine.reg_size(set)];
        let answer = self.machine.read_regs(task, set, &mut whole);
        let size = buf.len().min(whole.len());
        if answer.is_ok() {
            buf[..size].copy_from_slice(&whole[..size]);
        }
        self.note(&Entry::At { task, ask: Ask::Regs(set), answer: answer.map(|()| Answer::Bytes(whole)) });
        answer
    }

    fn write_regs(&mut self, task: Task, set: RegSet, bytes: &[u8]) -> Result<()> {
        let answer = self.machine.write_regs(task, set, bytes);
        self.at(task, Ask::SetRegs(set, bytes.to_vec()), answer, |()| Answer::Done)
    }

    fn read_mem(&mut self, pid: Pid, start: u64, address: u64, buf: &mut [u8]) -> Result<()> {
        let answer = self.machine.read_mem(pid, start, address, buf);
        let length = buf.len() as u64;
        let bytes = answer.map(|()| buf.to_vec());
        self.note(&Entry::Read { pid, start, address, length, answer: bytes });
        answer
    }

    fn write_mem(&mut self, pid: Pid, start: u64, address: u64, bytes: &[u8]) -> Result<()> {
        let answer = self.machine.write_mem(pid, start, address, bytes);
        self.note(&Entry::Write { pid, start, address, bytes: bytes.to_vec(), answer });
        answer
    }

    fn facts(&mut self, pid: Pid) -> Result<Facts> {
        let answer = self.machine.facts(pid);
        self.of(pid, answer, Fact::All)
    }

    fn start(&mut self, pid: Pid) -> Result<u64> {
        let answer = self.machine.start(pid);
        self.of(pid, answer, Fact::Start)
    }

    fn threads(&mut self, pid: Pid) -> Result<Vec<Pid>> {
        let answer = self.machine.threads(pid);
        self.of(pid, answer, Fact::Threads)
    }

    fn exe(&mut self, pid: Pid) -> Result<Vec<u8>> {
        let answer = self.machine.exe(pid);
        self.of(pid, answer, Fact::Exe)
    }

    fn siginfo(&mut self, task: Task) -> Result<Option<SigInfo>> {
        let answer = self.machine.siginfo(task);
        self.at(task, Ask::SigInfo, answer, Answer::SigInfo)
    }

    fn descriptor(&mut self, pid: Pid, which: Which) -> Result<Option<Vec<u8>>> {
        let answer = self.machine.descriptor(pid, which);
        let noted = answer.clone().map(Answer::Name);
        self.note(&Entry::Descriptor { pid, ask: Ask::Name(which), answer: noted });
        answer
    }

    fn descriptor_facts(&mut self, pid: Pid, which: Which) -> Result<Option<Medium>> {
        let answer = self.machine.descriptor_facts(pid, which);
        let noted = answer.clone().map(Answer::Medium);
        self.note(&Entry::Descriptor { pid, ask: Ask::Medium(which), answer: noted });
        answer
    }

    fn signal(&mut self, pid: Pid, signal: Signal) -> Result<()> {
        let answer = self.machine.signal(pid, signal);
        self.note(&Entry::Signal { pid, signal, answer });
        answer
    }

    fn detach(&mut self, task: Task, leave: Leave) -> Result<()> {
        let answer = self.machine.detach(task, leave);
        if answer.is_ok() {
            let verdict = if let Leave::Free(verdict) = leave { verdict } else { Verdict::Proceed };
            self.note(&Entry::Detach { task, verdict });
        }
        answer
    }
}
