//! Families of calls on clocks and timers.

use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] = &[wide("clocks", clocks), wide("timers", timers)];

fn clocks(code: &mut Code) {
    let (room, short) = (code.space(64), code.words(&[0, 1000]));
    let bad = code.words(&[0, 2_000_000_000]);
    sys!(code, SYS_clock_gettime, libc::CLOCK_MONOTONIC, room);
    sys!(code, SYS_clock_getres, libc::CLOCK_REALTIME, room);
    sys!(code, SYS_clock_gettime, 99, room);
    sys!(code, SYS_clock_gettime, -6, room);
    sys!(code, SYS_gettimeofday, room, 0);
    sys!(code, SYS_gettimeofday, room, room + 32);
    sys!(code, SYS_nanosleep, short, room);
    sys!(code, SYS_nanosleep, bad, 0);
    sys!(code, SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, 0, short, room);
    sys!(code, SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, short, 0);
    sys!(code, SYS_time, 0);
    sys!(code, SYS_clock_settime, 99, short);
}

fn timers(code: &mut Code) {
    let (room, long) = (code.space(64), code.words(&[0, 0, 1000, 5]));
    let zero = code.words(&[0, 0, 0, 0]);
    sys!(code, SYS_setitimer, libc::ITIMER_REAL, long, room);
    sys!(code, SYS_setitimer, libc::ITIMER_REAL, zero, 0);
    sys!(code, SYS_getitimer, libc::ITIMER_VIRTUAL, room);
    let event = code.words(&[5, 1 << 32, 0, 0, 0, 0, 0, 0]);
    sys!(code, SYS_timer_create, libc::CLOCK_MONOTONIC, event, room);
    sys!(code, SYS_timer_settime, 0, 0, long, room);
    sys!(code, SYS_timer_gettime, 0, room);
    sys!(code, SYS_timer_getoverrun, 0);
    sys!(code, SYS_timer_delete, 0);
    let fd = sys!(code, SYS_timerfd_create, libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK);
    sys!(code, SYS_timerfd_settime, fd, libc::TFD_TIMER_ABSTIME, long, room);
    sys!(code, SYS_timerfd_gettime, fd, room);
    sys!(code, SYS_timerfd_gettime, 77, room);
}
