//! A FAKE host: it plays a script of events, and logs what the tool writes. It has no processes, no stops and no rules;
//! what a test shows with it is how the tool reacts and prints, never how a kernel behaves.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use kernel_model::abi::{
    CallRecord, Errno, Event, EventFlags, F_SETFL, IntRegisters, OpenFlags, Pid, PtraceEvent, PtraceFlags,
    Result, SEEK_SET, Signal, Stat, Status,
};
use kernel_model::scheme::{Fd, Host, Program, Scheme};
use zerocopy::{FromBytes, IntoBytes};

use crate::output::{Output, Target};

/// An [`Output`] whose text a test can read at any time.
pub(crate) struct Captured {
    bytes: Bytes,
    output: Output,
}

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Default for Captured {
    fn default() -> Captured {
        let bytes = Bytes::default();
        let output = Output::new(Box::new(bytes.clone()), "a test".to_owned(), true);
        Captured { bytes, output }
    }
}

impl Captured {
    pub(crate) fn output(&self) -> Output {
        self.output.clone()
    }

    pub(crate) fn text(&self) -> String {
        self.output.idle();
        String::from_utf8(self.bytes.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Bytes {
    fn cut(&mut self, length: u64) {
        self.0.lock().unwrap().truncate(length as usize);
    }
}

/// What the fake does at one report.
pub(crate) struct Step {
    pub(crate) pid: u32,
    pub(crate) event: PtraceEvent,
    pub(crate) regs: IntRegisters,
}

/// Builds an event.
pub(crate) fn event(cause: PtraceFlags, a: u64, [d, e, f]: [u64; 3]) -> PtraceEvent {
    PtraceEvent { cause: cause.bits(), a, d, e, f, ..Default::default() }
}

#[derive(Default)]
pub(crate) struct Fake(RefCell<State>);

#[derive(Default)]
struct State {
    script: VecDeque<Step>,
    files: Vec<Option<File>>,
    /// Readable text by path; the answer to opening a trace handle by pid.
    texts: BTreeMap<String, String>,
    refusals: BTreeMap<u32, Errno>,
    log: Vec<String>,
    /// Reads of registers, calls and memory.
    reads: Vec<&'static str>,
    memory: Vec<u8>,
    root: u32,
    end: Option<Status>,
    spawn_error: Option<Errno>,
}

#[derive(Clone)]
struct File {
    path: String,
    pid: u32,
    cursor: u64,
    data: u64,
    events: VecDeque<PtraceEvent>,
    regs: IntRegisters,
    /// A read without events plays on instead of being refused.
    waits: bool,
}

impl Fake {
    /// A host whose command is `root` and ends with `end`.
    pub(crate) fn new(root: u32, end: Status, script: Vec<Step>) -> Fake {
        let fake = Fake::default();
        let mut state = fake.0.borrow_mut();
        (state.root, state.end, state.script) = (root, Some(end), script.into());
        drop(state);
        fake
    }

    pub(crate) fn text(self, path: &str, text: &str) -> Fake {
        self.0.borrow_mut().texts.insert(path.to_owned(), text.to_owned());
        self
    }

    pub(crate) fn refuse(self, pid: u32, errno: Errno) -> Fake {
        self.0.borrow_mut().refusals.insert(pid, errno);
        self
    }

    pub(crate) fn refuse_spawn(self, errno: Errno) -> Fake {
        self.0.borrow_mut().spawn_error = Some(errno);
        self
    }

    /// The same bytes in every process, at address 0x1000.
    pub(crate) fn memory(self, bytes: &[u8]) -> Fake {
        self.0.borrow_mut().memory = [bytes, &[0; 512]].concat();
        self
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.0.borrow().log.clone()
    }

    pub(crate) fn reads(&self) -> Vec<&'static str> {
        self.0.borrow().reads.clone()
    }

    /// Descriptors that were not closed.
    pub(crate) fn left_open(&self) -> usize {
        self.0.borrow().files.iter().flatten().count()
    }
}

impl State {
    fn file(&mut self, fd: Fd) -> Result<&mut File> {
        self.files.get_mut(fd.0 as usize).and_then(Option::as_mut).ok_or(Errno::EBADF)
    }

    /// The trace handle of a pid gets what the script says next.
    fn play(&mut self) -> Result<Event> {
        let step = self.script.pop_front().ok_or(Errno::EDEADLK)?;
        let pid = step.pid;
        let found = self.files.iter_mut().flatten().filter(|file| file.pid == pid);
        let mut data = None;
        for file in found {
            file.regs = step.regs;
            if file.path.ends_with("/trace.x") {
                file.events.push_back(step.event);
                data = Some(file.data);
            }
        }
        let data = data.unwrap_or_else(|| panic!("the script has an event for {pid}, which is not open"));
        Ok(Event { id: 0, flags: EventFlags::READ.bits() as u64, data })
    }
}

impl Scheme for Fake {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        let mut state = self.0.borrow_mut();
        let pid = path
            .strip_prefix("proc:")
            .and_then(|rest| rest.split('/').next())
            .and_then(|pid| pid.parse().ok());
        let pid = pid.unwrap_or(0);
        if path.ends_with("/trace.x") {
            if let Some(&errno) = state.refusals.get(&pid) {
                return Err(errno);
            }
            let excl = if flags.contains(OpenFlags::O_EXCL) { " O_EXCL" } else { "" };
            state.log.push(format!("open {pid}{excl}"));
        }
        let text = ["/threads", "/status", "/exe"].iter().any(|end| path.ends_with(end));
        if text && !state.texts.contains_key(path) {
            return Err(Errno::ESRCH);
        }
        let (events, regs) =
            (VecDeque::new(), state.script.front().map(|step| step.regs).unwrap_or_default());
        state.files.push(Some(File {
            path: path.to_owned(),
            pid,
            cursor: 0,
            data: 0,
            events,
            regs,
            waits: false,
        }));
        Ok(Fd(state.files.len() as u32 - 1))
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        let old = self.0.borrow_mut().file(fd)?.clone();
        let new = self.open(&format!("proc:{}/{path}", old.pid), OpenFlags::empty())?;
        self.0.borrow_mut().file(new)?.regs = old.regs;
        Ok(new)
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let mut state = self.0.borrow_mut();
        let path = state.file(fd)?.path.clone();
        if path == "event:" {
            let event = state.play()?;
            buf[..Event::SIZE].copy_from_slice(event.as_bytes());
            return Ok(Event::SIZE);
        }
        if let Some(text) = state.texts.get(&path).cloned() {
            let file = state.file(fd)?;
            let rest = text.as_bytes().get(file.cursor as usize..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            file.cursor += count as u64;
            return Ok(count);
        }
        if path.ends_with("/mem") {
            state.reads.push("mem");
            let from = state.file(fd)?.cursor.checked_sub(0x1000).ok_or(Errno::EFAULT)? as usize;
            let bytes = state.memory.get(from..from + buf.len()).ok_or(Errno::EFAULT)?;
            buf.copy_from_slice(bytes);
            return Ok(buf.len());
        }
        if path.ends_with("/regs/int") {
            state.reads.push("regs");
        }
        if path.ends_with("/call") {
            state.reads.push("call");
        }
        let file = state.file(fd)?;
        if path.ends_with("/call") {
            let at = file.regs;
            let args = [at.rdi, at.rsi, at.rdx, at.r10, at.r8, at.r9];
            let record = CallRecord { args, result: at.rax as i64, ..Default::default() };
            buf.copy_from_slice(record.as_bytes());
            return Ok(buf.len());
        }
        if path.ends_with("/regs/int") {
            buf.copy_from_slice(file.regs.as_bytes());
            return Ok(buf.len());
        }
        if file.waits && file.events.is_empty() {
            state.play()?;
        }
        let file = state.file(fd)?;
        let mut count = 0;
        while let Some(event) =
            (count + PtraceEvent::SIZE <= buf.len()).then(|| file.events.pop_front()).flatten()
        {
            buf[count..count + PtraceEvent::SIZE].copy_from_slice(event.as_bytes());
            count += PtraceEvent::SIZE;
        }
        if count == 0 { Err(Errno::EAGAIN) } else { Ok(count) }
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        let mut state = self.0.borrow_mut();
        if let Ok(watch) = Event::read_from_bytes(buf) {
            state.file(Fd(watch.id as u32))?.data = watch.data;
            return Ok(buf.len());
        }
        if let Ok(regs) = IntRegisters::read_from_bytes(buf) {
            let pid = state.file(fd)?.pid;
            let rip = if regs.rip == 0 { String::new() } else { format!(" rip={:#x}", regs.rip) };
            state.log.push(format!("regs {pid} rax={}{rip}", regs.rax as i64));
            return Ok(buf.len());
        }
        let mask =
            PtraceFlags::from_bits_retain(u64::from_ne_bytes(buf.try_into().map_err(|_| Errno::EINVAL)?));
        let pid = state.file(fd)?.pid;
        let mut line = format!("write {pid}");
        for (flag, name) in [
            (PtraceFlags::EVENT_CLONE, " clone"),
            (PtraceFlags::STOP_POST_SYSCALL, " post"),
            (PtraceFlags::FLAG_IGNORE, " ignore"),
        ] {
            line.push_str(if mask.contains(flag) { name } else { "" });
        }
        state.log.push(line);
        Ok(buf.len())
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        assert_eq!(whence, SEEK_SET);
        self.0.borrow_mut().file(fd)?.cursor = offset as u64;
        Ok(offset as u64)
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        if command != F_SETFL {
            return Err(Errno::EINVAL);
        }
        let nonblock = OpenFlags::from_bits_retain(argument as u32).contains(OpenFlags::O_NONBLOCK);
        self.0.borrow_mut().file(fd)?.waits = !nonblock;
        Ok(0)
    }

    fn fevent(&self, _: Fd, _: EventFlags) -> Result<EventFlags> {
        Ok(EventFlags::empty())
    }

    fn fstat(&self, _: Fd) -> Result<Stat> {
        Ok(Stat::default())
    }

    fn fpath(&self, _: Fd, _: &mut [u8]) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    fn close(&self, fd: Fd) -> Result<()> {
        let mut state = self.0.borrow_mut();
        state.file(fd)?;
        state.files[fd.0 as usize] = None;
        Ok(())
    }
}

impl Host for Fake {
    fn spawn(&self, program: &Program) -> Result<Pid> {
        let mut state = self.0.borrow_mut();
        state.log.push(format!("spawn {}", String::from_utf8_lossy(&program.path)));
        match state.spawn_error {
            Some(errno) => Err(errno),
            None => Ok(Pid(state.root)),
        }
    }

    fn wait(&self, pid: Pid, _: bool) -> Result<Option<Status>> {
        let mut state = self.0.borrow_mut();
        state.log.push(format!("wait {pid}"));
        Ok(state.end)
    }

    fn kill(&self, pid: Pid, signal: Signal) -> Result<()> {
        self.0.borrow_mut().log.push(format!("kill {pid} {signal}"));
        Ok(())
    }
}
