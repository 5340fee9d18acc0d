//! What a shell is made of: sessions, process groups, waiting for them; and a job that tells when it is continued.

use std::io::{Error, Read, Result};
use std::os::fd::AsFd;

use conformance::sys;
use nix::poll::{PollFd, PollFlags, ppoll};
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
        say!(
            "setsid {first}, again {}, setpgid {}",
            told(second.map_err(Error::from)),
            told(moved.map_err(Error::from))
        );
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

/// A job. Says "ready", answers each line of its input, and tells each SIGCONT: by that time a shell's `fg` is complete.
/// With a FIFO it reads nothing and tells there, not on the terminal, where it would mix with the shell's words.
pub(crate) fn job(fifo: Option<&str>) -> Result<i32> {
    // Blocked but in ppoll, so that none comes between a look and a wait.
    sys::count_signal(libc::SIGCONT, 0)?;
    sys::mask_signal(libc::SIG_BLOCK, libc::SIGCONT)?;
    say!("ready");
    let input = std::io::stdin();
    let mut buf = [0; 256];
    loop {
        let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        let fds = if fifo.is_some() { &mut fds[..0] } else { &mut fds[..] };
        match (ppoll(fds, None, Some(SigSet::empty())), fifo) {
            (Ok(_), _) => match input.lock().read(&mut buf)? {
                0 => return Ok(0),
                n => say!("got {}", String::from_utf8_lossy(&buf[..n]).trim_end()),
            },
            (Err(_), Some(fifo)) => std::fs::write(fifo, "continued\n")?,
            (Err(_), None) => say!("continued"),
        }
    }
}
