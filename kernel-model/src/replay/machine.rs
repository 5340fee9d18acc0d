//! [`Machine`] for [`Replay`]: every request finds the answer that was recorded for it, or is ENODATA.
//!
//! Reports come in the order in which they were recorded, each once its task may have it. So a tool that asks as the one
//! did that recorded gets the same, and one that asks for less gets less.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::UNRECORDED;
use super::answers::{Line, Noted, Series};
use super::entry::{Answer, Ask};
use super::header::SETS;
use super::reader::{Person, Replay};
use crate::abi::{Pid, SigInfo, Signal};
use crate::machine::{
    CallChange, CallName, CallValues, Demand, Detail, Error, Facts, Filter, Leave, Machine, Medium, OnDeath,
    Program, RegSet, Report, Result, Task, Verdict, Wait, Wake, Which,
};

/// Rung from another thread.
#[derive(Default)]
pub(super) struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Replay {
    /// Everything that was answered before the next report is read.
    fn read_moment(&mut self) -> bool {
        self.read <= self.delivered && self.read_one()
    }

    /// An answer about a pid.
    fn about<T: Clone>(&mut self, pid: Pid, pick: fn(&mut Person) -> &mut Series<T>) -> Result<T> {
        loop {
            let now = self.delivered;
            if let Some(answer) = self.people.get_mut(&pid).and_then(|person| pick(person).exact(now)) {
                return answer;
            }
            if !self.read_moment() {
                break;
            }
        }
        let now = self.delivered;
        let latest = self.people.get_mut(&pid).and_then(|person| pick(person).latest(now));
        latest.unwrap_or(Err(UNRECORDED))
    }

    /// An answer of a task's stop: in order; else, once the whole stop was read, in any order.
    fn at<T>(
        &mut self,
        task: Task,
        fits: impl Fn(&Noted) -> bool,
        of: impl Fn(&Noted) -> Option<Result<T>>,
    ) -> Result<T> {
        loop {
            let line = self.lines.get_mut(&task).ok_or(Error::Gone)?;
            if let Some(noted) = line.now.find(true, &fits) {
                return of(noted).unwrap_or(Err(UNRECORDED));
            }
            if !line.ahead.is_empty() || !self.read_one() {
                break;
            }
        }
        let line = self.lines.get_mut(&task).ok_or(Error::Gone)?;
        line.now.find(false, fits).and_then(of).unwrap_or(Err(UNRECORDED))
    }

    fn ask(&mut self, task: Task, ask: &Ask) -> Result<Answer> {
        let fits = |noted: &Noted| matches!(noted, Noted::At(asked, _) if asked == ask);
        self.at(task, fits, |noted| match noted {
            Noted::At(_, answer) => Some(answer.clone()),
            _ => None,
        })
    }

    /// The same for memory, of a task or of what is not traced.
    fn memory<T>(
        &mut self,
        pid: Pid,
        fits: impl Fn(&Noted) -> bool,
        of: impl Fn(&Noted) -> Option<Result<T>>,
    ) -> Result<T> {
        if let Some(&task) = self.pids.get(&pid) {
            return self.at(task, fits, of);
        }
        loop {
            if let Some(noted) = self.untraced.get_mut(&pid).and_then(|stop| stop.find(true, &fits)) {
                return of(noted).unwrap_or(Err(UNRECORDED));
            }
            if !self.read_moment() {
                break;
            }
        }
        let noted = self.untraced.get_mut(&pid).and_then(|stop| stop.find(false, fits));
        noted.and_then(of).unwrap_or(Err(UNRECORDED))
    }

    /// What was asked by pid, of a task or of what is not traced.
    fn ask_of(&mut self, pid: Pid, ask: &Ask) -> Result<Answer> {
        let fits = |noted: &Noted| matches!(noted, Noted::At(asked, _) if asked == ask);
        self.memory(pid, fits, |noted| match noted {
            Noted::At(_, answer) => Some(answer.clone()),
            _ => None,
        })
    }

    /// The first report that can be delivered.
    fn first(&mut self) -> Result<Option<(u64, Task)>> {
        loop {
            if let Some((&index, &task)) = self.ready.first_key_value() {
                return self.read_stop(task).map(|()| Some((index, task)));
            }
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            if !self.read_one() {
                return Err(UNRECORDED);
            }
        }
    }

    /// The same, unless a look found nothing then. One that finds nothing reads one report further at most.
    fn look(&mut self) -> Result<Option<(u64, Task)>> {
        let read = self.read;
        let held = self.lines.values().any(|line| line.is_traced() && !line.ahead.is_empty());
        while self.ready.is_empty() && !held && self.read == read {
            if !self.read_one() {
                // Where more should come, looking again would be for ever.
                let missed = !self.is_whole() && self.lines.values().any(Line::is_traced);
                return if missed { Err(UNRECORDED) } else { Ok(None) };
            }
        }
        let Some((&index, &task)) = self.ready.first_key_value() else { return Ok(None) };
        // One that was recorded earlier and is held came first, and so did the looks before it.
        let earlier = |line: &Line| -> u64 {
            let before = line.ahead.iter().take_while(|next| next.index < index);
            before.map(|next| next.polls.saturating_add(1)).fold(0, u64::saturating_add)
        };
        let held = self.lines.values().filter(|line| line.is_traced()).map(earlier);
        let held = held.fold(0, u64::saturating_add);
        let next = self.lines.get(&task).and_then(|line| line.ahead.front());
        match next {
            Some(next) if next.polls.saturating_add(held) <= self.polls => {
                self.read_stop(task).map(|()| Some((index, task)))
            }
            _ => Ok(None),
        }
    }

    /// Reads all that was asked at a task's next stop. A stop that the file breaks off in is not handed out: half of its
    /// answers would look like those of another history.
    fn read_stop(&mut self, task: Task) -> Result<()> {
        loop {
            let Some(line) = self.lines.get(&task) else { return Err(UNRECORDED) };
            let Some(next) = line.ahead.front() else { return Err(UNRECORDED) };
            let child = match next.report {
                Report::Gone { .. } => return Ok(()),
                Report::Born { child, .. } => self.lines.get(&child),
                _ => None,
            };
            let born = child.is_none_or(|line| line.now.is_over() || !line.ahead.is_empty());
            if (born && (next.stop.is_over() || line.ahead.len() > 1)) || self.is_whole() {
                return Ok(());
            }
            if !self.read_one() && !self.is_whole() {
                return Err(UNRECORDED);
            }
        }
    }

    /// Hands out a report that is ready.
    fn deliver(&mut self, index: u64, task: Task) -> Option<(Task, Report)> {
        self.ready.remove(&index);
        self.polls = 0;
        let line = self.lines.get_mut(&task)?;
        line.ready = None;
        let next = line.ahead.pop_front()?;
        line.now = next.stop;
        line.running = false;
        line.demand.remove(Demand::STEP);
        let former = std::mem::replace(&mut line.pid, next.pid);
        if self.pids.get(&former) == Some(&task) {
            self.pids.remove(&former);
        }
        self.delivered = self.delivered.max(index + 1);
        self.time.set(next.nanos.max(self.time.nanos()));
        match next.report {
            Report::Gone { .. } => {
                self.lines.remove(&task);
                return Some((task, next.report));
            }
            Report::Born { child, pid } => {
                if let Some(line) = self.lines.get_mut(&child) {
                    line.session = 1;
                    self.pids.insert(pid, child);
                }
                self.settle(child);
            }
            _ => {}
        }
        self.pids.insert(next.pid, task);
        self.settle(task); // it may be killed in this stop
        Some((task, next.report))
    }

    /// Whether the verdict at the end of a stop is the recorded one; with another, what follows did not happen.
    fn ends_so(&mut self, task: Task, verdict: Verdict) -> Result<()> {
        loop {
            let line = self.lines.get_mut(&task).ok_or(Error::Gone)?;
            let stop = &line.now;
            if let Some(ended) = stop.resumed.or(stop.left)
                && (ended != verdict || stop.demand.contains(line.demand))
            {
                return if ended == verdict { Ok(()) } else { Err(UNRECORDED) };
            }
            if !line.ahead.is_empty() || !self.read_one() {
                return Err(UNRECORDED);
            }
        }
    }

    fn traced(&mut self, task: Task) -> Result<&mut Line> {
        self.lines.get_mut(&task).filter(|line| line.is_traced()).ok_or(Error::Gone)
    }

    /// Begins a tracing.
    fn begin(&mut self, task: Task, pid: Pid, session: u32, running: bool) {
        if let Some(line) = self.lines.get_mut(&task) {
            line.session = session;
            line.running = running;
            line.demand = Demand::empty();
            self.pids.insert(pid, task);
        }
        self.settle(task);
    }
}

impl Machine for Replay {
    fn spawn(&mut self, program: &Program) -> Result<Task> {
        loop {
            let same =
                |(known, _): &(Program, _)| (&known.path, &known.args) == (&program.path, &program.args);
            if let Some((_, answer)) = self.starts.iter().position(same).and_then(|at| self.starts.remove(at))
            {
                let (task, pid) = answer?;
                let over = |replay: &Replay| {
                    replay.lines.get(&task).is_none_or(|line| line.now.is_over() || !line.ahead.is_empty())
                };
                while !over(self) && self.read_one() {}
                if !over(self) && !self.is_whole() {
                    return Err(UNRECORDED);
                }
                self.begin(task, pid, 1, false);
                return Ok(task);
            }
            if !self.read_moment() {
                return Err(UNRECORDED);
            }
        }
    }

    fn attach(&mut self, pid: Pid, _: OnDeath) -> Result<Task> {
        let answer = loop {
            let now = self.delivered;
            let exact = self.people.get_mut(&pid).and_then(|person| person.attach.exact(now));
            if exact.is_some() || !self.read_moment() {
                break exact;
            }
        };
        let now = self.delivered;
        let latest = |person: &mut Person| person.attach.take_latest(now);
        let answer = answer.or_else(|| self.people.get_mut(&pid).and_then(latest));
        let (task, session) = answer.unwrap_or(Err(UNRECORDED))?;
        self.begin(task, pid, session, true);
        Ok(task)
    }

    fn on_owner_death(&mut self, task: Task, _: OnDeath) -> Result<()> {
        self.traced(task).map(drop)
    }

    fn pid(&self, task: Task) -> Result<Pid> {
        self.lines.get(&task).map(|line| line.pid).ok_or(Error::Gone)
    }

    fn demand(&mut self, task: Task, demand: Demand) -> Result<()> {
        self.traced(task)?.demand = demand;
        Ok(())
    }

    fn filter(&mut self, task: Task, _: &Filter) -> Result<()> {
        self.traced(task).map(drop)
    }

    fn calls(&self) -> &[CallName] {
        &self.calls
    }

    fn interrupt(&mut self, task: Task) -> Result<()> {
        match self.ask(task, &Ask::Interrupt) {
            // The next stop, whatever it is, will do.
            Err(error) if error == UNRECORDED => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn resume(&mut self, task: Task, verdict: Verdict) -> Result<()> {
        self.traced(task)?;
        self.ends_so(task, verdict)?;
        self.traced(task)?.running = true;
        self.settle(task);
        Ok(())
    }

    fn next_stop(&mut self, wait: Wait) -> Result<Option<(Task, Report)>> {
        if wait == Wait::Block && self.bell.0.swap(false, Ordering::SeqCst) {
            return Ok(None);
        }
        let first = match wait {
            Wait::Block => self.first()?,
            Wait::Poll => self.look()?,
        };
        let Some((index, task)) = first else {
            self.polls += 1;
            return Ok(None);
        };
        Ok(self.deliver(index, task))
    }

    fn waker(&mut self) -> Result<Arc<dyn Wake>> {
        let bell: Arc<dyn Wake> = self.bell.clone();
        Ok(bell)
    }

    fn detail(&mut self, task: Task) -> Result<Detail> {
        match self.ask(task, &Ask::Detail)? {
            Answer::Detail(detail) => Ok(detail),
            _ => Err(UNRECORDED),
        }
    }

    fn call_values(&mut self, task: Task) -> Result<CallValues> {
        match self.ask(task, &Ask::Values)? {
            Answer::Values(values) => Ok(values),
            _ => Err(UNRECORDED),
        }
    }

    fn set_call(&mut self, task: Task, change: &CallChange) -> Result<()> {
        self.ask(task, &Ask::SetCall(Box::new(*change))).map(drop)
    }

    fn now(&mut self) -> u64 {
        let asked = loop {
            let exact = self.asked.exact(self.delivered);
            if exact.is_some() || !self.read_moment() {
                break exact;
            }
        };
        // Where nobody asked, it is the time of the last report.
        let nanos = asked.and_then(Result::ok).unwrap_or(0).max(self.time.nanos()).max(self.latest);
        self.latest = nanos;
        self.began.saturating_add(nanos)
    }

    fn reg_size(&self, set: RegSet) -> usize {
        SETS.iter().position(|known| *known == set).map_or(0, |at| self.sizes[at])
    }

    fn read_regs(&mut self, task: Task, set: RegSet, buf: &mut [u8]) -> Result<()> {
        match self.ask(task, &Ask::Regs(set))? {
            Answer::Bytes(bytes) => {
                let size = buf.len().min(bytes.len());
                buf[..size].copy_from_slice(&bytes[..size]);
                Ok(())
            }
            _ => Err(UNRECORDED),
        }
    }

    fn write_regs(&mut self, task: Task, set: RegSet, bytes: &[u8]) -> Result<()> {
        self.ask(task, &Ask::SetRegs(set, bytes.to_vec())).map(drop)
    }

    fn read_mem(&mut self, pid: Pid, start: u64, address: u64, buf: &mut [u8]) -> Result<()> {
        let size = buf.len() as u64;
        let fits = |noted: &Noted| {
            matches!(noted, Noted::Read { start: of, address: at, length, .. }
                if (*of, *at, *length) == (start, address, size))
        };
        let exact = self.memory(pid, fits, |noted| match noted {
            Noted::Read { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        match exact {
            Ok(bytes) => {
                buf.copy_from_slice(&bytes);
                Ok(())
            }
            Err(error) if error == UNRECORDED => {
                let line = self.pids.get(&pid).and_then(|task| self.lines.get(task));
                match line.map(|line| &line.now).or_else(|| self.untraced.get(&pid)) {
                    Some(stop) => stop.memory(start, address, buf),
                    None => Err(UNRECORDED),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn write_mem(&mut self, pid: Pid, start: u64, address: u64, bytes: &[u8]) -> Result<()> {
        let fits = |noted: &Noted| {
            matches!(noted, Noted::Write { start: of, address: at, bytes: written, .. }
                if (*of, *at, &written[..]) == (start, address, bytes))
        };
        self.memory(pid, fits, |noted| match noted {
            Noted::Write { answer, .. } => Some(*answer),
            _ => None,
        })
    }

    fn facts(&mut self, pid: Pid) -> Result<Facts> {
        self.about(pid, |person| &mut person.facts)
    }

    fn start(&mut self, pid: Pid) -> Result<u64> {
        self.about(pid, |person| &mut person.start)
    }

    fn threads(&mut self, pid: Pid) -> Result<Vec<Pid>> {
        self.about(pid, |person| &mut person.threads)
    }

    fn exe(&mut self, pid: Pid) -> Result<Vec<u8>> {
        self.about(pid, |person| &mut person.exe)
    }

    fn siginfo(&mut self, task: Task) -> Result<Option<SigInfo>> {
        match self.ask(task, &Ask::SigInfo)? {
            Answer::SigInfo(info) => Ok(info),
            _ => Err(UNRECORDED),
        }
    }

    fn descriptor(&mut self, pid: Pid, which: Which) -> Result<Option<Vec<u8>>> {
        match self.ask_of(pid, &Ask::Name(which))? {
            Answer::Name(name) => Ok(name),
            _ => Err(UNRECORDED),
        }
    }

    fn descriptor_facts(&mut self, pid: Pid, which: Which) -> Result<Option<Medium>> {
        match self.ask_of(pid, &Ask::Medium(which))? {
            Answer::Medium(medium) => Ok(medium),
            _ => Err(UNRECORDED),
        }
    }

    fn signal(&mut self, pid: Pid, signal: Signal) -> Result<()> {
        let key = (pid, signal.0);
        loop {
            let now = self.delivered;
            if let Some(answer) = self.signals.get_mut(&key).and_then(|series| series.exact(now)) {
                return answer;
            }
            if !self.read_moment() {
                break;
            }
        }
        let now = self.delivered;
        let latest = self.signals.get_mut(&key).and_then(|series| series.take_latest(now));
        latest.unwrap_or(Err(UNRECORDED))
    }

    fn detach(&mut self, task: Task, _: Leave) -> Result<()> {
        let line = self.traced(task)?;
        line.ended = line.session;
        let pid = line.pid;
        if self.pids.get(&pid) == Some(&task) {
            self.pids.remove(&pid);
        }
        self.settle(task);
        Ok(())
    }
}
