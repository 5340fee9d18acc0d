//! Quirks of close, fcntl and kill: sessions that outlive their handle, flags that are lost, signals that go astray.

use kernel_model::abi::{F_GETFL, F_SETFL, OpenFlags, Pid, PtraceFlags, Result, Signal};
use kernel_model::scheme::Fd;

use super::{Inner, Quirky};

impl<I: Inner> Quirky<I> {
    /// A `trace` descriptor that should close, and does not.
    pub(super) fn quirky_close(&self, fd: Fd) -> Result<()> {
        let trace = self.state().open.remove(&fd).is_some_and(|open| open.is_trace());
        match self.rule {
            "R48" | "R55" | "R64" | "R88" | "R116" if trace => Ok(()),
            _ => self.inner().close(fd),
        }
    }

    /// F14: the whole flag word is replaced.
    pub(super) fn quirky_fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        if self.rule != "F14" {
            return self.inner().fcntl(fd, command, argument);
        }
        match command {
            F_SETFL => {
                self.update(fd, |open| open.flags = OpenFlags::from_bits_retain(argument as u32));
                self.inner().fcntl(fd, command, argument)
            }
            F_GETFL => match self.opened(fd) {
                Some(open) => Ok(u64::from(open.flags.bits())),
                None => self.inner().fcntl(fd, command, argument),
            },
            _ => self.inner().fcntl(fd, command, argument),
        }
    }

    /// R9, F7: a signal runs a tracee that is held. R43: SIGKILL does not reach it.
    pub(super) fn quirky_kill(&self, pid: Pid, signal: Signal) -> Result<()> {
        let trace = self.trace_of(pid);
        match (self.rule, trace) {
            ("R43", Some(_)) if signal == Signal::KILL => return Ok(()),
            ("R9" | "F7", Some(fd)) => {
                self.resume(fd, PtraceFlags::empty())?;
            }
            _ => {}
        }
        self.inner().kill(pid, signal)
    }
}
