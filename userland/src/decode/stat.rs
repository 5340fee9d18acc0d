//! What the kernel knows of files and file systems, abbreviated as strace does it.

use super::{Args, decoders, le16, le32, le64, word};
use crate::tables::flags as names;

decoders! { stat_buf, stat_buf64, statx_buf, statfs_buf, statfs_buf64, statx_mask, }

const S_IFMT: u64 = 0o170_000;

/// `S_IFREG|S_ISUID|0755`.
pub(super) fn put_file_mode(args: &mut Args<'_>, mode: u64) {
    if mode & S_IFMT != 0 {
        args.choice(&names::FILE_TYPE, mode & S_IFMT);
        args.text("|");
    }
    for (bit, name) in [(0o4000, "S_ISUID|"), (0o2000, "S_ISGID|"), (0o1000, "S_ISVTX|")] {
        args.text(if mode & bit != 0 { name } else { "" });
    }
    args.put_mode(mode & 0o777);
}

/// `makedev(0x1, 0x3)`.
pub(super) fn put_device(args: &mut Args<'_>, dev: u64) {
    let major = (dev >> 8 & 0xfff) | (dev >> 32 & !0xfff);
    let minor = (dev & 0xff) | (dev >> 12 & 0xffff_ff00);
    put!(args.out, "makedev({major:#x}, {minor:#x})");
}

fn put_stat(args: &mut Args<'_>, mode: u64, size: u64, rdev: u64) {
    args.text("{st_mode=");
    put_file_mode(args, mode);
    if matches!(mode & S_IFMT, 0o020_000 | 0o060_000) {
        args.text(", st_rdev=");
        put_device(args, rdev);
    } else {
        put!(args.out, ", st_size={}", size as i64);
    }
    args.text(", ...}");
}

/// struct stat of asm/stat.h.
fn stat_buf(args: &mut Args<'_>, address: u64) {
    if args.is_narrow() {
        let Some(stat) = args.fetch::<64>(address) else { return };
        put_stat(args, le16(&stat, 8).into(), le32(&stat, 20).into(), le32(&stat, 16).into());
    } else {
        let Some(stat) = args.fetch::<144>(address) else { return };
        put_stat(args, le32(&stat, 24).into(), le64(&stat, 48), le64(&stat, 40));
    }
}

/// struct stat64 of the 32-bit ABI.
fn stat_buf64(args: &mut Args<'_>, address: u64) {
    let Some(stat) = args.fetch::<96>(address) else { return };
    put_stat(args, le32(&stat, 16).into(), le64(&stat, 44), le64(&stat, 32));
}

/// struct statx of linux/stat.h.
fn statx_buf(args: &mut Args<'_>, address: u64) {
    let Some(statx) = args.fetch::<144>(address) else { return };
    let mode = u64::from(le16(&statx, 28));
    args.text("{stx_mask=");
    args.flags(&names::STATX_MASK, le32(&statx, 0).into());
    args.text(", stx_attributes=");
    args.flags(&names::STATX_ATTR, le64(&statx, 8));
    args.text(", stx_mode=");
    put_file_mode(args, mode);
    put!(args.out, ", stx_size={}, ...}}", le64(&statx, 40));
}

fn statx_mask(args: &mut Args<'_>, mask: u64) {
    args.flags(&names::STATX_MASK, mask & 0xffff_ffff);
}

/// struct statfs: words.
fn statfs_buf(args: &mut Args<'_>, address: u64) {
    let narrow = args.is_narrow();
    let mut bytes = [0; 120];
    let size = if narrow { 64 } else { 120 };
    if !args.fetch_into(address, &mut bytes[..size]) {
        return;
    }
    let field = |index: usize| word(&bytes, index, narrow);
    let after = if narrow { 36 } else { 64 };
    let last = |index: usize| {
        if narrow { le32(&bytes, after + 4 * index).into() } else { le64(&bytes, after + 8 * index) }
    };
    let fsid = after - 8;
    put_statfs(
        args,
        [field(0), field(1), field(2), field(3), field(4), field(5), field(6)],
        [le32(&bytes, fsid), le32(&bytes, fsid + 4)],
        [last(0), last(1), last(2)],
    );
}

/// struct statfs64 of the 32-bit ABI.
fn statfs_buf64(args: &mut Args<'_>, address: u64) {
    let Some(bytes) = args.fetch::<84>(address) else { return };
    let narrow = |at| u64::from(le32(&bytes, at));
    put_statfs(
        args,
        [
            narrow(0),
            narrow(4),
            le64(&bytes, 8),
            le64(&bytes, 16),
            le64(&bytes, 24),
            le64(&bytes, 32),
            le64(&bytes, 40),
        ],
        [le32(&bytes, 48), le32(&bytes, 52)],
        [narrow(56), narrow(60), narrow(64)],
    );
}

fn put_statfs(args: &mut Args<'_>, counts: [u64; 7], fsid: [u32; 2], [namelen, frsize, flags]: [u64; 3]) {
    args.text("{f_type=");
    args.choice(&names::FS_MAGIC, counts[0]);
    let fields = ["f_bsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree"];
    for (name, count) in fields.into_iter().zip(&counts[1..]) {
        put!(args.out, ", {name}={count}");
    }
    args.text(", f_fsid={val=[");
    args.put_hex(fsid[0].into());
    args.text(", ");
    args.put_hex(fsid[1].into());
    put!(args.out, "]}}, f_namelen={namelen}, f_frsize={frsize}, f_flags=");
    args.flags(&names::ST_FLAGS, flags);
    args.text("}");
}
