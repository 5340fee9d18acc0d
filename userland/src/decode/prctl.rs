//! prctl and arch_prctl: what the second argument is depends on the first.

use super::misc::put_filter;
use super::text::{put_text, string};
use super::{Args, decoders, le32, le64};
use crate::tables::flags as names;

decoders! { prctl_arg2, prctl_arg, arch_prctl_arg, }

// linux/prctl.h
const PR_SET_PDEATHSIG: u32 = 1;
const PR_GET_PDEATHSIG: u32 = 2;
const PR_GET_DUMPABLE: u32 = 3;
const PR_SET_DUMPABLE: u32 = 4;
const PR_GET_KEEPCAPS: u32 = 7;
const PR_SET_KEEPCAPS: u32 = 8;
const PR_GET_TIMING: u32 = 13;
const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_GET_SECCOMP: u32 = 21;
const PR_SET_SECCOMP: u32 = 22;
const SECCOMP_MODE_FILTER: u64 = 2;
const PR_CAPBSET_READ: u32 = 23;
const PR_CAPBSET_DROP: u32 = 24;
const PR_GET_SECUREBITS: u32 = 27;
const PR_SET_TIMERSLACK: u32 = 29;
const PR_GET_TIMERSLACK: u32 = 30;
const PR_SET_MM: u32 = 35;
const PR_SET_CHILD_SUBREAPER: u32 = 36;
const PR_GET_CHILD_SUBREAPER: u32 = 37;
const PR_SET_NO_NEW_PRIVS: u32 = 38;
const PR_GET_NO_NEW_PRIVS: u32 = 39;
const PR_GET_TID_ADDRESS: u32 = 40;
const PR_SET_THP_DISABLE: u32 = 41;
const PR_GET_THP_DISABLE: u32 = 42;
const PR_GET_UNALIGN: u32 = 5;
const PR_GET_TSC: u32 = 25;
const PR_SET_TSC: u32 = 26;
const PR_SET_SECUREBITS: u32 = 28;
const PR_TASK_PERF_EVENTS_DISABLE: u32 = 31;
const PR_TASK_PERF_EVENTS_ENABLE: u32 = 32;
const PR_MCE_KILL: u32 = 33;
const PR_MCE_KILL_SET: u64 = 1;
const PR_GET_SPECULATION_CTRL: u32 = 52;
const PR_SET_SPECULATION_CTRL: u32 = 53;
const PR_SCHED_CORE: u32 = 62;
const PR_CAP_AMBIENT: u32 = 47;
const PR_SET_VMA: u32 = 0x5356_4d41;
const PR_SET_PTRACER: u32 = 0x5961_6d61;

/// How many arguments follow the option in text. Those that the kernel wants to be zero are shown.
fn arity(option: u32, args: &Args<'_>) -> usize {
    match option {
        PR_SET_SECCOMP if args.words[1] <= SECCOMP_MODE_FILTER => 2,
        PR_GET_DUMPABLE
        | PR_GET_KEEPCAPS
        | PR_GET_SECCOMP
        | PR_GET_SECUREBITS
        | PR_GET_TIMERSLACK
        | PR_GET_TIMING
        | PR_TASK_PERF_EVENTS_DISABLE
        | PR_TASK_PERF_EVENTS_ENABLE => 0,
        PR_SET_PDEATHSIG
        | PR_GET_PDEATHSIG
        | PR_SET_DUMPABLE
        | PR_SET_KEEPCAPS
        | PR_SET_NAME
        | PR_GET_NAME
        | PR_CAPBSET_READ
        | PR_CAPBSET_DROP
        | PR_SET_TIMERSLACK
        | PR_SET_CHILD_SUBREAPER
        | PR_GET_CHILD_SUBREAPER
        | PR_GET_TID_ADDRESS
        | PR_GET_TSC
        | PR_SET_TSC
        | PR_GET_UNALIGN
        | PR_SET_SECUREBITS
        | PR_GET_SPECULATION_CTRL
        | PR_SET_PTRACER => 1,
        PR_SET_SPECULATION_CTRL => 2,
        _ => 4,
    }
}

/// Whether the call fills in what the second argument points to.
fn fills_in(option: u32) -> bool {
    matches!(
        option,
        PR_GET_NAME | PR_GET_PDEATHSIG | PR_GET_CHILD_SUBREAPER | PR_GET_TID_ADDRESS | PR_GET_TSC
    )
}

fn prctl_arg2(args: &mut Args<'_>, value: u64) {
    const PR_SET_PTRACER_ANY: u64 = u64::MAX;
    let option = args.words[0] as u32;
    if arity(option, args) == 0 {
        return;
    }
    if fills_in(option) && args.result.is_none() {
        args.deferred = true;
        return;
    }
    if fills_in(option) && args.failed() {
        return args.put_address(value);
    }
    match option {
        PR_SET_PDEATHSIG => args.put_signal(value as u32),
        PR_SET_DUMPABLE => args.choice(&names::DUMPABLE, value),
        PR_SET_NAME => put_text(args, value, 15),
        PR_GET_NAME => string(args, value),
        PR_SET_SECCOMP => args.choice(&names::SECCOMP_MODE, value),
        PR_CAPBSET_READ | PR_CAPBSET_DROP => args.choice(&names::CAPABILITY, value),
        PR_CAP_AMBIENT => args.choice(&names::PR_AMBIENT, value),
        PR_SET_SECUREBITS => args.flags(&names::SECUREBITS, value),
        PR_SET_TSC => args.choice(&names::PR_TSC, value),
        PR_GET_TSC => {
            if let Some(bytes) = args.fetch::<4>(value) {
                args.text("[");
                args.choice(&names::PR_TSC, le32(&bytes, 0).into());
                args.text("]");
            }
        }
        PR_MCE_KILL => args.choice(&names::PR_MCE, value),
        PR_SCHED_CORE => args.choice(&names::PR_SCHED, value),
        PR_GET_SPECULATION_CTRL | PR_SET_SPECULATION_CTRL => args.choice(&names::PR_SPEC_FEATURE, value),
        PR_SET_MM => args.choice(&names::PR_MM, value),
        PR_SET_VMA if value == 0 => args.text("PR_SET_VMA_ANON_NAME"),
        PR_GET_PDEATHSIG => {
            if let Some(bytes) = args.fetch::<4>(value) {
                args.text("[");
                match le32(&bytes, 0) {
                    0 => args.text("0"),
                    signal => args.put_signal(signal),
                }
                args.text("]");
            }
        }
        PR_GET_CHILD_SUBREAPER => {
            if let Some(bytes) = args.fetch::<4>(value) {
                put!(args.out, "[{}]", le32(&bytes, 0));
            }
        }
        PR_GET_TID_ADDRESS => {
            if let Some(bytes) = args.fetch::<8>(value) {
                args.text("[");
                args.put_address(le64(&bytes, 0));
                args.text("]");
            }
        }
        PR_SET_PTRACER if value == PR_SET_PTRACER_ANY => args.text("PR_SET_PTRACER_ANY"),
        PR_SET_KEEPCAPS
        | PR_SET_TIMERSLACK
        | PR_SET_CHILD_SUBREAPER
        | PR_SET_PTRACER
        | PR_SET_NO_NEW_PRIVS
        | PR_SET_THP_DISABLE => put!(args.out, "{}", value as i64),
        _ => args.put_hex(value),
    }
}

/// The third to fifth.
fn prctl_arg(args: &mut Args<'_>, value: u64) {
    let option = args.words[0] as u32;
    if args.at > arity(option, args) {
        return;
    }
    match (option, args.at) {
        (PR_CAP_AMBIENT, 2) if (1..=3).contains(&args.words[1]) => args.choice(&names::CAPABILITY, value),
        (PR_MCE_KILL, 2) if args.words[1] == PR_MCE_KILL_SET => args.choice(&names::PR_MCE_POLICY, value),
        (PR_SET_SPECULATION_CTRL, 2) => args.choice(&names::PR_SPEC, value),
        (PR_SCHED_CORE, 2) => put!(args.out, "{}", value as i32),
        (PR_SCHED_CORE, 3) => {
            args.put_hex(value);
            let kind = ["PIDTYPE_PID", "PIDTYPE_TGID", "PIDTYPE_PGID"].get(value as usize).copied();
            put!(args.out, " /* {} */", kind.unwrap_or("PIDTYPE_???"));
        }
        (PR_SCHED_CORE, 4) => args.put_address(value),
        (PR_SET_VMA, 4) => string(args, value),
        (PR_SET_VMA, 3) => put!(args.out, "{value}"),
        (PR_SET_SECCOMP, 2) if args.words[1] == SECCOMP_MODE_FILTER => put_filter(args, value),
        (PR_SET_SECCOMP, 2) if args.words[1] < SECCOMP_MODE_FILTER => args.put_address(value),
        (PR_GET_NO_NEW_PRIVS | PR_GET_THP_DISABLE, _) => args.put_hex(value),
        _ => args.put_hex(value),
    }
}

/// An address to set, or where to put it.
fn arch_prctl_arg(args: &mut Args<'_>, value: u64) {
    const ARCH_GET_FS: u64 = 0x1003;
    const ARCH_GET_GS: u64 = 0x1004;
    const ARCH_GET_CPUID: u64 = 0x1011;
    const ARCH_SET_CPUID: u64 = 0x1012;
    match args.words[0] & 0xffff_ffff {
        ARCH_GET_CPUID => {}
        ARCH_GET_FS | ARCH_GET_GS if args.result.is_none() => args.deferred = true,
        ARCH_SET_CPUID => put!(args.out, "{value}"),
        ARCH_GET_FS | ARCH_GET_GS if !args.failed() => {
            if let Some(bytes) = args.fetch::<8>(value) {
                args.text("[");
                args.put_address(le64(&bytes, 0));
                args.text("]");
            }
        }
        // strace shows zero as a number where a code may be no address at all.
        _ => {
            if value == 0 {
                args.text("NULL")
            } else {
                args.put_hex(value)
            }
        }
    }
}
