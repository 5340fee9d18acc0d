//! Finding the next task that has something to say, fairly and at a price that does not grow with the idle ones.
//!
//! Stops are *peeked* at (WNOWAIT) and resumed from there: a signal stop that was not consumed keeps its signal if we
//! die. A stop that somebody holds is consumed on the next look, since wait would report it for ever.
//!
//! Before it sleeps, a wait looks and yields, some times over (`patience`). wait-any walks all tracees, so where there are many,
//! those resumed last are asked instead; and since both orders favour the busy, every [`SWEEP`] events some others are
//! asked by pid.

use kernel_model::machine::{Error, Result, Task, Wait};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::Linux;
use crate::patience::Patience;
use crate::stop::{Raw, Stop};
use crate::sys::{self, Change, Target};
use crate::tracee::{Life, Request};

/// Up to so many tasks, wait-any is the fastest.
const FEW: usize = 8;
/// How many of the tasks resumed last are remembered.
const RECENT: usize = 4;
/// Questions before a wait sleeps, some 20 µs of them: as long as a wake-up takes on another core.
const LOOKS: usize = 32;
/// From so many turns on, several tasks are busy at once.
const BUSY_TURNS: u32 = 8;
/// As far as turns are counted.
const MOST_TURNS: u32 = 16;
/// Every so many events, so many other tasks are asked: one question per event at most.
const SWEEP: usize = 64;

/// What `wait` remembers between calls.
#[derive(Default)]
pub(crate) struct Watch {
    /// This thread, and so what it starts, has one CPU only: nobody stops while it looks.
    one_cpu: bool,
    /// Reported stops that were only peeked at.
    pub(crate) peeked: Vec<Task>,
    /// Pids that the sweep found waiting.
    ready: Vec<i32>,
    /// Pids resumed last, the newest at the end.
    recent: Vec<i32>,
    /// The one of them that was resumed last.
    latest: i32,
    /// Grows with each task that is let go after another one, shrinks with each that is let go twice in a row.
    turns: u32,
    patience: Patience,
    /// The task that was let go last ends.
    ending: bool,
    events: usize,
    /// Slot at which the next sweep starts.
    cursor: usize,
    /// How many tasks are [`Life::Left`].
    pub(crate) left: usize,
}

impl Watch {
    /// Of the calling thread.
    pub(crate) fn new() -> Watch {
        let cpus = sched_getaffinity(Pid::from_raw(0));
        let allowed =
            |cpus: CpuSet| (0..CpuSet::count()).filter(|&cpu| cpus.is_set(cpu) == Ok(true)).take(2).count();
        Watch { one_cpu: cpus.is_ok_and(|cpus| allowed(cpus) == 1), ..Watch::default() }
    }

    /// A task was let go: it is likely to stop again soon, unless it `ends`, which takes longer than looks do.
    pub(crate) fn resumed(&mut self, pid: i32, ends: bool) {
        self.ending = ends;
        self.turns = match std::mem::replace(&mut self.latest, pid) == pid {
            true => self.turns.saturating_sub(1),
            false => (self.turns + 1).min(MOST_TURNS),
        };
        if self.recent.last() == Some(&pid) {
            return;
        }
        self.recent.retain(|&other| other != pid);
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(pid);
    }
}

/// What came of asking.
enum Asked {
    /// It is at a call, and has said which.
    Stopped(Change),
    /// It is not stopped, or dying.
    Runs,
    /// There was nobody to ask, or nothing to be told so.
    Unknown,
}

/// Waits for one task's next stop or end, which is near: it was interrupted, killed, or just born. `None`: no such task.
pub(crate) fn wait_for(pid: i32, consume: bool) -> Option<Change> {
    loop {
        match sys::wait(Target::One(pid), true, consume) {
            Err(Errno::EINTR) => {}
            other => return other.ok().flatten(),
        }
    }
}

impl Linux {
    /// Consumes the stops that were reported and are still held.
    pub(crate) fn settle(&mut self) {
        while let Some(task) = self.watch.peeked.pop() {
            let Ok(tracee) = self.table.get_mut(task) else { continue };
            let pid = tracee.pid;
            let Some(held) = tracee.held().filter(|held| !held.consumed) else { continue };
            held.consumed = true;
            let told = held.stop == Stop::Event(libc::PTRACE_EVENT_EXIT);
            // What comes may be something else, if SIGKILL came between; then it is news.
            if let Ok(Some(change)) = sys::wait(Target::One(pid), false, true) {
                let news = match Raw::decode(change) {
                    Raw::End(_) => true,
                    Raw::Event(event) => event == libc::PTRACE_EVENT_EXIT && !told,
                    _ => false,
                };
                if news {
                    self.news.push_back(change);
                }
            }
        }
    }

    /// The next change of any task, peeked at.
    pub(crate) fn watch(&mut self, wait: Wait) -> Result<Option<Change>> {
        self.watch.events += 1;
        if self.watch.events.is_multiple_of(SWEEP) && self.table.len() > 1 {
            self.sweep();
        }
        while let Some(pid) = self.watch.ready.pop() {
            if let Some(change) = self.probe(pid) {
                return Ok(Some(change));
            }
        }
        if wait == Wait::Poll && self.holds_unsettled() {
            return Ok(self.glance());
        }
        let in_turn = self.watch.one_cpu && self.watch.turns >= BUSY_TURNS && self.has_few();
        if wait == Wait::Block && in_turn {
            // Whoever yields is behind with its share, and then each task that it lets go takes the core from it. Asleep it
            // is not, and finds several of them stopped.
            if let Asked::Stopped(change) = self.ask(false) {
                return Ok(Some(change));
            }
        } else if wait == Wait::Block
            && !std::mem::take(&mut self.watch.ending)
            && !self.watch.recent.is_empty()
            && let Some(looks) = self.watch.patience.begin()
        {
            let found = self.look();
            self.watch.patience.end(&looks, !matches!(found, Ok(None)));
            if !matches!(found, Ok(None)) {
                return found;
            }
        }
        self.any(wait == Wait::Block)
    }

    /// Whether there are so few tasks that all may be asked one by one.
    pub(crate) fn has_few(&self) -> bool {
        self.table.len() <= FEW
    }

    /// Whether a stop is held that wait still shows.
    fn holds_unsettled(&mut self) -> bool {
        let table = &mut self.table;
        self.watch.peeked.retain(|&task| {
            table.get_mut(task).is_ok_and(|tracee| tracee.held().is_some_and(|held| !held.consumed))
        });
        !self.watch.peeked.is_empty()
    }

    /// Wait-any would show the stop that is held: the others are asked by pid.
    fn glance(&mut self) -> Option<Change> {
        let others = self.table.iter_mut().filter(|tracee| !matches!(tracee.life, Life::Stopped(_)));
        let pids: Vec<i32> = others.map(|tracee| tracee.pid).collect();
        pids.into_iter().find_map(|pid| self.probe(pid))
    }

    /// Looks and yields, a bounded number of times. On one core the first look finds the stop nearly always: a task that is
    /// let go has the core before the request returns.
    fn look(&mut self) -> Result<Option<Change>> {
        let (alone, many) = (self.table.len() == 1, self.table.len() > FEW);
        for round in 0..if many { LOOKS / RECENT } else { LOOKS } {
            if round > 0 {
                let _ = nix::sched::sched_yield();
            }
            if round == 0 || alone {
                match self.ask(true) {
                    Asked::Stopped(change) => return Ok(Some(change)),
                    Asked::Runs if alone => continue,
                    Asked::Runs | Asked::Unknown => {}
                }
            }
            if !many {
                match self.any(false)? {
                    None => continue,
                    change => return Ok(change),
                }
            }
            for at in (0..self.watch.recent.len()).rev() {
                if let Some(change) = self.probe(self.watch.recent[at]) {
                    return Ok(Some(change));
                }
            }
        }
        Ok(None)
    }

    /// Asks the tasks that were let go last what call they are stopped at, the one that has waited longest first: an answer
    /// spares both the wait and the question after it. Nothing else can be meant, since a stop that was resumed is no stop any
    /// more (ptrace_freeze_traced). Who is not stopped is not asked again before it has been let go again, except the newest.
    ///
    /// Unless `all` are asked, one that runs is the last.
    fn ask(&mut self, all: bool) -> Asked {
        while let Some(&pid) = self.watch.recent.first() {
            match self.ask_one(pid) {
                Some(Asked::Runs) if !all => {
                    self.watch.recent.rotate_left(1);
                    return Asked::Runs;
                }
                Some(Asked::Runs) if self.watch.recent.len() > 1 => {}
                Some(answer) => return answer,
                None => {}
            }
            self.watch.recent.remove(0);
        }
        Asked::Unknown
    }

    /// `None`: it does not run, so it will not stop.
    fn ask_one(&mut self, pid: i32) -> Option<Asked> {
        let tracee = self.table.get_mut(self.table.by_pid(pid)?).ok()?;
        match tracee.life {
            Life::Running(Request::Syscall) => {}
            Life::Running(Request::Cont) if tracee.filtered => {}
            Life::Running(_) => return Some(Asked::Unknown),
            _ => return None,
        }
        if let Some(is_at_exit) = tracee.given_back() {
            return Some(if is_at_exit { Asked::Stopped(Change::of_call(pid)) } else { Asked::Runs });
        }
        Some(match sys::call_info(tracee.pid) {
            Ok(info) => match info.change(tracee.pid) {
                Some(change) => {
                    tracee.told = Some(info);
                    Asked::Stopped(change)
                }
                None => Asked::Unknown, // some other stop, of which wait tells
            },
            Err(_) => Asked::Runs,
        })
    }

    /// Looks at one task.
    fn probe(&mut self, pid: i32) -> Option<Change> {
        match sys::wait(Target::One(pid), false, false) {
            Ok(change) => change,
            Err(Errno::ECHILD) => {
                self.vanished(pid);
                None
            }
            Err(_) => None,
        }
    }

    /// A task that wait does not know. A process's first thread goes like that when a thread that is not traced execs;
    /// any other thread that goes unreported has become that first thread itself, and its exec will say so.
    fn vanished(&mut self, pid: i32) {
        let Some(task) = self.table.by_pid(pid) else { return };
        if self.table.get(task).is_ok_and(|tracee| tracee.tgid == pid) {
            self.gone(task, None);
        }
    }

    /// Asks some tasks that were not asked lately.
    fn sweep(&mut self) {
        let slots = self.table.slots();
        for _ in 0..slots.min(SWEEP) {
            self.watch.cursor = (self.watch.cursor + 1) % slots;
            let Some(tracee) = self.table.at(self.watch.cursor) else { continue };
            let known = matches!(&tracee.life, Life::Stopped(held) if !held.consumed);
            let pid = tracee.pid;
            // Those let go last are asked all the time.
            if !known && !self.watch.recent.contains(&pid) && self.probe(pid).is_some() {
                self.watch.ready.push(pid);
            }
        }
    }

    /// wait-any. Children of this thread that are not ours stay out of it, as far as the kernel lets us.
    fn any(&mut self, block: bool) -> Result<Option<Change>> {
        let ours_only = self.watch.left == 0;
        let target = if ours_only { Target::Tracees } else { Target::All };
        match sys::wait(target, block, false) {
            Ok(Some(change)) if !ours_only && self.is_foreign(change) => self.any_beside_foreign(block),
            Ok(change) => Ok(change),
            Err(Errno::ECHILD) => {
                // Nothing is traced: whatever the table still has went unseen.
                for task in self.table.tasks() {
                    self.gone(task, None);
                }
                Ok(None)
            }
            Err(Errno::EINTR) => Err(Error::Interrupted),
            Err(errno) => Err(Error::Other(kernel_model::abi::Errno(errno as i32))),
        }
    }

    fn is_foreign(&self, change: Change) -> bool {
        matches!(Raw::decode(change), Raw::End(_))
            && self.table.by_pid(change.pid).is_none()
            && self.bell.pid() != Some(change.pid)
    }

    /// The host has left a zombie unwaited on this thread, which hides what comes after it in wait's list.
    fn any_beside_foreign(&mut self, block: bool) -> Result<Option<Change>> {
        let left: Vec<i32> = self
            .table
            .iter_mut()
            .filter(|tracee| matches!(tracee.life, Life::Left))
            .map(|tracee| tracee.pid)
            .collect();
        for &pid in &left {
            if let Some(change) = self.probe(pid) {
                return Ok(Some(change));
            }
        }
        let found = match sys::wait(Target::Tracees, block, false) {
            // Nothing else can happen: it is safe to wait for one of them alone.
            Err(Errno::ECHILD) if !left.is_empty() => sys::wait(Target::One(left[0]), block, false),
            other => other,
        };
        match found {
            Ok(change) => Ok(change),
            Err(Errno::EINTR) => Err(Error::Interrupted),
            Err(_) => Ok(None),
        }
    }
}
