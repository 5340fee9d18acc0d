//! Starting a program that cannot tell that we did, and attaching to tasks that run already.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use kernel_model::abi;
use kernel_model::machine::{Error, OnDeath, Pid, Program, Result, Status, Task};
use nix::errno::Errno;

use crate::Linux;
use crate::bpf;
use crate::facts;
use crate::stop::{Raw, Stop};
use crate::sys::{self, Embryo, Image};
use crate::tracee::{BASE_OPTIONS, FILTERED_OPTIONS, Held, Life, Phase, Tracee};
use crate::wait::wait_for;

impl Linux {
    /// Stopped at the event of its exec, inside that call.
    pub(crate) fn start(&mut self, program: &Program) -> Result<Task> {
        let Texts { path, args, env } = Texts::of(program)?;
        let filter = program.pushed.as_ref().map(|filter| bpf::program(&filter.calls()));
        let (env, filter, user) = (env.as_deref(), filter.as_deref(), program.user.as_ref());
        let image = Image { path: &path, args: &args, env, filter, user };
        let options = if image.filter.is_some() { BASE_OPTIONS | FILTERED_OPTIONS } else { BASE_OPTIONS };

        self.placement.free();
        let embryo = sys::fork(&image).map_err(system_error)?;
        let begun = sys::seize(embryo.pid, options).and_then(|()| embryo.release());
        if let Err(errno) = begun {
            let _ = sys::kill(embryo.pid, libc::SIGKILL);
            let _ = until_exec(embryo.pid);
            return Err(system_error(errno));
        }
        if until_exec(embryo.pid).is_some() {
            return Err(refusal(&embryo, program));
        }
        let mut tracee = Tracee::new(
            embryo.pid,
            embryo.pid,
            Life::Stopped(Held { consumed: true, ..Held::new(Stop::Event(libc::PTRACE_EVENT_EXEC)) }),
        );
        tracee.options = options;
        if filter.is_some() {
            tracee.filtered = true;
            tracee.on_death = OnDeath::Kill;
        }
        tracee.phase = Phase::Exec;
        tracee.spawned = true;
        Ok(self.table.insert(tracee))
    }

    /// PTRACE_SEIZE of one task, which may be any thread.
    pub(crate) fn seize(&mut self, pid: Pid, on_death: OnDeath) -> Result<Task> {
        let pid = facts::os_pid(pid)?;
        let mut tracee = Tracee::new(pid, pid, Life::Running(crate::tracee::Request::Cont));
        tracee.on_death = on_death;
        tracee.options = tracee.wanted_options();
        sys::seize(pid, tracee.options).map_err(|errno| match errno {
            Errno::ESRCH => Error::Gone,
            // EPERM has many reasons; these two have names of their own (ptrace_attach in kernel/ptrace.c).
            _ if facts::is_zombie(pid) => Error::Gone,
            _ if facts::tracer(pid).is_some() => Error::Traced,
            _ if facts::stat(pid).is_err() => Error::Gone,
            _ => Error::Denied,
        })?;
        tracee.tgid = facts::tgid(pid).unwrap_or(pid);
        // One of our own that we had detached: the end is reported for the task that traces it now.
        if let Some(former) = self.table.by_pid(pid) {
            tracee.spawned = true;
            self.watch.left -= 1;
            self.table.remove(former);
        }
        Ok(self.table.insert(tracee))
    }
}

/// Makes this process the program, with the dispositions and the mask that it was started with. Returns only to say why it
/// could not. Whoever traces the process already goes on tracing it; [`allow_tracers`] is taken back.
pub fn become_program(program: &Program) -> abi::Errno {
    sys::allow_tracers(false);
    let Ok(Texts { path, args, env }) = Texts::of(program) else { return abi::Errno::EINVAL };
    let image =
        Image { path: &path, args: &args, env: env.as_deref(), filter: None, user: program.user.as_ref() };
    abi::Errno(sys::replace(&image) as i32)
}

/// Which signals were ignored when this process was started: bit n − 1 is signal n. Rust's runtime ignores SIGPIPE later.
pub fn ignored_at_start() -> u64 {
    sys::ignored_at_start()
}

/// Lets any process of this user trace this one, also where Yama would let only its ancestors (ptrace(2)).
pub fn allow_tracers() {
    sys::allow_tracers(true);
}

/// What execve takes.
struct Texts {
    path: CString,
    args: Vec<CString>,
    env: Option<Vec<CString>>,
}

impl Texts {
    /// Errors: Invalid, a NUL in one of them.
    fn of(program: &Program) -> Result<Texts> {
        let text = |bytes: &Vec<u8>| CString::new(bytes.as_slice()).map_err(|_| Error::Invalid);
        let list = |texts: &Vec<Vec<u8>>| texts.iter().map(text).collect::<Result<Vec<_>>>();
        let env = program.env.as_ref().map(list).transpose()?;
        Ok(Texts { path: text(&program.path)?, args: list(&program.args)?, env })
    }
}

fn system_error(errno: Errno) -> Error {
    Error::Other(abi::Errno(errno as i32))
}

/// Why there is no program.
fn refusal(embryo: &Embryo<'_>, program: &Program) -> Error {
    match embryo.failure() {
        Some(Errno::EACCES) if is_directory(program) => system_error(Errno::EISDIR),
        Some(errno) => system_error(errno),
        // A signal from outside ended it between fork and exec.
        None => Error::Interrupted,
    }
}

fn is_directory(program: &Program) -> bool {
    std::path::Path::new(std::ffi::OsStr::from_bytes(&program.path)).is_dir()
}

/// Leads a child up to its exec, through whatever signals come meanwhile; how it ended, if it did.
fn until_exec(pid: i32) -> Option<Status> {
    loop {
        let Some(raw) = wait_for(pid, true).map(Raw::decode) else { return Some(Status(0)) };
        let (request, signal) = match raw {
            Raw::Event(libc::PTRACE_EVENT_EXEC) => return None,
            Raw::End(status) => return Some(status),
            Raw::Signal(signal) => (libc::PTRACE_CONT, signal),
            Raw::Group(_) => (libc::PTRACE_LISTEN, 0),
            Raw::Call | Raw::Event(_) | Raw::Trap => (libc::PTRACE_CONT, 0),
        };
        let _ = sys::restart(request, pid, signal);
    }
}
