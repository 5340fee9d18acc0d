//! Job control between parent and child: every stop and continuation is reported once, in order.

use std::io::{Read, Result, Write};

use conformance::sys;
use nix::unistd::{Pid, setpgid, setsid};

use crate::{say, waited};

const ANY: i32 = libc::WUNTRACED | libc::WCONTINUED;

/// A sleeping child and a computing one, through all stop signals.
pub(crate) fn reported() -> Result<i32> {
    for busy in [false, true] {
        let child = sys::fork(|| {
            let _ = sys::count_signal(libc::SIGCONT, libc::SA_RESTART);
            loop {
                if busy { std::hint::spin_loop() } else { drop(sys::pause()) }
            }
        })?;
        // A group of its own, with a parent in another group of the session: not orphaned, so SIGTSTP stops it.
        setpgid(Pid::from_raw(child), Pid::from_raw(child))?;
        for signal in [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            sys::kill(child, signal)?;
            say!("{}", waited(child, ANY));
            say!("then {}", waited(child, ANY | libc::WNOHANG));
            sys::kill(child, libc::SIGCONT)?;
            say!("{}", waited(child, ANY));
            say!("then {}", waited(child, ANY | libc::WNOHANG));
        }
        // Death while stopped.
        sys::kill(child, libc::SIGSTOP)?;
        say!("{}", waited(child, ANY));
        sys::kill(child, libc::SIGKILL)?;
        say!("{}", waited(child, ANY));
        say!("{}", waited(child, ANY));
    }
    Ok(0)
}

/// A stopped process group that loses its last relative is sent SIGHUP and SIGCONT.
pub(crate) fn orphaned_group() -> Result<i32> {
    let (mut words, mut mouth) = crate::pipe()?;
    // A session of its own: whoever adopts the grandchild is outside it.
    let parent = sys::fork(|| {
        let _ = setsid();
        let grandchild = sys::fork(|| {
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            for signal in [libc::SIGHUP, libc::SIGCONT] {
                let _ = sys::count_signal(signal, 0);
            }
            let _ = sys::kill(std::process::id() as i32, libc::SIGSTOP);
            // Both were sent while it was stopped, so both have been handled once kill returns.
            let counts = (sys::count(libc::SIGHUP), sys::count(libc::SIGCONT));
            let _ = writeln!(mouth, "hangups and continuations: {counts:?}");
            0
        });
        let Ok(grandchild) = grandchild else { return 1 };
        i32::from(sys::wait(grandchild, libc::WUNTRACED).is_err())
    })?;
    drop(mouth);
    say!("parent {}", waited(parent, 0));
    let mut said = String::new();
    words.read_to_string(&mut said)?;
    say!("{}", said.trim_end());
    Ok(0)
}
