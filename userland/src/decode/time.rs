//! Times, timers and clocks. The 32-bit ABI has old calls with 32-bit fields and new ones with 64-bit fields.

use super::{Args, decoders, le32, le64, word};
use crate::tables::{Call, flags as names};

decoders! {
timespec, timespec64, timeval, timezone, itimerval, itimerspec, itimerspec64, timespec_pair, timespec_pair64, timeval_pair,
remaining,  clock_remaining, clock_remaining64, times, sigevent, timer_id, time_value, utimbuf, timex, timeout_before, }

/// Whether a structure of the ABI has 32-bit fields.
fn two(args: &mut Args<'_>, address: u64, narrow: bool) -> Option<[i64; 2]> {
    if narrow {
        let bytes = args.fetch::<8>(address)?;
        Some([i64::from(le32(&bytes, 0) as i32), i64::from(le32(&bytes, 4) as i32)])
    } else {
        let bytes = args.fetch::<16>(address)?;
        Some([le64(&bytes, 0) as i64, le64(&bytes, 8) as i64])
    }
}

/// recvmmsg's timeout before the call, which says there how much was left, in one word.
pub(super) fn timeout(args: &mut Args<'_>, call: &Call) -> u64 {
    let (address, start) = (args.words[TIMEOUT], args.out.len());
    let time = two(args, address, is_narrow(args, call));
    args.out.truncate(start);
    time.map_or(0, |[seconds, rest]| (seconds as u64) << NANOSECONDS | rest as u64 & ((1 << NANOSECONDS) - 1))
}

const TIMEOUT: usize = 4;
/// Bits of a number of nanoseconds below a second.
const NANOSECONDS: u32 = 30;

fn is_narrow(args: &Args<'_>, call: &Call) -> bool {
    args.is_narrow() && !call.name.ends_with("time64")
}

fn timeout_before(args: &mut Args<'_>, address: u64) {
    let mut byte = [0];
    if address == 0 || args.memory.read(address, &mut byte).is_err() {
        return args.put_address(address);
    }
    let saved = args.saved;
    put(args, [(saved >> NANOSECONDS) as i64, (saved & ((1 << NANOSECONDS) - 1)) as i64], "nsec");
}

/// ` (left {tv_sec=0, tv_nsec=5})`.
pub(super) fn put_left(args: &mut Args<'_>, call: &Call) {
    let address = args.words[TIMEOUT];
    if address != 0 {
        args.text(" (left ");
        if let Some(time) = two(args, address, is_narrow(args, call)) {
            put(args, time, "nsec");
        }
        args.text(")");
    }
}

fn put(args: &mut Args<'_>, [seconds, fraction]: [i64; 2], unit: &str) {
    put!(args.out, "{{tv_sec={seconds}, tv_{unit}={fraction}}}");
}

/// struct timespec of the ABI.
pub(super) fn timespec(args: &mut Args<'_>, address: u64) {
    if let Some(time) = two(args, address, args.is_narrow()) {
        put(args, time, "nsec");
    }
}

/// struct __kernel_timespec.
fn timespec64(args: &mut Args<'_>, address: u64) {
    if let Some(time) = two(args, address, false) {
        put(args, time, "nsec");
    }
}

pub(super) fn timeval(args: &mut Args<'_>, address: u64) {
    if let Some(time) = two(args, address, args.is_narrow()) {
        put(args, time, "usec");
    }
}

/// What is left of a sleep: filled in only if a signal cut it short.
fn remaining(args: &mut Args<'_>, address: u64) {
    if interrupted(args) { timespec(args, address) } else { args.put_address(address) }
}

fn remaining64(args: &mut Args<'_>, address: u64) {
    if interrupted(args) { timespec64(args, address) } else { args.put_address(address) }
}

/// Not with TIMER_ABSTIME.
fn clock_remaining(args: &mut Args<'_>, address: u64) {
    if args.words[1] & 1 == 0 { remaining(args, address) } else { args.put_address(address) }
}

fn clock_remaining64(args: &mut Args<'_>, address: u64) {
    if args.words[1] & 1 == 0 { remaining64(args, address) } else { args.put_address(address) }
}

fn interrupted(args: &Args<'_>) -> bool {
    const EINTR: i64 = -4;
    args.result == Some(EINTR) || args.result.is_some_and(|result| (-516..=-512).contains(&result))
}

fn timezone(args: &mut Args<'_>, address: u64) {
    let Some(zone) = args.fetch::<8>(address) else { return };
    put!(args.out, "{{tz_minuteswest={}, tz_dsttime={}}}", le32(&zone, 0) as i32, le32(&zone, 4) as i32);
}

fn interval(args: &mut Args<'_>, address: u64, unit: &str, narrow: bool) {
    let mut bytes = [0; 32];
    let size = if narrow { 16 } else { 32 };
    if !args.fetch_into(address, &mut bytes[..size]) {
        return;
    }
    let field = |index| {
        if narrow { word(&bytes, index, true) as i32 as i64 } else { word(&bytes, index, false) as i64 }
    };
    args.text("{it_interval=");
    put(args, [field(0), field(1)], unit);
    args.text(", it_value=");
    put(args, [field(2), field(3)], unit);
    args.text("}");
}

fn itimerval(args: &mut Args<'_>, address: u64) {
    interval(args, address, "usec", args.is_narrow());
}

fn itimerspec(args: &mut Args<'_>, address: u64) {
    interval(args, address, "nsec", args.is_narrow());
}

fn itimerspec64(args: &mut Args<'_>, address: u64) {
    interval(args, address, "nsec", false);
}

/// utimensat(2): two of them, either of which may be a word.
fn put_file_times(args: &mut Args<'_>, address: u64, narrow: bool) {
    let mut bytes = [0; 32];
    let size = if narrow { 16 } else { 32 };
    if !args.fetch_into(address, &mut bytes[..size]) {
        return;
    }
    let field = |index| {
        if narrow { word(&bytes, index, true) as i32 as i64 } else { word(&bytes, index, false) as i64 }
    };
    args.text("[");
    for (at, time) in [[field(0), field(1)], [field(2), field(3)]].into_iter().enumerate() {
        args.text(if at == 0 { "" } else { ", " });
        match time[1] {
            0x3fff_ffff => args.text("UTIME_NOW"),
            0x3fff_fffe => args.text("UTIME_OMIT"),
            _ => put_dated(args, time, "nsec"),
        }
    }
    args.text("]");
}

/// With the date in a comment.
pub(super) fn put_dated(args: &mut Args<'_>, [seconds, fraction]: [i64; 2], unit: &str) {
    put(args, [seconds, fraction], unit);
    put_date_comment(args, seconds, fraction, unit);
}

/// ` /* 2009-02-13T23:31:30+0000 */`; nothing for zero.
pub(super) fn put_date_comment(args: &mut Args<'_>, seconds: i64, fraction: i64, unit: &str) {
    if seconds != 0 || fraction != 0 {
        args.text(" /* ");
        put_date(args, seconds, fraction, unit);
        args.text(" */");
    }
}

/// `2009-02-13T23:31:30.000000001+0000`, in UTC: civil date from days, after the Gregorian rule of 400 years.
pub(super) fn put_date(args: &mut Args<'_>, seconds: i64, fraction: i64, unit: &str) {
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years from March on, so that the leap day comes last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    put!(args.out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    match (fraction, unit) {
        (0, _) => {}
        (_, "nsec") => put!(args.out, ".{fraction:09}"),
        _ => put!(args.out, ".{fraction:06}"),
    }
    args.text("+0000");
}

fn timespec_pair(args: &mut Args<'_>, address: u64) {
    put_file_times(args, address, args.is_narrow());
}

fn timespec_pair64(args: &mut Args<'_>, address: u64) {
    put_file_times(args, address, false);
}

fn timeval_pair(args: &mut Args<'_>, address: u64) {
    let narrow = args.is_narrow();
    let mut bytes = [0; 32];
    if !args.fetch_into(address, &mut bytes[..if narrow { 16 } else { 32 }]) {
        return;
    }
    let field = |index| {
        if narrow { word(&bytes, index, true) as i32 as i64 } else { word(&bytes, index, false) as i64 }
    };
    args.text("[");
    put_dated(args, [field(0), field(1)], "usec");
    args.text(", ");
    put_dated(args, [field(2), field(3)], "usec");
    args.text("]");
}

fn utimbuf(args: &mut Args<'_>, address: u64) {
    let Some([actime, modtime]) = two(args, address, args.is_narrow()) else { return };
    put!(args.out, "{{actime={actime}");
    put_date_comment(args, actime, 0, "sec");
    put!(args.out, ", modtime={modtime}");
    put_date_comment(args, modtime, 0, "sec");
    args.text("}");
}

/// struct tms.
fn times(args: &mut Args<'_>, address: u64) {
    let narrow = args.is_narrow();
    let mut bytes = [0; 32];
    if !args.fetch_into(address, &mut bytes[..if narrow { 16 } else { 32 }]) {
        return;
    }
    /// USER_HZ of asm-generic/param.h.
    const TICKS: u64 = 100;
    for (at, name) in
        ["{tms_utime=", ", tms_stime=", ", tms_cutime=", ", tms_cstime="].into_iter().enumerate()
    {
        let ticks = word(&bytes, at, narrow);
        put!(args.out, "{name}{ticks}");
        if ticks != 0 {
            put!(args.out, " /* {}.{:02} s */", ticks / TICKS, ticks % TICKS);
        }
    }
    args.text("}");
}

/// struct sigevent.
pub(super) fn sigevent(args: &mut Args<'_>, address: u64) {
    const SIGEV_SIGNAL: u32 = 0;
    const SIGEV_THREAD: u32 = 2;
    const SIGEV_THREAD_ID: u32 = 4;
    let Some(event) = args.fetch::<32>(address) else { return };
    let narrow = args.is_narrow();
    let value = args.word_size();
    let (signal, notify) = (le32(&event, value), le32(&event, value + 4));
    if word(&event, 0, narrow) != 0 {
        put!(args.out, "{{sigev_value={{sival_int={}, sival_ptr=", le32(&event, 0) as i32);
        args.put_address(word(&event, 0, narrow));
        args.text("}, ");
    } else {
        args.text("{");
    }
    args.text("sigev_signo=");
    if matches!(notify, SIGEV_SIGNAL | SIGEV_THREAD_ID) {
        args.put_signal(signal)
    } else {
        put!(args.out, "{signal}")
    }
    args.text(", sigev_notify=");
    args.choice(&names::SIGEV, notify.into());
    match notify {
        SIGEV_THREAD_ID => put!(args.out, ", sigev_notify_thread_id={}", le32(&event, value + 8)),
        SIGEV_THREAD => {
            args.text(", sigev_notify_function=");
            args.put_address(word(&event[value + 8..], 0, narrow));
            args.text(", sigev_notify_attributes=");
            args.put_address(word(&event[value + 8..], 1, narrow));
        }
        _ => {}
    }
    args.text("}");
}

/// The id that timer_create hands out.
fn timer_id(args: &mut Args<'_>, address: u64) {
    let Some(id) = args.fetch::<4>(address) else { return };
    put!(args.out, "[{}]", le32(&id, 0) as i32);
}

fn time_value(args: &mut Args<'_>, address: u64) {
    let narrow = args.is_narrow();
    let mut bytes = [0; 8];
    if args.fetch_into(address, &mut bytes[..if narrow { 4 } else { 8 }]) {
        let seconds = word(&bytes, 0, narrow) as i64;
        put!(args.out, "[{seconds}");
        put_date_comment(args, seconds, 0, "sec");
        args.text("]");
    }
}

/// struct timex, its first fields.
fn timex(args: &mut Args<'_>, address: u64) {
    if args.is_narrow() {
        return args.put_address(address);
    }
    let Some(timex) = args.fetch::<208>(address) else { return };
    args.text("{modes=");
    args.flags(&names::ADJTIMEX_MODES, le32(&timex, 0).into());
    for (at, name) in ["offset", "freq", "maxerror", "esterror"].into_iter().enumerate() {
        put!(args.out, ", {name}={}", le64(&timex, 8 + 8 * at) as i64);
    }
    args.text(", status=");
    args.flags(&names::ADJTIMEX_STATUS, le32(&timex, 40).into());
    for (at, name) in ["constant", "precision", "tolerance"].into_iter().enumerate() {
        put!(args.out, ", {name}={}", le64(&timex, 48 + 8 * at) as i64);
    }
    args.text(", time=");
    put(args, [le64(&timex, 72) as i64, le64(&timex, 80) as i64], "usec");
    put!(args.out, ", tick={}, ppsfreq={}, jitter={}", le64(&timex, 88), le64(&timex, 96), le64(&timex, 104));
    put!(args.out, ", shift={}", le32(&timex, 112) as i32);
    for (at, name) in ["stabil", "jitcnt", "calcnt", "errcnt", "stbcnt"].into_iter().enumerate() {
        put!(args.out, ", {name}={}", le64(&timex, 120 + 8 * at) as i64);
    }
    put!(args.out, ", tai={}}}", le32(&timex, 160) as i32);
}
