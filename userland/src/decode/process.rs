//! Processes: how they are made, waited for, limited and scheduled.

use super::{Args, decoders, le32, le64, word};
use crate::tables::flags as names;

decoders! {
    waitid_whom, clone_begin, clone_rest, clone3_args, wait_status, wait_rusage, rusage, rlimit, rlimit64, rlimit_old, cpu_set, cpu_set_len,
    sched_param, sched_attr, id_out, id_list, id_list_out, pid, robust_head,
    size_out, exec_flags, rseq_flags, personality, ioprio_value,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;

/// clone's arguments, in the order and with the names that people read them by. The last ones matter by flag.
fn clone_begin(args: &mut Args<'_>, flags: u64) {
    const CSIGNAL: u64 = 0xff;
    args.text("child_stack=");
    args.put_address(args.words[1]);
    args.text(", flags=");
    let bits = flags & !CSIGNAL;
    if bits != 0 {
        args.flags(&names::CLONE_FLAGS, bits);
    }
    if flags & CSIGNAL != 0 {
        args.text(if bits != 0 { "|" } else { "" });
        args.put_signal((flags & CSIGNAL) as u32);
    } else if bits == 0 {
        args.text("0");
    }
}

/// What of the rest the flags ask for.
fn clone_rest(args: &mut Args<'_>, parent: u64) {
    // The 32-bit ABI has tls before child_tid.
    let [flags, _, _, fourth, fifth, ..] = *args.words;
    let (child, tls) = if args.is_narrow() { (fifth, fourth) } else { (fourth, fifth) };
    let start = args.out.len();
    if flags & (CLONE_PARENT_SETTID | CLONE_PIDFD) != 0 {
        if args.result.is_none() {
            args.deferred = true;
            return;
        }
        args.text("parent_tid=");
        match args.peek32(parent) {
            Some(tid) if !args.failed() => put!(args.out, "[{}]", tid as i32),
            _ => args.put_address(parent),
        }
    }
    if flags & CLONE_SETTLS != 0 {
        args.text(if args.out.len() > start { ", tls=" } else { "tls=" });
        args.put_address(tls);
    }
    if flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID) != 0 {
        args.text(if args.out.len() > start { ", child_tidptr=" } else { "child_tidptr=" });
        args.put_address(child);
    }
}

/// struct clone_args (linux/sched.h), and what the kernel wrote where it says.
fn clone3_args(args: &mut Args<'_>, address: u64) {
    let size = args.next().min(88) as usize;
    let mut bytes = [0; 88];
    if size < 64 {
        return args.put_address(address);
    }
    if !args.fetch_into(address, &mut bytes[..size]) {
        return;
    }
    let field = |index: usize| le64(&bytes, 8 * index);
    let flags = field(0);
    let writes = flags & (CLONE_PIDFD | CLONE_PARENT_SETTID) != 0;
    if args.result.is_some() {
        return if args.failed() {
        } else {
            clone3_written(args, flags, field(1), field(3))
        };
    }
    args.deferred = writes;
    args.text("{flags=");
    args.flags(&names::CLONE3_FLAGS, flags);
    let pointers = [
        (CLONE_PIDFD, 1, "pidfd"),
        (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 2, "child_tid"),
        (CLONE_PARENT_SETTID, 3, "parent_tid"),
    ];
    for (wanted, index, name) in pointers {
        if flags & wanted != 0 {
            put!(args.out, ", {name}=");
            args.put_address(field(index));
        }
    }
    args.text(", exit_signal=");
    if field(4) == 0 {
        args.text("0")
    } else {
        args.put_signal(field(4) as u32)
    }
    args.text(", stack=");
    args.put_address(field(5));
    args.text(", stack_size=");
    args.put_hex(field(6));
    if flags & CLONE_SETTLS != 0 {
        args.text(", tls=");
        args.put_address(field(7));
    }
    if field(9) != 0 {
        args.text(", set_tid=");
        args.array(field(8), field(9), 4, |args, bytes| put!(args.out, "{}", le32(bytes, 0) as i32));
        put!(args.out, ", set_tid_size={}", field(9));
    }
    if flags & CLONE_INTO_CGROUP != 0 {
        args.text(", cgroup=");
        args.put_fd(field(10));
    }
    args.text("}");
}

/// ` => {parent_tid=[7]}`
fn clone3_written(args: &mut Args<'_>, flags: u64, pidfd: u64, parent: u64) {
    let mut open = false;
    for (wanted, place, name) in [(CLONE_PIDFD, pidfd, "pidfd"), (CLONE_PARENT_SETTID, parent, "parent_tid")]
    {
        if flags & wanted != 0 {
            let Some(value) = args.peek32(place) else { continue };
            args.text(if open { ", " } else { " => {" });
            put!(args.out, "{name}=[");
            put_id(args, wanted, value);
            args.text("]");
            open = true;
        }
    }
    args.text(if open { "}" } else { "" });
}

/// The number of a task, or the descriptor of one.
fn put_id(args: &mut Args<'_>, flag: u64, value: u32) {
    if flag == CLONE_PIDFD { args.put_fd(value.into()) } else { put!(args.out, "{}", value as i32) }
}

/// Whom waitid waits for.
fn waitid_whom(args: &mut Args<'_>, whom: u64) {
    const P_PIDFD: u64 = 3;
    if args.words[0] == P_PIDFD { args.put_fd(whom) } else { put!(args.out, "{}", whom as i32) }
}

/// wait's answer, as the macros of wait(2) would take it apart.
fn wait_status(args: &mut Args<'_>, address: u64) {
    if args.result == Some(0) {
        return args.put_address(address);
    }
    let Some(bytes) = args.fetch::<4>(address) else { return };
    let status = le32(&bytes, 0);
    args.text("[{");
    let signal = status >> 8 & 0xff;
    match status & 0xff {
        _ if status == 0xffff => args.text("WIFCONTINUED(s)"),
        0 => put!(args.out, "WIFEXITED(s) && WEXITSTATUS(s) == {signal}"),
        0x7f => {
            args.text("WIFSTOPPED(s) && WSTOPSIG(s) == ");
            if signal & 0x80 != 0 {
                args.put_signal(signal & 0x7f);
                args.text(" | 0x80");
            } else {
                args.put_signal(signal);
            }
        }
        killed => {
            args.text("WIFSIGNALED(s) && WTERMSIG(s) == ");
            args.put_signal(killed & 0x7f);
            args.text(if killed & 0x80 != 0 { " && WCOREDUMP(s)" } else { "" });
        }
    }
    args.text("}");
    if status >> 16 != 0 && status & 0xff == 0x7f {
        put!(args.out, " | {}<<16", status >> 16);
    }
    args.text("]");
}

fn wait_rusage(args: &mut Args<'_>, address: u64) {
    if args.result == Some(0) && args.at == 3 { args.put_address(address) } else { rusage(args, address) }
}

/// struct rusage: without `-v` its two times only.
fn rusage(args: &mut Args<'_>, address: u64) {
    const COUNTS: [&str; 14] = [
        "maxrss", "ixrss", "idrss", "isrss", "minflt", "majflt", "nswap", "inblock", "oublock", "msgsnd",
        "msgrcv", "nsignals", "nvcsw", "nivcsw",
    ];
    let (narrow, full) = (args.is_narrow(), args.show.full);
    let mut bytes = [0; 8 * 18];
    let words = if full { 18 } else { 4 };
    let size = words * args.word_size();
    if !args.fetch_into(address, &mut bytes[..size]) {
        return;
    }
    let field = |index| {
        let value = word(&bytes, index, narrow);
        if narrow { i64::from(value as i32) } else { value as i64 }
    };
    put!(
        args.out,
        "{{ru_utime={{tv_sec={}, tv_usec={}}}, ru_stime={{tv_sec={}, tv_usec={}}}",
        field(0),
        field(1),
        field(2),
        field(3)
    );
    if !full {
        return args.text(", ...}");
    }
    for (at, name) in COUNTS.into_iter().enumerate() {
        put!(args.out, ", ru_{name}={}", field(4 + at));
    }
    args.text("}");
}

fn put_limit(args: &mut Args<'_>, limit: u64, infinity: u64, name: &str) {
    match limit {
        _ if limit == infinity => args.text(name),
        _ if limit > 1024 && limit.is_multiple_of(1024) => put!(args.out, "{}*1024", limit / 1024),
        _ => put!(args.out, "{limit}"),
    }
}

fn put_limits(args: &mut Args<'_>, [current, most]: [u64; 2], infinity: u64, name: &str) {
    args.text("{rlim_cur=");
    put_limit(args, current, infinity, name);
    args.text(", rlim_max=");
    put_limit(args, most, infinity, name);
    args.text("}");
}

fn rlimit64(args: &mut Args<'_>, address: u64) {
    let Some(limits) = args.fetch::<16>(address) else { return };
    put_limits(args, [le64(&limits, 0), le64(&limits, 8)], u64::MAX, "RLIM64_INFINITY");
}

fn rlimit(args: &mut Args<'_>, address: u64) {
    if args.is_narrow() {
        let Some(limits) = args.fetch::<8>(address) else { return };
        let limits = [le32(&limits, 0).into(), le32(&limits, 4).into()];
        put_limits(args, limits, u32::MAX.into(), "RLIM_INFINITY");
    } else {
        let Some(limits) = args.fetch::<16>(address) else { return };
        put_limits(args, [le64(&limits, 0), le64(&limits, 8)], u64::MAX, "RLIM64_INFINITY");
    }
}

/// The 32-bit ABI's first getrlimit knew 31 bits.
fn rlimit_old(args: &mut Args<'_>, address: u64) {
    let Some(limits) = args.fetch::<8>(address) else { return };
    put_limits(args, [le32(&limits, 0).into(), le32(&limits, 4).into()], 0x7fff_ffff, "RLIM_INFINITY");
}

fn put_cpus(args: &mut Args<'_>, address: u64, length: u64) {
    let mut bytes = [0; 128];
    let length = (length as usize).min(bytes.len());
    if !args.fetch_into(address, &mut bytes[..length]) {
        return;
    }
    args.text("[");
    let mut first = true;
    for cpu in 0..length * 8 {
        if bytes[cpu / 8] >> (cpu % 8) & 1 == 1 {
            args.text(if first { "" } else { " " });
            first = false;
            put!(args.out, "{cpu}");
        }
    }
    args.text("]");
}

/// As many bytes as the call returned.
fn cpu_set(args: &mut Args<'_>, address: u64) {
    let length = args.result.unwrap_or(0).max(0) as u64;
    put_cpus(args, address, length);
}

/// As many bytes as the argument before says.
fn cpu_set_len(args: &mut Args<'_>, address: u64) {
    let length = args.words[args.at - 1] & 0xffff_ffff;
    put_cpus(args, address, length);
}

fn sched_param(args: &mut Args<'_>, address: u64) {
    let Some(priority) = args.fetch::<4>(address) else { return };
    put!(args.out, "[{}]", le32(&priority, 0) as i32);
}

/// struct sched_attr (linux/sched/types.h).
fn sched_attr(args: &mut Args<'_>, address: u64) {
    let mut attr = [0; 56];
    if !args.fetch_into(address, &mut attr[..48]) {
        return;
    }
    let size = le32(&attr, 0) as usize;
    put!(args.out, "{{size={size}, sched_policy=");
    args.choice(&names::SCHED_POLICY, le32(&attr, 4).into());
    args.text(", sched_flags=");
    args.flags(&names::SCHED_FLAGS, le64(&attr, 8));
    put!(
        args.out,
        ", sched_nice={}, sched_priority={}, sched_runtime={}, sched_deadline={}, sched_period={}",
        le32(&attr, 16) as i32,
        le32(&attr, 20),
        le64(&attr, 24),
        le64(&attr, 32),
        le64(&attr, 40)
    );
    if size >= 56 && args.memory.read(address + 48, &mut attr[48..]).is_ok() {
        put!(args.out, ", sched_util_min={}, sched_util_max={}", le32(&attr, 48), le32(&attr, 52));
    }
    args.text("}");
}

/// `[0]`: an id that the call tells.
fn id_out(args: &mut Args<'_>, address: u64) {
    let Some(id) = args.fetch::<4>(address) else { return };
    put!(args.out, "[{}]", le32(&id, 0));
}

/// Ids, as many as the argument before says.
fn id_list(args: &mut Args<'_>, address: u64) {
    let count = args.words[args.at - 1] & 0xffff_ffff;
    args.array(address, count, 4, |args, bytes| put!(args.out, "{}", le32(bytes, 0)));
}

/// Ids, as many as the call returned.
fn id_list_out(args: &mut Args<'_>, address: u64) {
    let count = args.result.unwrap_or(0).max(0) as u64;
    if args.words[0] as u32 == 0 && count > 0 {
        return args.put_address(address);
    }
    args.array(address, count, 4, |args, bytes| put!(args.out, "{}", le32(bytes, 0)));
}

fn pid(args: &mut Args<'_>, pid: u64) {
    put!(args.out, "{}", pid as i32);
}

/// A pointer that the call tells.
fn robust_head(args: &mut Args<'_>, address: u64) {
    let mut bytes = [0; 8];
    let size = args.word_size();
    if args.fetch_into(address, &mut bytes[..size]) {
        args.text("[");
        args.put_address(u64::from_le_bytes(bytes));
        args.text("]");
    }
}

fn personality(args: &mut Args<'_>, value: u64) {
    const ASK: u64 = 0xffff_ffff;
    let value = value & ASK;
    if value == ASK { put!(args.out, "{value:#x}") } else { put_personality(args, value) }
}

/// What system it is like, and in what it differs.
pub(super) fn put_personality(args: &mut Args<'_>, value: u64) {
    const KIND: u64 = 0xff;
    args.choice(&names::PERSONALITY, value & KIND);
    if value & !KIND != 0 {
        args.text("|");
        args.flags(&names::PERSONALITY_FLAGS, value & !KIND);
    }
}

fn ioprio_value(args: &mut Args<'_>, value: u64) {
    args.text("IOPRIO_PRIO_VALUE(");
    args.choice(&names::IOPRIO_CLASS, (value & 0xffff) >> 13);
    put!(args.out, ", {})", value & 0x1fff);
}

/// A length that the call tells.
fn size_out(args: &mut Args<'_>, address: u64) {
    match args.peek_word(address) {
        Some(size) => put!(args.out, "[{size}]"),
        None => args.put_address(address),
    }
}

fn exec_flags(args: &mut Args<'_>, flags: u64) {
    args.flags(&names::AT_FLAGS, flags & 0xffff_ffff);
}

fn rseq_flags(args: &mut Args<'_>, flags: u64) {
    const UNREGISTER: u64 = 1;
    if flags == UNREGISTER { args.text("RSEQ_FLAG_UNREGISTER") } else { args.put_hex(flags & 0xffff_ffff) }
}
