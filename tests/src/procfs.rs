//! What /proc says of processes: state, parent, tracer, descendants.

use std::collections::BTreeMap;
use std::fs;

/// A line of /proc/PID/stat, as far as tests need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its pid.
    pub pid: i32,
    /// Name of its program.
    pub comm: String,
    /// R, S, D, T stopped, t traced, Z zombie, X dead.
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// Kernel's per-task flags.
    pub flags: u64,
}

/// `PF_KTHREAD` of the kernel's include/linux/sched.h.
const KERNEL_THREAD: u64 = 0x0020_0000;

impl Stat {
    /// Has no program, and cannot be traced.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }
}

/// `None`: no such process or thread.
pub fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and parentheses; the last one ends it.
    let (start, end) = (text.find('(')?, text.rfind(')')?);
    let rest: Vec<&str> = text[end + 1..].split_whitespace().collect();
    Some(Stat {
        pid,
        comm: text[start + 1..end].to_owned(),
        state: rest.first()?.chars().next()?,
        parent: rest.get(1)?.parse().ok()?,
        flags: rest.get(6)?.parse().ok()?,
    })
}

/// The thread that traces it; 0: none. `None`: no such process or thread.
pub fn tracer(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok())
}

/// Its threads.
pub fn threads(pid: i32) -> Vec<i32> {
    numbers(&format!("/proc/{pid}/task"))
}

/// Is `tid` one of `pid`'s threads?
pub fn is_thread_of(tid: i32, pid: i32) -> bool {
    fs::metadata(format!("/proc/{pid}/task/{tid}")).is_ok()
}

/// All processes whose chain of parents leads to `ancestor`.
pub fn descendants(ancestor: i32) -> Vec<Stat> {
    let all: BTreeMap<i32, Stat> =
        numbers("/proc").into_iter().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let below = |stat: &Stat| {
        let parents = std::iter::successors(Some(stat.parent), |pid| Some(all.get(pid)?.parent));
        parents.take(all.len()).any(|pid| pid == ancestor)
    };
    all.values().filter(|stat| below(stat)).cloned().collect()
}

fn numbers(dir: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}
