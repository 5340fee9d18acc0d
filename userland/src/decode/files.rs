//! Paths and what is done with them: open, access, links, times of files, mounts, folders, attributes.

use super::text::{put_bytes, put_text};
use super::{Args, Memory, decoders, le16, le32, le64};
use crate::tables::flags as names;

decoders! {
    open_flags, open_mode, open_how, umask, node_mode, node_dev, link_text, folder_entries, folder_entries_old, statx_flags,
    mount_flags, mount_type, mount_data, xattr_value, xattr_list, xattr_set, fan_init, fan_mark, owner_id, io_vector,
    io_vector_read, iov_addresses, iov_offset, handle, handle_out, file_id, inotify_mask, fallocate_mode,
}

const O_CREAT: u64 = 0o100;
const O_TMPFILE: u64 = 0o20_200_000;
const O_ACCMODE: u64 = 3;

/// The way of access, then the bits.
pub(super) fn put_open_flags(args: &mut Args<'_>, flags: u64) {
    let flags = flags & 0xffff_ffff;
    args.choice(&names::OPEN_ACCESS, flags & O_ACCMODE);
    put_open_bits(args, flags & !O_ACCMODE);
}

fn put_open_bits(args: &mut Args<'_>, bits: u64) {
    if bits != 0 {
        args.text("|");
        let start = args.out.len();
        let rest = names::OPEN_FLAGS.put_known(args.out, bits);
        if rest != 0 {
            args.text(if args.out.len() > start { "|" } else { "" });
            args.put_hex(rest);
        }
    }
}

fn open_flags(args: &mut Args<'_>, flags: u64) {
    put_open_flags(args, flags);
}

/// Only a call that may make a file has a mode.
fn open_mode(args: &mut Args<'_>, mode: u64) {
    let flags = args.words[args.at - 1];
    if flags & O_CREAT != 0 || flags & O_TMPFILE == O_TMPFILE {
        args.put_mode(mode & 0xffff);
    }
}

/// struct open_how of openat2(2).
fn open_how(args: &mut Args<'_>, address: u64) {
    if args.next() < 24 {
        return args.put_address(address);
    }
    let Some(how) = args.fetch::<24>(address) else { return };
    let flags = le64(&how, 0);
    args.text("{flags=");
    put_open_flags(args, flags);
    if flags & O_CREAT != 0 || flags & O_TMPFILE == O_TMPFILE {
        args.text(", mode=");
        args.put_mode(le64(&how, 8));
    }
    args.text(", resolve=");
    args.flags(&names::RESOLVE, le64(&how, 16));
    let mut more = [0; 64];
    let rest = (args.next() as usize).saturating_sub(how.len()).min(more.len());
    if args.memory.read(address + 24, &mut more[..rest]).is_ok() && more.iter().any(|&byte| byte != 0) {
        put!(args.out, ", /* bytes 24..{} */ ", 23 + rest);
        args.put_hex_string(&more[..rest]);
    }
    args.text("}");
}

fn umask(args: &mut Args<'_>, mask: u64) {
    args.put_mode(mask & 0xffff_ffff);
}

/// Type and permissions of a file that is to be made.
fn node_mode(args: &mut Args<'_>, mode: u64) {
    super::stat::put_file_mode(args, mode & 0xffff);
}

/// Only devices have a number.
fn node_dev(args: &mut Args<'_>, dev: u64) {
    let kind = args.words[args.at - 1] & 0o170_000;
    if matches!(kind, 0o020_000 | 0o060_000) {
        super::stat::put_device(args, dev);
    }
}

/// readlink's answer: no NUL, cut as any string.
fn link_text(args: &mut Args<'_>, address: u64) {
    let length = args.result.unwrap_or(0).max(0) as u64;
    put_bytes(args, address, length, false);
}

/// struct linux_dirent64, of what the call returned: how many there are; with `-v` all of them.
fn folder_entries(args: &mut Args<'_>, address: u64) {
    entries(args, address, 16, |args, entry| {
        let (inode, offset) = (le64(entry, 0), le64(entry, 8) as i64);
        put!(args.out, "{{d_ino={inode}, d_off={offset}, d_reclen={}, d_type=", le16(entry, 16));
        args.choice(&names::D_TYPE, entry[18].into());
        args.text(", d_name=");
        args.put_field(&entry[19..]);
        args.text("}");
    });
}

/// struct linux_dirent: its last byte is the type.
fn folder_entries_old(args: &mut Args<'_>, address: u64) {
    let (narrow, size) = (args.is_narrow(), args.word_size());
    entries(args, address, 2 * size, |args, entry| {
        let (inode, offset) = (super::word(entry, 0, narrow), super::word(entry, 1, narrow));
        put!(args.out, "{{d_ino={inode}, d_off={offset}, d_reclen={}, d_name=", entry.len());
        args.put_field(&entry[2 * size + 2..entry.len() - 1]);
        args.text(", d_type=");
        args.choice(&names::D_TYPE, entry[entry.len() - 1].into());
        args.text("}");
    });
}

/// Walks `d_reclen`, a batch of bytes at a time.
fn entries(args: &mut Args<'_>, address: u64, reclen_at: usize, mut show: impl FnMut(&mut Args<'_>, &[u8])) {
    /// Many times the buffers of C libraries.
    const MOST: i64 = 1 << 19;
    let (total, full) = (args.result.unwrap_or(0).clamp(0, MOST) as usize, args.show.full);
    let mut batch = [0; 4096];
    let (mut count, mut at) = (0, 0);
    if full {
        args.text("[");
    } else {
        args.put_address(address);
    }
    while at < total {
        let here = (total - at).min(batch.len());
        if args.memory.read(address.wrapping_add(at as u64), &mut batch[..here]).is_err() {
            break;
        }
        let mut inside = 0;
        while inside + reclen_at + 4 <= here {
            let length = usize::from(le16(&batch, inside + reclen_at));
            // Nothing that the kernel would write; and one that goes on in the next batch.
            if length < reclen_at + 4 || inside + length > here {
                break;
            }
            if full {
                args.text(if count == 0 { "" } else { ", " });
                show(args, &batch[inside..inside + length]);
            }
            inside += length;
            count += 1;
        }
        if inside == 0 {
            break;
        }
        at += inside;
    }
    if full {
        args.text("]");
    } else {
        put!(args.out, " /* {count} entries */");
    }
}

/// statx: how to synchronise is a field of two bits among flags.
fn statx_flags(args: &mut Args<'_>, flags: u64) {
    const SYNC: u64 = 0x6000;
    let flags = flags & 0xffff_ffff;
    args.choice(&names::STATX_SYNC, flags & SYNC);
    if flags & !SYNC != 0 {
        args.text("|");
        args.flags(&names::AT_FLAGS, flags & !SYNC);
    }
}

/// Not said in a bind, a move or a remount.
fn mount_type(args: &mut Args<'_>, address: u64) {
    const NOT_READ: u64 = 0x20 | 0x1000 | 0x2000 | 0xe_0000 | 0x10_0000;
    let flags = args.words[3];
    if flags & NOT_READ != 0 { args.put_address(address) } else { put_text(args, address, args.show.limit) }
}

fn mount_data(args: &mut Args<'_>, address: u64) {
    const NOT_READ: u64 = 0x1000 | 0x2000 | 0xe_0000 | 0x10_0000;
    let flags = args.words[3];
    if flags & NOT_READ != 0 { args.put_address(address) } else { put_text(args, address, args.show.limit) }
}

/// getxattr's answer; only its size was asked for if there is no room.
fn xattr_value(args: &mut Args<'_>, address: u64) {
    if args.next() == 0 {
        return args.put_address(address);
    }
    let length = args.result.unwrap_or(0).max(0) as u64;
    put_bytes(args, address, length, false);
}

fn xattr_list(args: &mut Args<'_>, address: u64) {
    xattr_value(args, address);
}

fn xattr_set(args: &mut Args<'_>, address: u64) {
    let length = args.next();
    put_bytes(args, address, length, false);
}

fn fallocate_mode(args: &mut Args<'_>, mode: u64) {
    args.flags(&names::FALLOCATE, mode & 0xffff_ffff);
}

/// The magic number that very old programs put on top is shown too.
fn mount_flags(args: &mut Args<'_>, flags: u64) {
    const MAGIC: u64 = 0xc0ed_0000;
    const MASK: u64 = 0xffff_0000;
    if flags & MASK == MAGIC {
        args.text("MS_MGC_VAL");
        if flags & !MASK != 0 {
            args.text("|");
            args.flags(&names::MOUNT_FLAGS, flags & !MASK);
        }
        return;
    }
    args.flags(&names::MOUNT_FLAGS, flags);
}

fn fan_init(args: &mut Args<'_>, flags: u64) {
    const CLASS: u64 = 0xc;
    args.choice(&names::FAN_CLASS, flags & CLASS);
    if flags & 0xffff_ffff & !CLASS != 0 {
        args.text("|");
        args.flags(&names::FAN_INIT, flags & 0xffff_ffff & !CLASS);
    }
}

fn fan_mark(args: &mut Args<'_>, mask: u64) {
    args.flags(&names::FAN_MASK, mask);
}

fn inotify_mask(args: &mut Args<'_>, mask: u64) {
    args.flags(&names::INOTIFY_MASK, mask & 0xffff_ffff);
}

/// An owner; -1 means: as it is.
fn owner_id(args: &mut Args<'_>, id: u64) {
    if id as u32 == u32::MAX { args.text("-1") } else { put!(args.out, "{}", id as u32) }
}

/// `[{iov_base="…", iov_len=3}]`, of which `total` bytes count.
pub(super) fn put_io_vector(args: &mut Args<'_>, address: u64, count: u64, total: Option<u64>) {
    let (size, narrow) = (2 * args.word_size(), args.is_narrow());
    let mut left = total.unwrap_or(u64::MAX);
    args.array(address, count, size, |args, bytes| {
        let (base, length) = (super::word(bytes, 0, narrow), super::word(bytes, 1, narrow));
        args.text("{iov_base=");
        put_bytes(args, base, length.min(left), false);
        left -= length.min(left);
        put!(args.out, ", iov_len={length}}}");
    });
}

/// The parts of an I/O vector: address and length. Those that cannot be read are missing.
pub fn io_parts(memory: &mut dyn Memory, address: u64, count: u64, abi: u64) -> Vec<(u64, u64)> {
    /// IOV_MAX of limits.h.
    const MOST: u64 = 1024;
    let (narrow, size) = (abi != 0, if abi == 0 { 16 } else { 8 });
    let mut part = [0; 16];
    let mut parts = Vec::new();
    for at in 0..count.min(MOST) {
        if memory.read(address.wrapping_add(at * size), &mut part[..size as usize]).is_err() {
            break;
        }
        parts.push((super::word(&part, 0, narrow), super::word(&part, 1, narrow)));
    }
    parts
}

fn io_vector(args: &mut Args<'_>, address: u64) {
    let count = args.next();
    put_io_vector(args, address, count, None);
}

/// What was read into it.
fn io_vector_read(args: &mut Args<'_>, address: u64) {
    let (count, total) = (args.next(), args.result.unwrap_or(0));
    if total < 0 {
        return iov_addresses(args, address);
    }
    put_io_vector(args, address, count, Some(total as u64));
}

/// Parts by address alone: another process's, or nothing is in them.
fn iov_addresses(args: &mut Args<'_>, address: u64) {
    let (size, narrow, count) = (2 * args.word_size(), args.is_narrow(), args.next());
    args.array(address, count, size, |args, bytes| {
        args.text("{iov_base=");
        args.put_address(super::word(bytes, 0, narrow));
        put!(args.out, ", iov_len={}}}", super::word(bytes, 1, narrow));
    });
}

/// preadv: two words make the offset; on 64 bits the low one is all of it.
fn iov_offset(args: &mut Args<'_>, low: u64) {
    if args.is_narrow() {
        put!(args.out, "{}", (low & 0xffff_ffff | args.next() << 32) as i64);
    } else {
        put!(args.out, "{}", low as i64);
    }
}

/// struct file_handle.
fn handle(args: &mut Args<'_>, address: u64) {
    let Some(head) = args.fetch::<8>(address) else { return };
    let length = le32(&head, 0);
    put!(args.out, "{{handle_bytes={length}");
    put_handle_rest(args, address, length, le32(&head, 4));
}

/// The same, where the call fills it in, or says how much room it takes.
fn handle_out(args: &mut Args<'_>, address: u64) {
    let Some(head) = args.fetch::<8>(address) else { return };
    let (before, length) = (args.saved as u32, le32(&head, 0));
    put!(args.out, "{{handle_bytes={before}");
    if before != length {
        put!(args.out, " => {length}");
    }
    if args.failed() { args.text("}") } else { put_handle_rest(args, address, length, le32(&head, 4)) }
}

fn put_handle_rest(args: &mut Args<'_>, address: u64, length: u32, kind: u32) {
    put!(args.out, ", handle_type={}, f_handle=", kind as i32);
    let mut bytes = [0; 128];
    let length = (length as usize).min(bytes.len());
    if args.fetch_into(address + 8, &mut bytes[..length]) {
        args.put_hex_string(&bytes[..length]);
    }
    args.text("}");
}

fn file_id(args: &mut Args<'_>, address: u64) {
    let Some(id) = args.fetch::<4>(address) else { return };
    put!(args.out, "[{}]", le32(&id, 0) as i32);
}
