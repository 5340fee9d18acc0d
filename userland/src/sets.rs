//! [`Filtered`]: a host on which every session is told of some calls only (RFC 0005). The tool on it need not know.
//!
//! It writes `sets/entry` and `sets/exit` after each open of a `trace` file, or starts programs under a filter that the
//! system's kernel has (`--seccomp-bpf`). Either way a tool may be told of more, and still chooses what it shows.

use kernel_model::abi::{EventFlags, OpenFlags, Pid, Result, Signal, Stat, Status};
use kernel_model::scheme::{Fd, Host, Program, Scheme};
use kernel_model::sets::{CallSet, Filter, SignalSet};

use crate::tables::{Calls, Table};

/// The calls that `wanted` says yes to, by ABI and number; for those that nobody has named yet it is asked about the
/// largest number.
pub fn select(calls: &Calls, wanted: impl Fn(u64, u64) -> bool) -> CallSet {
    let others = wanted(0, u64::MAX);
    let tables = calls.tables().iter().enumerate();
    let numbers =
        tables.flat_map(|(abi, table)| Table::numbers(table).map(move |number| (abi as u64, number)));
    let listed = numbers.filter(|&(abi, number)| wanted(abi, number) != others);
    if others { CallSet::all_but(listed) } else { CallSet::only(listed) }
}

/// As words of a set that children inherit; nothing for everything.
fn text(set: &CallSet) -> String {
    if *set == CallSet::ALL {
        return String::new();
    }
    let bang = if set.has_others() { "!" } else { "" };
    let words = set.listed().map(|(abi, number)| format!("{bang}{abi}:{number} "));
    let words: String = words.collect();
    if words.is_empty() { "none inherit".to_owned() } else { words + "inherit" }
}

/// Whether a filter takes from programs the right to gain privileges by exec: the kernel asks that of those without
/// CAP_SYS_ADMIN (seccomp(2)).
pub fn costs_privileges() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = held.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    held & CAP_SYS_ADMIN == 0
}

/// A host whose sessions want these calls.
pub struct Filtered<'h> {
    host: &'h dyn Host,
    text: String,
    pushed: Option<Filter>,
}

impl<'h> Filtered<'h> {
    /// Sessions on `host` are told of `calls`. With `push`, programs are started under a filter, and die with their sessions.
    pub fn new(host: &'h dyn Host, calls: CallSet, push: bool) -> Filtered<'h> {
        let text = text(&calls);
        let filter = Filter { entry: calls.clone(), exit: calls, signal: SignalSet::ALL };
        Filtered { host, text, pushed: push.then_some(filter) }
    }

    /// A session that inherited its sets has them already; one that ended meanwhile needs none.
    fn write_sets(&self, session: Fd) {
        for set in ["sets/entry", "sets/exit"] {
            let Ok(fd) = self.host.dup(session, set) else { return };
            if self.host.read(fd, &mut [0]) == Ok(0) {
                let _ = self.host.write(fd, self.text.as_bytes());
            }
            let _ = self.host.close(fd);
        }
    }
}

impl Scheme for Filtered<'_> {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        let session = path.split_once('/').is_some_and(|(_, op)| op.starts_with("trace"));
        if session && self.pushed.is_some() {
            return self.host.open(path, flags | OpenFlags::O_EXCL);
        }
        let fd = self.host.open(path, flags)?;
        if session && !self.text.is_empty() {
            self.write_sets(fd);
        }
        Ok(fd)
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        self.host.dup(fd, path)
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        self.host.read(fd, buf)
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        self.host.write(fd, buf)
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        self.host.seek(fd, offset, whence)
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        self.host.fcntl(fd, command, argument)
    }

    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        self.host.fevent(fd, flags)
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        self.host.fstat(fd)
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        self.host.fpath(fd, buf)
    }

    fn close(&self, fd: Fd) -> Result<()> {
        self.host.close(fd)
    }
}

impl Host for Filtered<'_> {
    fn spawn(&self, program: &Program) -> Result<Pid> {
        match &self.pushed {
            None => self.host.spawn(program),
            pushed => self.host.spawn(&Program { pushed: pushed.clone(), ..program.clone() }),
        }
    }

    fn wait(&self, pid: Pid, block: bool) -> Result<Option<Status>> {
        self.host.wait(pid, block)
    }

    fn kill(&self, pid: Pid, signal: Signal) -> Result<()> {
        self.host.kill(pid, signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Selection;

    #[test]
    fn a_selection_becomes_a_set_and_its_words() {
        let calls = Calls::linux();
        let set = |expression: &str| {
            let selection = Selection::parse(expression, &calls).unwrap();
            select(&calls, |abi, number| selection.has(abi, number))
        };
        assert_eq!(text(&set("trace=openat")), "0:257 1:295 inherit");
        assert_eq!(text(&set("trace=!openat")), "!0:257 !1:295 inherit");
        assert_eq!(text(&set("trace=none")), "none inherit");
        assert_eq!(text(&set("trace=all")), "");
        assert!(set("trace=!openat").has(0, 99_999));
    }
}
