//! Many of a kind: threads, short children, a tree of forks, grandchildren that outlive their parent.

use std::io::Result;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use conformance::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{me, say, status, waited};

/// `n` threads that all live at once.
pub(crate) fn threads(n: i32) -> Result<i32> {
    let sum = AtomicU64::new(0);
    let barrier = Barrier::new(n as usize);
    std::thread::scope(|scope| {
        for i in 0..n as u64 {
            let (sum, barrier) = (&sum, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let calls = (0..10).filter(|_| sys::getppid_raw() > 0).count() as u64;
                sum.fetch_add(i * calls, Relaxed);
                barrier.wait();
            });
        }
    });
    say!("{n} threads, sum {}", sum.into_inner());
    Ok(0)
}

/// `n` children, `width` at a time, and how they ended.
pub(crate) fn storm(n: i32, width: i32) -> Result<i32> {
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    let mut alive = 0;
    for i in 0..n {
        sys::fork(|| i % 5)?;
        alive += 1;
        while alive >= width || (i == n - 1 && alive > 0) {
            *ends.entry(status(sys::wait(-1, 0)?.1)).or_default() += 1;
            alive -= 1;
        }
    }
    for (end, times) in ends {
        say!("{end}: {times}");
    }
    Ok(0)
}

/// Two children at each level; every node adds up its subtree's exit codes.
pub(crate) fn tree(depth: i32) -> Result<i32> {
    let nodes = node(depth)?;
    say!("{nodes} nodes");
    Ok(nodes)
}

fn node(depth: i32) -> Result<i32> {
    let mut nodes = 1;
    if depth > 0 {
        for _ in 0..2 {
            sys::fork(|| node(depth - 1).unwrap_or(200))?;
        }
        for _ in 0..2 {
            nodes += libc::WEXITSTATUS(sys::wait(-1, 0)?.1);
        }
    }
    Ok(nodes)
}

/// Three grandchildren, each waiting for the end of the one before; the first for the end of this process.
pub(crate) fn orphans() -> Result<i32> {
    let grandparent = sys::pidfd(me())?;
    let child = sys::fork(|| {
        let mut before = grandparent;
        for i in 1..=3 {
            let grandchild = sys::fork(|| {
                let gone = ended(&before);
                say!("grandchild {i} is here, the one before has gone: {gone:?}");
                i
            });
            match grandchild.and_then(sys::pidfd) {
                Ok(pidfd) => before = pidfd,
                Err(_) => return 1,
            }
        }
        0
    })?;
    say!("child {}", waited(child, 0));
    Ok(5)
}

/// Three processes and their threads that never end, and short children all the while.
pub(crate) fn endless() -> Result<i32> {
    for _ in 0..2 {
        sys::fork(|| {
            loop {
                match sys::fork(|| 0) {
                    Ok(child) => drop(sys::wait(child, 0)),
                    Err(_) => return 1,
                }
            }
        })?;
    }
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    sys::getppid_raw();
                }
            });
        }
    });
    Ok(0)
}

/// Waits until the process has ended.
fn ended(pidfd: &OwnedFd) -> nix::Result<i32> {
    poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)
}
