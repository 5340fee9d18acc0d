//! The system as a whole: its name, its load, its log.

use super::{Args, decoders, le16, le32, word};
use crate::tables::flags as names;

decoders! { utsname, sysinfo, getcpu, old_utsname, host_name, syslog_type, syslog_buf, syslog_len, reboot_arg, ptrace_pid, ptrace_addr, ptrace_data, }

/// struct new_utsname: six fields of 65 bytes, of which two are shown without `-v`; the oldest form has five.
fn utsname(args: &mut Args<'_>, address: u64) {
    put_names(args, address, &["sysname", "nodename", "release", "version", "machine", "domainname"]);
}

fn put_names(args: &mut Args<'_>, address: u64, fields: &[&str]) {
    const FIELD: usize = 65;
    let mut bytes = [0; 6 * FIELD];
    let shown = if args.show.full { fields } else { &fields[..2] };
    if !args.fetch_into(address, &mut bytes[..shown.len() * FIELD]) {
        return;
    }
    for (at, name) in shown.iter().enumerate() {
        put!(args.out, "{}{name}=", if at == 0 { "{" } else { ", " });
        args.put_field(&bytes[at * FIELD..][..FIELD]);
    }
    args.text(if args.show.full { "}" } else { ", ...}" });
}

fn old_utsname(args: &mut Args<'_>, address: u64) {
    put_names(args, address, &["sysname", "nodename", "release", "version", "machine"]);
}

/// struct sysinfo (linux/sysinfo.h).
fn sysinfo(args: &mut Args<'_>, address: u64) {
    let (narrow, size) = (args.is_narrow(), args.word_size());
    let mut bytes = [0; 112];
    if !args.fetch_into(address, &mut bytes[..if narrow { 64 } else { 112 }]) {
        return;
    }
    let field = |index: usize| word(&bytes, index, narrow);
    put!(args.out, "{{uptime={}, loads=[{}, {}, {}]", field(0), field(1), field(2), field(3));
    let names = ["totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap"];
    for (at, name) in names.into_iter().enumerate() {
        put!(args.out, ", {name}={}", field(4 + at));
    }
    // The 16 bits of `procs` are padded to a word's alignment.
    let after = 10 * size + size;
    put!(args.out, ", procs={}", le16(&bytes, 10 * size));
    put!(
        args.out,
        ", totalhigh={}, freehigh={}",
        word(&bytes[after..], 0, narrow),
        word(&bytes[after..], 1, narrow)
    );
    put!(args.out, ", mem_unit={}}}", le32(&bytes, after + 2 * size));
}

/// As many bytes as the next argument says, unless that is no length.
fn host_name(args: &mut Args<'_>, address: u64) {
    let length = args.next() as u32;
    if length as i32 >= 0 {
        super::text::put_bytes(args, address, length.into(), false);
    } else {
        args.put_address(address);
    }
}

fn getcpu(args: &mut Args<'_>, address: u64) {
    let Some(number) = args.fetch::<4>(address) else { return };
    put!(args.out, "[{}]", le32(&number, 0));
}

fn syslog_type(args: &mut Args<'_>, value: u64) {
    put!(args.out, "{} /* {} */", value as i32, names::SYSLOG.name(value).unwrap_or("SYSLOG_ACTION_???"));
}

/// Only reading takes a buffer and a length; setting the level takes a number in place of the latter.
fn syslog_buf(args: &mut Args<'_>, address: u64) {
    match args.words[0] {
        2..=4 if args.result.is_none() => args.deferred = true,
        2..=4 if args.failed() => args.put_address(address),
        2..=4 => {
            let length = args.result.unwrap_or(0) as u64;
            super::text::put_bytes(args, address, length, false);
        }
        8 => args.put_address(address),
        _ => {}
    }
}

fn syslog_len(args: &mut Args<'_>, value: u64) {
    if matches!(args.words[0], 2..=4 | 8) {
        put!(args.out, "{}", value as i32);
    }
}

fn reboot_arg(args: &mut Args<'_>, address: u64) {
    const RESTART2: u64 = 0xa1b2_c3d4;
    if args.words[2] & 0xffff_ffff == RESTART2 {
        super::text::string(args, address);
    }
}

const PTRACE_KILL: u64 = 8;
const PTRACE_GETREGS: u64 = 12;
const PTRACE_SETREGS: u64 = 13;
const PTRACE_GETFPREGS: u64 = 14;
const PTRACE_SETFPREGS: u64 = 15;
const PTRACE_GETSIGMASK: u64 = 0x420a;
const PTRACE_SETSIGMASK: u64 = 0x420b;
const PTRACE_GET_SYSCALL_INFO: u64 = 0x420e;
const PTRACE_TRACEME: u64 = 0;
const PTRACE_CONT: u64 = 7;
const PTRACE_SINGLESTEP: u64 = 9;
const PTRACE_ATTACH: u64 = 16;
const PTRACE_DETACH: u64 = 17;
const PTRACE_SYSCALL: u64 = 24;
const PTRACE_SETOPTIONS: u64 = 0x4200;
const PTRACE_SEIZE: u64 = 0x4206;
const PTRACE_INTERRUPT: u64 = 0x4207;
const PTRACE_LISTEN: u64 = 0x4208;

fn ptrace_pid(args: &mut Args<'_>, pid: u64) {
    if args.words[0] != PTRACE_TRACEME {
        put!(args.out, "{}", pid as i32);
    }
}

fn ptrace_addr(args: &mut Args<'_>, address: u64) {
    match args.words[0] {
        PTRACE_TRACEME | PTRACE_ATTACH | PTRACE_INTERRUPT | PTRACE_LISTEN | PTRACE_KILL | PTRACE_GETREGS
        | PTRACE_GETFPREGS | PTRACE_SETREGS | PTRACE_SETFPREGS => {}
        PTRACE_GETSIGMASK | PTRACE_SETSIGMASK | PTRACE_GET_SYSCALL_INFO => put!(args.out, "{address}"),
        _ => args.put_address(address),
    }
}

fn ptrace_data(args: &mut Args<'_>, value: u64) {
    match args.words[0] {
        PTRACE_TRACEME | PTRACE_ATTACH | PTRACE_INTERRUPT | PTRACE_LISTEN | PTRACE_KILL => {}
        PTRACE_CONT | PTRACE_SYSCALL | PTRACE_SINGLESTEP | PTRACE_DETACH if value != 0 => {
            args.put_signal(value as u32)
        }
        PTRACE_CONT | PTRACE_SYSCALL | PTRACE_SINGLESTEP | PTRACE_DETACH => args.text("0"),
        PTRACE_SETOPTIONS | PTRACE_SEIZE => args.flags(&names::PTRACE_OPTIONS, value),
        _ => args.put_address(value),
    }
}
