//! Interval timers: real time while asleep, virtual and profiling time while computing.

use std::io::Result;

use conformance::sys;

use crate::say;

const TICKS: u32 = 20;

/// Twenty ticks of each. How long they take is not asked.
pub(crate) fn all() -> Result<i32> {
    let timers = [
        ("real", libc::ITIMER_REAL, libc::SIGALRM),
        ("virtual", libc::ITIMER_VIRTUAL, libc::SIGVTALRM),
        ("profiling", libc::ITIMER_PROF, libc::SIGPROF),
    ];
    for (name, timer, signal) in timers {
        sys::count_signal(signal, libc::SA_RESTART)?;
        sys::set_timer(timer, 2_000)?;
        while sys::count(signal) < TICKS {
            if timer == libc::ITIMER_REAL {
                sys::pause();
            } else {
                std::hint::spin_loop();
            }
        }
        sys::set_timer(timer, 0)?;
        say!("{name}: {TICKS} ticks");
    }
    Ok(0)
}
