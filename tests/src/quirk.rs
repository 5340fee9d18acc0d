//! [`Quirky`]: a kernel with one rule broken, so that the rule's test can be seen to fail.
//!
//! It wraps a client and changes what crosses the file boundary: the bytes, the flags, the order, or the answer. Each rule
//! has one quirk, in the operation where it shows: `opens`, `reads`, `writes`, `logs`, `rest`. What the boundary cannot break (R32,
//! R33, R44: when the machine acts on signals) is broken in the simulator ([`crate::rules::stage::on_sim`]).

mod logs;
mod opens;
mod reads;
mod rest;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kernel_model::abi::{
    Errno, EventFlags, OpenFlags, Pid, PtraceEvent, PtraceFlags, Result, Signal, Stat, Status,
};
use kernel_model::scheme::{Caller, Fd, Host, Program, Scheme};

use crate::rules::Client;

/// What a [`Quirky`] can wrap.
pub trait Inner {
    /// The kernel below.
    fn inner(&self) -> &dyn Host;
}

impl Inner for &dyn Host {
    fn inner(&self) -> &dyn Host {
        *self
    }
}

impl Inner for &(dyn Host + Sync) {
    fn inner(&self) -> &dyn Host {
        *self
    }
}

impl Inner for Box<dyn Client> {
    fn inner(&self) -> &dyn Host {
        self.host()
    }
}

/// What is known of a descriptor.
#[derive(Clone, Debug)]
struct Open {
    path: String,
    flags: OpenFlags,
    /// What was written before the latest write.
    mask: PtraceFlags,
    /// The latest event read, until the next write.
    event: Option<PtraceEvent>,
    /// The latest event read at all.
    latest: Option<PtraceEvent>,
    /// Written, and not read since.
    running: bool,
}

impl Open {
    fn op(&self) -> &str {
        self.path.split_once('/').map_or(&self.path, |(_, op)| op)
    }

    fn is_trace(&self) -> bool {
        self.op().starts_with("trace")
    }

    fn pid(&self) -> Option<Pid> {
        pid_of(&self.path)
    }

    /// The cause of the stop that the tracee is at, as far as it was read.
    fn cause(&self) -> PtraceFlags {
        self.event.map_or(PtraceFlags::empty(), |event| event.cause())
    }
}

#[derive(Default)]
struct State {
    open: BTreeMap<Fd, Open>,
    /// Paths of `trace` handles ever opened.
    traced: BTreeSet<String>,
    /// Pids that this client spawned.
    spawned: BTreeSet<Pid>,
    /// Memory as it was first read: (path, address, length).
    seen: BTreeMap<(String, u64, usize), Vec<u8>>,
    /// The latest report of an `event:` queue.
    report: Vec<u8>,
}

/// A client with one rule broken.
pub struct Quirky<I: Inner> {
    /// `None` only while it is dropped.
    wrapped: Option<I>,
    rule: &'static str,
    caller: Caller,
    state: Mutex<State>,
}

impl<I: Inner> Quirky<I> {
    /// Breaks `rule` for `caller`.
    pub fn new(inner: I, rule: &'static str, caller: Caller) -> Quirky<I> {
        Quirky { wrapped: Some(inner), rule, caller, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrapped(&self) -> &I {
        self.wrapped.as_ref().expect("it is taken only while this is dropped")
    }

    fn inner(&self) -> &dyn Host {
        self.wrapped().inner()
    }

    fn opened(&self, fd: Fd) -> Option<Open> {
        self.state().open.get(&fd).cloned()
    }

    fn update(&self, fd: Fd, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.state().open.get_mut(&fd) {
            change(open);
        }
    }

    fn remember(&self, fd: Fd, path: &str, flags: OpenFlags) {
        let open = Open {
            path: path.to_owned(),
            flags,
            mask: PtraceFlags::empty(),
            event: None,
            latest: None,
            running: false,
        };
        self.state().open.insert(fd, open);
    }

    /// An open `trace` descriptor of this process.
    fn trace_of(&self, pid: Pid) -> Option<Fd> {
        let state = self.state();
        state.open.iter().find(|(_, open)| open.is_trace() && open.pid() == Some(pid)).map(|(fd, _)| *fd)
    }

    /// Lets the tracee of a `trace` descriptor go on with this mask.
    fn resume(&self, fd: Fd, mask: PtraceFlags) -> Result<usize> {
        self.inner().write(fd, &mask.bits().to_ne_bytes())
    }
}

fn pid_of(path: &str) -> Option<Pid> {
    path.strip_prefix("proc:")?.split_once('/')?.0.parse().ok().map(Pid)
}

impl<I: Inner> Scheme for Quirky<I> {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        self.quirky_open(path, flags)
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        self.quirky_dup(fd, path)
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        self.quirky_read(fd, buf)
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        self.quirky_write(fd, buf)
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        match self.inner().seek(fd, offset, whence) {
            Err(Errno::EINVAL) if self.rule == "R66" => self.inner().seek(fd, 0, 0),
            answer => answer,
        }
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        self.quirky_fcntl(fd, command, argument)
    }

    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        match self.opened(fd) {
            Some(open) if self.rule == "R60" && !open.is_trace() => Ok(flags),
            Some(open) if self.rule == "R107" && open.op() == "log" => Ok(EventFlags::empty()),
            _ => self.inner().fevent(fd, flags),
        }
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        self.inner().fstat(fd)
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        self.inner().fpath(fd, buf)
    }

    fn close(&self, fd: Fd) -> Result<()> {
        self.quirky_close(fd)
    }
}

impl<I: Inner> Host for Quirky<I> {
    fn spawn(&self, program: &Program) -> Result<Pid> {
        let plain = Program { pushed: None, ..program.clone() };
        let forced = Program { user: None, ..program.clone() };
        let program = match self.rule {
            "R91" | "R93" => &plain,
            "R77" => &forced,
            _ => program,
        };
        let pid = self.inner().spawn(program)?;
        self.state().spawned.insert(pid);
        Ok(pid)
    }

    fn wait(&self, pid: Pid, block: bool) -> Result<Option<Status>> {
        if self.rule == "R53" && !block {
            return Ok(None);
        }
        self.inner().wait(pid, block)
    }

    fn kill(&self, pid: Pid, signal: Signal) -> Result<()> {
        self.quirky_kill(pid, signal)
    }
}

impl Client for Quirky<Box<dyn Client>> {
    fn host(&self) -> &dyn Host {
        self
    }

    fn fork(&self, caller: Caller) -> Box<dyn Client> {
        Box::new(Quirky::new(self.wrapped().fork(caller), self.rule, caller))
    }

    fn exec(&self) {
        self.wrapped().exec();
    }
}

/// R57: this tracer's death goes unnoticed.
impl<I: Inner> Drop for Quirky<I> {
    fn drop(&mut self) {
        if self.rule == "R57" {
            std::mem::forget(self.wrapped.take());
        }
    }
}
