//! Processes come and go: `fork`, `vfork`, `execve`, `exit`, `wait4`, groups and sessions, zombies, orphans.

use crate::abi::{Errno, IntRegisters, Pid, Signal, Status};
use crate::machine::{Demand, Report};

use super::asm::Image;
use super::calls::{Answer, Reply};
use super::cpu::Cpu;
use super::kept::Kept;
use super::memory::{Access, Memory, PAGE, Protection};
use super::names::{WCONTINUED, WNOHANG, WUNTRACED};
use super::process::{Kind, News, Next, Trace, Wait};
use super::signal::{IGNORE, SA_NOCLDWAIT};
use super::{Quirks, Sim};

/// One above the last byte of the first stack.
const STACK_TOP: u64 = 0x7fff_f000_0000;
const STACK_SIZE: u64 = 8 * PAGE;
/// Bytes of arguments and environment: they must leave room on the stack.
const MOST_ARGUMENTS: usize = 4 * PAGE as usize;

/// A program's memory and registers before its first instruction: the segments, and on the stack the count of
/// arguments, their addresses, 0, the environment's, 0, and an empty auxiliary vector.
pub(super) fn load(image: &Image, args: &[Vec<u8>], env: &[Vec<u8>]) -> Result<(Memory, Cpu), Errno> {
    let mut memory = Memory::default();
    for segment in &image.segments {
        let size = (segment.bytes.len() as u64).next_multiple_of(PAGE);
        let protection = Protection { read: true, write: segment.writable, execute: segment.executable };
        memory.map(segment.address, size, protection);
        memory.write(segment.address, &segment.bytes, Access::Tracer).map_err(|_| Errno::ENOEXEC)?;
    }
    memory.map(STACK_TOP - STACK_SIZE, STACK_SIZE, Protection::READ_WRITE);
    let size: usize = args.iter().chain(env).map(|string| string.len() + 9).sum();
    if size > MOST_ARGUMENTS {
        return Err(Errno(7));
    }
    let mut at = STACK_TOP;
    let mut place = |strings: &[Vec<u8>]| -> Result<Vec<u64>, Errno> {
        let mut addresses = Vec::new();
        for string in strings {
            at -= string.len() as u64 + 1;
            memory.write(at, string, Access::Tracer).map_err(|_| Errno::ENOMEM)?;
            addresses.push(at);
        }
        Ok(addresses)
    };
    let (args, env) = (place(args)?, place(env)?);
    let mut words = vec![args.len() as u64];
    words.extend(args.iter().chain(&[0]).chain(&env).chain(&[0, 0, 0]));
    let rsp = (at - 8 * words.len() as u64) & !15;
    for (index, word) in words.iter().enumerate() {
        memory.write_word(rsp + 8 * index as u64, *word).map_err(|_| Errno::ENOMEM)?;
    }
    Ok((memory, Cpu::new(image.entry, rsp)))
}

impl Sim {
    /// The image that a path names.
    pub(super) fn image(&self, path: &[u8]) -> Option<Kept<Image>> {
        let name = std::str::from_utf8(path).ok()?;
        self.images.get(name.strip_prefix("sim:/").unwrap_or(name)).cloned()
    }

    pub(super) fn call_fork(&mut self, pid: Pid, borrow: bool) -> Answer {
        let child = self.new_pid();
        let start = self.new_start();
        let mut copy = self.process(pid).child(child, start, borrow);
        let parent = self.process(pid);
        let (reported, on_death) = match &parent.trace {
            Some(trace) => (trace.demand.contains(Demand::BORN), Some(trace.on_death)),
            None => (false, None),
        };
        parent.next = if borrow { Next::Wait(Wait::Vfork(child)) } else { Next::Done(u64::from(child.0)) };
        self.log.add(child, || format!("born: {} of {pid}", if borrow { "vfork" } else { "fork" }));
        let escapes = self.config.quirks.contains(Quirks::CHILDREN_ESCAPE);
        match on_death {
            Some(on_death) if reported => {
                let task = self.new_task(child, false);
                let mut trace = Trace::new(task, on_death);
                let report = Report::Born { child: task, pid: child };
                if !escapes {
                    trace.held = Some(report);
                }
                copy.trace = Some(trace);
                self.processes.insert(child.0, Kept::new(copy));
                self.stop(pid, report);
            }
            _ => {
                self.processes.insert(child.0, Kept::new(copy));
            }
        }
        Ok(Reply::Away)
    }

    pub(super) fn call_execve(&mut self, pid: Pid, path: u64, args: u64, env: u64) -> Answer {
        let memory = &self.process(pid).memory;
        let path = memory.read_string(path).map_err(|_| Errno::EFAULT)?;
        let args = strings(memory, args)?;
        let env = strings(memory, env)?;
        let image = self.image(&path).ok_or(Errno::ENOENT)?;
        let (memory, cpu) = load(&image, &args, &env)?;
        let process = self.process(pid);
        process.memory = memory;
        process.cpu = cpu;
        process.exe = format!("sim:/{}", image.name).into_bytes();
        process.signals.exec();
        process.borrowed = false;
        process.call = None;
        // A step over this call ends after the new program's first instruction.
        process.step_over = false;
        process.next = Next::User;
        self.log.add(pid, || format!("executes: {}", image.name));
        if self.process(pid).demands(Demand::IMAGE) {
            self.stop(pid, Report::Image { former: pid });
        }
        Ok(Reply::Away)
    }

    pub(super) fn call_exit(&mut self, pid: Pid, code: u64) -> Answer {
        self.process(pid).next = Next::Die(Status::exited(code as u8));
        Ok(Reply::Away)
    }

    /// The end of a process: what is left is a status for its parent, and orphans for pid 1.
    pub(super) fn end(&mut self, pid: Pid, status: Status) {
        self.log.add(pid, || match status.signal() {
            Some(signal) => format!("ended: {signal}"),
            None => format!("ended: exit {}", status.code().unwrap_or(0)),
        });
        let process = self.process(pid);
        process.next = Next::Zombie(status);
        process.killed = false;
        process.borrowed = false;
        process.stopped = None;
        process.news = None;
        process.call = None;
        process.files.clear();
        process.memory = Memory::default();
        process.cpu.int = IntRegisters::default();
        let traced = process.trace.take().map(|trace| trace.task);
        self.forget_pipes();
        let spawned = self.spawned_task(pid);
        if let Some(task) = traced.or(spawned) {
            self.reports.push_back((task, Report::Gone { status: Some(status) }));
            if self.config.quirks.contains(Quirks::DIES_TWICE) {
                self.reports.push_back((task, Report::Gone { status: Some(status) }));
            }
        }
        self.orphan(pid);
        self.tell_parent_of_end(pid, status);
        let parent = self.process(pid).parent;
        let parent = parent.and_then(|parent| self.processes.get(&parent.0));
        let unwanted = parent.is_none_or(|parent| {
            let action = parent.signals.action(Signal::CHLD);
            let ignored = action.handler == IGNORE || action.flags & SA_NOCLDWAIT != 0;
            parent.kind == Kind::Init || (parent.kind == Kind::Program && ignored)
        });
        if unwanted {
            self.processes.remove(&pid.0);
        }
    }

    /// Gives the children of `pid` to pid 1, which waits for the dead among them at once.
    pub(super) fn orphan(&mut self, pid: Pid) {
        let children: Vec<u32> = self
            .processes
            .values()
            .filter(|process| process.parent == Some(pid))
            .map(|child| child.pid.0)
            .collect();
        for child in children {
            if self.processes.get(&child).is_some_and(|child| child.is_zombie()) {
                self.processes.remove(&child);
            } else if let Some(child) = self.processes.get_mut(&child) {
                child.parent = Some(Pid(1));
                self.log.add(child.pid, || format!("adopted: its parent {pid} ended"));
            }
        }
    }

    /// Children of `pid` that wait4's first argument selects, ascending.
    fn selected(&self, pid: Pid, selector: i64) -> Vec<Pid> {
        let group = self.processes.get(&pid.0).map_or(0, |process| i64::from(process.group.0));
        let chosen = |child: i64, of_group: i64| match selector {
            -1 => true,
            0 => of_group == group,
            pid if pid > 0 => child == pid,
            minus => of_group == -minus,
        };
        let children = self.processes.values().filter(|process| process.parent == Some(pid));
        children
            .filter(|child| chosen(i64::from(child.pid.0), i64::from(child.group.0)))
            .map(|child| child.pid)
            .collect()
    }

    /// The first of them with something to tell, and what.
    fn news(&self, pid: Pid, selector: i64, options: u64) -> Option<(Pid, u32)> {
        self.selected(pid, selector).into_iter().find_map(|child| {
            let process = self.processes.get(&child.0)?;
            let status = match (&process.next, process.news) {
                (Next::Zombie(status), _) => status.0,
                (_, Some(News::Stopped(signal))) if options & WUNTRACED != 0 => {
                    u32::from(signal.0) << 8 | 0x7f
                }
                (_, Some(News::Continued)) if options & WCONTINUED != 0 => 0xffff,
                _ => return None,
            };
            Some((child, status))
        })
    }

    /// Whether a wait4 would not wait.
    pub(super) fn has_news(&self, pid: Pid, selector: i64, options: u64) -> bool {
        self.selected(pid, selector).is_empty() || self.news(pid, selector, options).is_some()
    }

    pub(super) fn call_wait4(&mut self, pid: Pid, selector: i64, address: u64, options: u64) -> Answer {
        if options & !(WNOHANG | WUNTRACED | WCONTINUED) != 0 {
            return Err(Errno::EINVAL);
        }
        if self.selected(pid, selector).is_empty() {
            return Err(Errno::ECHILD);
        }
        let Some((child, status)) = self.news(pid, selector, options) else {
            return Ok(if options & WNOHANG != 0 {
                Reply::Done(0)
            } else {
                Reply::Wait(Wait::Child { selector, options })
            });
        };
        if address != 0 {
            let written = self.process(pid).memory.write(address, &status.to_le_bytes(), Access::Write);
            written.map_err(|_| Errno::EFAULT)?;
        }
        let process = self.process(child);
        process.news = None;
        if process.is_zombie() {
            self.log.add(child, || format!("waited for: by {pid}"));
            self.processes.remove(&child.0);
        }
        Ok(Reply::Done(u64::from(child.0)))
    }

    pub(super) fn call_setpgid(&mut self, pid: Pid, target: u64, group: u64) -> Answer {
        let target = if target == 0 { pid } else { Pid(u32::try_from(target).map_err(|_| Errno::ESRCH)?) };
        let group = if group == 0 { target } else { Pid(u32::try_from(group).map_err(|_| Errno::EINVAL)?) };
        let session = self.process(pid).session;
        let exists = group == target
            || self.processes.values().any(|process| process.group == group && process.session == session);
        let Some(process) = self.processes.get_mut(&target.0) else { return Err(Errno::ESRCH) };
        if target != pid && process.parent != Some(pid) {
            return Err(Errno::ESRCH);
        }
        if !exists || process.session != session || process.session == target {
            return Err(Errno::EPERM);
        }
        process.group = group;
        Ok(Reply::Done(0))
    }

    pub(super) fn call_getpgid(&mut self, pid: Pid, target: u64) -> Answer {
        let target = if target == 0 { u64::from(pid.0) } else { target };
        let found = u32::try_from(target).ok().and_then(|target| self.processes.get(&target));
        found.map(|process| Reply::Done(u64::from(process.group.0))).ok_or(Errno::ESRCH)
    }

    pub(super) fn call_setsid(&mut self, pid: Pid) -> Answer {
        if self.processes.values().any(|process| process.group == pid) {
            return Err(Errno::EPERM);
        }
        let process = self.process(pid);
        (process.group, process.session) = (pid, pid);
        Ok(Reply::Done(u64::from(pid.0)))
    }
}

/// The strings that a 0-terminated array of addresses names. No array at all counts as an empty one.
fn strings(memory: &Memory, array: u64) -> Result<Vec<Vec<u8>>, Errno> {
    let mut out = Vec::new();
    if array == 0 {
        return Ok(out);
    }
    loop {
        let at = array.wrapping_add(8 * out.len() as u64);
        let address = memory.read_word(at).map_err(|_| Errno::EFAULT)?;
        if address == 0 {
            return Ok(out);
        }
        if out.len() * 9 > MOST_ARGUMENTS {
            return Err(Errno(7));
        }
        out.push(memory.read_string(address).map_err(|_| Errno::EFAULT)?);
    }
}
