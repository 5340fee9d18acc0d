//! [`Replay`]: reads a recording as far as it is asked, and keeps what was read until the kernel above comes to it.
//!
//! Two positions matter: how far the file was *read*, and how many reports were *delivered*. The first runs ahead of the
//! second just far enough to answer. Here is the first; `machine` has the second.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Read;
use std::sync::Arc;

use super::answers::{Line, Next, Noted, Series, Stop};
use super::entry::{Entry, Fact, Known};
use super::header::Beginning;
use super::machine::Bell;
use super::wire::Frames;
use super::{Damage, Header, Time};
use crate::abi::Pid;
use crate::machine::{CallName, Error, Facts, Program, Report, Result, Task, Verdict};

/// What was asked about a pid.
#[derive(Default)]
pub(super) struct Person {
    pub(super) facts: Series<Facts>,
    pub(super) start: Series<u64>,
    pub(super) threads: Series<Vec<Pid>>,
    pub(super) exe: Series<Vec<u8>>,
    pub(super) attach: Series<(Task, u32)>,
}

/// A start of a program, and its answer.
pub(super) type Start = (Program, Result<(Task, Pid)>);

/// A recording, as a machine.
pub struct Replay {
    pub(super) header: Header,
    pub(super) sizes: [usize; 3],
    /// The machine's clock, when it began; what it was when it was asked; what was answered last.
    pub(super) began: u64,
    pub(super) asked: Series<u64>,
    pub(super) latest: u64,
    pub(super) calls: Vec<CallName>,
    pub(super) time: Time,
    pub(super) bell: Arc<Bell>,
    frames: Frames,
    known: Known,
    /// Nothing more can be read.
    over: bool,
    damage: Option<Damage>,
    left: bool,
    /// Reports that were read, and when the last of them was.
    pub(super) read: u64,
    nanos: u64,
    /// Reports up to the latest that was delivered.
    pub(super) delivered: u64,
    /// Looks in vain since then.
    pub(super) polls: u64,
    /// Tasks by pid: as read, and as delivered.
    read_pids: HashMap<Pid, Task>,
    pub(super) pids: HashMap<Pid, Task>,
    /// Tasks that were introduced: slots are dense.
    introduced: u32,
    pub(super) lines: HashMap<Task, Line>,
    /// Reports that can be delivered.
    pub(super) ready: BTreeMap<u64, Task>,
    pub(super) people: HashMap<Pid, Person>,
    pub(super) starts: VecDeque<Start>,
    pub(super) signals: HashMap<(Pid, u8), Series<()>>,
    /// Memory of what was not traced.
    pub(super) untraced: HashMap<Pid, Stop>,
    /// A wait failed where the reading is now.
    pub(super) failure: Option<Error>,
}

impl Replay {
    /// A recording from its beginning. `calls`: those of the machine that it names, which the file does not have.
    ///
    /// Errors: it does not begin as one.
    pub fn open(
        from: impl Read + 'static,
        calls: impl FnOnce(&Header) -> Vec<CallName>,
    ) -> std::result::Result<Replay, Damage> {
        let mut frames = Frames::new(Box::new(from));
        let Beginning { header, sizes, now } = Header::read(&mut frames)?;
        Ok(Replay {
            calls: calls(&header),
            header,
            sizes,
            began: now,
            asked: Series::default(),
            latest: 0,
            time: Time::default(),
            bell: Arc::default(),
            frames,
            known: Known::default(),
            over: false,
            damage: None,
            left: false,
            read: 0,
            nanos: 0,
            delivered: 0,
            polls: 0,
            read_pids: HashMap::new(),
            pids: HashMap::new(),
            introduced: 0,
            lines: HashMap::new(),
            ready: BTreeMap::new(),
            people: HashMap::new(),
            starts: VecDeque::new(),
            signals: HashMap::new(),
            untraced: HashMap::new(),
            failure: None,
        })
    }

    /// What it begins with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The machine's clock, as it was recorded.
    pub fn time(&self) -> Time {
        self.time.clone()
    }

    /// The first program that was started, if one was before the first report.
    pub fn program(&mut self) -> Option<Program> {
        loop {
            if let Some((program, _)) = self.starts.iter().find(|(_, answer)| answer.is_ok()) {
                return Some(program.clone());
            }
            if self.read > 0 || !self.read_one() {
                return None;
            }
        }
    }

    /// Reads the rest, which nobody asked for, and says what is damaged.
    pub fn finish(&mut self) -> Option<&Damage> {
        while !self.over {
            self.take_one();
        }
        self.damage.as_ref()
    }

    /// Whether the recorder left its tasks, which went on; known once all was read.
    pub fn is_left(&self) -> bool {
        self.left
    }

    /// Whether all was read, and it was the end of all tasks.
    pub(super) fn is_whole(&self) -> bool {
        self.over && self.damage.is_none() && !self.left
    }

    /// Reads one record. False: there is none.
    pub(super) fn read_one(&mut self) -> bool {
        match self.take_one() {
            Some((at, entry)) => {
                if self.enter(entry).is_none() {
                    self.over = true;
                    self.damage = Some(Damage::at(at, "a record does not fit those before it"));
                }
                !self.over
            }
            None => false,
        }
    }

    fn take_one(&mut self) -> Option<(u64, Entry)> {
        if self.over {
            return None;
        }
        let end = match self.frames.next() {
            Ok(Some((at, kind, payload))) => match Entry::take(kind, payload, &mut self.known) {
                Some(Entry::End { left }) => {
                    self.left = left;
                    None
                }
                Some(entry) => return Some((at, entry)),
                None => Some(Damage::at(at, "a record makes no sense")),
            },
            Ok(None) => Some(Damage::unfinished(self.frames.offset)),
            Err(damage) => Some(damage),
        };
        self.over = true;
        self.damage = end;
        None
    }

    /// Slots are dense, and the kernel above counts on it.
    fn introduce(&mut self, task: Task, line: Line) -> Option<()> {
        if task.slot > self.introduced {
            return None;
        }
        self.introduced += 1;
        self.read_pids.insert(line.pid, task);
        if let Some(ready) = self.lines.insert(task, line).and_then(|line| line.ready) {
            self.ready.remove(&ready);
        }
        Some(())
    }

    /// Puts an entry where a question will look for it. `None`: it cannot be.
    fn enter(&mut self, entry: Entry) -> Option<()> {
        match entry {
            Entry::Spawn { path, args, answer } => {
                if let Ok((task, pid)) = answer {
                    self.introduce(task, Line { spawned: true, ..Line::new(pid) })?;
                }
                self.starts.push_back((Program { path, args, ..Program::default() }, answer));
            }
            Entry::Attach { pid, answer } => {
                let answer = match answer {
                    Ok(task) => Ok((task, self.attached(pid, task)?)),
                    Err(error) => Err(error),
                };
                self.people.entry(pid).or_default().attach.add(self.read, false, answer);
            }
            Entry::Report { task, report, pid, nanos, polls } => {
                return self.reported(task, report, pid, nanos, polls);
            }
            Entry::Failure { error } => self.failure = Some(error),
            Entry::Resume { task, verdict, demand } => {
                if let Some(line) = self.lines.get_mut(&task) {
                    let stop = line.last();
                    stop.resumed = Some(verdict);
                    stop.demand |= demand;
                }
            }
            Entry::Demand { task, demand } => {
                if let Some(line) = self.lines.get_mut(&task) {
                    line.last().demand |= demand;
                }
            }
            Entry::Detach { task, verdict } => {
                if let Some(line) = self.lines.get_mut(&task) {
                    line.last().left = Some(verdict);
                    self.read_pids.remove(&line.pid);
                }
            }
            Entry::At { task, ask, answer } => {
                if let Some(line) = self.lines.get_mut(&task) {
                    line.last().add(Noted::At(ask, answer));
                }
            }
            Entry::Of { pid, spare, fact } => {
                let (at, person) = (self.read, self.people.entry(pid).or_default());
                match fact {
                    Fact::All(facts) => person.facts.add(at, spare, facts),
                    Fact::Start(start) => person.start.add(at, spare, start),
                    Fact::Threads(threads) => person.threads.add(at, spare, threads),
                    Fact::Exe(exe) => person.exe.add(at, spare, exe),
                }
            }
            Entry::Descriptor { pid, ask, answer } => self.memory_of(pid).add(Noted::At(ask, answer)),
            Entry::Read { pid, start, address, length, answer } => {
                self.memory_of(pid).add(Noted::Read { start, address, length, answer });
            }
            Entry::Write { pid, start, address, bytes, answer } => {
                self.memory_of(pid).add(Noted::Write { start, address, bytes, answer });
            }
            Entry::Signal { pid, signal, answer } => {
                self.signals.entry((pid, signal.0)).or_default().add(self.read, false, answer);
            }
            Entry::Now { nanos } => self.asked.add(self.read, false, Ok(nanos)),
            Entry::End { .. } => {}
        }
        Some(())
    }

    fn memory_of(&mut self, pid: Pid) -> &mut Stop {
        match self.read_pids.get(&pid).and_then(|task| self.lines.get_mut(task)) {
            Some(line) => line.last(),
            None => self.untraced.entry(pid).or_default(),
        }
    }

    /// A tracing begins; answers which of this task's it is.
    fn attached(&mut self, pid: Pid, task: Task) -> Option<u32> {
        if let Some(line) = self.lines.get_mut(&task) {
            line.sessions += 1;
            self.read_pids.insert(pid, task);
            return Some(line.sessions);
        }
        let mut line = Line::new(pid);
        line.now.resumed = Some(Verdict::Proceed); // attaching does not stop it
        self.introduce(task, line)?;
        Some(1)
    }

    fn reported(&mut self, task: Task, report: Report, pid: Pid, nanos: u64, polls: u64) -> Option<()> {
        let index = self.read;
        self.read += 1;
        self.nanos = self.nanos.saturating_add(nanos);
        let nanos = self.nanos;
        if let Report::Born { child, pid } = report {
            if child == task {
                return None;
            }
            self.introduce(child, Line::new(pid))?;
        }
        let Some(line) = self.lines.get_mut(&task) else {
            // Of a task that was left: nobody asks.
            return Some(());
        };
        let (session, former) = (line.sessions, line.ahead.back().map_or(line.pid, |next| next.pid));
        let pid = if let Report::Gone { .. } = report { former } else { pid };
        let last = line.last();
        let unasked = !last.is_over();
        let stop = Stop::default();
        line.ahead.push_back(Next { index, report, pid, nanos, polls, session, unasked, stop });
        match report {
            Report::Gone { .. } => {
                if self.read_pids.get(&pid) != Some(&task) {
                    self.settle(task);
                    return Some(()); // another has its pid by now, or it was left
                }
                self.read_pids.remove(&pid);
                let (at, person) = (self.read, self.people.entry(pid).or_default());
                person.facts.add(at, true, Err(Error::Gone));
                person.start.add(at, true, Err(Error::Gone));
                person.threads.add(at, true, Err(Error::Gone));
                person.exe.add(at, true, Err(Error::Gone));
            }
            Report::Image { former } => {
                if self.read_pids.get(&former) == Some(&task) {
                    self.read_pids.remove(&former);
                }
                self.read_pids.insert(pid, task);
            }
            _ => {}
        }
        self.settle(task);
        Some(())
    }

    /// Looks again whether a task's next report can be delivered.
    pub(super) fn settle(&mut self, task: Task) {
        let Some(line) = self.lines.get_mut(&task) else { return };
        let ready = line.settle();
        let before = std::mem::replace(&mut line.ready, ready);
        if before != ready {
            before.map(|index| self.ready.remove(&index));
            ready.map(|index| self.ready.insert(index, task));
        }
    }
}
