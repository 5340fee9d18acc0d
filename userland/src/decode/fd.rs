//! Descriptors: pairs of them, what dup, fcntl, flock, epoll and their like are told about them.

use super::{Args, decoders, le16, le32, le64};
use crate::tables::flags as names;

decoders! { fd_pair, open_bits, fcntl_arg, flock_cmd, offset_moved, offset_moving, result_offset, offset64, offset64_hi, skip, }

const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_SETFD: u64 = 2;
const F_GETFL: u64 = 3;
const F_SETFL: u64 = 4;
const F_GETLK: u64 = 5;
const F_SETLK: u64 = 6;
const F_SETLKW: u64 = 7;
const F_SETOWN: u64 = 8;
const F_GETOWN: u64 = 9;
const F_SETSIG: u64 = 10;
const F_GETSIG: u64 = 11;
const F_GETLK64: u64 = 12;
const F_SETLK64: u64 = 13;
const F_SETLKW64: u64 = 14;
const F_SETOWN_EX: u64 = 15;
const F_GETOWN_EX: u64 = 16;
const F_OFD_GETLK: u64 = 36;
const F_OFD_SETLK: u64 = 37;
const F_OFD_SETLKW: u64 = 38;
const F_SETLEASE: u64 = 1024;
const F_GETLEASE: u64 = 1025;
const F_NOTIFY: u64 = 1026;
const F_DUPFD_CLOEXEC: u64 = 1030;
const F_SETPIPE_SZ: u64 = 1031;
const F_GETPIPE_SZ: u64 = 1032;
const F_ADD_SEALS: u64 = 1033;
const F_GET_SEALS: u64 = 1034;

/// Shows nothing: another argument's decoder has shown it.
fn skip(_: &mut Args<'_>, _: u64) {}

/// `[3, 4]`.
fn fd_pair(args: &mut Args<'_>, address: u64) {
    let Some(pair) = args.fetch::<8>(address) else { return };
    args.text("[");
    args.put_fd(le32(&pair, 0).into());
    args.text(", ");
    args.put_fd(le32(&pair, 4).into());
    args.text("]");
}

/// fcntl's third argument, by the second; F_GET* have none, or one that the call fills in.
fn fcntl_arg(args: &mut Args<'_>, value: u64) {
    let command = args.words[1] & 0xffff_ffff;
    match command {
        F_GETFD | F_GETFL | F_GETOWN | F_GETSIG | F_GETLEASE | F_GETPIPE_SZ | F_GET_SEALS => {}
        F_DUPFD | F_DUPFD_CLOEXEC | F_SETOWN | F_SETPIPE_SZ => put!(args.out, "{}", value as i32),
        F_SETFD => args.flags(&names::FD_FLAGS, value & 0xffff_ffff),
        F_SETFL => super::files::put_open_flags(args, value),
        F_SETSIG => args.put_signal(value as u32),
        F_NOTIFY => args.flags(&names::NOTIFY, value & 0xffff_ffff),
        F_SETLEASE => args.choice(&names::LEASE, value),
        F_ADD_SEALS => args.flags(&names::SEALS, value),
        F_GETLK | F_GETLK64 | F_OFD_GETLK | F_GETOWN_EX if args.result.is_none() => args.deferred = true,
        F_GETLK | F_GETLK64 | F_OFD_GETLK | F_GETOWN_EX if args.failed() => args.put_address(value),
        F_GETOWN_EX | F_SETOWN_EX => owner(args, value),
        F_GETLK | F_SETLK | F_SETLKW => lock(args, value, args.is_narrow(), command == F_GETLK),
        F_GETLK64 | F_SETLK64 | F_SETLKW64 | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => {
            lock(args, value, false, matches!(command, F_GETLK64 | F_OFD_GETLK));
        }
        _ => args.put_hex(value),
    }
}

fn owner(args: &mut Args<'_>, address: u64) {
    let Some(owner) = args.fetch::<8>(address) else { return };
    args.text("{type=");
    args.choice(&names::OWNER_TYPE, le32(&owner, 0).into());
    put!(args.out, ", pid={}}}", le32(&owner, 4) as i32);
}

/// struct flock; flock64 on both ABIs has the 64-bit fields, packed on the 32-bit one.
fn lock(args: &mut Args<'_>, address: u64, short: bool, with_pid: bool) {
    let Some(lock) = args.fetch::<32>(address) else { return };
    let (start, length, pid) = match (short, args.is_narrow()) {
        (true, _) => (i64::from(le32(&lock, 4) as i32), i64::from(le32(&lock, 8) as i32), le32(&lock, 12)),
        (false, true) => (le64(&lock, 4) as i64, le64(&lock, 12) as i64, le32(&lock, 20)),
        (false, false) => (le64(&lock, 8) as i64, le64(&lock, 16) as i64, le32(&lock, 24)),
    };
    args.text("{l_type=");
    args.choice(&names::LOCK_TYPE, le16(&lock, 0).into());
    args.text(", l_whence=");
    args.choice(&names::WHENCE, le16(&lock, 2).into());
    put!(args.out, ", l_start={start}, l_len={length}");
    if with_pid {
        put!(args.out, ", l_pid={}", pid as i32);
    }
    args.text("}");
}

fn flock_cmd(args: &mut Args<'_>, value: u64) {
    args.flags(&names::FLOCK_OP, value & 0xffff_ffff);
}

/// An offset that the call reads and moves: `[0]`.
fn offset_moving(args: &mut Args<'_>, address: u64) {
    let Some(offset) = args.fetch::<8>(address) else { return };
    put!(args.out, "[{}]", le64(&offset, 0) as i64);
}

/// The same of sendfile, and where it moved to: `[0] => [5]`.
fn offset_moved(args: &mut Args<'_>, address: u64) {
    if args.result.is_none() {
        if args.peek32(address).is_some() {
            args.deferred = true;
        }
        offset_moving(args, address);
    } else if !args.failed() {
        args.text(" => ");
        offset_moving(args, address);
    }
}

/// What _llseek answers.
fn result_offset(args: &mut Args<'_>, address: u64) {
    offset_moving(args, address);
}

/// O_CLOEXEC and O_NONBLOCK, where there is no way of access.
fn open_bits(args: &mut Args<'_>, flags: u64) {
    args.flags(&names::OPEN_FLAGS, flags & 0xffff_ffff);
}

/// Two 32-bit words that make one offset, low first: shown once.
fn offset64(args: &mut Args<'_>, low: u64) {
    let value = low & 0xffff_ffff | args.next() << 32;
    put!(args.out, "{}", value as i64);
}

/// The same, high first.
fn offset64_hi(args: &mut Args<'_>, high: u64) {
    let value = high << 32 | args.next() & 0xffff_ffff;
    put!(args.out, "{}", value as i64);
}
