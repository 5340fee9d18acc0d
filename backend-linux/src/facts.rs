//! What /proc knows of a task: [`facts`], and the two questions that are asked of a stopped one.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use kernel_model::machine::{Error, Facts, Pid, Result, State};
use nix::errno::Errno;

/// PF_KTHREAD in the flags of /proc/pid/stat.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The kernel's pid of a contract's one; the latter may be any number.
pub(crate) fn os_pid(pid: Pid) -> Result<i32> {
    match i32::try_from(pid.0) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(Error::Gone),
    }
}

/// CLOCK_MONOTONIC in nanoseconds: what ktime_get_ns gives the system's own tracers, from boot and without jumps.
pub(crate) fn now() -> u64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// What a refused ptrace request or signal means.
pub(crate) fn request_error(errno: Errno) -> Error {
    match errno {
        Errno::ESRCH => Error::Gone,
        Errno::EPERM | Errno::EACCES => Error::Denied,
        // A register value that the kernel does not take (putreg in arch/x86/kernel/ptrace.c).
        Errno::EIO | Errno::EINVAL => Error::Invalid,
        other => Error::Other(kernel_model::abi::Errno(other as i32)),
    }
}

/// A whole small file of /proc, in one read where it fits: `fs::read` begins with 32 bytes and asks for the size.
fn read(pid: i32, file: &str) -> Result<Vec<u8>> {
    let mut file = fs::File::open(format!("/proc/{pid}/{file}")).map_err(|_| Error::Gone)?;
    let mut text = vec![0; 4096];
    let mut len = 0;
    loop {
        match file.read(&mut text[len..]).map_err(|_| Error::Gone)? {
            0 => break,
            n => len += n,
        }
        if len < text.len() {
            break;
        }
        text.resize(2 * len, 0);
    }
    text.truncate(len);
    Ok(text)
}

/// /proc/pid/stat, as far as it is used.
pub(crate) struct Stat {
    /// One letter, as in proc_pid_stat(5).
    pub(crate) state: u8,
    /// Parent process; 0 at the root.
    pub(crate) parent: u32,
    flags: u64,
    /// Clock ticks after boot.
    pub(crate) start: u64,
    /// The CPU it ran on last.
    pub(crate) processor: usize,
}

impl Stat {
    /// Whether it has ended and was not waited for.
    pub(crate) fn is_zombie(&self) -> bool {
        state(self.state) == State::Zombie
    }
}

/// Reads and takes apart /proc/pid/stat.
pub(crate) fn stat(pid: i32) -> Result<Stat> {
    parse_stat(&read(pid, "stat")?).ok_or(Error::Gone)
}

/// The name, second field, may hold spaces and brackets: fields are counted from the last bracket.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&text[name_end + 1..]).ok()?;
    // Field 3 of proc_pid_stat(5) is word 0 here.
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| words.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: words.first()?.bytes().next()?,
        parent: number(4)? as u32,
        flags: number(9)?,
        start: number(22)?,
        processor: number(39)? as usize,
    })
}

/// The words after `name:` in /proc/pid/status.
fn status_words<'a>(status: &'a [u8], name: &str) -> impl Iterator<Item = &'a str> {
    status
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))
        .and_then(|value| std::str::from_utf8(value).ok())
        .unwrap_or_default()
        .split_ascii_whitespace()
}

fn status_number(status: &[u8], name: &str, word: usize) -> Option<u32> {
    status_words(status, name).nth(word)?.parse().ok()
}

/// All that is known of a task. `own_tid`: the tracer that is not foreign.
pub(crate) fn facts(pid: i32, own_tid: i32) -> Result<Facts> {
    let stat = stat(pid)?;
    Ok(Facts { user: stat.flags & KERNEL_THREAD == 0, ..of_ours(pid, own_tid, stat.start)? })
}

/// The same of a task that is traced, so no kernel thread, and of which it is known when it started.
pub(crate) fn of_ours(pid: i32, own_tid: i32, start: u64) -> Result<Facts> {
    let status = read(pid, "status")?;
    let number = |name, word| status_number(&status, name, word);
    let letter = status_words(&status, "State").next().and_then(|word| word.bytes().next());
    let tracer = number("TracerPid", 0).unwrap_or(0);
    Ok(Facts {
        process: Pid(number("Tgid", 0).ok_or(Error::Gone)?),
        parent: number("PPid", 0).filter(|&parent| parent != 0).map(Pid),
        uid: number("Uid", 1).ok_or(Error::Gone)?,
        gid: number("Gid", 1).ok_or(Error::Gone)?,
        state: state(letter.ok_or(Error::Gone)?),
        start,
        tracer: (tracer != 0 && tracer as i32 != own_tid).then_some(Pid(tracer)),
        user: true,
    })
}

/// All tasks of a task's process, ascending.
pub(crate) fn threads(pid: i32) -> Result<Vec<Pid>> {
    let mut threads: Vec<Pid> = fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(|_| Error::Gone)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid))
        .collect();
    threads.sort_unstable();
    Ok(threads)
}

/// The program file. Kernel threads have none, zombies no more.
pub(crate) fn exe(pid: i32) -> Result<Vec<u8>> {
    match fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(path) => Ok([b"file:", OsStr::as_bytes(path.as_os_str())].concat()),
        Err(_) => stat(pid).map(|_| Vec::new()),
    }
}

fn state(letter: u8) -> State {
    match letter {
        b'D' => State::Uninterruptible,
        b'T' => State::Stopped,
        b't' => State::Traced,
        b'Z' | b'X' | b'x' => State::Zombie,
        _ => State::Running,
    }
}

/// Whether an interrupt would have no effect before something else happens.
pub(crate) fn is_unstoppable(pid: i32) -> bool {
    stat(pid).is_ok_and(|stat| stat.state == b'D')
}

/// Whether the task has ended and was not waited for.
pub(crate) fn is_zombie(pid: i32) -> bool {
    stat(pid).is_ok_and(|stat| stat.is_zombie())
}

/// The thread group of a task.
pub(crate) fn tgid(pid: i32) -> Result<i32> {
    let status = read(pid, "status")?;
    status_number(&status, "Tgid", 0).map(|tgid| tgid as i32).ok_or(Error::Gone)
}

/// Who traces a task, ourselves included.
pub(crate) fn tracer(pid: i32) -> Option<i32> {
    let status = read(pid, "status").ok()?;
    status_number(&status, "TracerPid", 0).map(|pid| pid as i32).filter(|&pid| pid != 0)
}

/// What a task does about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    Default,
    Ignored,
    /// By a handler, whose address /proc does not tell.
    Handled,
}

/// From SigIgn and SigCgt of /proc/pid/status.
pub(crate) fn disposition(pid: i32, signal: i32) -> Disposition {
    let Ok(status) = read(pid, "status") else { return Disposition::Default };
    let has = |name| {
        let mask = status_words(&status, name).next().and_then(|word| u64::from_str_radix(word, 16).ok());
        mask.unwrap_or(0) >> (signal - 1) & 1 == 1
    };
    if has("SigCgt") {
        Disposition::Handled
    } else if has("SigIgn") {
        Disposition::Ignored
    } else {
        Disposition::Default
    }
}

/// Whether a delivered signal has no effect whatsoever. SIGCONT is left out: its effect came when it was sent.
pub(crate) fn is_discarded(pid: i32, signal: i32) -> bool {
    match disposition(pid, signal) {
        Disposition::Ignored => true,
        Disposition::Default => matches!(signal, libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH),
        Disposition::Handled => false,
    }
}

/// Whether a signal that was sent to this thread waits to be delivered.
pub(crate) fn has_pending(pid: i32, signal: i32) -> bool {
    let set = read(pid, "status").ok().and_then(|status| {
        let word = status_words(&status, "SigPnd").next()?.to_owned();
        u64::from_str_radix(&word, 16).ok()
    });
    set.is_some_and(|set| set >> (signal - 1) & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_no_field() {
        let mut line = b"7 (a) b (c) ) S 3".to_vec();
        for field in 5..=52 {
            line.extend_from_slice(format!(" {field}").as_bytes());
        }
        let stat = parse_stat(&line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.flags, stat.start, stat.processor), (b'S', 3, 9, 22, 39));
        assert!(parse_stat(b"7 (x) S").is_none());
        assert!(parse_stat(b"").is_none());
    }

    #[test]
    fn status_lines_are_found_by_their_whole_name() {
        let status = b"Name:\tUid:\nXUid:\t9\t9\nUid:\t1\t2\t3\t4\n";
        assert_eq!(status_number(status, "Uid", 1), Some(2));
        assert_eq!(status_number(status, "Gid", 1), None);
    }

    #[test]
    fn own_facts() {
        let own = std::process::id();
        let facts = facts(own as i32, 0).unwrap();
        assert_eq!(facts.process, Pid(own));
        assert!(facts.user);
        assert!(threads(own as i32).unwrap().contains(&Pid(own)));
        assert!(exe(own as i32).unwrap().starts_with(b"file:/"));
        assert_eq!(os_pid(Pid(0)), Err(Error::Gone));
        assert_eq!(os_pid(Pid(u32::MAX)), Err(Error::Gone));
    }
}
