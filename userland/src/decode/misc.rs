//! Futexes, randomness, seccomp, capabilities, landlock, bpf, memory objects, System V IPC.

use super::text::put_bytes;
use super::{Args, decoders, le16, le32, le64};
use crate::tables::flags as names;

decoders! {
    futex_op, futex_val, futex_timeout, futex_timeout64, futex_addr2, futex_val3, cap_header, cap_data, landlock_attr, landlock_rule,
    bpf_attr, ipc_key, io_uring_params, seccomp_args, ipc_mode, shm_mode, sem_ops, msg_text, msg_got, memfd_name, key_serial,
    keyctl_arg, mempolicy_out, fsconfig_value, fsconfig_aux,
}

const FUTEX_WAIT: u64 = 0;
const FUTEX_WAKE: u64 = 1;
const FUTEX_REQUEUE: u64 = 3;
const FUTEX_CMP_REQUEUE: u64 = 4;
const FUTEX_WAKE_OP: u64 = 5;
const FUTEX_LOCK_PI: u64 = 6;
const FUTEX_UNLOCK_PI: u64 = 7;
const FUTEX_TRYLOCK_PI: u64 = 8;
const FUTEX_WAIT_BITSET: u64 = 9;
const FUTEX_WAKE_BITSET: u64 = 10;
const FUTEX_WAIT_REQUEUE_PI: u64 = 11;
const FUTEX_CMP_REQUEUE_PI: u64 = 12;
const FUTEX_LOCK_PI2: u64 = 13;

const FUTEX_PRIVATE: u64 = 128;
const FUTEX_CLOCK_REALTIME: u64 = 256;

fn futex_command(args: &Args<'_>) -> u64 {
    args.words[1] & 0x7f
}

fn futex_op(args: &mut Args<'_>, op: u64) {
    args.choice(&names::FUTEX_OP, op & 0x7f);
    args.text(if op & FUTEX_PRIVATE != 0 { "_PRIVATE" } else { "" });
    args.text(if op & FUTEX_CLOCK_REALTIME != 0 { "|FUTEX_CLOCK_REALTIME" } else { "" });
}

fn futex_val(args: &mut Args<'_>, value: u64) {
    match futex_command(args) {
        FUTEX_UNLOCK_PI | FUTEX_TRYLOCK_PI | FUTEX_LOCK_PI | FUTEX_LOCK_PI2 => {}
        _ => put!(args.out, "{}", value as u32),
    }
}

/// A time, a number, or nothing.
fn timeout(args: &mut Args<'_>, value: u64, show: impl FnOnce(&mut Args<'_>, u64)) {
    match futex_command(args) {
        FUTEX_WAIT | FUTEX_WAIT_BITSET | FUTEX_LOCK_PI | FUTEX_LOCK_PI2 | FUTEX_WAIT_REQUEUE_PI => {
            show(args, value)
        }
        FUTEX_REQUEUE | FUTEX_CMP_REQUEUE | FUTEX_WAKE_OP | FUTEX_CMP_REQUEUE_PI => {
            put!(args.out, "{}", value as u32)
        }
        FUTEX_WAKE | FUTEX_WAKE_BITSET | FUTEX_UNLOCK_PI | FUTEX_TRYLOCK_PI => {}
        _ => args.put_hex(value),
    }
}

fn futex_timeout(args: &mut Args<'_>, value: u64) {
    timeout(args, value, super::time::timespec);
}

fn futex_timeout64(args: &mut Args<'_>, value: u64) {
    timeout(args, value, |args, value| {
        let abi = std::mem::take(&mut args.abi);
        super::time::timespec(args, value);
        args.abi = abi;
    });
}

fn futex_addr2(args: &mut Args<'_>, address: u64) {
    match futex_command(args) {
        FUTEX_REQUEUE | FUTEX_CMP_REQUEUE | FUTEX_WAKE_OP | FUTEX_CMP_REQUEUE_PI | FUTEX_WAIT_REQUEUE_PI => {
            args.put_address(address);
        }
        _ => {}
    }
}

fn futex_val3(args: &mut Args<'_>, value: u64) {
    const ANY: u32 = u32::MAX;
    let value = value as u32;
    match futex_command(args) {
        FUTEX_WAIT_BITSET | FUTEX_WAKE_BITSET if value == ANY => args.text("FUTEX_BITSET_MATCH_ANY"),
        FUTEX_WAIT_BITSET | FUTEX_WAKE_BITSET => args.put_hex(value.into()),
        FUTEX_CMP_REQUEUE | FUTEX_CMP_REQUEUE_PI => put!(args.out, "{value}"),
        FUTEX_WAKE_OP => wake_op(args, value),
        _ => {}
    }
}

/// What FUTEX_WAKE_OP does and compares: fields of 4, 4, 12 and 12 bits (futex(2)).
fn wake_op(args: &mut Args<'_>, value: u32) {
    const OPS: [&str; 5] = ["SET", "ADD", "OR", "ANDN", "XOR"];
    const COMPARISONS: [&str; 6] = ["EQ", "NE", "LT", "LE", "GT", "GE"];
    let (op, comparison) = (value >> 28 & 7, value >> 24 & 0xf);
    let name = |names: &[&'static str], index: u32| names.get(index as usize).copied().unwrap_or("???");
    args.text(if value >> 31 == 1 { "FUTEX_OP_OPARG_SHIFT<<28|" } else { "" });
    put!(args.out, "FUTEX_OP_{}<<28|{:#x}<<12|", name(&OPS, op), value >> 12 & 0xfff);
    put!(args.out, "FUTEX_OP_CMP_{}<<24|{:#x}", name(&COMPARISONS, comparison), value & 0xfff);
}

/// struct __user_cap_header_struct.
fn cap_header(args: &mut Args<'_>, address: u64) {
    let Some(header) = args.fetch::<8>(address) else { return };
    args.text("{version=");
    args.choice(&names::CAP_VERSION, le32(&header, 0).into());
    put!(args.out, ", pid={}}}", le32(&header, 4) as i32);
}

/// Two of struct __user_cap_data_struct make 64 bits each of three sets.
fn cap_data(args: &mut Args<'_>, address: u64) {
    let Some(data) = args.fetch::<24>(address) else { return };
    for (at, name) in ["{effective=", ", permitted=", ", inheritable="].into_iter().enumerate() {
        args.text(name);
        let set = u64::from(le32(&data, 4 * at)) | u64::from(le32(&data, 12 + 4 * at)) << 32;
        if set == 0 {
            args.text("0");
        }
        let mut first = true;
        let mut unknown = 0;
        for bit in (0..64).filter(|bit| set >> bit & 1 == 1) {
            match names::CAPABILITY.name(bit) {
                Some(name) => {
                    args.text(if first { "" } else { "|" });
                    put!(args.out, "1<<{name}");
                    first = false;
                }
                None => unknown |= 1u64 << bit,
            }
        }
        if unknown != 0 {
            put!(args.out, "{}{unknown:#x}", if first { "" } else { "|" });
        }
    }
    args.text("}");
}

/// struct landlock_ruleset_attr, of which headers know more and more.
fn landlock_attr(args: &mut Args<'_>, address: u64) {
    let size = args.next();
    if size < 8 {
        return args.put_address(address);
    }
    let Some(attr) = args.fetch::<8>(address) else { return };
    args.text("{handled_access_fs=");
    args.flags(&names::LANDLOCK_ACCESS, le64(&attr, 0));
    args.text(if size > 8 { ", ...}" } else { "}" });
}

fn landlock_rule(args: &mut Args<'_>, address: u64) {
    let Some(rule) = args.fetch::<12>(address) else { return };
    args.text("{allowed_access=");
    args.flags(&names::LANDLOCK_ACCESS, le64(&rule, 0));
    args.text(", parent_fd=");
    args.put_fd(le32(&rule, 8).into());
    args.text("}");
}

/// What bpf is given, by command, is another language.
fn bpf_attr(args: &mut Args<'_>, address: u64) {
    args.put_address(address);
}

fn ipc_key(args: &mut Args<'_>, key: u64) {
    if key as u32 == 0 { args.text("IPC_PRIVATE") } else { put!(args.out, "{:#x}", key as u32) }
}

fn put_ipc_mode(args: &mut Args<'_>, flags: u64, names: &names::Names) {
    let bits = flags & 0xffff_ffff & !0o777;
    if bits != 0 {
        args.flags(names, bits);
        args.text("|");
    }
    args.put_mode(flags & 0o777);
}

fn ipc_mode(args: &mut Args<'_>, flags: u64) {
    put_ipc_mode(args, flags, &names::IPC_FLAGS);
}

fn shm_mode(args: &mut Args<'_>, flags: u64) {
    put_ipc_mode(args, flags, &names::SHM_GET_FLAGS);
}

/// struct sembuf.
fn sem_ops(args: &mut Args<'_>, address: u64) {
    let count = args.next();
    args.array(address, count, 6, |args, bytes| {
        let (number, op, flags) = (le16(bytes, 0), le16(bytes, 2) as i16, le16(bytes, 4));
        put!(args.out, "{{sem_num={number}, sem_op={op}, sem_flg=");
        args.flags(&names::SEM_FLAGS, flags.into());
        args.text("}");
    });
}

/// struct msgbuf: a type, then text.
fn put_msg(args: &mut Args<'_>, address: u64, length: u64) {
    let Some(kind) = args.peek_word(address) else { return args.put_address(address) };
    put!(args.out, "{{mtype={kind}, mtext=");
    put_bytes(args, address + args.word_size() as u64, length, false);
    args.text("}");
}

fn msg_text(args: &mut Args<'_>, address: u64) {
    let length = args.next();
    put_msg(args, address, length);
}

fn msg_got(args: &mut Args<'_>, address: u64) {
    let length = args.result.unwrap_or(0).max(0) as u64;
    put_msg(args, address, length);
}

/// struct io_uring_params (linux/io_uring.h): what was asked for and what there is.
fn io_uring_params(args: &mut Args<'_>, address: u64) {
    const CQSIZE: u32 = 1 << 3;
    const SQPOLL: u32 = 1 << 1;
    let Some(params) = args.fetch::<120>(address) else { return };
    let field = |index: usize| le32(&params, 4 * index);
    args.text("{flags=");
    args.flags(&names::IO_URING_SETUP, field(2).into());
    put!(args.out, ", sq_thread_cpu={}, sq_thread_idle={}", field(3), field(4));
    if args.result.is_none_or(|result| result < 0) {
        if field(2) & (CQSIZE | SQPOLL) == CQSIZE {
            put!(args.out, ", cq_entries={}", field(1));
        }
        return args.text("}");
    }
    put!(args.out, ", sq_entries={}, cq_entries={}, features=", field(0), field(1));
    args.flags(&names::IO_URING_FEAT, field(5).into());
    let offsets = [
        (", sq_off={", 10, ["head", "tail", "ring_mask", "ring_entries", "flags", "dropped", "array"]),
        (", cq_off={", 20, ["head", "tail", "ring_mask", "ring_entries", "overflow", "cqes", "flags"]),
    ];
    for (name, first, fields) in offsets {
        args.text(name);
        for (at, field_name) in fields.into_iter().enumerate() {
            put!(args.out, "{}{field_name}={}", if at == 0 { "" } else { ", " }, field(first + at));
        }
        args.text("}");
    }
    args.text("}");
}

fn put_key(args: &mut Args<'_>, serial: u64) {
    match names::KEY_SERIAL.name(serial & 0xffff_ffff) {
        Some(name) => args.text(name),
        None => put!(args.out, "{}", serial as i32),
    }
}

fn key_serial(args: &mut Args<'_>, serial: u64) {
    put_key(args, serial);
}

/// How many arguments an operation has, and what they are, is shown for the ones that programs use.
fn keyctl_arg(args: &mut Args<'_>, value: u64) {
    const GET_KEYRING_ID: u64 = 0;
    const JOIN_SESSION_KEYRING: u64 = 1;
    const REVOKE: u64 = 3;
    const LINK: u64 = 8;
    const UNLINK: u64 = 9;
    const SETPERM: u64 = 5;
    const DESCRIBE: u64 = 6;
    const CLEAR: u64 = 7;
    const SEARCH: u64 = 10;
    const READ: u64 = 11;
    const SET_TIMEOUT: u64 = 15;
    const INVALIDATE: u64 = 21;
    match (args.words[0], args.at) {
        (DESCRIBE | READ, 2) if args.result.is_none() => args.deferred = true,
        (GET_KEYRING_ID | REVOKE | LINK | UNLINK, 1) | (LINK | UNLINK, 2) => put_key(args, value),
        (SETPERM | DESCRIBE | CLEAR | SEARCH | READ | SET_TIMEOUT | INVALIDATE, 1) => put_key(args, value),
        (SETPERM, 2) => args.flags(&names::KEY_PERM, value & 0xffff_ffff),
        (DESCRIBE | READ, 2) if args.failed() => args.put_address(value),
        (DESCRIBE | READ, 2) => {
            let length = (args.result.unwrap_or(0) as u64).min(args.next());
            put_bytes(args, value, length, false);
        }
        (DESCRIBE | READ, 3) | (SET_TIMEOUT, 2) => put!(args.out, "{value}"),
        (SEARCH, 2 | 3) => super::text::string(args, value),
        (SEARCH, 4) => put_key(args, value),
        (CLEAR | INVALIDATE, 2..) | (SETPERM | SET_TIMEOUT, 3..) | (DESCRIBE | READ, 4..) => {}
        (GET_KEYRING_ID, 2) => put!(args.out, "{}", value as i32),
        (JOIN_SESSION_KEYRING, 1) => super::text::string(args, value),
        (GET_KEYRING_ID | LINK | UNLINK, 3..) | (REVOKE | JOIN_SESSION_KEYRING, 2..) => {}
        _ => args.put_hex(value),
    }
}

fn mempolicy_out(args: &mut Args<'_>, address: u64) {
    let Some(policy) = args.fetch::<4>(address) else { return };
    args.text("[");
    args.choice(&names::MEMPOLICY, le32(&policy, 0).into());
    args.text("]");
}

fn fsconfig_value(args: &mut Args<'_>, address: u64) {
    const SET_STRING: u64 = 1;
    const SET_BINARY: u64 = 2;
    const SET_PATH: u64 = 3;
    const SET_PATH_EMPTY: u64 = 4;
    match args.words[1] & 0xffff_ffff {
        SET_STRING => super::text::string(args, address),
        SET_BINARY => put_bytes(args, address, args.next() & 0xffff_ffff, true),
        SET_PATH | SET_PATH_EMPTY => super::text::path(args, address),
        _ => args.put_address(address),
    }
}

/// A number, but the folder of a path that is set.
fn fsconfig_aux(args: &mut Args<'_>, value: u64) {
    const SET_PATH: u64 = 3;
    const SET_PATH_EMPTY: u64 = 4;
    match args.words[1] & 0xffff_ffff {
        SET_PATH | SET_PATH_EMPTY => args.put_dirfd(value),
        _ => put!(args.out, "{}", value as i32),
    }
}

fn seccomp_args(args: &mut Args<'_>, address: u64) {
    const SET_MODE_FILTER: u64 = 1;
    const GET_ACTION_AVAIL: u64 = 2;
    const GET_NOTIF_SIZES: u64 = 3;
    match args.words[0] & 0xffff_ffff {
        SET_MODE_FILTER => put_filter(args, address),
        GET_ACTION_AVAIL => {
            let Some(action) = args.fetch::<4>(address) else { return };
            args.text("[");
            args.choice(&names::SECCOMP_RET, le32(&action, 0).into());
            args.text("]");
        }
        GET_NOTIF_SIZES if args.result.is_none() => args.deferred = true,
        GET_NOTIF_SIZES if !args.failed() => {
            let Some(sizes) = args.fetch::<6>(address) else { return };
            let [call, answer, data] = [0, 2, 4].map(|at| le16(&sizes, at));
            put!(args.out, "{{seccomp_notif={call}, seccomp_notif_resp={answer}, seccomp_data={data}}}");
        }
        _ => args.put_address(address),
    }
}

/// struct sock_fprog.
pub(super) fn put_filter(args: &mut Args<'_>, address: u64) {
    if args.is_narrow() {
        return args.put_address(address);
    }
    let Some(program) = args.fetch::<16>(address) else { return };
    put!(args.out, "{{len={}, filter=", le16(&program, 0));
    args.put_address(le64(&program, 8));
    args.text("}");
}

fn memfd_name(args: &mut Args<'_>, address: u64) {
    super::text::put_text(args, address, args.show.limit.min(250));
}
