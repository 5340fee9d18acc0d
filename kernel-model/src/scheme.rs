//! **[`Scheme`] is the trait that matters most**: tracing is file operations. Bytes in, bytes or an errno out.
//!
//! A tool that is written against `&dyn Host` runs on every machine. A value of either trait is *one client's view*:
//! it owns that client's descriptor table, and dropping it is that client's death (R57).
//!
//! # Contract
//!
//! 1. Every method takes `&self`; a value may be used again while one of its reads waits in another thread, where the
//!    form allows threads at all ([`crate::shared`]). Nothing here requires `Send`: ptrace is bound to a thread.
//! 2. A call answers in full or with an [`Errno`] and no effect. Where RFC 0001 names an exception, it names the effect.
//! 3. Only `read` (of `trace`, `log`, `event:`, and registers of a running task), `write` of `trace.g2` and [`Host::wait`] wait.
//!    No other descriptor is affected while they do.
//! 4. Errors are checked in the order in which RFC 0001 lists them.
//! 5. No method has a default body: what a kernel cannot do it refuses by name.
//!
//! ```
//! use kernel_model::abi::{OpenFlags, PtraceFlags};
//! use kernel_model::scheme::Host;
//!
//! /// Runs a process to its next system call. Works on every machine.
//! fn to_next_call(host: &dyn Host, pid: u32) -> kernel_model::abi::Result<[u8; 56]> {
//!     let trace = host.open(&format!("proc:{pid}/trace"), OpenFlags::O_RDWR | OpenFlags::O_TRUNC)?;
//!     host.write(trace, &PtraceFlags::STOP_PRE_SYSCALL.bits().to_ne_bytes())?;
//!     let mut event = [0; 56];
//!     host.read(trace, &mut event)?;
//!     host.close(trace)?;
//!     Ok(event)
//! }
//! ```

use crate::abi::{Errno, EventFlags, OpenFlags, Pid, Result, Signal, Stat, Status};
use crate::sets::Filter;

/// A descriptor: a small number, meaningful to one client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Fd(pub u32);

/// File operations on processes.
pub trait Scheme {
    /// Opens `path` (`proc:<pid>/<op>`, `proc:features`, `event:`).
    ///
    /// Errors, in order: ENODEV no such scheme; EINVAL malformed or unknown path; ESRCH no such task, or it has ended;
    /// EPERM access refused; EBUSY already traced; EMFILE table full.
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd>;

    /// With an empty `path`, a second descriptor for the same description, without O_CLOEXEC. Otherwise opens
    /// `proc:<pid>/<path>` for the pid of `fd`, with its flags and the checks of [`open`](Self::open).
    ///
    /// Errors: EBADF; EINVAL `fd` has no pid; those of `open`.
    fn dup(&self, fd: Fd, path: &str) -> Result<Fd>;

    /// Reads into `buf`, and says how many bytes. See RFC 0001 for each kind of handle.
    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize>;

    /// Writes `buf`, and says how many bytes were taken. See RFC 0001 for each kind of handle.
    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize>;

    /// Moves the cursor of a `mem`, `exe`, `threads` or `features` handle.
    ///
    /// Errors: EBADF no such descriptor, or no cursor; EINVAL negative result; EOVERFLOW overflow or unknown `whence`.
    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64>;

    /// `F_DUPFD`, `F_GETFD`, `F_SETFD`, `F_GETFL`, `F_SETFL`.
    ///
    /// Errors: EBADF; EINVAL other commands.
    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64>;

    /// What of `flags` is ready now. Handles other than `trace`, `log` and `event:` are never ready (R60).
    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags>;

    /// Type, permission bits and size; of a tree of files (RFC 0010) also its time and identity.
    fn fstat(&self, fd: Fd) -> Result<Stat>;

    /// The path as it was opened, cut to `buf`.
    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize>;

    /// Forgets the descriptor. The last one of a `trace` description ends its session (R55, R56).
    fn close(&self, fd: Fd) -> Result<()>;
}

/// What a tracer needs outside files.
pub trait Host: Scheme {
    /// Starts `program`, held before its first instruction until a session on it lets go, or the last one closes.
    ///
    /// Errors: those of starting a program: ENOENT, EACCES, ENOEXEC, EISDIR, ENOMEM, EAGAIN…
    fn spawn(&self, program: &Program) -> Result<Pid>;

    /// The wait status of a child that [`spawn`](Self::spawn) made, once it has ended; it is forgotten then (R53).
    /// With `block` false and the child alive, `None`.
    ///
    /// Errors: ECHILD not such a child, or already waited for; EINTR; EDEADLK nothing can end the wait.
    fn wait(&self, pid: Pid, block: bool) -> Result<Option<Status>>;

    /// Sends a signal.
    ///
    /// Errors: EINVAL no such signal; ESRCH; EPERM.
    fn kill(&self, pid: Pid, signal: Signal) -> Result<()>;
}

/// What to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Program {
    /// Where it is. A machine without files has its own names.
    pub path: Vec<u8>,
    /// Arguments, the first being the program's own name.
    pub args: Vec<Vec<u8>>,
    /// The whole environment as `NAME=value`; `None`: the host's own.
    pub env: Option<Vec<Vec<u8>>>,
    /// Who it runs as; `None`: as the host itself. EPERM: the host may not become that user.
    pub user: Option<User>,
    /// A filter below the machine's own stops, for it and all that descends from it, for ever: sessions on them begin
    /// with these sets, need O_EXCL, and can only narrow them (R91, R92).
    pub pushed: Option<Filter>,
}

impl Program {
    /// `path` with itself as the only argument.
    pub fn new(path: impl Into<Vec<u8>>) -> Program {
        let path = path.into();
        Program { args: vec![path.clone()], path, ..Program::default() }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<Vec<u8>>) -> Program {
        self.args.push(arg.into());
        self
    }
}

/// Whom a program is started as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// Real, effective and saved user.
    pub uid: u32,
    /// Real, effective and saved group.
    pub gid: u32,
    /// The other groups.
    pub groups: Vec<u32>,
}

/// Who a client is; every access check asks this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The client's own task.
    pub pid: Pid,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// So that a tool may hold any kernel.
impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        std::io::Error::from_raw_os_error(errno.0)
    }
}
