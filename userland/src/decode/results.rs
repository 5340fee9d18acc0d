//! What comes after `= `: numbers, addresses, bits, errors, and what some calls say beside their number.

use super::{Args, poll, time_of};
use crate::numbers::{put_decimal, put_error, put_hex, restart};
use crate::tables::flags as names;
use crate::tables::{Call, Outcome};

/// What a result register means: errors are -4095 to -1 (MAX_ERRNO, linux/err.h).
pub fn value(register: u64, abi: u64) -> i64 {
    if abi == 0 { register as i64 } else { i64::from(register as u32 as i32) }
}

/// The result in `args.result`.
pub fn put_result(args: &mut Args<'_>, call: Option<&Call>, register: u64) {
    let value = value(register, args.abi);
    if (-4095..0).contains(&value) {
        let number = -value as i32;
        match restart(number) {
            Some(text) => put!(args.out, "? {text}"),
            None => {
                args.text("-1 ");
                put_error(args.out, number);
            }
        }
        return;
    }
    let number = value as u64;
    if args.show.raw {
        return args.put_hex(if args.abi == 0 { register } else { register & 0xffff_ffff });
    }
    match call.map_or(Outcome::Number, |call| call.result) {
        Outcome::Number => put_decimal(args.out, value),
        Outcome::Hex => {
            put_hex(args.out, if args.abi == 0 { register } else { register & 0xffff_ffff });
        }
        Outcome::Oct => args.put_mode(number),
        Outcome::Fd => args.put_fd(number),
        Outcome::Fcntl => fcntl(args, number),
        Outcome::Poll => {
            put!(args.out, "{value}");
            args.result = Some(value);
            let left = if call.is_some_and(|call| call.name != "poll") { Some(args.words[2]) } else { None };
            poll::put_ready(args, left);
        }
        Outcome::Select => {
            put!(args.out, "{value}");
            args.result = Some(value);
            let words = args.words;
            let spec = call.is_some_and(|call| call.name.starts_with("pselect"));
            poll::put_selected(args, [words[0], words[1], words[2], words[3], words[4]], |args, left| {
                time_of(args, left, spec);
            });
        }
        Outcome::Received => {
            put_decimal(args.out, value);
            if let Some(call) = call {
                super::time::put_left(args, call);
            }
        }
        Outcome::Prctl => prctl(args, number),
        Outcome::Clock => named(args, &names::ADJTIMEX_STATE, number),
        Outcome::Policy => named(args, &names::SCHED_POLICY, number),
        Outcome::Signal => {
            put!(args.out, "{value} (");
            args.put_signal(number as u32);
            args.text(")");
        }
        Outcome::Time => {
            put!(args.out, "{value} (");
            super::time::put_date(args, value, 0, "sec");
            args.text(")");
        }
        Outcome::Barriers if args.words[0] == 0 && value != 0 => {
            put!(args.out, "{number:#x} (");
            args.flags(&names::MEMBARRIER, number);
            args.text(")");
        }
        Outcome::Barriers => put!(args.out, "{value}"),
        Outcome::Persona => {
            args.put_hex(number);
            args.text(" (");
            super::process::put_personality(args, number);
            args.text(")");
        }
        Outcome::Ioprio => {
            put!(args.out, "{number}");
            args.text(" (IOPRIO_PRIO_VALUE(");
            args.choice(&names::IOPRIO_CLASS, number >> 13);
            put!(args.out, ", {}))", number & 0x1fff);
        }
    }
}

fn named(args: &mut Args<'_>, of: &names::Names, number: u64) {
    put!(args.out, "{number} (");
    args.choice(of, number);
    args.text(")");
}

/// What F_GET* answer.
fn fcntl(args: &mut Args<'_>, value: u64) {
    const F_DUPFD: u64 = 0;
    const F_GETFD: u64 = 1;
    const F_GETFL: u64 = 3;
    const F_DUPFD_CLOEXEC: u64 = 1030;
    const F_GETSIG: u64 = 11;
    const F_GETLEASE: u64 = 1025;
    const F_GET_SEALS: u64 = 1034;
    match args.words[1] & 0xffff_ffff {
        F_GETFD | F_GET_SEALS if value == 0 => args.text("0"),
        F_GETFD => {
            put!(args.out, "{value:#x} (flags ");
            args.flags(&names::FD_FLAGS, value);
            args.text(")");
        }
        F_GETFL => {
            args.put_hex(value);
            args.text(" (flags ");
            super::files::put_open_flags(args, value);
            args.text(")");
        }
        F_GET_SEALS => {
            put!(args.out, "{value:#x} (seals ");
            args.flags(&names::SEALS, value);
            args.text(")");
        }
        F_GETLEASE => {
            put!(args.out, "{value:#x} (");
            args.choice(&names::LEASE, value);
            args.text(")");
        }
        F_GETSIG if value != 0 => {
            put!(args.out, "{value} (");
            args.put_signal(value as u32);
            args.text(")");
        }
        F_DUPFD | F_DUPFD_CLOEXEC => args.put_fd(value),
        _ => put!(args.out, "{}", value as i64),
    }
}

/// What PR_GET_* answer by value.
fn prctl(args: &mut Args<'_>, value: u64) {
    const PR_GET_DUMPABLE: u64 = 3;
    const PR_GET_SECUREBITS: u64 = 27;
    const PR_MCE_KILL_GET: u64 = 34;
    const PR_GET_SPECULATION_CTRL: u64 = 52;
    match args.words[0] & 0xffff_ffff {
        PR_GET_DUMPABLE => named(args, &names::DUMPABLE, value),
        PR_MCE_KILL_GET => named(args, &names::PR_MCE_POLICY, value),
        PR_GET_SECUREBITS | PR_GET_SPECULATION_CTRL if value > 0 => {
            let bits = if args.words[0] & 0xffff_ffff == PR_GET_SECUREBITS {
                &names::SECUREBITS
            } else {
                &names::PR_SPEC
            };
            put!(args.out, "{value:#x} (");
            args.flags(bits, value);
            args.text(")");
        }
        _ => put!(args.out, "{}", value as i64),
    }
}
