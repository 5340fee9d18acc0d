//! Families of calls on signals.

use super::{Code, Family, HANDLER, RESTORER, sys, wide};

pub(super) const FAMILIES: &[Family] =
    &[wide("actions", actions), wide("masks", masks), wide("sending", sending)];

const SA_RESTORER: u64 = 0x0400_0000;

fn actions(code: &mut Code) {
    let room = code.space(32);
    let action = code.words(&[HANDLER, SA_RESTORER | libc::SA_RESTART as u64, RESTORER, 1 << 14]);
    let ignore = code.words(&[1, 0, 0, u64::MAX]);
    sys!(code, SYS_rt_sigaction, libc::SIGUSR1, action, room, 8);
    sys!(code, SYS_rt_sigaction, libc::SIGUSR1, 0, room, 8);
    sys!(code, SYS_rt_sigaction, 40, ignore, 0, 8);
    sys!(code, SYS_rt_sigaction, libc::SIGKILL, action, 0, 8);
    sys!(code, SYS_rt_sigaction, 99, 0, 0x10, 8);
    let pid = sys!(code, SYS_getpid);
    sys!(code, SYS_kill, pid, libc::SIGUSR1);
    let stack = code.words(&[0x60_0000, 0, 16384]);
    sys!(code, SYS_sigaltstack, stack, room);
    sys!(code, SYS_sigaltstack, 0, room);
}

fn masks(code: &mut Code) {
    let (room, info, time) = (code.space(16), code.space(128), code.words(&[0, 0]));
    let set = code.words(&[1 << 9 | 1 << 11 | 1 << 33]);
    let most = code.words(&[!(1 << 9 | 1 << 8)]);
    sys!(code, SYS_rt_sigprocmask, libc::SIG_BLOCK, set, room, 8);
    sys!(code, SYS_rt_sigprocmask, libc::SIG_SETMASK, most, room, 8);
    sys!(code, SYS_rt_sigprocmask, libc::SIG_UNBLOCK, set, 0, 8);
    sys!(code, SYS_rt_sigprocmask, 9, 0, room, 8);
    sys!(code, SYS_rt_sigprocmask, libc::SIG_SETMASK, set, 0, 8);
    let pid = sys!(code, SYS_getpid);
    sys!(code, SYS_tgkill, pid, pid, libc::SIGUSR1);
    sys!(code, SYS_rt_sigpending, room, 8);
    sys!(code, SYS_rt_sigtimedwait, set, info, time, 8);
    sys!(code, SYS_rt_sigtimedwait, set, info, time, 8);
    sys!(code, SYS_signalfd4, -1, set, 8, libc::SFD_CLOEXEC);
}

fn sending(code: &mut Code) {
    let action = code.words(&[1, SA_RESTORER, RESTORER, 0]);
    sys!(code, SYS_rt_sigaction, libc::SIGTERM, action, 0, 8);
    let pid = sys!(code, SYS_getpid);
    sys!(code, SYS_kill, pid, 0);
    sys!(code, SYS_kill, pid, libc::SIGTERM);
    sys!(code, SYS_tkill, pid, libc::SIGTERM);
    sys!(code, SYS_kill, pid, 99);
    sys!(code, SYS_tgkill, 1, -5, libc::SIGHUP);
    sys!(code, SYS_pidfd_open, pid, 0);
    sys!(code, SYS_pidfd_send_signal, 3, libc::SIGTERM, 0, 0);
}
