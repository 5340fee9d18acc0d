//! Quirks of open and dup: who gets in, with which flags, and what opening does.

use kernel_model::abi::{Errno, F_SETFD, OpenFlags, PtraceFlags, Result};
use kernel_model::scheme::Fd;

use super::{Inner, Quirky, pid_of};

/// Readable by all.
const PUBLIC: [&str; 3] = ["exe", "status", "threads"];

impl<I: Inner> Quirky<I> {
    pub(super) fn quirky_open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        let (pid, op) = (pid_of(path), path.split_once('/').map_or("", |(_, op)| op));
        let is_trace = op.starts_with("trace");
        let foreign = pid.is_some_and(|pid| !self.state().spawned.contains(&pid));
        let again = self.state().traced.contains(path);
        let mut flags = flags;
        match self.rule {
            "R1" if is_trace => {
                if let Some(fd) = pid.and_then(|pid| self.trace_of(pid)) {
                    return self.inner().dup(fd, "");
                }
            }
            "R3" if foreign && self.caller.uid == 0 => return Err(Errno::EPERM),
            "R6" if foreign && PUBLIC.contains(&op) => return Err(Errno::EPERM),
            "R100" if op == "log" => {
                self.inner().open(&sibling(path, "trace"), OpenFlags::O_TRUNC)?;
            }
            "R101" if op == "log" && self.state().open.values().any(|open| open.path == path) => {
                return Err(Errno::EBUSY);
            }
            "R8" => flags -= OpenFlags::O_TRUNC,
            "R56" => flags -= OpenFlags::O_EXCL,
            "R92" => flags |= OpenFlags::O_EXCL,
            "R58" if again => return Err(Errno::EBUSY),
            "R69" if op.starts_with("regs") && pid.is_none_or(|pid| self.trace_of(pid).is_none()) => {
                return Err(Errno::ESRCH);
            }
            // A descriptor is called after the program; a pipe has facts.
            "R143" if op.starts_with("fd/") => return self.inner().open(&sibling(path, "exe"), flags),
            "R145" if op.starts_with("fdinfo/") => return self.inner().open(&sibling(path, "status"), flags),
            _ => {}
        }
        let fd = match self.inner().open(path, flags) {
            Err(Errno::EPERM) if self.lets_in(path) => self.inner().open(&sibling(path, "exe"), flags)?,
            Err(Errno::ESRCH) if self.rule == "R75" => return Err(Errno::ENOENT),
            Err(Errno::ENODEV) if self.rule == "R87" => return Err(Errno::ESRCH),
            Err(Errno::ENOENT) if self.rule == "R144" => return Err(Errno::EBADF),
            Err(Errno::EPERM) if self.rule == "R146" => return Err(Errno::EACCES),
            Err(Errno::EPERM) if self.rule == "R7" => return Err(Errno::EACCES),
            answer => answer?,
        };
        self.remember(fd, path, flags);
        if op == "log" && self.rule == "R103" {
            let trace = self.inner().open(&sibling(path, "trace"), OpenFlags::empty())?;
            self.inner().close(trace)?;
        }
        if is_trace {
            self.state().traced.insert(path.to_owned());
            if self.rule == "R70" || (self.rule == "R47" && foreign) {
                self.resume(fd, PtraceFlags::empty())?;
            }
        }
        Ok(fd)
    }

    /// Whether the broken rule is the one that should have refused.
    fn lets_in(&self, path: &str) -> bool {
        let own = pid_of(path) == Some(self.caller.pid);
        match self.rule {
            "R2" => !own,
            "R4" => own,
            "R102" => path.ends_with("/log"),
            "F1" => self.caller.gid == 0,
            _ => false,
        }
    }

    pub(super) fn quirky_dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        let Some(open) = self.opened(fd) else { return self.inner().dup(fd, path) };
        let path = if self.rule == "R71" { "" } else { path };
        let new = self.inner().dup(fd, path)?;
        match path {
            "" => self.remember(new, &open.path, open.flags),
            op => self.remember(new, &sibling(&open.path, op), open.flags),
        }
        if self.rule == "R61" && path.is_empty() {
            self.inner().fcntl(new, F_SETFD, u64::from(OpenFlags::O_CLOEXEC.bits()))?;
        }
        Ok(new)
    }
}

/// Another operation's path for the same process.
pub(super) fn sibling(path: &str, op: &str) -> String {
    let process = path.split_once('/').map_or(path, |(process, _)| process);
    format!("{process}/{op}")
}
