//! Signals one by one: every number counted, queued values in order, what SIGCHLD says of children.

use std::io::Result;

use conformance::sys;

use crate::{me, say, told, waited};

/// Reserved by the C library.
const RESERVED: [i32; 2] = [32, 33];

/// Every signal with a handler, three times by kill and once by raise.
pub(crate) fn all() -> Result<i32> {
    for signal in 1..sys::SIGNALS as i32 {
        if RESERVED.contains(&signal) {
            continue;
        }
        let set = sys::count_signal(signal, 0);
        if set.is_ok() {
            for _ in 0..3 {
                sys::kill(me(), signal)?;
            }
        }
        say!("{signal}: {} {}", told(set), sys::count(signal));
    }
    // Blocked, sent twice: a standard signal arrives once, a real-time one twice.
    sys::forget_counts();
    for signal in [libc::SIGUSR1, libc::SIGRTMIN()] {
        sys::mask_signal(libc::SIG_BLOCK, signal)?;
        sys::kill(me(), signal)?;
        sys::kill(me(), signal)?;
        let before = sys::count(signal);
        sys::mask_signal(libc::SIG_UNBLOCK, signal)?;
        say!("blocked {signal}: {before}, then {}", sys::count(signal));
    }
    Ok(0)
}

/// Values queued while blocked arrive all, in order, lower numbers first.
pub(crate) fn queued() -> Result<i32> {
    let (low, high) = (libc::SIGRTMIN() + 1, libc::SIGRTMIN() + 5);
    for signal in [low, high] {
        sys::count_signal(signal, 0)?;
        sys::mask_signal(libc::SIG_BLOCK, signal)?;
    }
    for i in 0..10 {
        sys::queue_signal(me(), high, 100 + i)?;
        sys::queue_signal(me(), low, i)?;
    }
    sys::mask_signal(libc::SIG_UNBLOCK, low)?;
    sys::mask_signal(libc::SIG_UNBLOCK, high)?;
    say!("{:?}", sys::queued_values());
    say!("no such signal: {}", told(sys::queue_signal(me(), 65, 0)));
    Ok(0)
}

/// SIGCHLD taken by sigtimedwait: one per change of state, with the right code.
pub(crate) fn of_children() -> Result<i32> {
    sys::mask_signal(libc::SIG_BLOCK, libc::SIGCHLD)?;
    let child = sys::fork(|| {
        loop {
            sys::pause();
        }
    })?;
    for (what, signal) in [("stop", libc::SIGSTOP), ("continue", libc::SIGCONT), ("kill", libc::SIGTERM)] {
        sys::kill(child, signal)?;
        let info = sys::wait_signal(libc::SIGCHLD, None)?;
        say!("{what}: code {} status {} own {}", info.code, info.status, info.pid == child);
        say!("{}", waited(child, libc::WUNTRACED | libc::WCONTINUED));
    }
    sys::fork(|| 12)?;
    let info = sys::wait_signal(libc::SIGCHLD, None)?;
    say!("exit: code {} status {}", info.code, info.status);
    say!("{}", waited(-1, 0));
    say!("no more: {}", told(sys::wait_signal(libc::SIGCHLD, Some(0))));
    Ok(0)
}
