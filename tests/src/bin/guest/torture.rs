//! What a tracer must get through: storms, churn, and processes that do to themselves whatever the system lets them. Each says
//! only what is the same in every run.

use std::collections::BTreeMap;
use std::io::Result;
use std::os::unix::process::CommandExt;
use std::process::Command;

use conformance::sys;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{get_dumpable, set_dumpable};
use nix::sys::ptrace;
use nix::sys::signal::SigSet;
use nix::unistd::{Gid, Pid, Uid, getpid, setgid, setuid};

use crate::{errno, exec, me, own_path, say, told, waited};

/// By name.
pub(crate) fn act(name: &str) -> Result<i32> {
    match name {
        "storm" => storm(),
        "races" => races(),
        "kills" => kills(),
        "churn" => churn(),
        "bomb" => bomb(),
        "tracers" => tracers(),
        "namespace" => namespace(),
        "deaf" => deaf(),
        "closed" => closed(),
        "filtered" => filtered(),
        "setuid" => set_user(),
        "undumpable" => undumpable(),
        "vforks" => vforks(),
        "same-pid" => same_pid(),
        "who" => who(),
        other => panic!("no torture {other}"),
    }
}

/// Every signal, many times, from a child; the queued ones all arrive, in order.
fn storm() -> Result<i32> {
    const ROUNDS: i32 = 20;
    // Those of job control drop each other.
    let kinds: Vec<i32> = (1..sys::SIGNALS as i32)
        .filter(|signal| ![9, 17, 18, 19, 20, 21, 22, 32, 33].contains(signal))
        .collect();
    for &signal in &kinds {
        sys::count_signal(signal, libc::SA_RESTART)?;
    }
    let target = me();
    let child = sys::fork(|| {
        for round in 0..ROUNDS {
            for &signal in &kinds {
                if sys::queue_signal(target, signal, round).is_err() {
                    return 1;
                }
            }
        }
        0
    })?;
    say!("{}", waited(child, 0));
    let exact = |signal: i32| if signal >= 34 { sys::count(signal) } else { sys::count(signal).min(1) };
    let mut counts = BTreeMap::<u32, u32>::new();
    for &signal in &kinds {
        *counts.entry(exact(signal)).or_default() += 1;
    }
    say!("times: signals {counts:?}");
    Ok(0)
}

/// Stops and continuations sent without waiting; at last the child runs, and is told to end.
fn races() -> Result<i32> {
    for busy in [false, true] {
        let child = sys::fork(|| {
            loop {
                if busy {
                    sys::getppid_raw();
                } else {
                    sys::pause();
                }
            }
        })?;
        for round in 0..200 {
            let stop = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN][round % 3];
            sys::kill(child, stop)?;
            sys::kill(child, libc::SIGCONT)?;
        }
        sys::kill(child, libc::SIGTERM)?;
        say!("{}", waited(child, 0));
        let child = sys::fork(|| {
            loop {
                sys::getppid_raw();
            }
        })?;
        // Killed as it stops, or while it is stopped.
        sys::kill(child, libc::SIGSTOP)?;
        sys::kill(child, libc::SIGKILL)?;
        say!("{}", waited(child, 0));
    }
    Ok(0)
}

/// Children that make every kind of stop, killed after more and more turns of a loop.
fn kills() -> Result<i32> {
    let path = own_path();
    let mut ends = BTreeMap::<String, u32>::new();
    for kind in 0..6 {
        for round in 0..25u64 {
            let child = sys::fork(|| busy(kind, &path))?;
            for turn in 0..round * 400 {
                std::hint::black_box(turn);
            }
            sys::kill(child, libc::SIGKILL)?;
            *ends.entry(waited(child, 0)).or_default() += 1;
        }
    }
    say!("{ends:?}");
    Ok(0)
}

/// For ever.
fn busy(kind: i32, path: &str) -> i32 {
    if kind == 5 {
        std::thread::spawn(|| {
            loop {
                sys::getppid_raw();
            }
        });
    }
    let _ = sys::count_signal(libc::SIGUSR1, 0);
    loop {
        match kind {
            0 => drop(sys::getppid_raw()),
            1 => drop(sys::fork(|| 0).and_then(|child| sys::wait(child, 0))),
            2 => drop(sys::kill(me(), libc::SIGUSR1)),
            3 => drop(sys::vfork_exec(&["/nonexistent/program"]).and_then(|child| sys::wait(child, 0))),
            4 => drop(exec::to(&[path, "torture-again", "4"])),
            _ => drop(std::thread::spawn(|| ()).join()),
        }
    }
}

/// Where `busy` 4 goes on.
pub(crate) fn again(kind: i32) -> Result<i32> {
    Ok(busy(kind, &own_path()))
}

/// Threads that make threads, and one of them becomes another program meanwhile.
fn churn() -> Result<i32> {
    for round in 0..8 {
        let child = sys::fork(|| {
            for _ in 0..3 {
                std::thread::spawn(|| {
                    loop {
                        let _ = std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join);
                    }
                });
            }
            let (pid, status) = (me().to_string(), (20 + round).to_string());
            let execs = std::thread::spawn(move || {
                for _ in 0..round * 50 {
                    sys::getppid_raw();
                }
                exec::to(&[&own_path(), "say", "churned", &pid, &status])
            });
            i32::from(execs.join().is_err())
        })?;
        say!("{}", waited(child, 0));
    }
    Ok(0)
}

/// All alive at once, then all gone.
fn bomb() -> Result<i32> {
    fn burst(depth: i32) -> Result<i32> {
        let mut sum = 1;
        let mut children = Vec::new();
        for _ in 0..if depth > 0 { 5 } else { 0 } {
            children.push(sys::fork(|| i32::from(burst(depth - 1).is_err()))?);
        }
        for child in children {
            sum += i32::from(sys::wait(child, 0)?.1 == 0);
        }
        if sum == if depth > 0 { 6 } else { 1 } {
            Ok(sum)
        } else {
            Err(std::io::Error::other("a child failed"))
        }
    }
    say!("{:?}", burst(3)?);
    Ok(0)
}

/// A child that wants to be traced by its parent, and one that attaches to it. Who is traced already cannot be.
fn tracers() -> Result<i32> {
    let child = sys::fork(|| match ptrace::traceme() {
        Ok(()) => {
            let _ = sys::kill(me(), libc::SIGSTOP);
            31
        }
        Err(_) => 32,
    })?;
    let pid = Pid::from_raw(child);
    let first = waited(child, 0);
    if first == "stopped 19" {
        ptrace::cont(pid, None)?;
        say!("traced by its parent: {}", waited(child, 0));
    } else {
        say!("traced by its parent: {first}");
    }
    let child = sys::fork(|| {
        loop {
            sys::pause();
        }
    })?;
    let attached = ptrace::attach(Pid::from_raw(child));
    say!("attach: {}", told(attached.map_err(Into::into)));
    if attached.is_ok() {
        let _ = waited(child, 0);
    }
    sys::kill(child, libc::SIGKILL)?;
    say!("{}", waited(child, 0));
    Ok(0)
}

/// A pid namespace whose first process makes children, and takes the last one with it.
fn namespace() -> Result<i32> {
    let child = sys::fork(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWPID) {
            say!("unshare: {error}");
            return 0;
        }
        let init = sys::fork(|| {
            say!("init is {}", getpid());
            for _ in 0..3 {
                match sys::fork(|| getpid().as_raw()) {
                    Ok(child) => say!("child {child}: {}", waited(child, 0)),
                    Err(error) => say!("fork: {}", errno(&error)),
                }
            }
            let _ = sys::fork(|| {
                loop {
                    sys::pause();
                }
            });
            let _ = exec::to(&[&own_path(), "say", "second", "1", "40"]);
            1
        });
        init.map_or(1, |init| {
            say!("init {}", waited(init, 0));
            41
        })
    })?;
    say!("{}", waited(child, 0));
    Ok(0)
}

/// Blocks everything, ignores everything, works, and is what it was.
fn deaf() -> Result<i32> {
    for blocks in [false, true] {
        let child = sys::fork(|| {
            if blocks {
                let _ = SigSet::all().thread_block();
            } else {
                for signal in 1..sys::SIGNALS as i32 {
                    let _ = sys::set_disposition(signal, libc::SIG_IGN);
                }
            }
            for signal in (1..sys::SIGNALS as i32).filter(|signal| ![9, 19, 32, 33].contains(signal)) {
                let _ = sys::kill(me(), signal);
            }
            let child = sys::fork(|| 5).map(|child| waited(child, 0));
            let threads = std::thread::spawn(|| sys::getppid_raw() > 0).join().is_ok_and(|done| done);
            say!("blocks {blocks}: {threads} {child:?}, mask {:x}", sys::blocked_mask().unwrap_or(0));
            6
        })?;
        say!("{}", waited(child, 0));
    }
    Ok(0)
}

/// A process without descriptors, which makes another.
fn closed() -> Result<i32> {
    let child = sys::fork(|| {
        if sys::close_all().is_err() {
            return 1;
        }
        sys::getppid_raw();
        let _ = sys::kill(me(), libc::SIGTERM);
        2
    })?;
    say!("{}", waited(child, 0));
    Ok(0)
}

/// Each action of a filter; one that asks for a tracer has none.
fn filtered() -> Result<i32> {
    let errno_38 = libc::SECCOMP_RET_ERRNO | 38;
    for action in [errno_38, libc::SECCOMP_RET_TRACE, libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_KILL_PROCESS]
    {
        let child = sys::fork(|| {
            let _ = sys::count_signal(libc::SIGSYS, 0);
            if let Err(error) = sys::filter_getppid(action) {
                say!("filter: {error}");
            }
            say!("getppid is an error: {}", sys::getppid_checked().is_err());
            say!("SIGSYS {}", sys::count(libc::SIGSYS));
            7
        })?;
        say!("{}", waited(child, 0));
    }
    Ok(0)
}

/// Another user goes to a program that is root's again, `./set-uid`.
fn set_user() -> Result<i32> {
    let child = sys::fork(|| {
        if setgid(Gid::from_raw(1000)).and_then(|()| setuid(Uid::from_raw(1000))).is_err() {
            return 1;
        }
        let error = Command::new("./set-uid").arg("torture").arg("who").exec();
        say!("{error}");
        1
    })?;
    say!("{}", waited(child, 0));
    Ok(0)
}

/// Who is this?
fn who() -> Result<i32> {
    say!("user {}, effective {}", nix::unistd::getuid(), nix::unistd::geteuid());
    Ok(8)
}

fn undumpable() -> Result<i32> {
    set_dumpable(false)?;
    let child = sys::fork(|| i32::from(get_dumpable().unwrap_or(true)))?;
    say!("{}", waited(child, 0));
    let child = sys::vfork_exec(&[&own_path(), "say", "dumpable again", "-", "9"])?;
    say!("{}", waited(child, 0));
    Ok(0)
}

/// Children that leave their parent's memory by ending.
fn vforks() -> Result<i32> {
    let mut ends = BTreeMap::<String, u32>::new();
    for _ in 0..50 {
        let child = sys::vfork_exec(&["/nonexistent/program"])?;
        *ends.entry(waited(child, 0)).or_default() += 1;
    }
    say!("{ends:?}");
    Ok(0)
}

/// The same pid again and again, each time as soon as it is free.
fn same_pid() -> Result<i32> {
    let pid = sys::fork(|| 0)?;
    say!("{}", waited(pid, 0));
    for round in 0..30 {
        match sys::fork_as(pid, || round) {
            Ok(child) => say!("same {}: {}", child == pid, waited(child, 0)),
            Err(error) => {
                say!("not here: {}", errno(&error));
                break;
            }
        }
    }
    Ok(0)
}
