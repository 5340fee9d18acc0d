//! Tracers in this very process: the least a two-stop tracer can do, and the kernel without a tool around it.

use std::io::{Error, Result};
use std::os::unix::process::CommandExt;

use backend_linux::Linux;
use conformance::sys;
use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceFlags};
use kernel_model::client::Trace;
use kernel_model::core::Policy;
use kernel_model::kernel::Kernel;
use kernel_model::local::Local;
use kernel_model::scheme::{Caller, Host, Program};
use kernel_model::sets::Filter;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;

/// PTRACE_SYSCALL and PTRACE_GET_SYSCALL_INFO at each stop of `cmd` and all its children; nothing is printed.
pub(crate) fn two_stops(cmd: &[String]) -> Result<()> {
    let child = sys::fork(|| {
        let _ = sys::kill(std::process::id() as i32, libc::SIGSTOP);
        drop(conformance::tracer::measured(cmd).exec());
        127
    })?;
    sys::wait(child, libc::WUNTRACED)?;
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(nix::unistd::Pid::from_raw(child), options)?;
    sys::kill(child, libc::SIGCONT)?;
    let mut end = 0;
    loop {
        let (pid, raw) = match sys::wait(-1, libc::__WALL) {
            Ok(change) => change,
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => break,
            Err(error) => return Err(error),
        };
        if !libc::WIFSTOPPED(raw) {
            if pid == child {
                end = raw;
            }
            continue;
        }
        let (task, signal, event) = (nix::unistd::Pid::from_raw(pid), libc::WSTOPSIG(raw), raw >> 16);
        let mut deliver = None;
        if signal == libc::SIGTRAP | 0x80 {
            sys::syscall_info(pid)?;
        } else if event == libc::PTRACE_EVENT_STOP && signal != libc::SIGTRAP {
            // A group-stop, which SIGCONT has ended or will end: running on is right for a benchmark.
        } else if event == 0 {
            deliver = Signal::try_from(signal).ok();
        }
        match ptrace::syscall(task, deliver) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    if end == 0 { Ok(()) } else { Err(Error::other(format!("status {end:#x}"))) }
}

/// Which calls [`with_sets`] wants.
#[allow(dead_code, clippy::allow_attributes, reason = "each benchmark uses a part of this file")]
pub(crate) enum Sets {
    /// All.
    Default,
    /// These words are written.
    Written { entry: &'static str, exit: &'static str },
    /// The program is started with this filter.
    Pushed(Box<Filter>),
}

/// The local kernel through its public handles: mask, events, mask. One process.
#[allow(dead_code, clippy::allow_attributes, reason = "each benchmark uses a part of this file")]
pub(crate) fn local_kernel(cmd: &[String]) -> Result<()> {
    with_sets(cmd, PtraceFlags::STOP_PRE_SYSCALL | PtraceFlags::STOP_POST_SYSCALL, Sets::Default)
}

/// The same with sets.
pub(crate) fn with_sets(cmd: &[String], mask: PtraceFlags, sets: Sets) -> Result<()> {
    let caller = Caller {
        pid: Pid(std::process::id()),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    };
    let kernel = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let host = kernel.client(caller);
    let mut program = Program::new(cmd[0].as_str());
    for arg in &cmd[1..] {
        program = program.arg(arg.as_str());
    }
    let mut flags = OpenFlags::empty();
    let mut written = None;
    match sets {
        Sets::Default => {}
        Sets::Written { entry, exit } => written = Some((entry, exit)),
        Sets::Pushed(filter) => {
            program.pushed = Some(*filter);
            flags = OpenFlags::O_EXCL;
        }
    }
    let pid = host.spawn(&program)?;
    let trace = Trace::open(&host, pid, flags)?;
    if let Some((entry, exit)) = written {
        trace.handle().dup("sets/entry")?.write(entry.as_bytes())?;
        trace.handle().dup("sets/exit")?.write(exit.as_bytes())?;
    }
    loop {
        match trace.step(mask) {
            Ok(_) => {}
            Err(Errno::ESRCH) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    match host.wait(pid, true)? {
        Some(status) if status.code() == Some(0) => Ok(()),
        status => Err(Error::other(format!("{status:?}"))),
    }
}
