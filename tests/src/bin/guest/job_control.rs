//! What a shell is made of: sessions, process groups, waiting for them; and a job that tells when it is continued.

use std::io::{Error, Result};

use conformance::sys;
use nix::sys::signal::SigSet;
use nix::unistd::{Pid, getpgid, getpgrp, getsid, setpgid, setsid};

use crate::{say, told, waited};

/// Groups of children, signalled and waited for as groups; and what is refused.
pub(crate) fn groups() -> Result<i32> {
    let pid = Pid::from_raw;
    let leader = sys::fork(sleeper)?;
    setpgid(pid(leader), pid(0))?;
    let members = [sys::fork(sleeper)?, sys::fork(sleeper)?];
    for member in members {
        setpgid(pid(member), pid(leader))?;
    }
    let group = |member| getpgid(Some(pid(member))).map(|group| group.as_raw() == leader);
    say!("in its group: {:?} {:?} {:?}", group(leader), group(members[0]), group(members[1]));

    sys::kill(-leader, libc::SIGSTOP)?;
    for _ in 0..3 {
        say!("of the group: {}", waited(-leader, libc::WUNTRACED));
    }
    sys::kill(-leader, libc::SIGCONT)?;
    for _ in 0..3 {
        say!("of the group: {}", waited(-leader, libc::WCONTINUED));
    }
    sys::kill(-leader, libc::SIGTERM)?;
    for _ in 0..3 {
        say!("of the group: {}", waited(-leader, 0));
    }
    say!("nobody left: {}", waited(-leader, 0));
    say!("nobody to signal: {}", told(sys::kill(-leader, 0)));

    let child = sys::fork(|| {
        let first = setsid().is_ok();
        let (second, moved) = (setsid(), setpgid(pid(0), getpgrp()));
        say!("setsid {first}, again {}, setpgid {}", told(second.map_err(Error::from)), told(moved.map_err(Error::from)));
        i32::from(getsid(None) != Ok(getpgrp()))
    })?;
    say!("session: {}", waited(child, 0));
    say!("a stranger: {}", told(setpgid(pid(1), pid(0)).map_err(Error::from)));
    Ok(0)
}

fn sleeper() -> i32 {
    loop {
        sys::pause();
    }
}

/// Writes "continued" to the FIFO at each SIGCONT, not to the terminal, where it would mix with the shell's words.
pub(crate) fn tell_continued(fifo: &str) -> Result<i32> {
    // Blocked outside sigsuspend, so that none is lost while the last one is told.
    sys::count_signal(libc::SIGCONT, 0)?;
    sys::mask_signal(libc::SIG_BLOCK, libc::SIGCONT)?;
    say!("ready");
    loop {
        SigSet::empty().suspend().ok();
        std::fs::write(fifo, "continued\n")?;
    }
}
