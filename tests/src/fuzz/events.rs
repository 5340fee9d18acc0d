//! A host that answers whatever the input says, and `tracefd trace` on it: every record, register file, text and errno
//! that could cross the file boundary. The tool ends, says what it saw in some format, and does not fail on it.

use std::cell::RefCell;
use std::io::{self, Write};

use clap::Parser;
use kernel_model::abi::{
    Errno, Event, EventFlags, OpenFlags, Pid, PtraceEvent, PtraceFlags, Result, Signal, Stat, Status,
};
use kernel_model::scheme::{Fd, Host, Program, Scheme};
use userland::cli::{Cli, TraceArgs};
use userland::output::{self, Output};
use userland::tables::Calls;
use userland::tools::Tool;
use userland::{setup, trace};
use zerocopy::{FromBytes, IntoBytes};

use super::bytes::Bytes;

/// Command lines without the command: every format, and what changes the loop.
const LINES: [&[&str]; 10] = [
    &["-f"],
    &["-f", "-v", "-tt", "-T", "-i", "-n"],
    &["-f", "--format", "json"],
    &["-f", "--format", "chrome"],
    &["-f", "--format", "mermaid"],
    &["-f", "--format", "mermaid-state"],
    &["-f", "--format", "xv6"],
    &["-f", "-C", "-z"],
    &["-c"],
    &["-e", "trace=%file", "-e", "inject=openat:error=EIO:when=2+"],
];

/// Runs the tool on the input's host.
pub fn events(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let line = LINES[bytes.below(LINES.len())];
    let command = ["tracefd", "trace", "-q"].iter().chain(line).chain(&["--", "command"]);
    let Tool::Trace(args) = Cli::try_parse_from(command).expect("the lines above are right").tool else {
        unreachable!("the subcommand is trace");
    };
    let target = if bytes.byte() & 1 == 0 {
        trace::Target::Program(Program::new("main"))
    } else {
        trace::Target::Attach(vec![Pid(5), Pid(6)])
    };
    let host = Hostile { rest: RefCell::new(bytes.rest().to_vec()), files: RefCell::default() };
    run(&host, &args, &target);
    let open = host.files.borrow().iter().flatten().count();
    assert_eq!(open, 0, "{open} descriptors were left open");
}

fn run(host: &Hostile, args: &TraceArgs, target: &trace::Target) {
    let output = Output::new(Box::new(Nowhere), "nowhere".to_owned(), false);
    let options = setup::options(args, Calls::linux()).expect("the lines above are right");
    let mut view = setup::view(args, &output);
    // How it ends is the input's affair; that it does is the tool's.
    if let Err(failure) = trace::run(host, target, &options, &mut *view, None, None) {
        assert!(!failure.to_string().is_empty());
    }
    drop(view);
    output.finish("");
}

struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl output::Target for Nowhere {
    fn cut(&mut self, _: u64) {}
}

struct File {
    path: String,
    /// What its watcher gets, if it is watched.
    data: Option<u64>,
}

struct Hostile {
    rest: RefCell<Vec<u8>>,
    files: RefCell<Vec<Option<File>>>,
}

const CAUSES: [PtraceFlags; 11] = [
    PtraceFlags::STOP_PRE_SYSCALL,
    PtraceFlags::STOP_POST_SYSCALL,
    PtraceFlags::STOP_SIGNAL,
    PtraceFlags::STOP_EXIT,
    PtraceFlags::EVENT_CLONE,
    PtraceFlags::EVENT_IMAGE,
    PtraceFlags::EVENT_JOBSTOP,
    PtraceFlags::EVENT_DEATH,
    PtraceFlags::STOP_BREAKPOINT,
    PtraceFlags::STOP_SINGLESTEP,
    PtraceFlags::STOP_INTERRUPT,
];
const ERRNOS: [Errno; 8] = [
    Errno::ESRCH,
    Errno::EAGAIN,
    Errno::EPERM,
    Errno::EBUSY,
    Errno::EFAULT,
    Errno::EINVAL,
    Errno::EINTR,
    Errno::EIO,
];

impl Hostile {
    fn with<T>(&self, act: impl FnOnce(&mut Bytes<'_>) -> T) -> T {
        let mut rest = self.rest.borrow_mut();
        let mut bytes = Bytes::new(&rest);
        let answer = act(&mut bytes);
        let left = bytes.rest().len();
        let used = rest.len() - left;
        rest.drain(..used);
        answer
    }

    fn is_over(&self) -> bool {
        self.rest.borrow().is_empty()
    }

    /// One answer in sixteen is an error.
    fn may_fail(&self) -> Result<()> {
        self.with(|bytes| match bytes.byte() {
            code @ 0xf0.. => Err(ERRNOS[usize::from(code) % ERRNOS.len()]),
            _ => Ok(()),
        })
    }

    fn add(&self, path: String) -> Fd {
        let mut files = self.files.borrow_mut();
        files.push(Some(File { path, data: None }));
        Fd(files.len() as u32 - 1)
    }

    fn path(&self, fd: Fd) -> Result<String> {
        let files = self.files.borrow();
        files.get(fd.0 as usize).and_then(Option::as_ref).map(|file| file.path.clone()).ok_or(Errno::EBADF)
    }

    fn report(&self) -> Result<Event> {
        if self.is_over() {
            return Err(Errno::EDEADLK);
        }
        let watched: Vec<(u64, u64)> = (0..)
            .zip(self.files.borrow().iter())
            .filter_map(|(fd, file)| Some((fd, file.as_ref()?.data?)))
            .collect();
        self.with(|bytes| {
            let choice = bytes.byte();
            let (id, data) = match watched.get(usize::from(choice) % watched.len().max(1)) {
                Some(&watch) if choice < 0xf8 => watch,
                _ => (bytes.word(), bytes.word()),
            };
            Ok(Event { id, flags: EventFlags::READ.bits() as u64, data })
        })
    }

    fn records(&self, buf: &mut [u8]) -> Result<usize> {
        if self.is_over() {
            return Err(Errno::ESRCH);
        }
        self.may_fail()?;
        self.with(|bytes| {
            let count = bytes.below(4);
            let mut n = 0;
            for place in buf.chunks_exact_mut(PtraceEvent::SIZE).take(count) {
                place.copy_from_slice(record(bytes).as_bytes());
                n += PtraceEvent::SIZE;
            }
            Ok(n)
        })
    }
}

/// Of a cause that there is, with small numbers; or anything.
fn record(bytes: &mut Bytes<'_>) -> PtraceEvent {
    let kind = usize::from(bytes.byte());
    if kind >= 0xf0 {
        let [cause, a, b, c, d, e, f] = std::array::from_fn(|_| bytes.word());
        return PtraceEvent { cause, a, b, c, d, e, f };
    }
    let mut small = || u64::from(bytes.byte());
    let (a, d, e) = (small(), small(), small() & 3);
    let f = small() & 1;
    PtraceEvent { cause: CAUSES[kind % CAUSES.len()].bits(), a, b: 0, c: 0, d, e, f }
}

impl Scheme for Hostile {
    fn open(&self, path: &str, _: OpenFlags) -> Result<Fd> {
        // Without this the tool has nothing to do.
        if path != "event:" {
            self.may_fail()?;
        }
        Ok(self.add(path.to_owned()))
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        let old = self.path(fd)?;
        self.may_fail()?;
        let task = old.split('/').next().unwrap_or_default();
        Ok(self.add(format!("{task}/{path}")))
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let path = self.path(fd)?;
        if path == "event:" {
            let event = self.report()?;
            buf[..Event::SIZE].copy_from_slice(event.as_bytes());
            return Ok(Event::SIZE);
        }
        if path.contains("/trace") {
            return self.records(buf);
        }
        self.may_fail()?;
        self.with(|bytes| match path.rsplit('/').next() {
            Some("mem" | "int") => {
                // Whole, and few bytes of the input.
                let first = bytes.take(16);
                let cycle = first.iter().chain(&[0]).cycle();
                buf.iter_mut().zip(cycle).for_each(|(place, byte)| *place = *byte);
                Ok(buf.len())
            }
            _ => {
                let wanted = bytes.below(64).min(buf.len());
                let text = bytes.take(wanted);
                buf[..text.len()].copy_from_slice(text);
                Ok(text.len())
            }
        })
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        self.path(fd)?;
        self.may_fail()?;
        if let Ok(watch) = Event::read_from_bytes(buf) {
            let mut files = self.files.borrow_mut();
            let watched = files.get_mut(watch.id as usize).and_then(Option::as_mut).ok_or(Errno::EBADF)?;
            watched.data = Some(watch.data);
        }
        Ok(buf.len())
    }

    fn seek(&self, fd: Fd, offset: i64, _: u32) -> Result<u64> {
        self.path(fd)?;
        Ok(offset as u64)
    }

    fn fcntl(&self, fd: Fd, _: u32, _: u64) -> Result<u64> {
        self.path(fd).map(|_| 0)
    }

    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        self.path(fd).map(|_| flags)
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        self.path(fd).map(|_| Stat::default())
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let path = self.path(fd)?;
        let n = path.len().min(buf.len());
        buf[..n].copy_from_slice(&path.as_bytes()[..n]);
        Ok(n)
    }

    fn close(&self, fd: Fd) -> Result<()> {
        self.path(fd)?;
        self.files.borrow_mut()[fd.0 as usize] = None;
        Ok(())
    }
}

impl Host for Hostile {
    fn spawn(&self, _: &Program) -> Result<Pid> {
        self.may_fail().map(|()| Pid(5))
    }

    fn wait(&self, _: Pid, _: bool) -> Result<Option<Status>> {
        self.may_fail()?;
        Ok(Some(Status(self.with(|bytes| u32::from(bytes.byte()) << 8 | u32::from(bytes.byte())))))
    }

    fn kill(&self, _: Pid, _: Signal) -> Result<()> {
        self.may_fail()
    }
}
