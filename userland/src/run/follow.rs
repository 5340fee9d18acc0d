//! The loop: one `event:` queue over the `trace` handles of all tasks. A task at a call is planned for and let go; one whose
//! mount has to be asked stays where it is while a thread asks, and the others go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use kernel_model::abi::{CallRecord, Errno, Pid, PtraceEvent, PtraceFlags, Signal, Status};
use kernel_model::scheme::{Fd, Host};
use slab::Slab;
use zerocopy::{FromZeros, IntoBytes};

use super::calls::{Calls, Rule, Special};
use super::entry::{Call, Plan};
use super::live::Live;
use super::mounts::{Place, path_of, shown};
use super::report::Reporter;
use super::rewrite::{Change, needs_low_memory};
use super::strings::{self, Home, Pool, Strings};
use super::task::{After, Before, Cwd, Task, Undo};
use super::walk::{Ask, Stop, World};
use super::{look, socket};
use crate::failure::Failure;
use crate::ready::Ready;
use crate::signals::Signals;
use crate::trace::delay::Ringer;

const MASK: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL
    .union(PtraceFlags::EVENT_CLONE)
    .union(PtraceFlags::EVENT_IMAGE)
    .union(PtraceFlags::EVENT_JOBSTOP)
    .union(PtraceFlags::EVENT_DEATH);

/// Events taken in one read: a birth, an image and a call at most are there at once.
const BATCH: usize = 4;

/// Bytes of memory that a 64-bit program is given for its 32-bit calls.
const LOW_BYTES: u64 = 64 * 1024;

/// What a mount has answered, and whom.
struct Answer {
    key: usize,
    serial: u64,
    ask: Ask,
    located: Result<std::path::PathBuf, Errno>,
}

pub(super) struct Follow<'h> {
    host: &'h dyn Host,
    ready: Ready<'h>,
    tasks: Slab<Task<'h>>,
    by_pid: HashMap<Pid, usize>,
    world: &'h World,
    calls: &'h Calls,
    ringer: &'h Ringer<'h>,
    report: Reporter,
    signals: Option<&'h Signals>,
    root: Option<Pid>,
    root_status: Option<Status>,
    /// Counts what may change a current directory or its name.
    generation: u64,
    serial: u64,
    answers: (Sender<Answer>, Receiver<Answer>),
    /// Answers that are still to come.
    asked: usize,
    live: Live<'h>,
    pool: Pool,
}

impl<'h> Follow<'h> {
    pub(super) fn new(
        host: &'h dyn Host,
        world: &'h World,
        calls: &'h Calls,
        ringer: &'h Ringer<'h>,
        report: Reporter,
        signals: Option<&'h Signals>,
    ) -> Result<Follow<'h>, Failure> {
        let ready = Ready::new(host).map_err(Failure::kernel("opening an event queue"))?;
        Ok(Follow {
            host,
            ready,
            tasks: Slab::new(),
            by_pid: HashMap::new(),
            world,
            calls,
            ringer,
            report,
            signals,
            root: None,
            root_status: None,
            generation: 0,
            serial: 0,
            answers: channel(),
            asked: 0,
            live: Live::new(host, ringer),
            pool: Pool::default(),
        })
    }

    pub(super) fn root_status(&self) -> Option<Status> {
        self.root_status
    }

    /// Begins with the command, whose current directory is `cwd`.
    pub(super) fn begin(&mut self, pid: Pid, cwd: Option<Cwd>) -> Result<(), Errno> {
        self.root = Some(pid);
        self.adopt(pid, cwd)
    }

    fn adopt(&mut self, pid: Pid, cwd: Option<Cwd>) -> Result<(), Errno> {
        self.serial += 1;
        let mut task = Task::open(self.host, pid, self.serial)?;
        task.cwd = cwd;
        let fd = task.trace.handle().fd();
        let key = self.tasks.insert(task);
        self.by_pid.insert(pid, key);
        self.ready.watch(fd, key)?;
        match self.tasks[key].resume(MASK) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()), // its end is an event like others
            Err(errno) => Err(errno),
        }
    }

    /// Until the last task has ended.
    pub(super) fn serve(&mut self) -> Result<(), Failure> {
        while !self.tasks.is_empty() {
            match self.ready.next(self.only()) {
                Ok(key) => match Live::of_key(key) {
                    Some(file) => self.live.show(file),
                    None => self.drain(key)?,
                },
                Err(Errno::EINTR) => {}
                Err(Errno::EDEADLK) => return Err(Failure::Deadlock),
                Err(errno) => return Err(Failure::Kernel { doing: "waiting for events", errno }),
            }
            while self.asked > 0
                && let Ok(answer) = self.answers.1.try_recv()
            {
                self.asked -= 1;
                self.answered(answer)?;
            }
            self.live.sweep(&self.world.scratch, &self.by_pid);
        }
        Ok(())
    }

    /// The only task there is, unless it waits for a mount itself, and if nothing else can become readable.
    fn only(&self) -> Option<(usize, Fd)> {
        if !self.live.is_empty() {
            return None;
        }
        let mut tasks = self.tasks.iter();
        let (key, task) =
            tasks.next().filter(|(_, task)| tasks.next().is_none() && task.waiting.is_none())?;
        Some((key, task.trace.handle().fd()))
    }

    fn drain(&mut self, key: usize) -> Result<(), Failure> {
        let mut events = <[PtraceEvent; BATCH]>::new_zeroed();
        while let Some(task) = self.tasks.get(key) {
            let count = match task.trace.handle().read(events.as_mut_bytes()) {
                Ok(bytes) => bytes / PtraceEvent::SIZE,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
                Err(Errno::ESRCH) => {
                    self.forget(key);
                    return Ok(());
                }
                Err(Errno::EDEADLK) => return Err(Failure::Deadlock),
                Err(errno) => return Err(Failure::Kernel { doing: "reading events", errno }),
            };
            if count == 0 {
                return Ok(());
            }
            let mut held = false;
            for event in &events[..count] {
                match event.cause() {
                    PtraceFlags::EVENT_DEATH => {
                        self.death(key, u32::try_from(event.a).ok().map(Status));
                        return Ok(());
                    }
                    cause => held |= self.act(key, cause, event),
                }
            }
            if held {
                self.let_go(key)?;
            }
            if count < BATCH || self.ready.may_wait() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Acts on an event; whether the task is to be let go.
    fn act(&mut self, key: usize, cause: PtraceFlags, event: &PtraceEvent) -> bool {
        if self.tasks[key].stopped && cause != PtraceFlags::EVENT_JOBSTOP {
            self.tasks[key].stopped = false;
            if let (Some(signals), true) = (self.signals, self.is_root(key)) {
                signals.root_runs();
            }
        }
        match cause {
            PtraceFlags::STOP_PRE_SYSCALL => return self.call(key, event.d, event.f),
            PtraceFlags::STOP_POST_SYSCALL => {
                if let Some(undo) = self.tasks[key].undo.take() {
                    self.over(key, undo);
                }
                return true;
            }
            PtraceFlags::EVENT_CLONE => self.born(key, Pid(event.a as u32)),
            PtraceFlags::EVENT_IMAGE => self.image(key),
            PtraceFlags::EVENT_JOBSTOP => {
                self.tasks[key].stopped = true;
                if let (Some(signals), true) = (self.signals, self.is_root(key)) {
                    signals.root_stopped();
                }
            }
            _ => {}
        }
        false
    }

    /// A call is about to be made. False: the task has to wait for a mount.
    fn call(&mut self, key: usize, number: u64, abi: u64) -> bool {
        let task = &mut self.tasks[key];
        task.undo = None;
        let rule = self.calls.get(abi, number);
        let Ok(record) = task.call() else { return true }; // it is dying
        if let Some(strings) = &mut task.strings {
            strings.make_room();
        }
        let (world, generation) = (self.world, self.generation);
        let (live, ready, by_pid) = (&mut self.live, &self.ready, &self.by_pid);
        let mut call = Call { world, task, record, abi, generation, live, ready, by_pid };
        let plan = match call.plan(rule) {
            Ok(plan) => plan,
            Err(Stop::Errno(errno)) => Plan::fail(errno),
            Err(Stop::NotReady(ask)) => match self.ask(key, ask) {
                Ok(()) => {
                    self.tasks[key].waiting = Some((number, abi));
                    return false;
                }
                Err(errno) => Plan::fail(errno),
            },
        };
        let task = &mut self.tasks[key];
        task.answers.clear();
        match plan {
            Plan::Go => {}
            Plan::Skip(result) => {
                task.skip = task.set_call(&CallRecord { number: result as u64, ..record }).is_ok();
            }
            Plan::Change(mut change) => {
                if abi == 0
                    && change.is_plain()
                    && change.bytes() > 0
                    && let Some(first) = self.prepare(key)
                {
                    change = first;
                }
                let task = &mut self.tasks[key];
                match task.change_plainly(&record, &mut change) {
                    Ok(true) => return true,
                    Ok(false) => {}
                    Err(errno) => {
                        task.skip = task.set_call(&failing(&record, errno)).is_ok();
                        return true;
                    }
                }
                let Ok(regs) = task.registers() else { return true };
                let change = if task.low.is_none() && needs_low_memory(&regs, abi, &change) {
                    map_low()
                } else {
                    change
                };
                if let Err(errno) = task.change(&regs, abi, change) {
                    // There is no room for the strings: the call must not be made with names of the host.
                    task.skip = task.set_call(&failing(&record, errno)).is_ok();
                }
            }
        }
        if let Rule::Refused(..) | Rule::Special(Special::Ptrace) = rule {
            self.report.refused(self.tasks[key].pid, abi, number, rule);
        }
        true
    }

    /// What is to be done in the place of a call whose paths need room, so that later ones have some.
    fn prepare(&mut self, key: usize) -> Option<Change> {
        let task = &mut self.tasks[key];
        if let Some(strings) = &task.strings {
            return (!strings.sealed).then(|| strings::seal(strings.at));
        }
        task.changed = task.changed.saturating_add(1);
        if task.changed != strings::PATIENCE || look::is_filtered(task.pid.0) {
            return None;
        }
        let Some(strings) = self.pool.take(self.home(key)?) else { return self.pool.more() };
        self.tasks[key].strings = Some(strings);
        None
    }

    /// The program that it runs. `None`: nobody can say.
    fn home(&self, key: usize) -> Option<Home> {
        let process = self.tasks[key].process();
        let first = self.tasks.get(*self.by_pid.get(&process)?)?;
        Some(Home { process, program: (first.serial, first.images) })
    }

    /// Asks a mount, in a thread of its own. Errors: EAGAIN there can be none.
    fn ask(&mut self, key: usize, ask: Ask) -> Result<(), Errno> {
        let serial = self.tasks[key].serial;
        let backing = Arc::clone(&self.world.table.get(ask.mount).backing);
        let (answers, ring) = (self.answers.0.clone(), (self.ringer)());
        let work = move || {
            let located = backing.locate(path_of(&ask.below), ask.intent);
            if answers.send(Answer { key, serial, ask, located }).is_ok()
                && let Some(ring) = ring
            {
                ring();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("mount".to_owned()).spawn(work) {
            self.report.note(&format!("a mount cannot be asked: {error}"));
            return Err(Errno::EAGAIN);
        }
        self.asked += 1;
        Ok(())
    }

    fn answered(&mut self, answer: Answer) -> Result<(), Failure> {
        let Answer { key, serial, ask, located } = answer;
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.serial == serial) else { return Ok(()) };
        let Some((number, abi)) = task.waiting.take() else { return Ok(()) };
        task.answers.push((ask, located));
        if self.call(key, number, abi) { self.let_go(key) } else { Ok(()) }
    }

    fn let_go(&mut self, key: usize) -> Result<(), Failure> {
        let Some(task) = self.tasks.get_mut(key) else { return Ok(()) };
        let mut mask = MASK;
        if task.undo.is_some() {
            mask |= PtraceFlags::STOP_POST_SYSCALL;
        }
        if std::mem::take(&mut task.skip) {
            mask |= PtraceFlags::FLAG_IGNORE;
        }
        match task.resume(mask) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Failure::Kernel { doing: "resuming a task", errno }),
        }
    }

    /// A changed call is over.
    fn over(&mut self, key: usize, undo: Undo) {
        let task = &mut self.tasks[key];
        let Ok(result) = task.restore(&undo) else { return }; // it is dying
        let done = !(-4095..0).contains(&result);
        for (mount, below, intent) in &undo.told {
            self.world.table.get(*mount).backing.finished(path_of(below), *intent, done);
        }
        match undo.after {
            After::Nothing => {}
            After::Moved => {
                self.generation += 1;
                self.world.known.forget();
            }
            After::In(virt) if done => {
                self.generation += 1;
                let Ok(host) = look::link(format!("/proc/{}/cwd", task.pid).as_bytes()) else { return };
                // A directory of the host may also be what a mount shows: it is called what the program called it.
                let native = host == shown(&virt) && self.world.table.place(&virt) == Place::Host;
                task.cwd = Some(Cwd { generation: self.generation, host, virt, native });
            }
            After::In(_) => {}
            After::Opened(file) if !done => self.live.close(&self.world.scratch, file),
            After::Opened(_) => {}
            After::Again if done => task.again(&undo),
            After::Again => {}
            After::Address { at, length_at, room } => {
                if done {
                    self.name_address(key, at, length_at, room);
                }
            }
            After::Mapped => {
                task.again(&undo);
                let home = self.home(key).filter(|_| done);
                self.tasks[key].strings = home.map(|home| Strings::new(result as u64, home));
            }
            After::Sealed => {
                match task.strings.as_mut().filter(|_| done) {
                    Some(strings) => strings.sealed = true,
                    None => {
                        task.strings = None;
                        self.pool.refuse();
                    }
                }
                task.again(&undo);
            }
            After::MappedLow => {
                if done {
                    task.low = Some(result as u32 as u64);
                    task.again(&undo);
                } else if let Before::Registers(mut regs) = undo.before {
                    regs.rax = result as u64;
                    let _ = task.set_registers(&regs);
                }
            }
        }
    }

    fn name_address(&mut self, key: usize, at: u64, length_at: u64, room: usize) {
        let (world, task) = (self.world, &mut self.tasks[key]);
        let Ok(length) = task.word(1, length_at) else { return };
        let mut address = vec![0; (length as usize).min(room).min(110)];
        if task.read(at, &mut address).is_err() {
            return;
        }
        let name = |host: &[u8]| world.name_of(host).filter(|(_, native)| !native).map(|(virt, _)| virt);
        if let Some(new) = socket::renamed(&address, name) {
            let _ = task.write(at, &new[..new.len().min(room)]);
            let _ = task.write(length_at, &(new.len() as u32).to_le_bytes());
        }
    }

    fn born(&mut self, key: usize, pid: Pid) {
        if self.by_pid.contains_key(&pid) {
            return;
        }
        let cwd = self.tasks[key].cwd.clone();
        if let Err(errno) = self.adopt(pid, cwd)
            && errno != Errno::ESRCH
        {
            self.report.note(&format!("process {pid} cannot be followed: {errno}; it is ended"));
            let _ = self.host.kill(pid, Signal::KILL);
        }
    }

    /// exec came through; where another thread than the first did it, under the first one's pid.
    fn image(&mut self, key: usize) {
        let former = self.tasks[key].pid;
        let pid = self.tasks[key].process();
        if pid != former {
            if let Some(leader) = self.by_pid.get(&pid).copied().filter(|leader| *leader != key) {
                self.forget(leader);
            }
            self.by_pid.remove(&former);
            self.by_pid.insert(pid, key);
        }
        if let Some(undo) = self.tasks[key].undo.take() {
            for (mount, below, intent) in &undo.told {
                self.world.table.get(*mount).backing.finished(path_of(below), *intent, true);
            }
        }
        self.tasks[key].renewed(pid);
        self.pool.forget(pid);
    }

    fn death(&mut self, key: usize, status: Option<Status>) {
        if self.is_root(key)
            && let Some(status) = status
        {
            self.root_status = Some(status);
            if let Some(signals) = self.signals {
                signals.root_ended();
            }
        }
        self.forget(key);
    }

    fn is_root(&self, key: usize) -> bool {
        self.root == Some(self.tasks[key].pid)
    }

    fn forget(&mut self, key: usize) {
        self.ready.forget(key);
        let mut task = self.tasks.remove(key);
        match task.strings.take() {
            Some(strings) if !strings.is_of(task.pid) => self.pool.give(strings),
            _ => self.pool.forget(task.pid),
        }
        if self.by_pid.get(&task.pid) == Some(&key) {
            self.by_pid.remove(&task.pid);
        }
        if let Some(undo) = &task.undo {
            for (mount, below, intent) in &undo.told {
                self.world.table.get(*mount).backing.finished(path_of(below), *intent, false);
            }
            if let After::Opened(file) = undo.after {
                self.live.close(&self.world.scratch, file);
            }
        }
    }
}

/// The call as it is written to be skipped with an error.
fn failing(call: &CallRecord, errno: Errno) -> CallRecord {
    CallRecord { number: -i64::from(errno.0) as u64, ..*call }
}

/// mmap2 of some memory in the place of a 32-bit call: the kernel gives those addresses that fit.
fn map_low() -> Change {
    /// PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS.
    const ARGUMENTS: [u64; 6] = [0, LOW_BYTES, 3, 0x22, 0xffff_ffff, 0];
    const MMAP2_32: u64 = 192;
    strings::in_place_of_a_call(MMAP2_32, &ARGUMENTS, After::MappedLow)
}
